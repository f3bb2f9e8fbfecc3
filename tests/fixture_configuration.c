#include "fixture_configuration.h"

#include "config/schema.h"
#include "srtrain/settings.h"

#include <libfyaml.h>
#include <stdio.h>
#include <string.h>

/* Takes the keys out of section `name` that have no meaning in `settings`. */
static void drop_foreign_keys(struct fy_node *root, const char *name, const sr_schema *schema, const sr_settings *settings)
{
    struct fy_node *section = fy_node_by_path(root, name, FY_NT, FYNWF_DONT_FOLLOW);
    for (size_t i = 0; i < schema->key_count && section; ++i) {
        const sr_key *key = schema->keys[i].key;
        struct fy_node_pair *pair = fy_node_mapping_lookup_pair_by_string(section, key->name, FY_NT);
        if (strcmp(key->section, name) == 0 && pair && !schema_in_scope(&schema->keys[i], settings))
            fy_node_free(fy_node_mapping_remove_by_key(section, fy_node_pair_key(pair)));
    }
}

/* Settings with the fixture's choice of a key, if this build has it. */
static void take_choice(struct fy_document *document, const char *path, const char *format, sr_settings *settings)
{
    char name[SR_NAME_SIZE + 1], assignment[2 * SR_NAME_SIZE + 2];
    if (fy_document_scanf(document, format, name) != 1)
        return;
    snprintf(assignment, sizeof assignment, "%s=%s", path, name);
    (void)sr_settings_assign(settings, assignment, NULL);
}

sr_status fixture_configuration_of_backbone(const parity_fixture *fixture, char **text, sr_error *error)
{
    sr_schema schema;
    sr_settings settings;
    *text = NULL;
    sr_settings_schema(&schema);
    sr_settings_default(&settings);
    struct fy_document *document = fy_document_build_from_string(NULL, fixture_configuration(fixture), FY_NT);
    struct fy_node *root = document ? fy_document_root(document) : NULL;
    if (root) {
        take_choice(document, "model.backbone", "/model/backbone %64s", &settings);
        take_choice(document, "training.loss", "/training/loss %64s", &settings);
        take_choice(document, "training.negative_sharing", "/training/negative_sharing %64s", &settings);
        take_choice(document, "training.negative_sampling", "/training/negative_sampling %64s", &settings);
        drop_foreign_keys(root, "model", &schema, &settings);
        drop_foreign_keys(root, "training", &schema, &settings);
        *text = fy_emit_document_to_string(document, FYECF_DEFAULT);
    }
    fy_document_destroy(document);
    return *text ? SR_OK : sr_fail(error, SR_ERROR_DATA, "the configuration of the fixture cannot be read");
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
