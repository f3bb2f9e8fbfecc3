#include "measure.h"

#include "srtrain/memory.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BAR = 50, USERS_AT_ONCE = 1 << 18, ITEMS_AT_ONCE = 1 << 21 };
static const double quantile_points[MEASURE_QUANTILES] = {0, 0.1, 0.25, 0.5, 0.75, 0.9, 1};

/* ---- users ---- */

/* popularity [items + 1]: interactions for training. */
static void look_at_user(const sr_sequence *sequence, const int64_t *popularity, measures *found)
{
    unsigned bucket = 0;
    while (sequence->length >> (bucket + 1))
        ++bucket;
    ++found->histogram[bucket];
    found->valid_cases += sequence->valid_end - sequence->train_end;
    found->test_cases += sequence->length - sequence->valid_end;
    found->unseen_users += sequence->train_end == 0;
    for (size_t i = sequence->train_end; i < sequence->length; ++i) {
        const bool is_test = i >= sequence->valid_end;
        *(is_test ? &found->cold_test : &found->cold_valid) += popularity[sequence->items[i]] == 0;
        *(is_test ? &found->cold_user_test : &found->cold_user_valid) += sequence->train_end == 0;
    }
    if (sequence->times) {
        const int64_t first = sequence->times[0], last = sequence->times[sequence->length - 1];
        found->first_time = first < found->first_time ? first : found->first_time;
        found->last_time = last > found->last_time ? last : found->last_time;
    }
}

/* counts [longest + 1]: users with each length. */
static void find_quantiles(const size_t *counts, size_t users, measures *found)
{
    size_t length = 0, up_to_here = 0;
    for (size_t i = 0; i < MEASURE_QUANTILES; ++i) {
        const size_t place = (size_t)(quantile_points[i] * (double)(users - 1) + 0.5);
        while (up_to_here <= place)
            up_to_here += counts[++length];
        found->lengths[i] = length;
    }
}

static sr_status measure_users(const sr_dataset *dataset, measures *found, sr_error *error)
{
    const size_t users = sr_dataset_users(dataset), longest = sr_dataset_longest(dataset);
    size_t *counts;
    SR_TRY(SR_ALLOCATE_ZERO(&counts, longest + 1, "lengths", error));
    sr_status status = SR_OK;
    for (size_t user = 0; user < users && status == SR_OK; ++user) {
        const sr_sequence sequence = sr_dataset_sequence(dataset, user);
        if (sequence.length < 1 || sequence.length > longest)
            status = sr_fail(error, SR_ERROR_DATA, "%s: user %zu has %zu interactions; 1 to %zu are possible",
                             sr_dataset_directory(dataset), user, sequence.length, longest);
        else {
            ++counts[sequence.length];
            look_at_user(&sequence, sr_dataset_popularity(dataset), found);
        }
        if (user % USERS_AT_ONCE == USERS_AT_ONCE - 1)
            sr_dataset_let_go(dataset);
    }
    if (status == SR_OK)
        find_quantiles(counts, users, found);
    free(counts);
    return status;
}

/* ---- items ---- */

/* Items by how many interactions they have. Few have many: these are listed, the others counted. */
enum { COUNTED = 1 << 16 };

typedef struct {
    size_t *items;   /* [COUNTED]: with so many interactions */
    int64_t *larger; /* [larger_count], ascending at the end */
    size_t larger_count, larger_room;
} item_groups;

static int compare_counts(const void *left, const void *right)
{
    const int64_t a = *(const int64_t *)left, b = *(const int64_t *)right;
    return (a > b) - (a < b);
}

