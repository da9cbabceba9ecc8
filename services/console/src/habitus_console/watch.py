# SPDX-License-Identifier: Apache-2.0
"""`habitus up` and `habitus record`: run the line on this host until told to stop."""

import asyncio
import contextlib
import signal
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from pathlib import Path
from typing import Any, BinaryIO, Final

from nats.aio.msg import Msg

from habitus import subjects, wire
from habitus.alerts import Alert
from habitus.bus import Bus
from habitus.interchange import write_line
from habitus.languages import Language
from habitus.settings import Settings
from habitus_console import nodes, profiles, state
from habitus_console.feed import feed
from habitus_console.progress import Progress
from habitus_console.render import safe
from habitus_console.replay import SERVICES as REPLAY_SERVICES
from habitus_console.stack import SERVICES, STORE, Stack, StackFault
from habitus_console.terminal import err

_RESTART_PAUSE_S: Final = 1.0
_RESTARTS_AT_MOST: Final = 5
_NOBODY_AFTER_S: Final = 3.0
_EMPTY_EVERY_S: Final = 5.0

Show = Callable[[Alert], None]


async def up(
    settings: Settings, *, sample: Path | None, from_kernel: bool, show: Show, language: Language = "en"
) -> None:
    """Start everything and `show` alerts until SIGINT or SIGTERM.

    With `from_kernel` the collector watches this host's containers; else the sample is played.
    """
    stop = _stop_event()
    services = SERVICES if from_kernel else REPLAY_SERVICES
    folder = state.folder(settings)
    broker = settings.nats if "url" in settings.nats.model_fields_set else None
    with state.owned(folder):
        token = settings.console.token
        async with Stack(folder, (*services, STORE), nats=broker, token=token) as stack, stack.bus() as bus:
            _say_started(stack, folder, await _published(stack, bus, folder))
            work = [_show_alerts(bus, show), _keep_alive(stack, bus, folder)]
            work.append(_say_containers(bus, language) if from_kernel else _play_sample(bus, sample))
            await _until(stop, work)
            err.print("stopping …")
    err.print("stopped: every service has ended")


async def record(settings: Settings, file: Path, seconds: float | None) -> int:
    """Write events to `file` until `seconds` passed or a signal came; return how many."""
    stop = _stop_event()
    broker = state.running_broker(settings)
    if broker is not None:
        async with Bus(broker, "record") as bus:
            return await _write_events(bus, file, seconds, stop)
    err.print("no running stack: starting a collector for this recording")
    with tempfile.TemporaryDirectory(prefix="habitus-record-") as folder:
        async with Stack(Path(folder), ("collector",)) as stack, stack.bus() as bus:
            emptying = asyncio.create_task(_empty(bus))
            try:
                return await _write_events(bus, file, seconds, stop)
            finally:
                emptying.cancel()


async def _empty(bus: Bus) -> None:
    """Nobody learns from a recording's own EVENTS: left to fill up, the stream would refuse more."""
    while True:
        await asyncio.sleep(_EMPTY_EVERY_S)
        await bus.js.purge_stream(subjects.EVENTS)


async def new_alerts(bus: Bus) -> AsyncIterator[Alert]:
    """Yield each alert raised from now on, once; later revisions of it are left out."""
    seen: set[str] = set()
    subscription = await bus.nc.subscribe("habitus.alerts.>")
    async for message in subscription.messages:
        alert = Alert.model_validate_json(message.data)
        if alert.id not in seen:
            seen.add(alert.id)
            yield alert


async def tap(
    bus: Bus, out: BinaryIO, failed: Callable[[], None] = lambda: None
) -> Callable[[], Awaitable[int]]:
    """Write every event published from now on to `out`; the returned call ends that and counts them.

    Where `out` takes no more, nothing further is written, `failed` is called, and the end raises the OSError.
    """
    count = 0
    fault: OSError | None = None

    async def write(message: Msg) -> None:
        nonlocal count, fault
        if fault is not None:
            return
        try:
            for event in wire.decode(wire.EventBatch, message.data).events:
                out.write(write_line(event))
                count += 1
            out.flush()
        except OSError as error:
            fault = error
            failed()

    async def end() -> int:
        await subscription.drain()  # type: ignore[no-untyped-call]  # untyped in the client
        if fault is not None:
            raise fault
        return count

    subscription = await bus.nc.subscribe("habitus.events.>", cb=write)
    await bus.nc.flush()
    return end


