# SPDX-License-Identifier: Apache-2.0
"""Which of a sensor's two objects is taken, and how doctor names many hooks of a kind."""

import pytest

from habitus_collector import doctor_zh, rungs
from habitus_collector.libbpf import LibbpfFault
from habitus_collector.sensors import Sensor

TWO = Sensor("safe.o", {}, cheaper="cheap.o")
ONE = Sensor("safe.o", {})


def climbed(sensor, rung, *refused):
    asked = []

    def load(name):
        asked.append(name)
        if name in refused:
            raise LibbpfFault(f"{name} does not load")

    return rungs.climb(sensor, rung, load), asked


@pytest.mark.parametrize(
    ("sensor", "rung", "refused", "taken", "asked"),
    [
        (TWO, rungs.AUTO, (), ("cheap.o", ""), ["cheap.o"]),
        (TWO, rungs.AUTO, ("cheap.o",), ("safe.o", "cheap.o does not load"), ["cheap.o", "safe.o"]),
        (TWO, rungs.SYS_EXIT, (), ("safe.o", ""), ["safe.o"]),
        (TWO, rungs.FENTRY, (), ("cheap.o", ""), ["cheap.o"]),
        (ONE, rungs.FENTRY, (), ("safe.o", ""), ["safe.o"]),
        (ONE, rungs.AUTO, (), ("safe.o", ""), ["safe.o"]),
    ],
)
def test_the_cheapest_that_loads_is_taken(sensor, rung, refused, taken, asked):
    assert climbed(sensor, rung, *refused) == (taken, asked)


@pytest.mark.parametrize(
    ("rung", "refused"), [(rungs.FENTRY, ("cheap.o",)), (rungs.AUTO, ("cheap.o", "safe.o"))]
)
def test_where_what_is_asked_for_is_refused_nothing_is_taken(rung, refused):
    with pytest.raises(LibbpfFault, match="does not load"):
        climbed(TWO, rung, *refused)


def test_many_hooks_of_functions_are_counted_and_others_are_named():
    many = [f"fexit/{number}" for number in range(4)]

    assert rungs.in_words([*many, "fentry/one", "tp_btf/two"]) == "fexit (4), fentry/one, tp_btf/two"


def test_counted_hooks_are_told_in_chinese():
    assert doctor_zh.in_chinese("by fexit (35), fentry (14)") == "经由 fexit (35), fentry (14)"


def test_a_refused_rung_is_told_in_chinese():
    text = "by tp_btf/sys_exit; left out here: tp_btf/x; the rung fentry is refused: it does not load"

    assert (
        doctor_zh.in_chinese(text)
        == "经由 tp_btf/sys_exit；此处略去：tp_btf/x；fentry 方式被拒绝：it does not load"
    )
