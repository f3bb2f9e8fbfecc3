/* Identifiers in lines of fields that tabs separate: a tab, a newline, a carriage return and a backslash are written as \t, \n,
 * \r and \\. Local. */
#ifndef SRTRAIN_BASE_ESCAPED_H
#define SRTRAIN_BASE_ESCAPED_H

#include <stddef.h>
#include <stdio.h>

void escaped_write(FILE *file, const char *name, size_t length);

/* Turns such a field back into the identifier, in place, and returns its length. Other backslashes stay. */
size_t escaped_read(char *field, size_t length);

#endif
