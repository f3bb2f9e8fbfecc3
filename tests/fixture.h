/* Reading parity fixtures (HDF5 files of format "srtrain-parity-1"). */
#ifndef SRTRAIN_TESTS_FIXTURE_H
#define SRTRAIN_TESTS_FIXTURE_H

#include "srtrain/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct parity_fixture parity_fixture;

sr_status fixture_open(parity_fixture **opened, const char *path, sr_error *error);
void fixture_close(parity_fixture *fixture); /* NULL is allowed */

const char *fixture_name(const parity_fixture *fixture);
const char *fixture_configuration(const parity_fixture *fixture); /* YAML */
int64_t fixture_items(const parity_fixture *fixture);
int64_t fixture_users(const parity_fixture *fixture);
int64_t fixture_annealing_step(const parity_fixture *fixture); /* 0 when the fixture has none */

/* Whether the gradient of this parameter is zero in theory. */
bool fixture_has_zero_gradient(const parity_fixture *fixture, const char *parameter);

/* Whether there is a dataset `name` in `group`. */
bool fixture_has(const parity_fixture *fixture, const char *group, const char *name);

/* The elements of dataset `name` in `group` as doubles, which must be `count` many; release with free(). */
sr_status fixture_read_sized(const parity_fixture *fixture, const char *group, const char *name, size_t count, double **values,
                             sr_error *error);

/* The elements as 32-bit integers, and how many there are; release with free(). */
sr_status fixture_read_integers(const parity_fixture *fixture, const char *group, const char *name, int32_t **values,
                                size_t *count, sr_error *error);

/* The same in 64 bits. */
sr_status fixture_read_long_integers(const parity_fixture *fixture, const char *group, const char *name, int64_t **values,
                                     size_t *count, sr_error *error);

#endif
