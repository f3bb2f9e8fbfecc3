#!/bin/sh
# job-manual.sh SRTRAIN_JOB VERSION PAGE: what srtrain-job --help says as a page of the manual.
set -eu
{
    printf '.TH SRTRAIN\\-JOB 1 "" "srtrain %s" "User Commands"\n' "$2"
    printf '.SH NAME\nsrtrain\\-job \\- run srtrain as a job of a batch system that goes on after its time limit\n.SH DESCRIPTION\n.nf\n'
    bash "$1" --help | sed -e 's/\\/\\e/g' -e 's/-/\\-/g' -e "s/^\([.']\)/\\\\\&\1/"
    printf '.fi\n.SH SEE ALSO\n.BR srtrain (1)\n'
} >"$3.part"
mv "$3.part" "$3"
