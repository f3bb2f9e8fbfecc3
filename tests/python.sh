#!/bin/sh
# python.sh TEST.py: runs a test in Python; 77, skipped, where there is no Python that can.
python3 -c 'import sys; sys.exit(sys.version_info < (3, 8))' 2>/dev/null || { echo "skipped: python3 (3.8 or later) is missing"; exit 77; }
exec python3 -B "$@"
