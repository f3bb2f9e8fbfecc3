#include "report/markup.h"

#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

/* The bytes of the character at `text`, of which `left` remain; 0 where it is none of UTF-8, or one that XML does not allow. */
static size_t character_length(const unsigned char *text, size_t left)
{
    const unsigned char first = text[0];
    const size_t length = first < 0x80                    ? 1
                          : first >= 0xc2 && first < 0xe0 ? 2
                          : (first & 0xf0) == 0xe0        ? 3
                          : first >= 0xf0 && first < 0xf5 ? 4
                                                          : 0;
    if (length == 1)
        return first >= 0x20 && first != 0x7f ? 1 : first == '\t' || first == '\n';
    if (length == 0 || length > left)
        return 0;
    uint32_t value = first & (0xff >> (length + 1));
    for (size_t i = 1; i < length; ++i) {
        if ((text[i] & 0xc0) != 0x80)
            return 0;
        value = value << 6 | (text[i] & 0x3f);
    }
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    const bool allowed = value >= least[length] && value < 0x110000 && !(value >= 0xd800 && value < 0xe000) &&
                         (value & 0xfffe) != 0xfffe && value >= 0xa0;
    return allowed ? length : 0;
}

void markup_text_part(FILE *page, const char *text, size_t length)
{
    for (size_t i = 0; i < length;) {
        const size_t bytes = character_length((const unsigned char *)text + i, length - i);
        const char *entity = bytes == 0        ? "\xef\xbf\xbd"
                             : text[i] == '&'  ? "&amp;"
                             : text[i] == '<'  ? "&lt;"
                             : text[i] == '>'  ? "&gt;"
                             : text[i] == '"'  ? "&quot;"
                             : text[i] == '\'' ? "&#39;"
                                               : NULL;
        if (entity)
            fputs(entity, page);
        else
            fwrite(text + i, 1, bytes, page);
        i += bytes > 0 ? bytes : 1;
    }
}

void markup_text(FILE *page, const char *text)
{
    markup_text_part(page, text, strlen(text));
}

const char *markup_number(double value, char text[MARKUP_NUMBER_SIZE])
{
    const double size = fabs(value);
    if (!isfinite(value))
        snprintf(text, MARKUP_NUMBER_SIZE, "–");
    else if (size != 0 && (size < 1e-3 || size >= 1e9))
        snprintf(text, MARKUP_NUMBER_SIZE, "%.3g", value);
    else
        snprintf(text, MARKUP_NUMBER_SIZE, "%.*f",
                 size >= 1000 || value == floor(value) ? 0
                 : size >= 100                         ? 1
                 : size >= 10                          ? 2
                                                       : 4,
                 value);
    return text;
}
