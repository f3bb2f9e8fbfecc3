/* Bytes that ranks exchange in steps, by what they are for: what is planned and what is counted have the same kinds. */
#ifndef SRTRAIN_TRAFFIC_H
#define SRTRAIN_TRAFFIC_H

typedef enum {
    SR_TRAFFIC_GRADIENTS,     /* summed over ranks: what this rank adds, however the sum is computed */
    SR_TRAFFIC_IDS,           /* of items that are read, and how many; targets that negatives are drawn from */
    SR_TRAFFIC_ROWS,          /* of a divided item table, to those who read them */
    SR_TRAFFIC_ROW_GRADIENTS, /* back to the owners of the rows */
    SR_TRAFFIC_STATES,        /* that others score or compare, with what they answer */
    SR_TRAFFICS
} sr_traffic_kind;

/* What a rank sends to other ranks. Threads of a rank send each other nothing; ranks of a node do. Sums of a few numbers are
 * left out. */
typedef struct {
    double bytes[SR_TRAFFICS];
} sr_traffic;

/* "row_gradients" in JSON, and "gradients of rows, returned" for readers. */
const char *sr_traffic_name(sr_traffic_kind kind);
const char *sr_traffic_words(sr_traffic_kind kind);

void sr_traffic_add(sr_traffic *to, const sr_traffic *more);
double sr_traffic_total(const sr_traffic *traffic);

#endif
