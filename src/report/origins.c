/* Where results come from: settings and their differences, machines and libraries. */
#include "report/report.h"

#include "report/markup.h"
#include "srtrain/memory.h"

#include <stdlib.h>
#include <string.h>

/* ---- settings ---- */

/* Keys in which some run differs from the first one with settings, with the values of all. */
typedef struct {
    char key[96];
    char (*values)[160]; /* [runs]; empty: that of the first run */
    char first[160];
} different_key;

typedef struct {
    different_key *keys;
    size_t count, room, runs, run; /* the run that is compared */
    sr_status status;
    sr_error *error;
} differences;

static void note_difference(void *context, const char *path, const char *left, const char *right)
{
    differences *d = context;
    size_t at = 0;
    while (at < d->count && strcmp(d->keys[at].key, path) != 0)
        ++at;
    if (d->status == SR_OK && at == d->count) {
        d->status = SR_GROW(&d->keys, &d->room, d->count + 1, "differences of settings", d->error);
        if (d->status == SR_OK) {
            d->keys[at] = (different_key){.values = NULL};
            d->status = SR_ALLOCATE_ZERO(&d->keys[at].values, d->runs, "differences of settings", d->error);
        }
        if (d->status == SR_OK) {
            snprintf(d->keys[at].key, sizeof d->keys[at].key, "%s", path);
            snprintf(d->keys[at].first, sizeof d->keys[at].first, "%s", left);
            ++d->count;
        }
    }
    if (d->status == SR_OK)
        snprintf(d->keys[at].values[d->run], sizeof d->keys[at].values[d->run], "%s", right);
}

static void write_differences(FILE *page, const report *r, const differences *d)
{
    fputs("<div class=\"scroll\"><table id=\"differences\"><thead><tr><th>key</th>", page);
    for (size_t run = 0; run < r->count; ++run) {
        fputs("<th>", page);
        report_write_name(page, r, run);
        fputs("</th>", page);
    }
    fputs("</tr></thead><tbody>\n", page);
    for (size_t i = 0; i < d->count; ++i) {
        fputs("<tr><th scope=\"row\"><code>", page);
        markup_text(page, d->keys[i].key);
        fputs("</code></th>", page);
        for (size_t run = 0; run < r->count; ++run) {
            fputs("<td><code>", page);
            markup_text(page, !r->runs[run].has_settings ? "?"
                              : *d->keys[i].values[run]  ? d->keys[i].values[run]
                                                         : d->keys[i].first);
            fputs("</code></td>", page);
        }
        fputs("</tr>\n", page);
    }
    fputs("</tbody></table></div>\n", page);
}

static sr_status compare_all(FILE *page, const report *r, sr_error *error)
{
    differences d = {.runs = r->count, .status = SR_OK, .error = error};
    size_t first = 0, compared = 0;
    while (first < r->count && !r->runs[first].has_settings)
        ++first;
    for (d.run = first + 1; d.run < r->count; ++d.run)
        if (r->runs[d.run].has_settings) {
            sr_settings_compare(&r->runs[first].settings, &r->runs[d.run].settings, note_difference, &d);
            ++compared;
        }
    if (d.status == SR_OK && d.count > 0)
        write_differences(page, r, &d);
    else if (d.status == SR_OK && compared > 0)
        fputs("<p>All runs have the same settings.</p>\n", page);
    for (size_t i = 0; i < d.count; ++i)
        free(d.keys[i].values);
    free(d.keys);
    return d.status;
}

sr_status report_write_settings(FILE *page, const report *r, sr_error *error)
{
    fputs("<section id=\"settings\"><h2>Settings</h2>\n", page);
    SR_TRY(compare_all(page, r, error));
    for (size_t run = 0; run < r->count; ++run) {
        if (!r->runs[run].configuration)
            continue;
        fputs("<details><summary>All settings of ", page);
        markup_text(page, r->runs[run].name);
        fputs("</summary><pre>", page);
        markup_text(page, r->runs[run].configuration);
        fputs("</pre></details>\n", page);
    }
    fputs("</section>\n", page);
    return SR_OK;
}

/* ---- environments ---- */

static const char *text_of(const cJSON *environment, const char *name)
{
    const char *text = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(environment, name));
    return text ? text : "–";
}

static double number_of(const cJSON *object, const char *name)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, name);
    return cJSON_IsNumber(item) ? item->valuedouble : 0;
}

