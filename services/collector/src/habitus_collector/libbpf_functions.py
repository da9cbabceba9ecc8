# SPDX-License-Identifier: Apache-2.0
"""The functions of libbpf.so.1 that we call, with their types."""

import ctypes
from typing import Any, Final

POINTER: Final = ctypes.c_void_p
Print = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_int, ctypes.c_char_p, ctypes.c_void_p)
Sample = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t)

# function → (result, arguments); an int result below 0 is an errno
SIGNATURES: Final[dict[str, tuple[Any, list[Any]]]] = {
    "bpf_object__open_file": (POINTER, [ctypes.c_char_p, POINTER]),
    "bpf_object__load": (ctypes.c_int, [POINTER]),
    "bpf_object__close": (None, [POINTER]),
    "bpf_object__find_map_by_name": (POINTER, [POINTER, ctypes.c_char_p]),
    "bpf_object__next_program": (POINTER, [POINTER, POINTER]),
    "bpf_program__name": (ctypes.c_char_p, [POINTER]),
    "bpf_program__section_name": (ctypes.c_char_p, [POINTER]),
    "bpf_program__attach": (POINTER, [POINTER]),
    "bpf_program__attach_uprobe": (
        POINTER,
        [POINTER, ctypes.c_bool, ctypes.c_int, ctypes.c_char_p, ctypes.c_size_t],
    ),
    "bpf_xdp_attach": (ctypes.c_int, [ctypes.c_int, ctypes.c_int, ctypes.c_uint32, POINTER]),
    "libbpf_version_string": (ctypes.c_char_p, []),
    "bpf_program__attach_cgroup": (POINTER, [POINTER, ctypes.c_int]),
    "bpf_program__fd": (ctypes.c_int, [POINTER]),
    "bpf_program__attach_iter": (POINTER, [POINTER, POINTER]),
    "bpf_program__set_autoload": (ctypes.c_int, [POINTER, ctypes.c_bool]),
    "bpf_program__autoload": (ctypes.c_bool, [POINTER]),
    "btf__load_vmlinux_btf": (POINTER, []),
    "btf__find_by_name_kind": (ctypes.c_int, [POINTER, ctypes.c_char_p, ctypes.c_uint32]),
    "btf__free": (None, [POINTER]),
    "bpf_object__find_program_by_name": (POINTER, [POINTER, ctypes.c_char_p]),
    "bpf_iter_create": (ctypes.c_int, [ctypes.c_int]),
    "bpf_link__fd": (ctypes.c_int, [POINTER]),
    "bpf_link__destroy": (ctypes.c_int, [POINTER]),
    "bpf_map__set_initial_value": (ctypes.c_int, [POINTER, ctypes.c_char_p, ctypes.c_size_t]),
    "bpf_map__set_max_entries": (ctypes.c_int, [POINTER, ctypes.c_uint32]),
    "bpf_map__reuse_fd": (ctypes.c_int, [POINTER, ctypes.c_int]),
    "bpf_map__max_entries": (ctypes.c_uint32, [POINTER]),
    "bpf_map__fd": (ctypes.c_int, [POINTER]),
    "bpf_map__key_size": (ctypes.c_uint32, [POINTER]),
    "bpf_map__value_size": (ctypes.c_uint32, [POINTER]),
    "bpf_map__type": (ctypes.c_int, [POINTER]),
    "bpf_map_update_elem": (ctypes.c_int, [ctypes.c_int, ctypes.c_char_p, ctypes.c_char_p, ctypes.c_uint64]),
    "bpf_map_lookup_elem": (ctypes.c_int, [ctypes.c_int, ctypes.c_char_p, POINTER]),
    "bpf_map_delete_elem": (ctypes.c_int, [ctypes.c_int, ctypes.c_char_p]),
    "bpf_map_get_next_key": (ctypes.c_int, [ctypes.c_int, ctypes.c_char_p, POINTER]),
    "ring_buffer__new": (POINTER, [ctypes.c_int, Sample, POINTER, POINTER]),
    "ring_buffer__epoll_fd": (ctypes.c_int, [POINTER]),
    "ring_buffer__consume": (ctypes.c_int, [POINTER]),
    "ring_buffer__free": (None, [POINTER]),
    "bpf_prog_test_run_opts": (ctypes.c_int, [ctypes.c_int, POINTER]),
    "libbpf_num_possible_cpus": (ctypes.c_int, []),
    "libbpf_set_print": (POINTER, [Print]),
}
