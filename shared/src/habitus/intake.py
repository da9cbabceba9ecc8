# SPDX-License-Identifier: Apache-2.0
"""A durable pull consumer that hands each message over the moment it comes.

`fetch` of nats-py waits until its batch is full or its time is over; here pull requests overlap,
so that a single message is handled at once and a flood keeps its full rate.
"""

import asyncio
import contextlib
import json
import logging
import time
from collections.abc import Callable, Coroutine
from typing import Any, Final

import nats.errors
from nats.aio.msg import Msg
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy
from nats.js.errors import Error as JetStreamError

from habitus.bus import Bus

log = logging.getLogger(__name__)

ACK_WAIT_S: Final = 5.0
"""A message that a killed service had in hand comes again after so long."""

_BATCH: Final = 512
_MOST_BYTES: Final = 32 << 20
_EXPIRES_S: Final = 30.0
_HEARTBEAT_S: Final = 3.0
_PAUSE_S: Final = 1.0
_REQUEST_TIMEOUT: Final = "408"
_HEARTBEAT: Final = "100"

Handle = Callable[[Msg], Coroutine[Any, Any, None]]


class Intake:
    """Feeds the messages of one durable consumer to `handle`, at most `in_hand` at a time.

    `handle` runs as a task for each message, started in the order of the stream; it acknowledges.
    No more are asked for while those in hand are large: 32 MiB of them, and a batch beyond.
    """

    def __init__(self, bus: Bus, stream: str, durable: str, handle: Handle, in_hand: int = 512) -> None:
        self._bus = bus
        self._stream = stream
        self._durable = durable
        self._handle = handle
        self._limit = in_hand
        self._batch = max(1, min(in_hand // 4, _BATCH))
        self._bytes = 0
        self._owed = 0  # messages that the server may still send on open pull requests
        self._heard = 0.0
        self._not_before = 0.0
        self._refused = False
        self._deliver = DeliverPolicy.ALL
        self._wake = asyncio.Event()
        self._tasks: dict[asyncio.Task[None], Msg] = {}
        self._inbox = ""

    async def create(self, deliver: DeliverPolicy = DeliverPolicy.ALL) -> None:
        """Make sure that the durable consumer stands; a standing one keeps its place."""
        self._deliver = deliver
        config = ConsumerConfig(
            durable_name=self._durable,
            ack_policy=AckPolicy.EXPLICIT,
            ack_wait=ACK_WAIT_S,
            deliver_policy=deliver,
            max_ack_pending=max(self._limit, 1),
            max_deliver=-1,
        )
        await self._bus.js.add_consumer(self._stream, config)

    async def run(self, stop: asyncio.Event) -> None:
        """Feed until `stop`; then let what is in hand finish for a moment and return."""
        self._inbox = self._bus.nc.new_inbox()
        subscription = await self._bus.nc.subscribe(self._inbox, cb=self._on_message)
        keeper = asyncio.create_task(self._keep())
        stopped = asyncio.create_task(stop.wait())
        try:
            while not stop.is_set():
                await self._ask()
                self._wake.clear()
                waiting = asyncio.create_task(self._wake.wait())
                await asyncio.wait(
                    {waiting, stopped}, timeout=_HEARTBEAT_S, return_when=asyncio.FIRST_COMPLETED
                )
                waiting.cancel()
        finally:
            stopped.cancel()
            with contextlib.suppress(nats.errors.Error):
                await subscription.unsubscribe()
            await self._finish()
            keeper.cancel()

    async def _ask(self) -> None:
        now = time.monotonic()
        if now < self._not_before:
            return
        if self._refused and not await self._created_again():
            return
        if now - self._heard > 2 * _HEARTBEAT_S:
            self._owed = 0  # silence: the request was lost with its connection
        if self._owed > self._batch // 2 or len(self._tasks) + self._owed + self._batch > self._limit:
            return
        if self._bytes > _MOST_BYTES:
            return
        request = {
            "batch": self._batch,
            "expires": int(_EXPIRES_S * 1e9),
            "idle_heartbeat": int(_HEARTBEAT_S * 1e9),
        }
        subject = f"$JS.API.CONSUMER.MSG.NEXT.{self._stream}.{self._durable}"
        with contextlib.suppress(nats.errors.Error):
            await self._bus.nc.publish(subject, json.dumps(request).encode(), reply=self._inbox)
            self._owed += self._batch
            self._heard = now

    async def _created_again(self) -> bool:
        # The consumer may be gone (an operator's hand, a broker that was set up anew).
        try:
            await self.create(self._deliver)
        except (nats.errors.Error, JetStreamError, TimeoutError) as error:
            log.warning("%s: no consumer: %s", self._stream, error or type(error).__name__)
            self._not_before = time.monotonic() + _PAUSE_S
            return False
        self._refused = False
        return True

    async def _on_message(self, message: Msg) -> None:
        self._heard = time.monotonic()
        status = (message.headers or {}).get("Status")
        if status is None:
            self._owed = max(0, self._owed - 1)
            task = asyncio.create_task(self._handle(message))
            self._tasks[task] = message
            self._bytes += len(message.data)
            task.add_done_callback(self._done)
        elif status != _HEARTBEAT:
            self._ended(status, message.headers or {})
        if self._owed <= self._batch // 2:
            self._wake.set()

    def _ended(self, status: str, headers: dict[str, str]) -> None:
        unsent = headers.get("Nats-Pending-Messages", "")
        self._owed = max(0, self._owed - int(unsent)) if unsent.isdigit() else 0
        if status != _REQUEST_TIMEOUT:
            self._refused, self._owed = True, 0
            self._not_before = time.monotonic() + _PAUSE_S
            why = headers.get("Description", status).partition("\n")[0]
            log.warning("%s: pull request ended: %s", self._stream, why or status)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._bytes -= len(self._tasks.pop(task).data)
        self._wake.set()
        if not task.cancelled() and task.exception() is not None:
            # Not acknowledged: the message comes again after ACK_WAIT_S.
            log.error("%s: a message was not handled", self._stream, exc_info=task.exception())

    async def _keep(self) -> None:
        """Tell the server that slow messages are still being worked on."""
        while True:
            await asyncio.sleep(ACK_WAIT_S / 3)
            for at, message in enumerate(list(self._tasks.values())):
                if at % _BATCH == 0:
                    await asyncio.sleep(0)  # ten thousand at a stretch would hold up what arrives
                with contextlib.suppress(nats.errors.Error):
                    await message.in_progress()

    async def _finish(self) -> None:
        if self._tasks:
            _, late = await asyncio.wait(set(self._tasks), timeout=5)
            for task in late:
                task.cancel()
