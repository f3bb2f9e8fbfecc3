/* Pictures: each is a data file and a script, from which gnuplot makes it. Both stay beside it, so that anybody can restyle a
 * picture and draw it again. A script is what the program sets, and then plain gnuplot files (src/commands/pictures), which are
 * found from the program's own place. Local. */
#ifndef SRTRAIN_COMMANDS_PICTURE_H
#define SRTRAIN_COMMANDS_PICTURE_H

#include "srtrain/log.h"
#include "srtrain/status.h"

#include <stdbool.h>
#include <stdio.h>

typedef enum { PICTURES_SVG, PICTURES_PNG, PICTURES_NONE } picture_format;

typedef struct {
    const char *directory;
    picture_format format;
    sr_log *log;
    sr_error *failed;
    char *files;     /* the directory of the gnuplot files; NULL: not found, and no picture can be begun */
    bool no_gnuplot; /* has been noticed */
    /* The picture that is being written: */
    char name[64];
    FILE *data, *script;
} picture_writer;

/* Of pictures in `directory`, which like `log` and `failed` must stay. *failed says so where the gnuplot files are missing
 * (files is NULL then), and which picture gnuplot cannot draw and why; where there is no gnuplot, a warning says so.
 * SR_ERROR_RUNTIME for want of memory. Release with picture_writer_free(), also after a failure. */
sr_status picture_writer_create(picture_writer *made, const char *directory, picture_format format, sr_log *log,
                                sr_error *failed, sr_error *error);
void picture_writer_free(picture_writer *writer);

/* Opens NAME.dat as writer->data and NAME.gp as writer->script, and begins the script. What the gnuplot file needs is set
 * behind this. SR_ERROR_RUNTIME when a file cannot be written. */
sr_status picture_begin(picture_writer *writer, sr_error *error, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* Sets a variable of the script. */
void picture_set(const picture_writer *writer, const char *name, size_t value);

/* Ends both files and draws by FILE.gnuplot. SR_ERROR_RUNTIME when a file cannot be read or written; not where gnuplot fails.
 */
sr_status picture_draw(picture_writer *writer, const char *file, sr_error *error);

#endif
