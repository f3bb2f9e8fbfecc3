/* Where recommendations go: a TSV file, an HDF5 file, or standard output; docs/formats.md describes them. For rank 0 only;
 * everything is local. What is held does not grow with the number of recommendations. */
#ifndef SRTRAIN_EVALUATE_RECOMMENDATIONS_H
#define SRTRAIN_EVALUATE_RECOMMENDATIONS_H

#include "srtrain/item_names.h"
#include "srtrain/status.h"

typedef struct sr_recommendations_writer sr_recommendations_writer;

/* Whether `path` is one we can write: NULL (TSV on standard output) or a name ending in .tsv or .h5. SR_ERROR_USAGE otherwise.
 */
sr_status sr_recommendations_check_path(const char *path, sr_error *error);

/* Files are written as sr_output_file_open() says. Items have these names; users have names of at most `longest_user`
 * bytes. */
sr_status sr_recommendations_open(sr_recommendations_writer **writer, const char *path, const sr_item_names *names,
                                  size_t longest_user, sr_error *error);

/* The same for items in the place of users: columns are item, rank, similar and score. */
sr_status sr_recommendations_open_similar(sr_recommendations_writer **writer, const char *path, const sr_item_names *names,
                                          sr_error *error);

/* An sr_recommendation_function; `writer` is an sr_recommendations_writer. */
sr_status sr_recommendations_add(void *writer, const char *user, size_t user_length, size_t rank, int32_t item, double score,
                                 sr_error *error);

/* Ends and frees the writer; returns `status` or, where that is SR_OK, the failure to write. Without a failure the file gets
 * its final name, otherwise nothing of it remains. */
sr_status sr_recommendations_close(sr_recommendations_writer *writer, sr_status status, sr_error *error);

#endif
