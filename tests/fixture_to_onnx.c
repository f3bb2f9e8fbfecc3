/* fixture_to_onnx FIXTURE.h5 MODEL.onnx [BYTES]: the model of a parity fixture as a graph. Arrays lie beside it where
 * they take more than so many bytes. */
#include "srtrain/kernels.h"
#include "srtrain/model.h"
#include "srtrain/settings.h"
#include "storage/onnx_file.h"

#include "cpu_level.h"
#include "fixture.h"
#include "fixture_configuration.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static sr_status load_parameters(const parity_fixture *fixture, sr_parameters *parameters, sr_error *error)
{
    for (size_t i = 0; i < parameters->count; ++i) {
        const sr_parameter *parameter = &parameters->list[i];
        double *values = NULL;
        SR_TRY(fixture_read_sized(fixture, "/parameters", parameter->name, parameter->size, &values, error));
        for (size_t k = 0; k < parameter->size; ++k)
            parameters->values[parameter->offset + k] = (sr_real)values[k];
        free(values);
    }
    return SR_OK;
}

static sr_status make_model(const parity_fixture *fixture, const char *path, sr_model **model, sr_error *error)
{
    char *configuration;
    sr_settings settings;
    SR_TRY(fixture_configuration_of_backbone(fixture, &configuration, error));
    const char *const assignments[] = {"data.path=fixture", "model.positions=none"};
    const size_t count = strstr(configuration, "backbone: tisasrec") ? 2 : 1; /* as in parity.c */
    const sr_status status = sr_settings_parse(&settings, configuration, path, assignments, count, error);
    free(configuration);
    SR_TRY(status);
    SR_TRY(sr_model_create(model, &settings.model, (size_t)fixture_items(fixture), (size_t)fixture_users(fixture), error));
    sr_model_set_step(*model, fixture_annealing_step(fixture));
    return load_parameters(fixture, sr_model_parameters(*model), error);
}

static sr_status write_graph(sr_model *model, const char *path, uint64_t inside, sr_error *error)
{
    const char *const metadata[] = {"padding", sr_model_configuration(model)->padding == SR_PADDING_LEFT ? "left" : "right",
                                    NULL};
    sr_graph *graph;
    bool beside;
    SR_TRY(sr_graph_create(&graph, error));
    sr_status status = sr_model_describe(model, tested_kernels(), graph, error);
    if (status == SR_OK)
        status = onnx_write(path, graph, metadata, inside, &beside, error);
    sr_graph_free(graph);
    return status;
}

int main(int argc, char **argv)
{
    sr_error error = {.status = SR_OK};
    parity_fixture *fixture = NULL;
    sr_model *model = NULL;
    if (argc < 3) {
        fprintf(stderr, "usage: fixture_to_onnx FIXTURE.h5 MODEL.onnx [BYTES]\n");
        return SR_ERROR_USAGE;
    }
    sr_status status = fixture_open(&fixture, argv[1], &error);
    if (status == SR_OK)
        status = make_model(fixture, argv[1], &model, &error);
    if (status == SR_OK)
        status = write_graph(model, argv[2], argc > 3 ? strtoull(argv[3], NULL, 10) : ONNX_LARGEST, &error);
    if (status != SR_OK)
        fprintf(stderr, "fixture_to_onnx: %s\n", error.message);
    sr_model_free(model);
    fixture_close(fixture);
    return (int)status;
}
