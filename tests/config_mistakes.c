#include "config_mistakes.h"

#include "srtrain/settings.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <cmocka.h>

void expect_refusals(const mistake *mistakes, size_t count)
{
    for (size_t i = 0; i < count; ++i) {
        const mistake *m = &mistakes[i];
        sr_settings settings;
        sr_error error = {0};
        const sr_status status = sr_settings_parse(&settings, m->text, "run.yaml", &m->assignment, m->assignment != NULL,
                                                   &error);
        if (status != SR_ERROR_USAGE || error.status != SR_ERROR_USAGE)
            fail_msg("status %d instead of a refusal for\n%s%s", (int)status, m->text, m->assignment ? m->assignment : "");
        for (size_t p = 0; p < PARTS && m->parts[p]; ++p)
            if (!strstr(error.message, m->parts[p]))
                fail_msg("\"%s\" is missing in\n%s", m->parts[p], error.message);
    }
}
