# SPDX-License-Identifier: Apache-2.0
"""The records that Python reads have the layout that the built object declares in its BTF."""

import pytest

from habitus_btf import btf_of, offsets
from habitus_collector import records
from habitus_collector.kernel import TARGET

HEAD_FIELDS = ("time", "cgroup", "kind", "pid", "ppid", "uid", "comm", "parent", "token")
EXEC_FIELDS = (
    "capabilities", "parent_started",
    "exe_length", "argv_length", "preload_length", "cwd_length", "ancestor_count",
    "exe_flags", "argv_flags", "preload_flags", "cwd_flags",
    "exe_class", "running", "reserved", "tty", "ancestors",
)  # fmt: skip


@pytest.fixture(scope="module")
def btf():
    return btf_of("process.bpf.o")


def test_the_head(btf):
    size, members = btf.layout("record")

    assert (size, members) == (records.HEAD.size, offsets(records.HEAD, HEAD_FIELDS))


def test_an_exec(btf):
    size, members = btf.layout("exec_record")

    fields = offsets(records.EXEC, EXEC_FIELDS, records.HEAD.size)
    assert members == {"head": 0, **fields, "data": records.HEAD.size + records.EXEC.size}
    assert size == members["data"] + 4096 + 16384 + 2 * 512 + 4096


def test_an_exit(btf):
    _, members = btf.layout("exit_record")

    assert members == {"head": 0, **offsets(records.EXIT, ("code", "signal"), records.HEAD.size)}


def test_a_new_cgroup(btf):
    size, members = btf.layout("new_cgroup_record")

    fields = offsets(records.NEW_CGROUP, ("depth", "cut", "ids", "names"), records.HEAD.size)
    assert members == {"head": 0, **fields}
    assert size == records.HEAD.size + records.NEW_CGROUP.size


def test_a_target(btf):
    size, members = btf.layout("target")

    assert size == TARGET.size
    assert members == offsets(TARGET, ("root", "profile", "ignored", "epoch"))


def test_the_settings(btf):
    size, members = btf.layout("settings")

    assert size == records.SETTINGS.size
    assert members == offsets(records.SETTINGS, ("loaded_at", "max_argv", "file_totals", "secret"))


@pytest.mark.parametrize(
    ("name", "prefix", "here"),
    [
        ("record_kind", "RECORD_", records.Kind),
        ("path_flag", "PATH_", records.PathFlag),
        ("argv_flag", "ARGV_", records.ArgvFlag),
        ("preload_flag", "PRELOAD_", records.PreloadFlag),
        ("exe_class", "EXE_", records.ExeClass),
    ],
)
def test_the_numbers(btf, name, prefix, here):
    _, values = btf.layout(name)

    assert values == {f"{prefix}{member.name}": member.value for member in here}


def test_the_classes_of_losses(btf):
    _, values = btf.layout("loss_class")

    assert values.pop("LOSS_CLASSES") == len(records.LOSS_CLASSES)
    assert [name.removeprefix("LOSS_").lower() for name in values] == list(records.LOSS_CLASSES)
