#include "base/shown.h"

#include <stdbool.h>
#include <string.h>

/* How many bytes at `text` are a control character: 0, 1, or 2 for those of UTF-8 above 0x7F. */
static size_t control_length(const char *text, size_t length)
{
    const unsigned char first = (unsigned char)text[0];
    if ((first < ' ' && first != '\t') || first == 0x7F)
        return 1;
    const bool has_second = first == 0xC2 && length > 1;
    return has_second && (unsigned char)text[1] >= 0x80 && (unsigned char)text[1] < 0xA0 ? 2 : 0;
}

void shown_text(const char *text, size_t length, char *shown, size_t size)
{
    static const char rest[] = "...";
    enum { LONGEST_CHARACTER = 4 };
    size_t used = 0, at = 0;
    while (at < length && used + 1 < size) {
        const size_t control = control_length(text + at, length - at);
        shown[used++] = control ? '?' : text[at];
        at += control ? control : 1;
    }
    if (at < length) {
        const size_t end = size - sizeof rest;
        used = end;
        while (used > 0 && end - used < LONGEST_CHARACTER && ((unsigned char)shown[used] & 0xC0) == 0x80)
            --used;
        memcpy(shown + used, rest, sizeof rest);
    } else {
        shown[used] = '\0';
    }
}
