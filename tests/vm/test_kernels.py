# SPDX-License-Identifier: Apache-2.0
"""Which kernel a series names, and where it is fetched from."""

import pytest

from habitus_vm import kernels
from habitus_vm.kernels import Kernel, KernelFault

NAMES = [
    "linux-image-6.1.0-9-cloud-amd64",
    "linux-image-6.1.0-50-cloud-amd64",
    "linux-image-6.1.0-51-cloud-amd64-unsigned",
    "linux-image-6.1.0-52-amd64",
    "linux-image-6.1.0-53-cloud-arm64",
    "linux-image-6.12.9+deb13-cloud-amd64",
    "linux-image-6.12.117+deb13-cloud-amd64",
    "linux-image-6.12.118+deb13-cloud-amd64-dbg",
    "linux-image-cloud-amd64",
]


@pytest.mark.parametrize(
    ("series", "release"),
    [
        ("6.1", "6.1.0-50-cloud-amd64"),
        ("6.12", "6.12.117+deb13-cloud-amd64"),
        ("6.18", None),
    ],
)
def test_a_series_is_its_newest_cloud_kernel_for_this_machine(series, release):
    assert kernels.newest(NAMES, series, "amd64") == release


@pytest.mark.parametrize("series", ["6", "6.1.2", "../6.1", "6.x", ""])
def test_what_is_no_series_is_refused_before_anything_is_fetched(series):
    with pytest.raises(KernelFault, match="a series is two numbers"):
        kernels.have(series)


@pytest.mark.parametrize(
    "text",
    [
        "Types: deb\nURIs: http://mirror.example/debian\nSuites: trixie\n",
        "# a line\ndeb [signed-by=/x] http://mirror.example/debian trixie main\n",
        "deb http://mirror.example/debian trixie main\n",
    ],
)
def test_the_mirror_is_the_one_that_apt_is_set_to(tmp_path, text):
    folder = tmp_path / "sources.list.d"
    folder.mkdir()
    (folder / "a.sources").write_text("URIs: file:/srv/x\nURIs: http://mirror.example/debian-security\n")
    (folder / "b.sources").write_text(text)

    assert kernels.mirror([folder]) == "http://mirror.example/debian"


def test_sources_without_an_archive_are_a_fault_of_one_line(tmp_path):
    with pytest.raises(KernelFault, match="apt's sources name no archive") as fault:
        kernels.mirror([tmp_path / "none"])

    assert "\n" not in str(fault.value)


def test_a_cached_kernel_is_taken_without_a_look_at_the_archive(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    folder = tmp_path / "habitus" / "vm" / "kernels"
    for release in ("6.1.0-9-cloud-amd64", "6.1.0-50-cloud-amd64", "6.12.1-cloud-amd64"):
        (folder / release).mkdir(parents=True)

    found = kernels.have("6.1")

    assert found == Kernel("6.1.0-50-cloud-amd64", folder / "6.1.0-50-cloud-amd64")
