/* The table of backbones: one row each. */
#include "model/backbone.h"

static const struct {
    sr_backbone kind;
    const backbone *row;
} backbones[] = {
    {SR_BACKBONE_SASREC, &sasrec_backbone},   {SR_BACKBONE_BERT4REC, &bert4rec_backbone},
    {SR_BACKBONE_SSEPT, &ssept_backbone},     {SR_BACKBONE_TISASREC, &tisasrec_backbone},
    {SR_BACKBONE_STOSA, &stosa_backbone},     {SR_BACKBONE_FMLPREC, &fmlprec_backbone},
    {SR_BACKBONE_GRU4REC, &gru4rec_backbone}, {SR_BACKBONE_CASER, &caser_backbone},
    {SR_BACKBONE_FEAREC, &fearec_backbone},
};

const backbone *backbone_find(sr_backbone kind)
{
    for (size_t i = 0; i < sizeof backbones / sizeof *backbones; ++i)
        if (backbones[i].kind == kind)
            return backbones[i].row;
    return NULL;
}
