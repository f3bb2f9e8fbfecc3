/* Reading settings in tests, and asking for values by their paths. */
#ifndef SRTRAIN_TESTS_READ_SETTINGS_H
#define SRTRAIN_TESTS_READ_SETTINGS_H

#include "srtrain/settings.h"

/* Reads a text and assignments that must be right. */
void parse_settings(sr_settings *settings, const char *text, const char *const *assignments, size_t count);

/* The settings as YAML; release with free(). */
char *text_of_settings(const sr_settings *settings);

/* Padding between fields and list elements that are not in use have no meaning: compares what is written. */
void assert_equal_settings(const sr_settings *left, const sr_settings *right);

/* Fails unless the setting with this path has this value, as YAML would have it; or a section is in use or not, "in use" and
 * "left out". */
void assert_setting(const sr_settings *settings, const char *path, const char *value);

/* A setting and its value. */
typedef struct {
    const char *path, *value;
} known_setting;

/* The same for a list that ends with a path of NULL. */
void assert_settings(const sr_settings *settings, const known_setting *known);

#endif