static size_t ranks_of(const cJSON *ranks, const char *host)
{
    const cJSON *rank;
    size_t count = 0;
    cJSON_ArrayForEach(rank, ranks) count += strcmp(text_of(rank, "host"), host) == 0;
    return count;
}

/* Hosts in order of ranks, as "node1 (16 ranks), node2 (16 ranks)": each has one rank that is its first. */
static void write_hosts(FILE *page, const cJSON *environment)
{
    enum { SHOWN = 8 };
    const cJSON *ranks = cJSON_GetObjectItemCaseSensitive(environment, "ranks"), *rank;
    size_t hosts = 0;
    cJSON_ArrayForEach(rank, ranks)
    {
        if (number_of(rank, "node_rank") != 0 || ++hosts > SHOWN)
            continue;
        const size_t count = ranks_of(ranks, text_of(rank, "host"));
        fputs(hosts > 1 ? ", " : "", page);
        markup_text(page, text_of(rank, "host"));
        fprintf(page, " (%zu rank%s)", count, count == 1 ? "" : "s");
    }
    if (hosts > SHOWN)
        fprintf(page, " and %zu more", hosts - SHOWN);
}

static void write_ranks(FILE *page, const cJSON *environment)
{
    const cJSON *first = cJSON_GetArrayItem(cJSON_GetObjectItemCaseSensitive(environment, "ranks"), 0);
    fprintf(page, "%.0f × %.0f thread%s", number_of(environment, "rank_count"), number_of(first, "threads"),
            number_of(first, "threads") == 1 ? "" : "s");
}

/* The texts of a list, with `between` them, which is HTML. */
static void write_texts(FILE *page, const cJSON *list, const char *between)
{
    const cJSON *text;
    size_t count = 0;
    cJSON_ArrayForEach(text, list)
    {
        fputs(count++ ? between : "", page);
        markup_text(page, cJSON_IsString(text) ? text->valuestring : "–");
    }
}

static void write_versions(FILE *page, const cJSON *environment)
{
    write_texts(page, cJSON_GetObjectItemCaseSensitive(environment, "versions"), "<br>");
}

static void write_features(FILE *page, const cJSON *environment)
{
    write_texts(page, cJSON_GetObjectItemCaseSensitive(environment, "cpu_features"), " ");
}

static void write_item_table(FILE *page, const cJSON *environment)
{
    markup_text(page, text_of(environment, "item_table"));
    fputs("<br><small class=\"soft\">", page);
    markup_text(page, text_of(environment, "item_table_reason"));
    fputs("</small>", page);
}

static void write_kernels(FILE *page, const cJSON *environment)
{
    markup_text(page, text_of(environment, "cpu_kernels"));
    fputs("<br><small class=\"soft\">BLAS: ", page);
    markup_text(page, text_of(environment, "blas_kernels"));
    fputs("</small>", page);
}

static void write_started(FILE *page, const cJSON *environment)
{
    markup_text(page, text_of(environment, "started"));
}

static void write_processor(FILE *page, const cJSON *environment)
{
    markup_text(page, text_of(environment, "cpu"));
}

void report_write_environments(FILE *page, const report *r)
{
    static const struct {
        const char *name;
        void (*write)(FILE *page, const cJSON *environment);
    } rows[] = {{"last start", write_started},    {"ranks", write_ranks},           {"hosts", write_hosts},
                {"processor", write_processor},   {"instructions", write_features}, {"kernels", write_kernels},
                {"item table", write_item_table}, {"libraries", write_versions}};
    fputs("<section id=\"environment\"><h2>Environment</h2>\n<div class=\"scroll\"><table><thead><tr><th></th>", page);
    for (size_t run = 0; run < r->count; ++run) {
        fputs("<th>", page);
        report_write_name(page, r, run);
        fputs("</th>", page);
    }
    fputs("</tr></thead><tbody>\n", page);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; ++i) {
        fprintf(page, "<tr><th scope=\"row\">%s</th>", rows[i].name);
        for (size_t run = 0; run < r->count; ++run) {
            fputs("<td class=\"wide\">", page);
            if (r->runs[run].environment)
                rows[i].write(page, r->runs[run].environment);
            else
                fputs("–", page);
            fputs("</td>", page);
        }
        fputs("</tr>\n", page);
    }
    fputs("</tbody></table></div></section>\n", page);
}
