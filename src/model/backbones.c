/* The list of backbones: one row each. Numbers are places in it. */
#include "model/backbone.h"

#include <string.h>

extern const backbone sasrec_backbone, bert4rec_backbone, ssept_backbone, tisasrec_backbone, stosa_backbone, fmlprec_backbone;
extern const backbone gru4rec_backbone, caser_backbone, fearec_backbone, hstu_backbone;

/* clang-format off */
const backbone *const backbones[] = {
    &sasrec_backbone,
    &bert4rec_backbone,
    &ssept_backbone,
    &tisasrec_backbone,
    &stosa_backbone,
    &fmlprec_backbone,
    &gru4rec_backbone,
    &caser_backbone,
    &fearec_backbone,
    &hstu_backbone,
};
/* clang-format on */
const size_t backbone_count = sizeof backbones / sizeof *backbones;

const backbone *backbone_of(const sr_model_settings *settings)
{
    return backbones[settings->backbone];
}

int sr_backbone_number(const char *name)
{
    for (size_t i = 0; i < backbone_count; ++i)
        if (strcmp(backbones[i]->component.name, name) == 0)
            return (int)i;
    return -1;
}