async def _write_events(bus: Bus, file: Path, seconds: float | None, stop: asyncio.Event) -> int:
    try:
        with contextlib.ExitStack() as files:
            out = sys.stdout.buffer if str(file) == "-" else files.enter_context(file.open("wb"))
            end = await tap(bus, out, stop.set)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), seconds)
            return await end()
    except OSError as fault:
        fault.filename = str(file)  # a write knows none
        raise


async def _show_alerts(bus: Bus, show: Show) -> None:
    async for alert in new_alerts(bus):
        show(alert)


async def _say_containers(bus: Bus, language: Language) -> None:
    """Tell how many containers are watched, whenever that changes, and what troubles their collectors."""
    troubles = nodes.Troubles()
    shown: tuple[int, tuple[str, ...]] | None = None
    started = time.monotonic()
    while True:
        statuses = await nodes.statuses(bus)
        for status in statuses:
            for trouble in troubles.of(status, language):
                err.print(safe(trouble, 300))
        count = sum(status.containers for status in statuses)
        sources = tuple(sorted({source for status in statuses for source in status.sources}))
        settled = bool(count) or time.monotonic() - started > _NOBODY_AFTER_S
        if statuses and settled and (count, sources) != shown:
            shown = (count, sources)
            asked = ", ".join(sources) or "cgroup names alone"
            if count:
                noun = "container" if count == 1 else "containers"
                err.print(safe(f"watching {count} {noun} (named by {asked}); Ctrl-C ends"))
            else:
                err.print(
                    safe(f"no container runs here (asked: {asked}). See it work with: make demo. Ctrl-C ends")
                )
        await asyncio.sleep(0.5)


async def _play_sample(bus: Bus, sample: Path | None) -> None:
    if sample is None or not (sample / "learn.jsonl").is_file():
        raise StackFault(
            "the kernel can't be watched here, and no recorded sample was given (--sample FOLDER)"
        )
    err.print(safe(f"going on with the recorded sample in {sample}"))
    progress = Progress(err)
    # Ids of their own each time, so that a sample played again is not taken for the same events.
    run = f"{time.time_ns():x}"
    with progress.waiting("learning the sample"):
        learned = await feed(bus, sample / "learn.jsonl", f"{run}-learn", err.print, lambda _: None)
        await profiles.converge(bus, learned.last_sequence, freeze=False)
    judged = await feed(bus, sample / "detect.jsonl", f"{run}-detect", err.print, lambda _: None)
    await profiles.synchronise(bus, judged.last_sequence)
    err.print(
        safe(f"sample played: {len(learned.lines)} events learned, {len(judged.lines)} judged; Ctrl-C ends")
    )
    await asyncio.Event().wait()


async def _published(stack: Stack, bus: Bus, folder: Path) -> state.Api:
    api = await stack.api(bus)
    state.publish_address(folder, stack.nats, api)
    return api


async def _keep_alive(stack: Stack, bus: Bus, folder: Path) -> None:
    """Start a service again when it ends by itself; give up when that keeps happening."""
    restarts = 0
    while True:
        child = stack.dead()
        if child is not None:
            restarts += 1
            if restarts > _RESTARTS_AT_MOST or child.name == "nats-server":
                stack.check()
            err.print(safe(f"{child.name} ended ({child.last_words()}); starting it again"))
            await asyncio.sleep(_RESTART_PAUSE_S)
            await stack.restart(child)
            if child.name == STORE:
                # A free port may be another one now; one that ended again is seen by the next turn.
                with contextlib.suppress(StackFault):
                    await _published(stack, bus, folder)
        await asyncio.sleep(0.2)


async def _until(stop: asyncio.Event, work: list[Coroutine[Any, Any, None]]) -> None:
    """Run `work` until `stop`; the first fault among it ends all."""
    tasks = [asyncio.ensure_future(one) for one in (*work, _stopped(stop))]
    done, rest = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    for task in rest:
        task.cancel()
    await asyncio.gather(*rest, return_exceptions=True)
    for task in done:
        task.result()


async def _stopped(stop: asyncio.Event) -> None:
    await stop.wait()


def _say_started(stack: Stack, folder: Path, api: state.Api) -> None:
    names = ", ".join(f"{child.name} ({child.process.pid})" for child in stack.children)
    err.print(safe(f"started {names}"))
    err.print(safe(f"broker {stack.nats.url}; logs in {folder / 'logs'}"))
    err.print(safe(f"API {api.url} (described at /openapi.json); tokens in {folder / 'stack.json'}"))


def _stop_event() -> asyncio.Event:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for signum in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(signum, stop.set)
    return stop
