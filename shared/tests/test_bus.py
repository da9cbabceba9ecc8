# SPDX-License-Identifier: Apache-2.0
import asyncio
import gc
import subprocess
import sys

import msgspec
import nkeys
import pytest

from habitus import subjects, wire
from habitus.bus import Bus, BusFault
from habitus.events import Event
from habitus.images import partition_of
from habitus.publish import EventPublisher
from habitus.settings import NatsSettings
from habitus_testing import NatsServer, eventually

RECORD = {
    "ts": 1,
    "class": "process",
    "op": "exec",
    "container": {"image": "webapp:v1"},
    "process": {"pid": 1},
}


def event() -> Event:
    return msgspec.convert(RECORD, Event)


async def test_an_unreachable_broker_is_named_in_one_line():
    nowhere = NatsSettings(url="nats://127.0.0.1:1", connect_timeout_s=0.5)
    with pytest.raises(BusFault, match=r"nats://127\.0\.0\.1:1") as fault:
        await Bus(nowhere, "test").connect()
    assert "\n" not in str(fault.value)


@pytest.mark.parametrize("url", ["::not a url::", "http://127.0.0.1:1", "nats://\x1b[31m"])
async def test_a_url_that_is_none_is_named_and_not_rendered_raw(url):
    with pytest.raises(BusFault) as fault:
        await Bus(NatsSettings(url=url, connect_timeout_s=0.5), "test").connect()
    assert str(fault.value).isprintable()


async def test_a_wrong_token_is_refused(nats_server):
    wrong = nats_server.settings.model_copy(update={"token": "wrong", "connect_timeout_s": 1})
    with pytest.raises(BusFault, match=r"(?i)authorization|reset"):
        await Bus(wrong, "test").connect()


async def test_credentials_that_cannot_be_read_are_named_before_any_server_asks(tmp_path):
    nowhere = NatsSettings(credentials=tmp_path / "none.creds")
    with pytest.raises(BusFault, match=r"nats\.credentials .*none\.creds: No such file"):
        await Bus(nowhere, "test").connect()


@pytest.mark.parametrize(
    "text", ["", "-----BEGIN NATS USER JWT-----\nx\n-----BEGIN USER NKEY SEED-----\nSU\n"]
)
async def test_credentials_that_are_none_are_named_when_a_server_asks_for_them(tmp_path, text):
    file = tmp_path / "user.creds"
    file.write_text(text)
    public = nkeys.from_seed(nkeys.encode_seed(bytes(32), nkeys.PREFIX_BYTE_USER)).public_key.decode()
    config = tmp_path / "nkey.conf"
    config.write_text(f"authorization {{ users: [ {{ nkey: {public} }} ] }}\n")
    server = NatsServer(tmp_path, "unused")
    server.start("-c", str(config))
    try:
        asked = server.settings.model_copy(update={"token": None, "credentials": file})
        with pytest.raises(BusFault, match=r"nats\.credentials .*user\.creds: no credentials of NATS"):
            await Bus(asked, "test").connect()
    finally:
        server.stop(kill=True)


async def test_nobody_to_answer_is_a_timeout_that_names_the_subject(bus):
    with pytest.raises(TimeoutError, match=r"habitus\.embed"):
        await bus.request(subjects.EMBED, b"", 1)


async def test_events_are_batched_by_partition_and_stored_once(bus):
    publisher = EventPublisher(bus, "n1", batch_events=4)
    for _ in range(10):
        publisher.add(event())
    assert publisher.pending == 10
    await publisher.flush()
    assert publisher.pending == 0
    partition = partition_of("webapp:v1")
    state = (await bus.js.stream_info(subjects.EVENTS)).state
    assert state.messages == 3
    assert publisher.last_sequence == {partition: state.last_seq}
    reader = await bus.js.pull_subscribe(subjects.events("process", partition), durable="reader")
    batches = [wire.decode(wire.EventBatch, one.data) for one in await reader.fetch(3)]
    ids = [one.id for batch in batches for one in batch.events]
    assert len(set(ids)) == 10
    assert [len(batch.events) for batch in batches] == [4, 4, 2]


