#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# What `make test-vm` runs in each guest, from the checkout's root: first whether every object loads and
# sees the least, then the tests of the sensors. Arguments, if any, replace the tests.
set -eu
export TEST_SKIPS=refuse PYTHONDONTWRITEBYTECODE=1
pytest() { .venv/bin/python -m pytest -q -p no:cacheprovider --timeout 300 "$@"; }
if [ $# -gt 0 ]; then
	pytest "$@"
	exit
fi
pytest tests/kernel/test_objects.py
