#include "quoted_page.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

char *quoted_read_files(const char *const *paths, size_t count)
{
    enum { MOST = 1 << 18 };
    char *text = calloc(MOST, 1);
    size_t used = 0;
    assert_non_null(text);
    for (size_t i = 0; i < count; ++i) {
        FILE *file = fopen(paths[i], "r");
        if (!file)
            fail_msg("%s cannot be read", paths[i]);
        used += fread(text + used, 1, MOST - 1 - used, file);
        assert_int_equal(fclose(file), 0);
        assert_true(used < MOST - 1);
    }
    return text;
}

size_t quoted_for_each_block(const char *page, const char *language, void (*check)(const char *block, const void *context),
                             const void *context)
{
    char opening[32];
    snprintf(opening, sizeof opening, "\n```%s\n", language);
    char *text = quoted_read_files(&page, 1);
    size_t count = 0;
    for (char *at = strstr(text, opening); at; at = strstr(at, opening)) {
        at += strlen(opening);
        char *end = strstr(at, "```\n");
        assert_non_null(end);
        *end = '\0';
        check(at, context);
        at = end + 1;
        ++count;
    }
    free(text);
    return count;
}

typedef struct {
    const char *page, *files;
} quotation;

static void check_quotation(const char *block, const void *context)
{
    const quotation *q = context;
    if (!strstr(q->files, block))
        fail_msg("%s quotes what no file says:\n%s", q->page, block);
}

size_t assert_page_quotes(const char *page, const char *const *paths, size_t count)
{
    char *files = quoted_read_files(paths, count);
    const size_t blocks = quoted_for_each_block(page, "c", check_quotation, &(quotation){page, files});
    free(files);
    return blocks;
}
