/* Which blocks the state of the optimizer has in a file. Files tell no name of an optimizer: its blocks do. */
#include "storage/checkpoint_layout.h"

#include <stdio.h>
#include <string.h>

typedef struct {
    checkpoint_state_names *names;
    bool fits;
} name_search;

static herr_t add_name(hid_t group, const char *name, const H5L_info_t *info, void *context)
{
    (void)group;
    (void)info;
    name_search *search = context;
    checkpoint_state_names *names = search->names;
    search->fits = names->count < SR_STATE_BLOCKS_MAXIMUM && strlen(name) < SR_STATE_NAME_SIZE;
    if (!search->fits)
        return 1;
    strcpy(names->list[names->count++], name);
    return 0;
}

sr_status checkpoint_list_state(const sr_hdf5_file *file, checkpoint_state_names *names, sr_error *error)
{
    name_search search = {.names = names, .fits = true};
    names->count = 0;
    const hid_t group = H5Gopen2(file->id, CHECKPOINT_OPTIMIZER, H5P_DEFAULT);
    if (group < 0)
        return sr_fail(error, SR_ERROR_DATA, "%s: the group /%s is missing", file->path, CHECKPOINT_OPTIMIZER);
    const herr_t visited = H5Literate(group, H5_INDEX_NAME, H5_ITER_INC, NULL, add_name, &search);
    H5Gclose(group);
    if (visited < 0)
        return sr_fail(error, SR_ERROR_DATA, "%s: the group /%s cannot be listed", file->path, CHECKPOINT_OPTIMIZER);
    return search.fits ? SR_OK
                       : sr_fail(error, SR_ERROR_DATA,
                                 "%s: the group /%s holds what no optimizer has: at most %d groups are allowed, with names of "
                                 "at most %d characters",
                                 file->path, CHECKPOINT_OPTIMIZER, SR_STATE_BLOCKS_MAXIMUM, SR_STATE_NAME_SIZE - 1);
}

/* ---- comparing ---- */

static bool has_block(const sr_state *state, const char *name)
{
    for (size_t i = 0; i < state->count; ++i)
        if (strcmp(state->blocks[i].name, name) == 0)
            return true;
    return false;
}

enum { NAMES_SIZE = SR_STATE_BLOCKS_MAXIMUM * (SR_STATE_NAME_SIZE + 2) + 8 };

/* Adds a name to a list of names. */
static void append(char text[NAMES_SIZE], const char *name)
{
    const size_t used = strlen(text);
    snprintf(text + used, NAMES_SIZE - used, "%s%s", used ? ", " : "", name);
}

sr_status checkpoint_check_state(const sr_hdf5_file *file, const sr_state *state, sr_error *error)
{
    checkpoint_state_names names;
    char found[NAMES_SIZE] = "", expected[NAMES_SIZE] = "";
    SR_TRY(checkpoint_list_state(file, &names, error));
    bool fits = names.count == state->count;
    for (size_t i = 0; i < names.count; ++i) {
        fits = fits && has_block(state, names.list[i]);
        append(found, names.list[i]);
    }
    for (size_t i = 0; i < state->count; ++i)
        append(expected, state->blocks[i].name);
    return fits ? SR_OK
                : sr_fail(error, SR_ERROR_DATA,
                          "%s holds the state of another optimizer: found the blocks %s, expected %s. Go on with the "
                          "training.optimizer that wrote it, or take its parameters alone with srtrain import",
                          file->path, *found ? found : "(none)", *expected ? expected : "(none)");
}
