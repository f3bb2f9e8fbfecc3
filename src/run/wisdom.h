/* FFTW's measured plans, the same on all ranks and in every part of a run. */
#ifndef SRTRAIN_RUN_WISDOM_H
#define SRTRAIN_RUN_WISDOM_H

#include "srtrain/log.h"
#include "srtrain/model.h"
#include "srtrain/parallel.h"

/* Of models that transform by FFTW; nothing for others. Rank 0 reads the run's wisdom from the file at `path`, or else measures
 * and writes it there; every rank learns it. Before the model's first pass. Collective. */
sr_status sr_share_wisdom(sr_parallel *parallel, sr_model *model, const char *path, sr_log *log, sr_error *error);

/* The part of it that comes last: every rank learns `text`. FFTW knows only algorithms that its processor has, so that ranks on
 * unequal machines may not understand it: they plan by rule, and the log says so. Collective. */
sr_status sr_adopt_wisdom(sr_parallel *parallel, const char *text, sr_log *log, sr_error *error);

#endif
