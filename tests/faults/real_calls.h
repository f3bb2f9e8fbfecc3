/* The C library's own file calls, past the layer. */
#ifndef SRTRAIN_TESTS_FAULTS_REAL_CALLS_H
#define SRTRAIN_TESTS_FAULTS_REAL_CALLS_H

#include <stdio.h>
#include <sys/types.h>
#include <sys/uio.h>

typedef struct {
    int (*open)(const char *, int, ...);
    int (*openat)(int, const char *, int, ...);
    FILE *(*fopen)(const char *, const char *);
    int (*fileno)(FILE *);
    ssize_t (*write)(int, const void *, size_t);
    ssize_t (*pwrite)(int, const void *, size_t, off_t);
    ssize_t (*writev)(int, const struct iovec *, int);
    ssize_t (*pwritev)(int, const struct iovec *, int, off_t);
    int (*fallocate)(int, int, off_t, off_t);
    int (*ftruncate)(int, off_t);
    int (*fsync)(int);
    int (*rename)(const char *, const char *);
    int (*unlink)(const char *);
    int (*unlinkat)(int, const char *, int);
    int (*remove)(const char *);
    int (*link)(const char *, const char *);
    int (*mkdir)(const char *, mode_t);
} real_calls;

const real_calls *real(void);

#endif
