/* Which sources a program was built from. */
#ifndef SRTRAIN_BASE_PROGRAM_COMMIT_H
#define SRTRAIN_BASE_PROGRAM_COMMIT_H

/* For people: "commit 0123456789", with " and changes" where files differed from the commit, or "commit unknown" outside of a
 * checkout. cmake/ProgramCommit.cmake writes it. Programs have it; the library and tests do not. */
extern const char sr_program_commit[];

#endif
