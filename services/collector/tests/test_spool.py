# SPDX-License-Identifier: Apache-2.0
"""Batches on disk: in order, within a bound, and what a crash or a bad disk leaves of them."""

import asyncio
import os
import stat
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from habitus.publish import Batch
from habitus_collector.segments import Segment, packed
from habitus_collector.spool import Spool, SpoolFault, age_s

MIB = 1 << 20


def batch(number, size=100):
    return Batch("habitus.events.process.3", f"n1-b{number}", bytes([number % 256]) * size)


def fill(spool, numbers, size=100):
    return [spool.append(batch(number, size)) for number in numbers]


def drained(spool):
    """Take all as the outlet does: look, send, done."""
    found = []
    while (oldest := spool.peek()) is not None:
        found.append(oldest)
        spool.done()
    return found


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "a" / "spool"


@pytest.fixture
def opened(folder):
    """Open the spool again and again, as one run after the other."""
    spools = []

    def one(limit=MIB):
        if spools:
            spools.pop().close()
        spools.append(Spool(folder, limit))
        return spools[-1]

    yield one
    for spool in spools:
        spool.close()


def segments(folder):
    return sorted(folder.glob("*.spool"))


def test_batches_come_back_whole_and_in_order(opened, folder):
    spool = opened()
    assert not spool
    assert all(fill(spool, range(100)))
    assert spool.size == sum(path.stat().st_size for path in segments(folder))

    assert drained(spool) == [batch(number) for number in range(100)]
    assert not spool
    assert spool.size == 0
    assert segments(folder) == []


def test_newer_ones_go_behind_older_ones_while_these_leave(opened):
    spool = opened()
    fill(spool, [0])
    found = []
    for number in range(1, 50):
        fill(spool, [number])
        found.append(spool.peek())
        spool.done()

    assert found + drained(spool) == [batch(number) for number in range(50)]


def test_the_folder_is_for_this_user_alone(opened, folder):
    spool = opened()
    fill(spool, [1])

    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert stat.S_IMODE(segments(folder)[0].stat().st_mode) == 0o600


def test_what_a_former_run_left_goes_first_and_what_it_sent_does_not_come_again(opened):
    spool = opened()
    fill(spool, range(10))
    for _ in range(4):
        spool.peek()
        spool.done()
    spool = opened()
    fill(spool, range(10, 12))

    assert drained(spool) == [batch(number) for number in range(4, 12)]


def test_files_leave_the_disk_one_by_one(opened, folder):
    spool = opened(limit=64 * 1024)
    fill(spool, range(50), size=1000)
    assert len(segments(folder)) > 2
    sizes = []
    while spool.peek():
        sizes.append(spool.size)
        spool.done()

    assert len(set(sizes)) > 2
    assert sizes == sorted(sizes, reverse=True)


