/* Text and numbers in HTML and SVG. Local. */
#ifndef SRTRAIN_REPORT_MARKUP_H
#define SRTRAIN_REPORT_MARKUP_H

#include <stddef.h>
#include <stdio.h>

/* Text of others, so that it stands for itself in elements and in attributes with quotes: &, <, >, " and ' become entities.
 * What is no UTF-8, and control characters but tab and line end, become U+FFFD. */
void markup_text(FILE *page, const char *text);

/* The same for at most `length` bytes. */
void markup_text_part(FILE *page, const char *text, size_t length);

/* A number as people read it: up to four decimals below 100, whole above, powers of ten for what is very large or small; a dash
 * for what is not finite. */
enum { MARKUP_NUMBER_SIZE = 32 };
const char *markup_number(double value, char text[MARKUP_NUMBER_SIZE]);

#endif
