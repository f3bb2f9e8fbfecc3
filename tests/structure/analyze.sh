#!/bin/sh
# analyze.sh COMPILER ARGUMENTS...: compiles with gcc's analyzer, whose findings are errors.
#
# Left out is what gcc 12 gets wrong in this source. It takes every pointer that some caller compares with NULL for one that may be
# NULL everywhere. It does not follow structures that functions return. It loses sight of who owns memory and files that were handed
# out through a pointer; the sanitizer for leaks finds these.
exec "$@" -fanalyzer -Werror -Wno-analyzer-null-dereference -Wno-analyzer-null-argument \
    -Wno-analyzer-use-of-uninitialized-value -Wno-analyzer-malloc-leak -Wno-analyzer-file-leak -Wno-analyzer-too-complex