def test_a_full_spool_refuses_the_newest_says_so_once_and_goes_on_when_there_is_room(opened, caplog):
    spool = opened(limit=10_000)
    taken = fill(spool, range(40), size=1000)
    count = taken.index(False)
    assert taken == [True] * count + [False] * (40 - count)
    assert count > 5
    assert spool.size <= 10_000
    assert len([record for record in caplog.records if record.levelname == "ERROR"]) == 1
    for _ in range(count // 2):
        spool.peek()
        spool.done()

    assert fill(spool, [100], size=1000) == [True]
    assert drained(spool) == [batch(number, 1000) for number in (*range(count // 2, count), 100)]


def test_a_second_collector_is_refused_in_one_line(opened, folder):
    opened()

    with pytest.raises(SpoolFault, match="another collector uses it") as fault:
        Spool(folder, MIB)
    assert "\n" not in str(fault.value)


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").write_text("")

    with pytest.raises(SpoolFault, match=r"file/spool: Not a directory; see collector\.spool"):
        Spool(tmp_path / "file" / "spool", MIB)


def test_a_torn_tail_is_cut_with_one_line(opened, folder, caplog):
    spool = opened()
    fill(spool, range(3))
    (path,) = segments(folder)
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size - 7)
    spool = opened()
    fill(spool, [9])

    assert drained(spool) == [batch(number) for number in (0, 1, 9)]
    (line,) = [record.getMessage() for record in caplog.records if record.levelname == "ERROR"]
    assert f"{path}: at offset" in line
    assert "cut off" in line
    assert spool.damaged == 1


@pytest.mark.parametrize("where", [0, 4, 9, 40, 120])
def test_a_damaged_record_is_named_and_the_rest_delivered(opened, folder, caplog, where):
    spool = opened()
    fill(spool, range(5))
    (path,) = segments(folder)
    raw = bytearray(path.read_bytes())
    record = len(raw) // 5
    raw[2 * record + where] ^= 0xFF
    path.write_bytes(raw)
    spool = opened()

    assert drained(spool) == [batch(number) for number in (0, 1, 3, 4)]
    (line,) = [one.getMessage() for one in caplog.records if one.levelname == "ERROR"]
    assert f"{path}: at offset {2 * record}: {record} bytes are damaged" in line


@given(st.data())
def test_any_damage_costs_only_the_records_that_it_hit(tmp_path_factory, data):
    folder = tmp_path_factory.mktemp("spool")
    spool = Spool(folder, MIB)
    fill(spool, range(8), size=50)
    spool.close()
    (path,) = segments(folder)
    raw = bytearray(path.read_bytes())
    record = len(raw) // 8
    first = data.draw(st.integers(0, len(raw) - 1))
    noise = data.draw(st.binary(min_size=1, max_size=len(raw) - first))
    raw[first : first + len(noise)] = noise
    path.write_bytes(raw)
    hit = range(first // record, (first + len(noise) - 1) // record + 1)
    spool = Spool(folder, MIB)
    found = drained(spool)
    spool.close()

    whole = {number for number in range(8) if number not in hit}
    ids = [one.id for one in found]
    assert ids == sorted(ids)
    assert {f"n1-b{number}" for number in whole} <= set(ids)
    assert all(batch(int(one.id[4:]), 50) == one for one in found)


def test_a_file_that_cannot_be_read_is_named_and_the_others_are_sent(opened, folder, caplog):
    spool = opened()
    fill(spool, [1])
    (path,) = segments(folder)
    path.rename(folder / "0000000000000000.keep")
    path.symlink_to("/etc/passwd")
    spool = opened()
    fill(spool, [2])

    assert drained(spool) == [batch(2)]
    (line,) = [one.getMessage() for one in caplog.records if one.levelname == "ERROR"]
    assert str(path) in line


def test_a_disk_without_room_refuses_says_so_once_and_loses_nothing_that_it_took(tmp_path, caplog):
    if os.geteuid():
        pytest.skip("mounting a small tmpfs needs root")
    small = tmp_path / "small"
    small.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(small)], check=True)
    try:
        spool = Spool(small / "spool", 100 * MIB)
        taken = fill(spool, range(60), size=10_000)
        count = taken.index(False)
        assert not any(taken[count:])
        (line,) = [one.getMessage() for one in caplog.records if one.levelname == "ERROR"]
        assert "No space left on device" in line
        assert [one.id for one in drained(spool)] == [f"n1-b{number}" for number in range(count)]
        assert fill(spool, range(100, 110), size=10_000) == [True] * 10
        assert [one.id for one in drained(spool)] == [f"n1-b{number}" for number in range(100, 110)]
        spool.close()
    finally:
        subprocess.run(["umount", str(small)], check=True)


def test_a_process_killed_while_it_writes_leaves_whole_records(opened, folder):
    """kill -9 in the middle of the writing: whatever was acknowledged to the caller is there."""
    program = (
        "import sys; from pathlib import Path; from habitus.publish import Batch; "
        "from habitus_collector.spool import Spool\n"
        f"spool = Spool(Path({str(folder)!r}), 1 << 30)\n"
        "for number in range(10**9):\n"
        "    spool.append(Batch('s', f'b{number}', b'x' * 5000)); print(number, flush=True)\n"
    )
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) as child:
        for line in child.stdout:
            if int(line) >= 2000:
                break
        child.kill()
        said = [int(line) for line in child.stdout.read().split()]
    last = said[-1] if said else 2000
    ids = [one.id for one in drained(opened(limit=1 << 30))]

    assert ids[: last + 1] == [f"b{number}" for number in range(last + 1)]
    assert len(ids) <= last + 3


async def test_what_is_written_is_synced_beside(opened, monkeypatch):
    synced = []
    monkeypatch.setattr(os, "fdatasync", synced.append)
    spool = opened()
    syncing = asyncio.create_task(spool.run())
    fill(spool, [1])
    await asyncio.sleep(1.3)
    fill(spool, [2])
    await asyncio.sleep(2.3)
    syncing.cancel()

    assert len(synced) == 2


def test_a_mark_on_disk_outlives_the_object(tmp_path):
    path = tmp_path / "1.spool"
    segment = Segment(path, new=True)
    for number in range(3):
        segment.append(packed("s", f"b{number}", b"x", 1))
    record = segment.next(lambda *_: None)
    segment.done(record)
    again = Segment(path, new=False)

    assert again.next(lambda *_: None).id == "b1"
    segment.close()
    again.close()


def test_an_age_is_never_negative():
    assert age_s(None) == 0
    assert age_s(2**63) == 0
    assert age_s(1) > 1e9
