# SPDX-License-Identifier: Apache-2.0
"""Names of addresses: for whom, how many, for how long, and the kernel's table beside them."""

import pytest

from habitus_collector import names as naming
from habitus_collector.name_table import KEY, NameTable, key_of
from habitus_collector.names import CONTAINERS_LIMIT, ENTRIES_LIMIT, LASTS_NS, NS, SWEEP_NS, Names


class TableOfTheKernel:
    """Stands for the kernel's map."""

    def __init__(self):
        self.entries = {}

    def put(self, root, address, number, now):
        self.entries[root, address] = (number, now)

    def drop(self, root, address):
        self.entries.pop((root, address), None)

    def seen(self, root, address):
        return self.entries.get((root, address), (0, 0))[1]


@pytest.fixture
def table():
    return TableOfTheKernel()


@pytest.fixture
def names(table):
    return Names(table)


def test_the_last_name_of_an_address_counts_here_and_in_the_kernel(names, table):
    names.learn(1, "a.b", 7, ["10.0.0.9", "10.0.0.8"], 0)
    names.learn(1, "c.d", 8, ["10.0.0.9"], NS)

    assert names.of(1, "10.0.0.9").text == "c.d"
    assert names.of(1, "10.0.0.8").text == "a.b"
    assert table.entries == {(1, "10.0.0.9"): (8, NS), (1, "10.0.0.8"): (7, 0)}


def test_containers_do_not_share_names(names):
    names.learn(1, "a.b", 7, ["10.0.0.9"], 0)

    assert names.of(2, "10.0.0.9") is None


def test_a_flood_keeps_its_bounds_and_the_kernels(names, table):
    for number in range(ENTRIES_LIMIT * 3):
        names.learn(1, f"{number}.b", number, [f"10.0.{number >> 8}.{number & 255}"], 0)

    assert len(table.entries) == ENTRIES_LIMIT
    assert names.of(1, "10.0.2.255").text == "767.b"
    assert names.of(1, "10.0.0.0") is None


def test_the_container_not_heard_of_for_longest_goes_first(names, table):
    for root in range(1, CONTAINERS_LIMIT + 2):
        names.learn(root, "a.b", 7, ["10.0.0.9"], 0)

    assert names.of(1, "10.0.0.9") is None
    assert (1, "10.0.0.9") not in table.entries
    assert len(table.entries) == CONTAINERS_LIMIT


def test_a_name_lasts_an_hour_after_the_last_answer_that_gave_it(names, table):
    names.learn(1, "a.b", 7, ["10.0.0.9", "10.0.0.8"], 0)
    table.put(1, "10.0.0.8", 7, LASTS_NS)  # the kernel saw it repeated

    names.sweep(LASTS_NS - 1)
    assert names.of(1, "10.0.0.9")
    names.sweep(LASTS_NS + SWEEP_NS)

    assert names.of(1, "10.0.0.9") is None
    assert table.entries == {(1, "10.0.0.8"): (7, LASTS_NS)}


def test_a_sweep_comes_once_a_minute_at_most(names, monkeypatch):
    monkeypatch.setattr(naming, "LASTS_NS", 0)
    names.sweep(SWEEP_NS)
    names.learn(1, "a.b", 7, ["10.0.0.9"], SWEEP_NS)

    names.sweep(SWEEP_NS * 2 - 1)

    assert names.of(1, "10.0.0.9")


def test_what_the_kernel_lost_is_told_again(names, table):
    names.learn(1, "a.b", 7, ["10.0.0.9"], 0)
    table.entries = {(1, "10.0.0.7"): (9, 0)}

    names.repair(1, "10.0.0.9", NS)
    names.repair(1, "10.0.0.7", NS)

    assert table.entries == {(1, "10.0.0.9"): (7, NS)}


def test_the_kernels_key_has_sixteen_bytes_of_address():
    assert key_of(5, "10.0.0.9") == KEY.pack(5, bytes(10) + b"\xff\xff\x0a\x00\x00\x09")
    assert key_of(5, "::1") == KEY.pack(5, bytes(15) + b"\x01")


def test_without_a_loaded_sensor_there_is_no_table_and_no_fault():
    table = NameTable(lambda _: None)

    table.put(1, "10.0.0.9", 7, 0)
    table.drop(1, "10.0.0.9")

    assert table.seen(1, "10.0.0.9") == 0
