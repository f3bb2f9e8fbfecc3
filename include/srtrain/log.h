/* Messages to the terminal and to the log file of a run.
 *
 * Only the owner of the log decides who speaks: rank 0 opens one with a terminal, the other ranks pass NULL, and every
 * function here accepts NULL and stays silent. A log is not thread safe. */
#ifndef SRTRAIN_LOG_H
#define SRTRAIN_LOG_H

#include "srtrain/status.h"

#include <stdbool.h>

typedef struct sr_log sr_log;

/* A log that writes to standard error. Release with sr_log_close(). */
sr_status sr_log_open(sr_log **log, sr_error *error);

/* From here on every message is also appended to the file at `path`, each with the time in front. */
sr_status sr_log_attach_file(sr_log *log, const char *path, sr_error *error);

/* SR_ERROR_RUNTIME when a message has not reached the file. */
sr_status sr_log_check(const sr_log *log, sr_error *error);

void sr_log_close(sr_log *log);

/* One line of information; a warning (marked as such). The text needs no newline. */
void sr_log_information(sr_log *log, const char *format, ...) __attribute__((format(printf, 2, 3)));
void sr_log_warning(sr_log *log, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* The progress of a long task: on a terminal one line that is drawn over; elsewhere a plain line, so that a batch system's
 * output file stays readable. Not written to the attached file. The caller decides how often: sr_log_is_terminal() tells. */
void sr_log_progress(sr_log *log, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Whether standard error is a terminal (false for a NULL log). */
bool sr_log_is_terminal(const sr_log *log);

#endif
