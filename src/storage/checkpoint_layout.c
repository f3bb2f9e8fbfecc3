#include "storage/checkpoint_layout.h"

#include "srtrain/memory.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

/* ---- arrays and their checksums ---- */

checkpoint_arrays checkpoint_arrays_of(const sr_parameters *parameters, sr_real *values, sr_real *first_moment,
                                       sr_real *second_moment)
{
    return (checkpoint_arrays){.parameters = parameters,
                               .names = {CHECKPOINT_PARAMETERS, CHECKPOINT_FIRST_MOMENT, CHECKPOINT_SECOND_MOMENT},
                               .values = {values, first_moment, second_moment}};
}

size_t checkpoint_blocks_of(const sr_parameter *parameter)
{
    return (parameter->size + CHECKPOINT_BLOCK - 1) / CHECKPOINT_BLOCK;
}

size_t checkpoint_block_count(const sr_parameters *parameters, size_t groups)
{
    size_t count = 0;
    for (size_t i = 0; i < parameters->count; ++i)
        count += checkpoint_blocks_of(&parameters->list[i]);
    return groups * count;
}

void checkpoint_hash(const checkpoint_arrays *arrays, size_t groups, size_t rank, size_t ranks, int64_t *checksums)
{
    size_t index = 0;
    for (size_t group = 0; group < groups; ++group)
        for (size_t i = 0; i < arrays->parameters->count; ++i) {
            const sr_parameter *parameter = &arrays->parameters->list[i];
            for (size_t block = 0; block < checkpoint_blocks_of(parameter); ++block, ++index) {
                const size_t begin = block * CHECKPOINT_BLOCK, left = parameter->size - begin;
                const size_t count = left < CHECKPOINT_BLOCK ? left : (size_t)CHECKPOINT_BLOCK;
                checksums[index] = 0;
                if (index % ranks == rank)
                    checksums[index] = (int64_t)XXH3_64bits(arrays->values[group] + parameter->offset + begin, count * sizeof(sr_real));
            }
        }
}

void checkpoint_block_name(const checkpoint_arrays *arrays, size_t index, char *text, size_t size)
{
    for (size_t group = 0; group < CHECKPOINT_GROUPS; ++group)
        for (size_t i = 0; i < arrays->parameters->count; ++i) {
            const size_t blocks = checkpoint_blocks_of(&arrays->parameters->list[i]);
            if (index < blocks) {
                snprintf(text, size, "/%s/%s, elements from %zu", arrays->names[group], arrays->parameters->list[i].name,
                         index * CHECKPOINT_BLOCK);
                return;
            }
            index -= blocks;
        }
    snprintf(text, size, "an unknown array");
}

/* ---- the header ---- */

/* The counters, by name. */
typedef struct {
    const char *name;
    size_t offset;
    bool is_number; /* double; else int64_t */
} progress_field;

#define COUNTER(field) {#field, offsetof(sr_progress, field), false}
#define NUMBER(field) {#field, offsetof(sr_progress, field), true}
static const progress_field progress_fields[] = {
    COUNTER(epoch), COUNTER(step), COUNTER(batch), COUNTER(seed), NUMBER(epoch_loss_sum), NUMBER(epoch_loss_count),
    NUMBER(best_metric), COUNTER(best_epoch), COUNTER(best_step), COUNTER(validations_without_improvement), COUNTER(finished),
    NUMBER(seconds)};
enum { FIELDS = sizeof progress_fields / sizeof *progress_fields };

static const char configuration_mark[] = "configuration:\n";

sr_status checkpoint_header_text(const sr_checkpoint *checkpoint, bool has_optimizer, char **text, sr_error *error)
{
    size_t size;
    *text = NULL;
    FILE *stream = open_memstream(text, &size);
    if (!stream)
        return sr_fail_memory(error, 1, "the header of a checkpoint");
    fprintf(stream, "program_version: %s\ndata_fingerprint: %s\ndata_directory: %s\n", checkpoint->program_version,
            checkpoint->data_fingerprint, checkpoint->data_directory);
    fprintf(stream, "users: %" PRId64 "\nitems: %" PRId64 "\nhas_optimizer: %d\n", checkpoint->users, checkpoint->items, has_optimizer);
    for (size_t i = 0; i < FIELDS; ++i) {
        const char *field = (const char *)&checkpoint->progress + progress_fields[i].offset;
        if (progress_fields[i].is_number)
            fprintf(stream, "%s: %a\n", progress_fields[i].name, *(const double *)(const void *)field); /* exactly, in hexadecimal */
        else
            fprintf(stream, "%s: %" PRId64 "\n", progress_fields[i].name, *(const int64_t *)(const void *)field);
    }
    fprintf(stream, "%s%s", configuration_mark, checkpoint->configuration);
    const bool failed = ferror(stream) != 0;
    if (fclose(stream) == 0 && !failed)
        return SR_OK;
    free(*text);
    *text = NULL;
    return sr_fail_memory(error, 1, "the header of a checkpoint");
}

