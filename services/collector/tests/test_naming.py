# SPDX-License-Identifier: Apache-2.0
"""Runtimes that answer late, not at all, or with a fault."""

import asyncio
import contextlib
import logging

from habitus.events import Container
from habitus_collector import naming as asking
from habitus_collector.discovery import DiscoveryFault, Identity
from habitus_collector.naming import Naming

ID = "a1" * 32
OTHER = Identity(Container(id="b2" * 32, name="db", image="db:v1"))
WEB = Identity(Container(id=ID, name="web", image="webapp:v1"))


class Source:
    """Gives the answers in turn, and the last one for ever."""

    def __init__(self, *answers, name="cri", there=True):
        self.name, self.answers, self.there, self.asked = name, list(answers), there, 0
        self.tells = []

    def present(self):
        return self.there

    async def find(self, container_id):
        del container_id
        self.asked += 1
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def follow(self, tell):
        for identity in self.tells:
            tell(identity)
        await asyncio.Event().wait()

    async def close(self):
        pass


async def test_a_runtime_that_registers_late_still_names():
    source = Source(None, None, WEB)

    assert await Naming([source]).soon(ID) == WEB
    assert source.asked == 3


async def test_any_source_may_answer():
    naming = Naming([Source(None, name="docker"), Source(WEB)])

    assert await naming.soon(ID) == WEB
    assert naming.answered == {"docker", "cri"}


async def test_without_a_socket_nobody_waits():
    source = Source(WEB, there=False)

    assert await Naming([source]).soon(ID) is None
    assert source.asked == 0


async def test_nobody_knows_it_after_about_a_second(monkeypatch):
    monkeypatch.setattr(asking, "_PAUSES_S", (0.001, 0.001))

    assert await Naming([Source(None)]).soon(ID) is None


async def test_a_fault_is_said_once_and_stops_no_other_source(caplog):
    broken = Source(DiscoveryFault("cri: connection refused"), name="docker")
    naming = Naming([broken, Source(None, None, WEB)])

    with caplog.at_level(logging.WARNING):
        assert await naming.soon(ID) == WEB

    assert [record.getMessage() for record in caplog.records] == ["cri: connection refused"]
    assert naming.answered == {"cri"}


async def test_a_restarted_runtime_is_asked_again_later(monkeypatch):
    monkeypatch.setattr(asking, "_LATER_S", 0.001)

    assert await Naming([Source(None, None, None, WEB)]).later(ID) == WEB


@contextlib.asynccontextmanager
async def following(naming):
    task = asyncio.create_task(naming.follow())
    await asyncio.sleep(0.01)
    yield
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_what_a_runtime_told_needs_no_question_also_when_it_is_gone_there():
    source, told = Source(None), []
    source.tells = [OTHER, WEB]
    naming = Naming([source], told.append)

    async with following(naming):
        assert await naming.soon(ID) == WEB

    assert told == [OTHER, WEB]
    assert source.asked == 0
    assert naming.answered == {"cri"}


async def test_what_is_told_while_it_is_asked_for_is_taken_at_once(monkeypatch):
    monkeypatch.setattr(asking, "_PAUSES_S", (60, 60))
    source = Source(None)
    source.tells = [WEB]
    naming = Naming([source])
    waiting = asyncio.create_task(naming.soon(ID))
    await asyncio.sleep(0.01)

    async with following(naming):
        assert await asyncio.wait_for(waiting, 10) == WEB


async def test_only_so_many_containers_are_remembered(monkeypatch):
    monkeypatch.setattr(asking, "REMEMBERED", 1)
    source = Source(None)
    source.tells = [WEB, OTHER]
    monkeypatch.setattr(asking, "_PAUSES_S", ())
    naming = Naming([source])

    async with following(naming):
        assert await naming.soon(ID) is None


async def test_a_last_resort_is_taken_when_no_runtime_knows(monkeypatch):
    monkeypatch.setattr(asking, "_PAUSES_S", (0.001, 0.001))
    less = Identity(Container(id=ID, image="webapp:v1"))
    runtime, files = Source(None, None, None, WEB), Source(less, None, name="bundle")
    files.last_resort = True
    naming = Naming([files, runtime])

    assert await naming.soon(ID) == less
    assert naming.answered == {"cri", "bundle"}
    assert await naming.soon(ID) == WEB
    assert files.asked == 3  # not once the runtime knew


async def test_without_a_socket_a_last_resort_answers_at_once():
    files = Source(WEB, name="bundle")
    files.last_resort = True

    assert await Naming([files, Source(None, there=False)]).soon(ID) == WEB
    assert files.asked == 1