static sr_status group_items(const sr_dataset *dataset, item_groups *groups, measures *found, sr_error *error)
{
    const int64_t *all = sr_dataset_item_interactions(dataset) + 1, *training = sr_dataset_popularity(dataset) + 1;
    SR_TRY(SR_ALLOCATE_ZERO(&groups->items, (size_t)COUNTED, "popularity", error));
    for (size_t i = 0; i < sr_dataset_items(dataset); ++i) {
        if (i % ITEMS_AT_ONCE == ITEMS_AT_ONCE - 1)
            sr_dataset_let_go(dataset);
        if (training[i] == 0) {
            ++found->unseen_items;
            found->unseen_cases += (size_t)all[i];
        }
        if (all[i] >= 0 && all[i] < COUNTED) {
            ++groups->items[all[i]];
            continue;
        }
        SR_TRY(SR_GROW(&groups->larger, &groups->larger_room, groups->larger_count + 1, "popularity", error));
        groups->larger[groups->larger_count++] = all[i];
    }
    if (groups->larger_count > 0)
        qsort(groups->larger, groups->larger_count, sizeof *groups->larger, compare_counts);
    return SR_OK;
}

/* Sums over items in ascending order of their interactions. */
typedef struct {
    double items, first_1, first_10; /* where the last hundredth and the last tenth begin, rounded up to whole items */
    double seen, sum, weighted, top_1, top_10;
} popularity_sums;

/* Interactions of those of the next `count` items, each with `value`, that stand behind `first`. */
static double behind(const popularity_sums *s, double count, double value, double first)
{
    const double begin = s->seen > first ? s->seen : first, end = s->seen + count;
    return end > begin ? (end - begin) * value : 0;
}

static void add_items(popularity_sums *s, double count, double value)
{
    s->sum += count * value;
    s->weighted += value * (count * s->seen + count * (count + 1) / 2); /* places from 1 */
    s->top_1 += behind(s, count, value, s->first_1);
    s->top_10 += behind(s, count, value, s->first_10);
    s->seen += count;
}

static sr_status measure_items(const sr_dataset *dataset, measures *found, sr_error *error)
{
    const size_t items = sr_dataset_items(dataset), top_1 = (items + 99) / 100, top_10 = (items + 9) / 10;
    item_groups groups = {.items = NULL};
    popularity_sums s = {.items = (double)items};
    s.first_1 = (double)(items - top_1);
    s.first_10 = (double)(items - top_10);
    const sr_status status = group_items(dataset, &groups, found, error);
    for (size_t value = 0; value < COUNTED && status == SR_OK; ++value)
        add_items(&s, (double)groups.items[value], (double)value);
    for (size_t i = 0; i < groups.larger_count && status == SR_OK; ++i)
        add_items(&s, 1, (double)groups.larger[i]);
    found->top_1 = s.top_1 / s.sum;
    found->top_10 = s.top_10 / s.sum;
    found->gini = 2 * s.weighted / (s.items * s.sum) - (s.items + 1) / s.items;
    free(groups.items);
    free(groups.larger);
    sr_dataset_let_go(dataset);
    return status;
}

sr_status measure(const sr_dataset *dataset, measures *found, sr_error *error)
{
    *found = (measures){.first_time = INT64_MAX, .last_time = INT64_MIN};
    SR_TRY(measure_users(dataset, found, error));
    return measure_items(dataset, found, error);
}

/* ---- reports ---- */

static void print_lengths(const sr_dataset *dataset, const measures *found)
{
    printf("length        mean %.2f; quantiles", (double)sr_dataset_interactions(dataset) / (double)sr_dataset_users(dataset));
    for (size_t i = 0; i < MEASURE_QUANTILES; ++i)
        printf(" %g%%: %zu%s", 100 * quantile_points[i], found->lengths[i], i + 1 < MEASURE_QUANTILES ? "," : "\n");
    size_t most = 1;
    for (size_t k = 0; k < MEASURE_BUCKETS; ++k)
        most = found->histogram[k] > most ? found->histogram[k] : most;
    for (size_t k = 0; k < MEASURE_BUCKETS; ++k) {
        if (found->histogram[k] == 0)
            continue;
        printf("%8llu-%-8llu %8zu ", 1ULL << k, (2ULL << k) - 1, found->histogram[k]);
        for (size_t i = 0; i < (found->histogram[k] * BAR + most - 1) / most; ++i)
            putchar('#');
        putchar('\n');
    }
}

