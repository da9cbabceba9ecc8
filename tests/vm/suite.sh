#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# What `make test-vm` runs in each guest, from the checkout's root: first whether every object loads and
# sees the least, then the tests of the sensors. Arguments, if any, replace the tests.
set -eu
export TEST_SKIPS=refuse PYTHONDONTWRITEBYTECODE=1
root=$PWD
pytest() { "$root/.venv/bin/python" -m pytest -q -p no:cacheprovider --timeout 300 "$@"; }
if [ "${1-}" = wide ]; then # the sensors further, and the loader bcc by headers, then by BTF
	cd tests/kernel
	pytest test_objects.py test_doctor.py test_processes.py test_running.py test_network.py test_flows.py \
		test_domains.py test_unix_sockets.py test_container_hooks.py test_known_flows.py test_uring.py
	pytest test_bcc.py -k ran_before
	rm /usr/src/linux-headers-*
	pytest test_bcc.py -k ran_before
	exit
fi
if [ "${1-}" = files ]; then # what containers do to files, by one rung
	export TEST_FILE_RUNG=$2
	cd tests/kernel
	[ "$2" = fentry ] || pytest test_file_moves.py # which asks for the other rung
	pytest test_files.py test_file_changes.py test_file_uses.py test_file_use_ends.py test_file_known.py \
		test_file_races.py
	exit
fi
if [ $# -gt 0 ]; then
	pytest "$@"
	exit
fi
pytest tests/kernel/test_objects.py tests/kernel/test_file_rungs.py tests/kernel/check_file_rungs.py \
	tests/kernel/check_modules.py "tests/kernel/test_file_uses.py::test_calls_of_32_bits_count_and_end_a_use"
