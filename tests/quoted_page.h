/* Pages of the documentation that quote files. */
#ifndef SRTRAIN_TESTS_QUOTED_PAGE_H
#define SRTRAIN_TESTS_QUOTED_PAGE_H

#include <stddef.h>

/* The texts of files, one behind the other; the caller frees it. */
char *quoted_read_files(const char *const *paths, size_t count);

/* Calls `check` with the text of each block of the page in this language; returns how many there are. */
size_t quoted_for_each_block(const char *page, const char *language, void (*check)(const char *block, const void *context),
                             const void *context);

/* Fails the test unless each block of code of the page stands in one of the files; returns how many there are. */
size_t assert_page_quotes(const char *page, const char *const *paths, size_t count);

#endif
