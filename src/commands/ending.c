#include "commands/ending.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void write_note(const char *text)
{
    const char *path = getenv("SRTRAIN_ENDING");
    if (!path || !*path)
        return;
    FILE *file = fopen(path, "w");
    const bool opened = file != NULL, written = opened && fputs(text, file) >= 0;
    if (!opened || fclose(file) != 0 || !written)
        fprintf(stderr, "srtrain: warning: cannot write %s (SRTRAIN_ENDING): %s\n", path, strerror(errno));
}

void ending_expect(void)
{
    write_note("running\n");
}

void ending_note(sr_status status)
{
    char text[16];
    snprintf(text, sizeof text, "%d\n", (int)status);
    write_note(text);
}
