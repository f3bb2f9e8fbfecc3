#include "base/escaped.h"

void escaped_write(FILE *file, const char *name, size_t length)
{
    for (const char *end = name + length; name < end;) {
        const char *plain = name;
        while (name < end && *name != '\t' && *name != '\n' && *name != '\r' && *name != '\\')
            ++name;
        fwrite(plain, 1, (size_t)(name - plain), file);
        if (name < end) {
            fputc('\\', file);
            fputc(*name == '\t' ? 't' : (*name == '\n' ? 'n' : (*name == '\r' ? 'r' : '\\')), file);
            ++name;
        }
    }
}

/* The byte that stands for a letter behind a backslash, or 0. */
static char meant_by(char letter)
{
    switch (letter) {
    case 't':
        return '\t';
    case 'n':
        return '\n';
    case 'r':
        return '\r';
    case '\\':
        return '\\';
    default:
        return '\0';
    }
}

size_t escaped_read(char *field, size_t length)
{
    size_t used = 0;
    for (size_t i = 0; i < length; ++i) {
        const char meant = field[i] == '\\' && i + 1 < length ? meant_by(field[i + 1]) : '\0';
        field[used++] = meant ? meant : field[i];
        i += meant ? 1 : 0;
    }
    return used;
}
