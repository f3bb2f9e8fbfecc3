/* What readers hand on and the engine collects. */
#ifndef SRTRAIN_DATA_PREP_INTERACTION_H
#define SRTRAIN_DATA_PREP_INTERACTION_H

#include <stddef.h>
#include <stdint.h>

/* Which of three kinds of file an interaction comes from, where a split is given by files. */
typedef enum { GIVEN_TRAIN, GIVEN_VALID, GIVEN_TEST, GIVEN_PARTS } given_part;

/* One interaction. The identifiers are bytes without terminator, of 1 to LINES_IDENTIFIER_MAXIMUM bytes and without null bytes,
 * valid during the call. */
typedef struct {
    const char *user, *item;
    size_t user_length, item_length;
    int64_t time;  /* see time_format in reader_facts; 0 without time stamps */
    float rating;  /* 0 without ratings */
    uint64_t line; /* where it stands, from 1, within the file or the part of it; several of a line in format `sequences` */
    uint32_t file; /* the number given for the file */
} interaction;

#endif
