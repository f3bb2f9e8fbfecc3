/* Text of others in messages. */
#ifndef SRTRAIN_BASE_SHOWN_H
#define SRTRAIN_BASE_SHOWN_H

#include <stddef.h>

/* Copies `length` bytes as a message may show them: what no terminal should be sent (control characters but the tab) becomes a
 * question mark. Text that does not fit into `size` bytes, at least 4, is cut between two characters of UTF-8 and ends in
 * "...".
 */
void shown_text(const char *text, size_t length, char *shown, size_t size);

#endif
