# SPDX-License-Identifier: Apache-2.0
"""A profile as a readable document: out and in again, it says the same of every event."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from habitus import bills
from habitus.events import File, Network
from habitus.images import partition_of
from habitus_profiler import bill
from habitus_profiler.convergence import Learning, Rule
from habitus_profiler.judgement import Ask, Limits
from habitus_profiler.profile import Profile

LIMITS, RULE = Limits(64, 256, None), Rule(3600, 0, 100)


def days(make, first, last, **more):
    """Ordinary work: new timestamps are no news."""
    return [
        make(argv, **more)
        for stamp in range(1_764_000_000 + first, 1_764_000_000 + last)
        for argv in (
            ["java", "-jar", "/app/app.jar", f"--run-id={stamp}"],
            ["tar", "czf", f"/backup/db-{stamp}.tar.gz", "/data"],
            ["sh", "-c", f"curl -fsS http://api.shop.svc/health?t={stamp} >/dev/null && echo ok"],
        )
    ]


def acted(make, class_, op, **parts):
    event = make(["java"], op=op)
    event.class_ = class_
    event.file, event.network = parts.get("file"), parts.get("network")
    return event


def probes(make):
    """Known work, and things that are not."""
    return [
        *days(make, 70, 72),
        make(["java", "-jar", "/tmp/app.jar"]),
        make(["nc", "-e", "/bin/sh"]),
        make(["java", "xenon", "quux", "zebra"]),
        acted(make, "file", "open", file=File(path="/data/in/x.csv", flags=["read"])),
        acted(make, "file", "open", file=File(path="/data/100%/a b", flags=["read"])),
        acted(make, "file", "open", file=File(path="/", flags=["read"])),
        acted(make, "file", "open", file=File(path="/etc/shadow", flags=["read"])),
        acted(make, "network", "connect", network=peer(5432)),
        acted(make, "network", "connect", network=peer(22)),
        acted(make, "network", "connect", network=Network(protocol="unix", path="/run/db.sock")),
        acted(make, "network", "connect", network=Network(protocol="unix", path="/run/docker.sock")),
    ]


def peer(port):
    return Network(direction="egress", protocol="tcp", remote_ip="10.0.0.9", remote_port=port)


@pytest.fixture
def profile(make, vector_of):
    one = Profile("webapp:v1", 5, LIMITS, Learning(RULE))
    for event in [
        *days(make, 0, 20),
        *(each for at, each in enumerate(probes(make)) if at in {9, 10, 11, 13, 15}),
    ]:
        one.learn(event)
    one.speaks("test")
    for leaf, text in one.pending():
        one.resolve(leaf, text, vector_of(text), 0.65)
    one.detect(1)
    return one


def verdict(profile, event, vector_of):
    said = profile.judge(event)
    if isinstance(said, Ask):
        said = profile.settle(said, vector_of(said.form.text), 0.65)
    return said


def taken_in(document, vector_of):
    found = bill.imported(document, LIMITS, RULE)
    for leaf, texts in found.compared:
        leaf.texts = texts
        leaf.vectors = np.stack([vector_of(text).astype(np.float16) for text in texts])
    return found.profile


def test_out_and_in_again_it_says_the_same_of_every_event(profile, make, vector_of):
    """Also after a way through JSON, and the document stays the same but for its revision."""
    document = bills.unpacked(bills.packed(bill.exported(profile)))
    other = taken_in(document, vector_of)
    events = probes(make)
    said = [verdict(profile, event, vector_of) for event in events]
    assert [verdict(other, event, vector_of) for event in events] == said
    assert any(said)
    assert not all(said)
    again = bill.exported(other)
    document["learned"]["revision"] = again["learned"]["revision"] = 0
    assert again == document
    assert json.loads(json.dumps(again)) == again


@given(st.lists(st.lists(st.text("a/%2F5\n:", max_size=4), min_size=4, max_size=6), max_size=8))
def test_names_with_slashes_and_escapes_come_back_as_they_were(paths):
    """Folding is undone by unfolding, whatever an attacker calls his files."""
    wanted = {tuple(path): 1 for path in paths}
    folded = bill._folded([(list(path), 1) for path in wanted], 2)
    assert {tuple(names): count for names, count in bill._unfolded(folded, 2)} == wanted


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"habitus": "policy"}, "must say `profile`"),
        ({"schema": "2.0"}, "schema '2.0'"),
        ({"state": "asleep"}, "asleep"),
        ({"files": {"java": {"read": {"/etc": "often"}}}}, "int"),
        ({"processes": {"bash": {"java": {}}}}, "slots"),
        ({"learned": 7}, "no profile"),
    ],
)
def test_what_is_no_profile_is_refused_in_one_line(profile, change, said):
    with pytest.raises(bill.BillFault, match=said):
        bill.imported(bill.exported(profile) | change, LIMITS, RULE)


def test_a_packed_document_is_bounded_and_checked():
    assert bills.unpacked(bills.packed({"a": "é"})) == {"a": "é"}
    for wrong in ("", "!", bills.packed([1])):
        with pytest.raises(ValueError, match="not a"):
            bills.unpacked(wrong)


async def test_exported_and_imported_under_another_name_it_judges_there(stack, embedder, make):
    """Through the running service; an existing profile is replaced only when told to."""
    await stack.start()
    await stack.ask("converge", after=await stack.feed(days(make, 0, 20)))
    document = (await stack.ask("export", image_key="webapp:v1")).bill
    other = next(f"other:{n}" for n in range(999) if partition_of(f"other:{n}") == partition_of("webapp:v1"))
    assert (await stack.ask("import", image_key=other, bill=document)).error is None
    again = await stack.ask("import", image_key=other, bill=document)
    assert "has a profile already" in again.error
    odd = make(["nc", "203.0.113.9"], image=other)
    after = await stack.feed([*days(make, 100, 103, image=other), odd])
    await stack.ask("sync", after=after)
    assert [each.event.id for each in await stack.anomalies()] == [odd.id]
    assert (await stack.ask("import", image_key=other, bill=document, replace=True)).error is None
    assert "no profile nobody:1" in (await stack.ask("export", image_key="nobody:1")).error
    assert (await stack.ask("import", image_key="elsewhere:7", bill="x")).error
