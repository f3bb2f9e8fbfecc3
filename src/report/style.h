/* The looks of a report, as CSS: light, or dark where the reader's system is. Local. */
#ifndef SRTRAIN_REPORT_STYLE_H
#define SRTRAIN_REPORT_STYLE_H

/* Colours, and what charts need; for a picture alone that is all. */
extern const char report_chart_style[];

/* What the page needs besides. */
extern const char report_page_style[];

#endif
