/* What each file call of the layer begins with. */
#ifndef SRTRAIN_TESTS_FAULTS_LAYER_H
#define SRTRAIN_TESTS_FAULTS_LAYER_H

#include "faults.h"

#include <limits.h>
#include <stddef.h>

typedef enum { PATH_OTHER, PATH_WATCHED, PATH_NAMELESS } path_kind; /* the last one: of a file that was removed */

/* What the layer has to do with an open file, and its path; with a path, seen from `directory` (AT_FDCWD or an open one). */
path_kind layer_path_of(int descriptor, char path[PATH_MAX]);
path_kind layer_path(int directory, const char *name, char path[PATH_MAX]);

/* Around a call of this kind that the layer has to do with. layer_enter() says what is to become of it. */
typedef enum { CALL_GOES_ON, CALL_IS_SHORT, CALL_FAILS /* with errno */ } call_fate;
call_fate layer_enter(fault_kind kind);
void layer_leave(void);

/* Whether calls are to be noted in the journal. */
bool layer_keeps_journal(void);

#endif
