# SPDX-License-Identifier: Apache-2.0
"""The verdict cache: what is known stays in the kernel, and never for longer than it holds."""

import asyncio

import pytest

from habitus import subjects, wire
from habitus_collector.verdicts import Listener, VerdictCache

WEB, DB = "webapp:v1", "db:16"
TOKENS = [number.to_bytes(16, "big") for number in range(1, 2001)]


class Kernel:
    """The rule of `bpf/lib/known.h`: known under the generation in force."""

    def __init__(self):
        self.revisions: dict[int, int] = {}
        self.entries: dict[bytes, int] = {}
        self.told: list[tuple[int, int]] = []

    def revise(self, profile, revision):
        self.revisions[profile] = revision
        self.told.append((profile, revision))

    def know(self, token, revision):
        self.entries[token] = revision

    def passes(self, number, token):
        revision = self.revisions.get(number, 0)
        return bool(revision) and self.entries.get(token) == revision


class Clock:
    now = 100.0

    def __call__(self):
        return self.now


@pytest.fixture
def kernel():
    return Kernel()


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def numbers():
    return {WEB: 1, DB: 2}


@pytest.fixture
def cache(kernel, clock, numbers):
    return VerdictCache(kernel, lambda key: numbers.get(key, 0), clock)


def revisions(lease_s=10.0, **images):
    return wire.Revisions(
        images={{"web": WEB, "db": DB}[key]: at for key, at in images.items()}, lease_s=lease_s
    )


def verdicts(image, revision, *tokens):
    return wire.Verdicts(image=image, revision=revision, tokens=list(tokens))


async def test_known_events_pass_while_their_revision_is_in_force(cache, kernel):
    cache.revised(revisions(web=7, db=9))
    await cache.known(verdicts(WEB, 7, *TOKENS[:3]))

    assert [kernel.passes(1, token) for token in TOKENS[:4]] == [True, True, True, False]
    assert not kernel.passes(2, TOKENS[0])
    assert cache.images == 2


async def test_a_new_revision_invalidates_all_at_once(cache, kernel):
    cache.revised(revisions(web=7))
    await cache.known(verdicts(WEB, 7, *TOKENS))
    cache.revised(revisions(web=8))

    assert not any(kernel.passes(1, token) for token in TOKENS)
    await cache.known(verdicts(WEB, 7, TOKENS[0]))  # judged by the old one
    assert not kernel.passes(1, TOKENS[0])


async def test_verdicts_before_their_revision_are_not_taken(cache, kernel):
    await cache.known(verdicts(WEB, 7, TOKENS[0]))
    cache.revised(revisions(web=7))

    assert not kernel.passes(1, TOKENS[0])


async def test_a_lower_revision_is_late_and_ignored(cache, kernel):
    cache.revised(revisions(web=8))
    await cache.known(verdicts(WEB, 8, TOKENS[0]))
    cache.revised(revisions(web=7))

    assert kernel.passes(1, TOKENS[0])
    await cache.known(verdicts(WEB, 7, TOKENS[1]))
    assert not kernel.passes(1, TOKENS[1])


async def test_zero_ends_it_and_the_same_number_later_begins_anew(cache, kernel):
    """A profile that was forgotten may come to an old revision with other contents."""
    cache.revised(revisions(web=7))
    await cache.known(verdicts(WEB, 7, TOKENS[0]))
    cache.revised(revisions(web=0))
    assert not kernel.passes(1, TOKENS[0])
    assert cache.images == 0
    cache.revised(revisions(web=3))
    cache.revised(revisions(web=0))
    cache.revised(revisions(web=7))

    assert not kernel.passes(1, TOKENS[0])


async def test_a_lease_that_is_not_renewed_runs_out(cache, kernel, clock):
    cache.revised(revisions(web=7, db=9))
    await cache.known(verdicts(WEB, 7, TOKENS[0]))
    clock.now += 6
    cache.revised(revisions(web=7))
    clock.now += 5
    cache.expire()
    assert kernel.passes(1, TOKENS[0])
    assert kernel.revisions[2] == 0
    clock.now += 6
    cache.expire()
    assert not kernel.passes(1, TOKENS[0])
    cache.revised(revisions(web=7))

    assert not kernel.passes(1, TOKENS[0]), "nobody knows what happened in the gap"