void measures_print(const sr_dataset *dataset, const measures *found)
{
    printf("users         %zu\nitems         %zu\ninteractions  %zu\n", sr_dataset_users(dataset), sr_dataset_items(dataset),
           sr_dataset_interactions(dataset));
    printf("split         %s: %zu validation and %zu test cases\n", sr_dataset_split(dataset), found->valid_cases,
           found->test_cases);
    if (found->unseen_users || found->unseen_items)
        printf("unseen        %zu users have nothing for training, %zu items with %zu interactions do not occur in training\n",
               found->unseen_users, found->unseen_items, found->unseen_cases);
    if (found->cold_valid + found->cold_test + found->cold_user_valid + found->cold_user_test > 0)
        printf(
            "cold          %zu validation and %zu test cases have an item that does not occur in training, %zu and %zu are of "
            "users without training\n",
            found->cold_valid, found->cold_test, found->cold_user_valid, found->cold_user_test);
    if (sr_dataset_has_times(dataset))
        printf("time stamps   from %" PRId64 " to %" PRId64 "\n", found->first_time, found->last_time);
    else
        puts("time stamps   none");
    printf("popularity    the top 1 %% of the items have %.1f %% of the interactions, the top 10 %% have %.1f %%; Gini %.3f\n",
           100 * found->top_1, 100 * found->top_10, found->gini);
    print_lengths(dataset, found);
}

static bool add_count(cJSON *object, const char *name, size_t value)
{
    return cJSON_AddNumberToObject(object, name, (double)value) != NULL;
}

/* Time stamps go in as texts of digits, which are numbers to JSON: doubles would round them. */
static bool add_times(const measures *found, cJSON *object)
{
    char text[32];
    snprintf(text, sizeof text, "%" PRId64, found->first_time);
    bool complete = cJSON_AddRawToObject(object, "first_time", text) != NULL;
    snprintf(text, sizeof text, "%" PRId64, found->last_time);
    return complete && cJSON_AddRawToObject(object, "last_time", text) != NULL;
}

static bool add_lengths(const measures *found, cJSON *object)
{
    cJSON *quantiles = cJSON_AddObjectToObject(object, "length_quantiles");
    bool complete = quantiles != NULL;
    for (size_t i = 0; i < MEASURE_QUANTILES && complete; ++i) {
        char name[16];
        snprintf(name, sizeof name, "%g", quantile_points[i]);
        complete = add_count(quantiles, name, found->lengths[i]);
    }
    return complete;
}

bool measures_add_json(const sr_dataset *dataset, const measures *found, cJSON *object)
{
    return cJSON_AddStringToObject(object, "directory", sr_dataset_directory(dataset)) &&
           cJSON_AddStringToObject(object, "fingerprint", sr_dataset_fingerprint(dataset)) &&
           add_count(object, "users", sr_dataset_users(dataset)) && add_count(object, "items", sr_dataset_items(dataset)) &&
           add_count(object, "interactions", sr_dataset_interactions(dataset)) &&
           add_count(object, "shards", sr_dataset_shards(dataset)) &&
           cJSON_AddBoolToObject(object, "has_times", sr_dataset_has_times(dataset)) &&
           (!sr_dataset_has_times(dataset) || add_times(found, object)) &&
           cJSON_AddStringToObject(object, "split", sr_dataset_split(dataset)) &&
           add_count(object, "valid_cases", found->valid_cases) && add_count(object, "test_cases", found->test_cases) &&
           add_count(object, "unseen_users", found->unseen_users) && add_count(object, "unseen_items", found->unseen_items) &&
           add_count(object, "unseen_interactions", found->unseen_cases) &&
           add_count(object, "cold_valid_cases", found->cold_valid) && add_count(object, "cold_test_cases", found->cold_test) &&
           add_count(object, "cold_user_valid_cases", found->cold_user_valid) &&
           add_count(object, "cold_user_test_cases", found->cold_user_test) &&
           cJSON_AddNumberToObject(object, "top_1_percent_share", found->top_1) &&
           cJSON_AddNumberToObject(object, "top_10_percent_share", found->top_10) &&
           cJSON_AddNumberToObject(object, "gini", found->gini) && add_lengths(found, object);
}
