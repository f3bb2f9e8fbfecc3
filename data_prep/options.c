/* Numbers on the command line. */
#include "commands.h"

#include <errno.h>
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
