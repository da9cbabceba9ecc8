# SPDX-License-Identifier: Apache-2.0
"""What is read and written of open files makes no profile larger and no alert louder than the opens do."""

import pytest

from habitus.events import Container, Event, File, Process
from habitus_profiler.convergence import Learning, Rule
from habitus_profiler.judgement import Echo, Limits, Miss
from habitus_profiler.profile import Profile


def did(op, path="/data/a", flags=None, count=None):
    return Event(
        ts=1,
        class_="file",
        op=op,
        container=Container(image="webapp:v1"),
        process=Process(name="java", parent="sh"),
        file=File(path=path, flags=flags, bytes=count),
    )


def learned(*events):
    profile = Profile("webapp:v1", 3, Limits(64, 8, None), Learning(Rule(60, 0, 3)))
    for event in events:
        profile.learn(event)
    return profile


@pytest.mark.parametrize(
    ("opened", "used"),
    [
        (did("open", flags=["read"]), "read"),
        (did("open", flags=["read", "write"]), "read"),
        (did("open", flags=["write"]), "write"),
        (did("create", flags=["write"]), "write"),
        (did("create", flags=["read", "write"]), "read"),
    ],
)
def test_reading_and_writing_what_one_opens_is_no_habit_of_its_own(opened, used):
    profile, alone = learned(opened, did(used, count=8)), learned(opened)

    assert list(profile.file.leaves()) == list(alone.file.leaves())
    assert profile.learning.progress.events == 1
    profile.detect(1)
    assert profile.judge(did(used, count=99)) is None


def test_writing_what_is_only_opened_to_be_read_is_news():
    profile = learned(did("open", flags=["read"]), did("read", count=1))
    profile.detect(1)

    assert isinstance(profile.judge(did("write", count=1)), Miss)


def test_a_descriptor_from_elsewhere_is_a_habit():
    profile = learned(did("read", count=1))
    profile.detect(1)

    assert profile.judge(did("read", count=1)) is None
    assert isinstance(profile.judge(did("read", "/data/b", count=1)), Miss)


def test_an_open_that_is_news_says_it_for_what_is_read_then():
    profile = learned(did("open", flags=["read"]))
    profile.detect(1)

    assert isinstance(profile.judge(did("read", "/etc/shadow", count=9)), Miss)
    assert isinstance(profile.judge(did("open", "/etc/shadow", ["read"])), Miss)
    assert isinstance(profile.judge(did("read", "/etc/shadow", count=9)), Echo)
    assert isinstance(profile.judge(did("read", "/etc/passwd", count=9)), Miss)


def test_who_tells_no_opens_and_no_bytes_is_judged_by_what_it_tells():
    profile = learned(did("create"), did("read"))
    profile.detect(1)

    assert profile.judge(did("read")) is None
    assert isinstance(profile.judge(did("write")), Miss)


def test_the_sums_at_the_close_are_evidence():
    profile = learned(did("close", "/data/b"))
    profile.detect(1)

    assert profile.judge(did("close", "/data/c")) is None
    assert profile.learning.progress.events == 0
