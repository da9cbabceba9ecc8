# SPDX-License-Identifier: Apache-2.0
"""What doctor claims of this kernel is what happens when the sensors are really used."""

import errno
import re
import socket
from pathlib import Path

import pytest

from habitus.settings import CollectorSettings
from habitus_collector import own_probes, probes, sensors
from habitus_collector.checks import all_checks
from habitus_collector.doctor import possible
from habitus_collector.kernel import Sensors
from habitus_collector.libbpf import BpfObject, Libbpf, LibbpfFault

pytestmark = pytest.mark.kernel

LINKS = Path("/proc/self/fd")
SWITCH = Path("/proc/sys/kernel/io_uring_disabled")


@pytest.fixture(scope="module")
def checks(objects):
    return {check.name: check for check in all_checks(CollectorSettings(objects=objects))}


@pytest.mark.parametrize("name", probes.HOOKS)
def test_a_hook_is_offered_exactly_where_a_program_attaches(checks, objects, name):
    probe = BpfObject(Libbpf(), objects / probes.OBJECT)
    probe.take_in(probes.HOOKS[name])
    try:
        probe.load()
        probe.attach()
        attached = list(probe.programs) == [probes.HOOKS[name]]
    except LibbpfFault:
        attached = False
    probe.close()

    assert checks[name].ok is attached
    assert attached or checks[name].found


def number_of(hook):
    """Return how many programs a word of doctor stands for: `fexit (30)` is that many."""
    counted = re.fullmatch(r"\w+ \((\d+)\)", hook)
    return int(counted[1]) if counted else 1


def test_each_sensor_is_on_by_the_hooks_that_the_collector_has(checks, objects):
    for name in sensors.available():
        assert checks[f"sensor {name}"].ok, checks[f"sensor {name}"].found
    names = sensors.choose(sensors.available())
    loaded = Sensors(names, objects, 4096, lambda _: None)
    hooks = len(loaded.hooks)
    loaded.close()

    said = [checks[f"sensor {name}"].found.partition(";")[0] for name in sensors.available()]
    listed = [hook for text in said if "/" in text for hook in text[3:].split(", ")]
    # The collector's own count has the programs that wait for a cgroup, and no iterators.
    assert sum(number_of(hook) for hook in listed if not hook.startswith("iter")) == hooks
    assert possible(checks.values())


def test_an_object_that_the_verifier_refuses_is_told_with_its_last_word(objects, tmp_path):
    for built in objects.glob("*.bpf.o"):
        (tmp_path / built.name).write_bytes(built.read_bytes())
    (tmp_path / "uring.bpf.o").write_bytes(b"no object")

    checks = {check.name: check for check in all_checks(CollectorSettings(objects=tmp_path))}

    assert not checks["sensor uring"].ok
    assert "uring.bpf.o" in checks["sensor uring"].found
    assert checks["sensor process"].ok
    assert not possible(checks.values())


def test_uprobes_and_xdp_are_tried_on_what_is_doctors_own(checks, objects, tmp_path):
    assert checks["uprobe"].ok
    assert own_probes.uprobe(objects) == ""
    assert own_probes.xdp(objects) == dict.fromkeys(own_probes.MODES, "")
    # veth takes programs in its driver since 4.19, and in the generic way always.
    assert checks["XDP native"].ok
    assert checks["XDP generic"].ok
    assert not [name for _, name in socket.if_nameindex() if name.startswith("habitus")]

    (tmp_path / own_probes.OBJECT).write_bytes(b"no object")
    assert own_probes.OBJECT in own_probes.uprobe(tmp_path)
    assert all(own_probes.OBJECT in refused for refused in own_probes.xdp(tmp_path).values())


def test_nothing_stays_open_or_loaded(objects):
    def programs():
        return {link.name for link in LINKS.iterdir() if link.is_symlink() and "bpf" in str(link.readlink())}

    before = programs()
    all_checks(CollectorSettings(objects=objects))

    assert programs() == before


@pytest.mark.skipif(not SWITCH.exists(), reason="a kernel before 6.6 has no switch")
def test_io_uring_is_what_its_switch_says():
    forbidden = SWITCH.read_text().strip() == "2"

    assert probes.io_uring() == (errno.EPERM if forbidden else 0)
