/* Two systems, case by case: means, differences with intervals, and tests, for all cases and for groups of them. Local. */
#ifndef SRTRAIN_EVALUATE_COMPARISON_H
#define SRTRAIN_EVALUATE_COMPARISON_H

#include "evaluate/paired_tests.h"

typedef enum { COMPARE_ALL, COMPARE_BY_POPULARITY, COMPARE_BY_LENGTH, COMPARE_BY_REPEAT } comparison_groups;

enum { COMPARISON_CUT_OFFS = 16, COMPARISON_METRICS = 3 * COMPARISON_CUT_OFFS, COMPARISON_GROUPS = 33 };

typedef struct {
    const char *left, *right;          /* files (case_table.h) */
    size_t top_k[COMPARISON_CUT_OFFS]; /* ascending */
    size_t top_k_count;
    comparison_groups by;
    size_t group_count; /* of popularity or length: quantiles of cases */
    paired_draws draws;
} comparison_request;

/* hr, ndcg or mrr at a cut-off. Differences are right - left. */
typedef struct {
    char name[32];
    double left, right, difference, low, high;
    size_t better, worse, equal; /* users for whom right is */
    double wilcoxon_statistic, wilcoxon_p, wilcoxon_holm;
    double randomisation_p, randomisation_holm;
} compared_metric;

/* The metrics of a group are a family of tests. */
typedef struct {
    char name[64];
    size_t cases, users;
    compared_metric metrics[COMPARISON_METRICS];
} compared_group;

typedef struct {
    size_t metrics, groups;
    size_t only_left, only_right;            /* cases that the other file does not have, and that are left out */
    size_t without_list;                     /* cases of users for whom the other file has no list: misses */
    compared_group group[COMPARISON_GROUPS]; /* the first has all cases; groups without cases are left out */
} comparison;

/* SR_ERROR_USAGE for two files of lists, for cut-offs behind the end of lists, and for groups by what the files do not say;
 * SR_ERROR_DATA for files that are damaged or have no case in common, for a case that stands twice in a file, and for lists
 * beside several cases of one user. */
sr_status compare_cases(comparison *result, const comparison_request *request, sr_error *error);

#endif
