# SPDX-License-Identifier: Apache-2.0
"""Against which kernel's types bcc compiles: headers of the running kernel, or its BTF as C."""

import os
import re
import subprocess
from pathlib import Path
from typing import Final

from habitus.service import ServiceFault

VARIABLE: Final = "BCC_KERNEL_SOURCE"
BTF: Final = Path("/sys/kernel/btf/vmlinux")
_KHEADERS: Final = Path("/sys/kernel/kheaders.tar.xz")
_MODULES: Final = Path("/lib/modules")
_NAMED: Final = re.compile(r'#define\s+UTS_RELEASE\s+"([^"]+)"')
# Headers that bcc itself asks for. With all types from BTF they may be empty.
_EMPTY: Final = (
    "asm/page.h", "linux/bpf_common.h", "linux/log2.h", "linux/types.h", "linux/version.h",
    "linux/fs.h", "linux/ptrace.h", "linux/sched.h", "uapi/linux/bpf.h", "uapi/linux/if_ether.h",
    "uapi/linux/if_packet.h", "uapi/linux/ptrace.h",
)  # fmt: skip
# Macros are no part of BTF.
_MACROS: Final = """\
#ifndef HABITUS_BTF
#define HABITUS_BTF 1
#define BPF_NO_PRESERVE_ACCESS_INDEX
#include "vmlinux.h"
#define _UAPI__LINUX_BPF_H__
#define CONFIG_BPF_SYSCALL 1
#define KERNEL_VERSION(a, b, c) (((a) << 16) + ((b) << 8) + ((c) > 255 ? 255 : (c)))
#define LINUX_VERSION_CODE KERNEL_VERSION({version})
#define NULL ((void *)0)
#define offsetof(type, member) __builtin_offsetof(type, member)
{late}#endif
"""
# bcc names every helper that it knows, and needs them declared; 6.1 does not have these yet.
_LATE: Final = {"BPF_FUNC_cgrp_storage_get": 210, "BPF_FUNC_cgrp_storage_delete": 211}


def environment(scratch: Path, release: str | None = None, modules: Path = _MODULES) -> dict[str, str]:
    """Return what the environment of bcc must say; `scratch` takes the tree made from BTF, if one is.

    Raises:
        ServiceFault: there is neither, or the headers are another kernel's: those would compile, and
            every field would be read from the wrong place.
    """
    release = release or os.uname().release
    named = os.environ.get(VARIABLE)
    if named:
        _refuse_others(Path(named), release)
        return {VARIABLE: named}
    build = modules / release / "build"
    if (build / "include").is_dir():
        _refuse_others(build, release)
        return {}
    if _KHEADERS.is_file():
        return {}  # bcc unpacks them by itself; they are this kernel's by their nature
    if BTF.is_file():
        return {VARIABLE: str(from_btf(scratch, release))}
    raise ServiceFault(f"no headers of this kernel and no BTF: apt-get install linux-headers-{release}")


def release_of(tree: Path) -> str | None:
    """Return the release that a tree of headers belongs to, or None when it does not say."""
    try:
        match = _NAMED.search((tree / "include" / "generated" / "utsrelease.h").read_text())
    except (OSError, UnicodeDecodeError):
        return None
    return match[1] if match else None


def from_btf(folder: Path, release: str) -> Path:
    """Write the running kernel's types as a tree of headers, and return it.

    Raises:
        ServiceFault: bpftool is missing or does not bring them.
    """
    include = folder / "include"
    for name in _EMPTY:
        path = include / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    command = ["bpftool", "btf", "dump", "file", str(BTF), "format", "c"]
    try:
        with (include / "vmlinux.h").open("wb") as handle:
            subprocess.run(command, stdout=handle, stderr=subprocess.PIPE, check=True)
    except FileNotFoundError:
        raise ServiceFault(
            f"no headers of this kernel, and no bpftool to make them from BTF: "
            f"apt-get install bpftool, or linux-headers-{release}"
        ) from None
    except subprocess.CalledProcessError as error:
        said = error.stderr.decode("utf-8", "backslashreplace").strip().splitlines()
        raise ServiceFault(f"bpftool cannot write {BTF} as C: {said[-1] if said else 'no reason'}") from None
    types = (include / "vmlinux.h").read_bytes()
    late = "".join(
        f"#define {name} {number}\n" for name, number in _LATE.items() if name.encode() not in types
    )
    macros = _MACROS.replace("{version}", _version(release)).replace("{late}", late)
    (include / "linux" / "kconfig.h").write_text(macros)
    return folder


def _version(release: str) -> str:
    numbers = re.findall(r"\d+", release.partition("-")[0])[:3]
    return ", ".join([*numbers, "0", "0", "0"][:3])


def _refuse_others(tree: Path, release: str) -> None:
    found = release_of(tree)
    if found != release:
        raise ServiceFault(
            f"{tree} has headers of {found or 'no kernel that it names'}, and {release} runs: "
            f"apt-get install linux-headers-{release}"
        )