async def test_a_publish_waits_for_a_broker_that_comes_back(nats_server, bus):
    publisher = EventPublisher(bus, "n1")
    publisher.add(event())
    nats_server.stop()
    flushing = asyncio.ensure_future(publisher.flush())
    await asyncio.sleep(0.3)
    assert not flushing.done()
    nats_server.start()
    await asyncio.wait_for(flushing, 20)
    assert (await bus.js.stream_info(subjects.EVENTS)).state.messages == 1


async def test_a_refused_message_is_parked_with_the_reason(bus):
    await bus.js.publish(subjects.anomalies(3), b"rubbish")
    reader = await bus.js.pull_subscribe("habitus.anomalies.>", durable="reader")
    (message,) = await reader.fetch(1)
    await bus.park(subjects.ANOMALIES, message, "not msgpack\x1b[0m")
    parked = await bus.js.get_last_msg(subjects.PARKED, subjects.parked(subjects.ANOMALIES))
    assert parked.data == b"rubbish"
    assert parked.headers["Habitus-Why"] == "not msgpack\\x1b[0m"
    assert parked.headers["Habitus-Subject"] == subjects.anomalies(3)


async def test_a_broker_that_goes_before_its_greeting_leaves_no_connection_open(nats_server, bus):
    """What is left open warns when it is collected, and a warning fails the test."""
    tries = asyncio.Queue()

    async def gone(_reader, writer):
        writer.close()
        tries.put_nowait(writer)

    await asyncio.to_thread(nats_server.stop, kill=True)
    async with await asyncio.start_server(gone, "127.0.0.1", nats_server.port):
        for _ in range(3):
            await asyncio.wait_for(tries.get(), 10)
    await asyncio.to_thread(nats_server.start)
    await eventually(lambda: bus.nc.is_connected)
    gc.collect()
    assert (await bus.js.stream_info(subjects.EVENTS)).config.name == subjects.EVENTS


async def test_closing_without_a_broker_is_quiet(nats_server):
    bus = Bus(nats_server.settings, "test")
    await bus.connect()
    nats_server.stop()
    await asyncio.sleep(0.3)
    assert not bus.nc.is_connected
    await bus.nc.publish("habitus.verdicts.n1", b"waits")
    await bus.close()


async def test_a_disk_without_room_for_the_streams_is_said_in_one_line(nats_server):
    nats_server.stop()
    config = nats_server.folder / "small.conf"
    config.write_text("jetstream { max_file_store: 1048576 }")
    nats_server.start("-c", str(config))
    with pytest.raises(BusFault, match=r"stream EVENTS \(1024 MiB\) cannot be made: .*storage"):
        await Bus(nats_server.settings, "test").connect()


async def test_a_stream_that_the_broker_fails_to_make_for_a_moment_is_made_the_next(nats_server, caplog):
    """Something lies where its files were to be; then it is gone."""
    in_the_way = nats_server.folder / "streams/jetstream/$G/streams/EVENTS"
    in_the_way.parent.mkdir(parents=True, exist_ok=True)
    in_the_way.write_text("")
    asyncio.get_running_loop().call_later(0.2, in_the_way.unlink)
    async with Bus(nats_server.settings, "test") as bus:
        assert (await bus.js.stream_info(subjects.EVENTS)).config.name == subjects.EVENTS
    assert "trying again" in caplog.text


@pytest.mark.parametrize(
    ("node", "token"), [("n1", "n1"), ("node-1.local", "node-1_local"), ("a b/*>", "a_b___"), ("", "_")]
)
def test_a_nodes_name_becomes_one_token_of_a_subject(node, token):
    assert subjects.token_of(node) == token
    assert subjects.verdicts(node) == f"habitus.verdicts.{token}"


def test_nats_comes_without_aiohttp_which_can_still_be_had():
    """A service that speaks no WebSockets does not pay 12 MB for a library that another one needs."""
    code = "import sys, habitus.bus; print('aiohttp' in sys.modules, sys.modules.get('aiohttp', 0) is None)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False"]
