# SPDX-License-Identifier: Apache-2.0
"""Against which kernel's types bcc compiles, and which it must never be given."""

import pytest

from habitus.service import ServiceFault
from habitus_collector.loaders.bcc import headers

RELEASE = "6.1.0-50-cloud-amd64"


def tree(folder, release):
    generated = folder / "include" / "generated"
    generated.mkdir(parents=True)
    (generated / "utsrelease.h").write_text(f'#define UTS_RELEASE "{release}"\n')
    return folder


@pytest.fixture(autouse=True)
def _nothing_named(monkeypatch):
    monkeypatch.delenv(headers.VARIABLE, raising=False)


def test_headers_of_the_running_kernel_are_taken_as_they_are(tmp_path):
    tree(tmp_path / RELEASE / "build", RELEASE)

    assert headers.environment(tmp_path, RELEASE, tmp_path) == {}


def test_headers_of_another_kernel_are_refused_in_one_line_that_names_both(tmp_path):
    tree(tmp_path / RELEASE / "build", "6.12.9-cloud-amd64")

    with pytest.raises(ServiceFault, match=rf"headers of 6\.12\.9-cloud-amd64, and {RELEASE} runs") as fault:
        headers.environment(tmp_path, RELEASE, tmp_path)

    assert "\n" not in str(fault.value)


def test_a_tree_that_the_operator_names_is_held_to_the_same(tmp_path, monkeypatch):
    right = tree(tmp_path / "right", RELEASE)
    (tmp_path / "none" / "include").mkdir(parents=True)
    monkeypatch.setenv(headers.VARIABLE, str(right))
    assert headers.environment(tmp_path, RELEASE, tmp_path) == {headers.VARIABLE: str(right)}

    monkeypatch.setenv(headers.VARIABLE, str(tmp_path / "none"))
    with pytest.raises(ServiceFault, match="headers of no kernel that it names"):
        headers.environment(tmp_path, RELEASE, tmp_path)


def test_with_neither_headers_nor_btf_the_package_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(headers, "BTF", tmp_path / "none")

    with pytest.raises(ServiceFault, match=f"apt-get install linux-headers-{RELEASE}"):
        headers.environment(tmp_path, RELEASE, tmp_path)


def test_btf_without_bpftool_names_both_ways_out(tmp_path, monkeypatch):
    (tmp_path / "btf").touch()
    monkeypatch.setattr(headers, "BTF", tmp_path / "btf")
    monkeypatch.setenv("PATH", str(tmp_path))

    with pytest.raises(ServiceFault, match=f"apt-get install bpftool, or linux-headers-{RELEASE}"):
        headers.environment(tmp_path / "scratch", RELEASE, tmp_path)


@pytest.mark.parametrize(
    ("types", "late"), [("BPF_FUNC_map_lookup_elem = 1,", True), ("BPF_FUNC_cgrp_storage_get = 210,", False)]
)
def test_a_helper_that_this_kernel_does_not_have_yet_is_declared(tmp_path, monkeypatch, types, late):
    tool = tmp_path / "bpftool"
    tool.write_text(f"#!/bin/sh\necho '{types}'\n")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))

    macros = (headers.from_btf(tmp_path / "tree", RELEASE) / "include" / "linux" / "kconfig.h").read_text()

    assert ("#define BPF_FUNC_cgrp_storage_get 210\n" in macros) is late
    assert "{late}" not in macros