async def test_renewals_cost_the_kernel_nothing(cache, kernel):
    for _ in range(5):
        cache.revised(revisions(web=7))

    assert len(kernel.told) == 1


async def test_an_image_that_comes_later_gets_its_revision_with_the_next_renewal(cache, kernel, numbers):
    del numbers[WEB]
    cache.revised(revisions(web=7))
    await cache.known(verdicts(WEB, 7, TOKENS[0]))
    assert (kernel.told, cache.images) == ([], 0)
    numbers[WEB] = 5
    cache.revised(revisions(web=7))
    await cache.known(verdicts(WEB, 7, TOKENS[0]))

    assert kernel.passes(5, TOKENS[0])


async def test_a_number_that_passed_to_another_image_takes_nothing_along(cache, kernel, numbers, clock):
    cache.revised(revisions(web=7))
    await cache.known(verdicts(WEB, 7, TOKENS[0]))
    del numbers[WEB]
    numbers[DB] = 1
    kernel.revise(1, 0)  # what `Profiles` does before a number is given again
    cache.revised(revisions(db=7))
    assert not kernel.passes(1, TOKENS[0])
    await cache.known(verdicts(DB, 7, TOKENS[1]))
    clock.now += 9
    cache.revised(revisions(db=7))
    clock.now += 2
    cache.expire()  # the lease of the image that had the number before

    assert kernel.passes(1, TOKENS[1])
    assert cache.images == 1


async def test_many_verdicts_let_others_work_and_stop_when_the_revision_goes(cache, kernel):
    cache.revised(revisions(web=7))
    taking = asyncio.create_task(cache.known(verdicts(WEB, 7, *TOKENS)))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    cache.revised(revisions(web=8))
    await taking

    assert 0 < len(kernel.entries) < len(TOKENS)
    assert not any(kernel.passes(1, token) for token in TOKENS)


@pytest.mark.parametrize("lease", [float("nan"), float("inf"), -5.0])
async def test_a_lease_that_is_none_ends_at_once_or_within_a_minute(cache, clock, lease):
    cache.revised(revisions(lease_s=lease, web=7))
    clock.now += 61
    cache.expire()

    assert cache.images == 0


async def test_after_the_end_the_kernel_is_left_alone(cache, kernel):
    cache.revised(revisions(web=7))
    cache.close()
    cache.revised(revisions(web=8, db=3))
    await cache.known(verdicts(WEB, 8, TOKENS[0]))

    assert kernel.told == [(1, 1)]
    assert kernel.entries == {}


async def test_what_profilers_publish_reaches_the_kernel_and_rubbish_is_said_once(
    bus, cache, kernel, clock, caplog
):
    """Another node's verdicts are not even received."""
    listening = asyncio.create_task(Listener(bus, "n.1", cache).run())
    await asyncio.sleep(0.05)
    for subject, payload in (
        (subjects.REVISIONS, b"\xc1"),
        (subjects.verdicts("n.1"), b"rubbish\x1b[0m"),
        (subjects.REVISIONS, wire.encode(revisions(web=7))),
        (subjects.verdicts("n.2"), wire.encode(verdicts(WEB, 7, TOKENS[1]))),
    ):
        await bus.nc.publish(subject, payload)
    await bus.nc.flush()
    await asyncio.sleep(0.05)
    await bus.nc.publish(subjects.verdicts("n.1"), wire.encode(verdicts(WEB, 7, TOKENS[0])))
    await bus.nc.flush()
    await asyncio.sleep(0.1)

    assert kernel.passes(1, TOKENS[0])
    assert not kernel.passes(1, TOKENS[1])
    assert len([record for record in caplog.records if record.name.startswith("habitus_collector")]) == 1
    clock.now += 11
    await asyncio.sleep(0.7)
    assert not kernel.passes(1, TOKENS[0])
    listening.cancel()
