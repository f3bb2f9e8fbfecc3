/* Pictures of an analysis, as picture.h draws them. Local; for rank 0. */
#ifndef SRTRAIN_COMMANDS_ANALYSIS_PICTURES_H
#define SRTRAIN_COMMANDS_ANALYSIS_PICTURES_H

#include "commands/picture.h"
#include "srtrain/analysis.h"

/* Writes NAME.dat and NAME.gp of every picture into `directory` and lets gnuplot make NAME.svg or NAME.png of them. Where there
 * is no gnuplot, a warning says so; where it fails, *failed says which picture and why, and the others are drawn all the same.
 * Where the gnuplot files of srtrain are missing, *failed says so, and there are no pictures. SR_ERROR_RUNTIME when a file
 * cannot be written. */
sr_status analysis_pictures_draw(const char *directory, picture_format format, const sr_analysis *analysis,
                                 const sr_dataset *dataset, sr_log *log, sr_error *failed, sr_error *error);

#endif
