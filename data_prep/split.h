/* Dividing each sequence into a training, a validation and a test part. */
#ifndef SRTRAIN_DATA_PREP_SPLIT_H
#define SRTRAIN_DATA_PREP_SPLIT_H

#include "readers/times.h"
#include "srtrain/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef enum {
    SPLIT_LEAVE_ONE_OUT,
    SPLIT_RATIO,
    SPLIT_TIME,
    SPLIT_TIME_QUANTILE,
    SPLIT_SESSIONS,      /* whole sequences, by shares of them */
    SPLIT_SESSIONS_TIME, /* whole sequences, by moments */
    SPLIT_GIVEN          /* by the files that interactions come from */
} split_kind;

typedef struct {
    split_kind kind;
    bool no_validation;        /* of leave-one-out: what would be for validation is for training */
    double ratio[3];           /* of training, validation and test; they sum to 1 */
    const char *time_texts[2]; /* validation starts at the first, test at the second time stamp; each ends at a comma or zero */
    int64_t times[2];          /* the same in the unit of the data */
} split_rule;

/* Whether a split needs time stamps. */
bool split_needs_times(const split_rule *rule);

/* Reads "leave-one-out", "leave-one-out:test", "ratio:0.8,0.1,0.1", "time:T1,T2", with time stamps as in the input,
 * "time-quantile:0.8,0.1,0.1", "sessions:0.8,0.1,0.1" or "sessions:T1,T2". SR_ERROR_USAGE otherwise. The
 * rule points into `text`. `format` has the pattern of dates, if they have one. */
sr_status split_parse(const char *text, const time_format *format, split_rule *rule, sr_error *error);

/* Sets the times of a rule by time, now that it is known what time stamps of the input are. Any other stays as it is. */
sr_status split_set_times(split_rule *rule, const time_format *format, sr_error *error);

/* Where the parts of a sequence end. leave-one-out: the last interaction is test, the one before validation; sequences of fewer
 * than three are training only. ratio: the first ratio[0] of the sequence (rounded down, at least one) is training, the next
 * ratio[1] validation. time: by the time stamps. Of the others nothing is known here. */
void split_length(const split_rule *rule, size_t length, uint32_t *train_end, uint32_t *valid_end);
void split_sequence(const split_rule *rule, const int64_t *times, size_t length, uint32_t *train_end, uint32_t *valid_end);

#endif
