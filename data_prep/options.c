/* Numbers on the command line. */
#include "commands.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>

sr_status read_count(const char *option, const char *text, uint64_t minimum, uint64_t maximum, uint64_t *value, sr_error *error)
{
    if (!text)
        return SR_OK;
    char *end;
    errno = 0;
    const unsigned long long read = strtoull(text, &end, 10);
    if (*text < '0' || *text > '9' || *end || errno || read < minimum || read > maximum)
        return sr_fail(error, SR_ERROR_USAGE, "%s %s: allowed is a whole number from %llu to %llu", option, text,
                       (unsigned long long)minimum, (unsigned long long)maximum);
    *value = read;
    return SR_OK;
}

sr_status read_real(const char *option, const char *text, double minimum, double maximum, double *value, sr_error *error)
{
    if (!text)
        return SR_OK;
    char *end;
    *value = strtod(text, &end);
    if (end == text || *end || !(*value >= minimum && *value <= maximum))
        return sr_fail(error, SR_ERROR_USAGE, "%s %s: allowed is a number from %g to %g", option, text, minimum, maximum);
    return SR_OK;
}

sr_status read_size(const char *option, const char *text, uint64_t *bytes, sr_error *error)
{
    if (!text)
        return SR_OK;
    enum { LEAST = 1 << 20 };
    char *end;
    errno = 0;
    const unsigned long long read = strtoull(text, &end, 10);
    const int shift = *end == 'K' ? 10 : *end == 'M' ? 20 : *end == 'G' ? 30 : *end == 'T' ? 40 : 0;
    const bool fits = *text >= '0' && *text <= '9' && !errno && end[shift > 0] == '\0' && read <= UINT64_MAX >> (shift + 1);
    if (!fits || read << shift < LEAST)
        return sr_fail(error, SR_ERROR_USAGE, "%s %s: allowed is a number of bytes, as 512M or 8G, at least 1M", option, text);
    *bytes = read << shift;
    return SR_OK;
}
