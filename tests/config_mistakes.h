/* Configurations with a mistake, and what their refusal must say. */
#ifndef SRTRAIN_TESTS_CONFIG_MISTAKES_H
#define SRTRAIN_TESTS_CONFIG_MISTAKES_H

#include <stddef.h>

enum { PARTS = 6 };

typedef struct {
    const char *text;
    const char *assignment;   /* or NULL */
    const char *parts[PARTS]; /* what the message must hold */
} mistake;

/* Fails the test unless each of them is refused as bad usage with a message that holds all its parts. The text is that of a
 * file run.yaml. */
void expect_refusals(const mistake *mistakes, size_t count);

#define EXPECT_REFUSALS(mistakes) expect_refusals(mistakes, sizeof(mistakes) / sizeof *(mistakes))
#define PATH "data: {path: x}\n"

#endif