/* The value of the line "name: value" as a copy; NULL when there is no such line. */
static char *find_value(const char *text, const char *name)
{
    const size_t length = strlen(name);
    for (const char *line = text; *line && strncmp(line, configuration_mark, strlen(configuration_mark)) != 0;) {
        const size_t line_length = strcspn(line, "\n");
        if (strncmp(line, name, length) == 0 && strncmp(line + length, ": ", 2) == 0)
            return strndup(line + length + 2, line_length - length - 2);
        line += line_length + (line[line_length] == '\n');
    }
    return NULL;
}

static sr_status take_text(const char *path, const char *text, const char *name, char **value, sr_error *error)
{
    *value = find_value(text, name);
    return *value ? SR_OK : sr_fail(error, SR_ERROR_DATA, "%s: the header has no \"%s\"", path, name);
}

static sr_status take_integer(const char *path, const char *text, const char *name, int64_t *value, sr_error *error)
{
    char *found, *end;
    SR_TRY(take_text(path, text, name, &found, error));
    *value = strtoll(found, &end, 10);
    const bool fits = end != found && *end == '\0';
    free(found);
    return fits ? SR_OK : sr_fail(error, SR_ERROR_DATA, "%s: \"%s\" in the header is not a whole number", path, name);
}

static sr_status take_number(const char *path, const char *text, const char *name, double *value, sr_error *error)
{
    char *found, *end;
    SR_TRY(take_text(path, text, name, &found, error));
    *value = strtod(found, &end);
    const bool fits = end != found && *end == '\0';
    free(found);
    return fits ? SR_OK : sr_fail(error, SR_ERROR_DATA, "%s: \"%s\" in the header is not a number", path, name);
}

static sr_status parse_progress(const char *path, const char *text, sr_progress *progress, sr_error *error)
{
    for (size_t i = 0; i < FIELDS; ++i) {
        void *field = (char *)progress + progress_fields[i].offset;
        SR_TRY(progress_fields[i].is_number ? take_number(path, text, progress_fields[i].name, field, error)
                                            : take_integer(path, text, progress_fields[i].name, field, error));
    }
    return SR_OK;
}

sr_status checkpoint_header_parse(const char *path, const char *text, sr_checkpoint *checkpoint, bool *has_optimizer, sr_error *error)
{
    int64_t optimizer = 0;
    *checkpoint = (sr_checkpoint){.users = 0};
    SR_TRY(take_text(path, text, "program_version", &checkpoint->program_version, error));
    SR_TRY(take_text(path, text, "data_fingerprint", &checkpoint->data_fingerprint, error));
    SR_TRY(take_text(path, text, "data_directory", &checkpoint->data_directory, error));
    SR_TRY(take_integer(path, text, "users", &checkpoint->users, error));
    SR_TRY(take_integer(path, text, "items", &checkpoint->items, error));
    SR_TRY(take_integer(path, text, "has_optimizer", &optimizer, error));
    SR_TRY(parse_progress(path, text, &checkpoint->progress, error));
    *has_optimizer = optimizer == 1;
    const char *mark = strstr(text, configuration_mark);
    if (!mark)
        return sr_fail(error, SR_ERROR_DATA, "%s: the header has no configuration", path);
    return sr_copy_string(&checkpoint->configuration, mark + strlen(configuration_mark), error);
}

int64_t checkpoint_step_of_name(const char *name)
{
    int64_t step;
    int used = 0;
    if (sscanf(name, "step-%10" SCNd64 ".h5%n", &step, &used) != 1 || used == 0 || name[used] != '\0' || strlen(name) != 18)
        return -1;
    return step;
}

void sr_checkpoint_free(sr_checkpoint *checkpoint)
{
    free(checkpoint->configuration);
    free(checkpoint->program_version);
    free(checkpoint->data_fingerprint);
    free(checkpoint->data_directory);
    *checkpoint = (sr_checkpoint){.users = 0};
}
