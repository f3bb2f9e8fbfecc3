#include "fixture_configuration.h"

#include "config/schema.h"

#include <libfyaml.h>
#include <stdio.h>
#include <string.h>

/* Takes the keys out of section `name` that the backbone has no use for. */
static void drop_foreign_keys(struct fy_node *root, const char *name, int backbone)
{
    struct fy_node *section = fy_node_by_path(root, name, FY_NT, FYNWF_DONT_FOLLOW);
    for (size_t i = 0; i < schema_row_count && section; ++i) {
        const schema_row *row = &schema_rows[i];
        struct fy_node_pair *pair = fy_node_mapping_lookup_pair_by_string(section, row->key, FY_NT);
        if (strcmp(row->section, name) == 0 && pair && row->backbones && !(row->backbones >> backbone & 1))
            fy_node_free(fy_node_mapping_remove_by_key(section, fy_node_pair_key(pair)));
    }
}

sr_status fixture_configuration_of_backbone(const parity_fixture *fixture, char **text, sr_error *error)
{
    char name[SR_NAME_SIZE + 1] = "";
    *text = NULL;
    struct fy_document *document = fy_document_build_from_string(NULL, fixture_configuration(fixture), FY_NT);
    struct fy_node *root = document ? fy_document_root(document) : NULL;
    if (root && fy_document_scanf(document, "/model/backbone %64s", name) == 1) {
        for (const schema_choice *choice = schema_find("model", "backbone")->choices; choice->name; ++choice)
            if (strcmp(choice->name, name) == 0) {
                drop_foreign_keys(root, "model", choice->value);
                drop_foreign_keys(root, "training", choice->value);
            }
        *text = fy_emit_document_to_string(document, FYECF_DEFAULT);
    }
    fy_document_destroy(document);
    return *text ? SR_OK : sr_fail(error, SR_ERROR_DATA, "the configuration of the fixture has no model.backbone");
}

bool fixture_finding_is_unknown(const sr_error *error)
{
    static const char *const findings[] = {"error: unknown key '", "error: unknown calibrator '", "; allowed is one of "};
    for (size_t i = 0; i < sizeof findings / sizeof *findings; ++i)
        if (error->status == SR_ERROR_USAGE && strstr(error->message, findings[i]))
            return true;
    return false;
}

void fixture_shorten_finding(const sr_error *error, char *text, size_t size)
{
    const char *found = strstr(error->message, "error: ");
    const char *finding = found ? found + strlen("error: ") : error->message;
    const char *hint = strstr(finding, ", did you mean");
    size_t length = strcspn(finding, ";\n");
    if (hint && (size_t)(hint - finding) < length)
        length = (size_t)(hint - finding);
    snprintf(text, size, "%.*s", (int)length, finding);
}
