# SPDX-License-Identifier: Apache-2.0
"""The bus: NATS with JetStream. Connects, makes sure that the streams stand, parks what is refused."""

import asyncio
import contextlib
import logging
from pathlib import Path
from types import TracebackType
from typing import Any, Final, NamedTuple, Self

import nats
import nats.errors
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.js import JetStreamContext
from nats.js.api import DiscardPolicy, RetentionPolicy, StorageType, StreamConfig
from nats.js.errors import BadRequestError, ServerError
from nats.js.errors import Error as JetStreamError

from habitus import subjects
from habitus.settings import NatsSettings
from habitus.text import printable

log = logging.getLogger(__name__)

_DAY_S: Final = 86_400.0
_MOMENT_S: Final = 0.5
_FOREVER: Final = -1
_CLOSE_S: Final = 3


class BusFault(RuntimeError):
    """The broker cannot be used; the text names it and says what to do, in one line."""


class NobodyServes(TimeoutError):
    """A request whose subject has no responder."""


class _Stream(NamedTuple):
    subjects: str
    retention: RetentionPolicy
    when_full: DiscardPolicy
    mebibytes: int
    days: int


_KEPT: Final = (RetentionPolicy.LIMITS, DiscardPolicy.OLD)
_STREAMS: Final = {
    # Acknowledged events leave; a full stream refuses new ones, so that nothing is lost in silence.
    subjects.EVENTS: _Stream("habitus.events.>", RetentionPolicy.WORK_QUEUE, DiscardPolicy.NEW, 1024, 0),
    subjects.ANOMALIES: _Stream("habitus.anomalies.>", *_KEPT, 256, 7),
    subjects.SCORES: _Stream("habitus.scores.>", *_KEPT, 256, 7),
    subjects.ALERTS: _Stream("habitus.alerts.>", *_KEPT, 256, 90),
    subjects.PARKED: _Stream("habitus.parked.>", *_KEPT, 64, 30),
}


class _Client(Client):
    """A client that leaves no connection behind.

    nats-py 2.16 forgets the one whose server went before its greeting, and lets the collector of
    garbage close it.
    """

    async def _connect_to_server(self, s: Any) -> None:
        if self._transport is not None:
            self._transport.close()  # type: ignore[no-untyped-call]  # nats-py's own
        await super()._connect_to_server(s)


class Bus:
    """One connection. `async with Bus(settings, "profiler") as bus` connects and closes."""

    def __init__(self, settings: NatsSettings, name: str) -> None:
        self._settings = settings
        self._name = name
        self.nc: Client = _Client()
        self.js: JetStreamContext = self.nc.jetstream()

    async def __aenter__(self) -> Self:
        await self.connect()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    async def connect(self) -> None:
        """Connect and make sure that every stream stands.

        Raises:
            BusFault: nothing answers within the setting `nats.connect_timeout_s`, or it refuses us.
        """
        settings = self._settings
        options: dict[str, Any] = {"token": settings.token} if settings.token else {}
        if settings.credentials:
            options["user_credentials"] = _readable(settings.credentials)
        last = "nothing answers"

        async def on_error(error: Exception) -> None:
            nonlocal last
            last = str(error) or type(error).__name__
            if self.nc.is_connected:
                log.warning("bus: %s", last)

        attempt = self.nc.connect(
            servers=settings.url.split(","),
            name=f"habitus-{self._name}",
            allow_reconnect=True,
            max_reconnect_attempts=_FOREVER,
            reconnect_time_wait=0.25,  # type: ignore[arg-type]  # it is slept, and may be a fraction
            error_cb=on_error,
            disconnected_cb=self._on_disconnected,
            reconnected_cb=self._on_reconnected,
            **options,
        )
        try:
            await asyncio.wait_for(attempt, settings.connect_timeout_s)
        except (TimeoutError, nats.errors.Error, OSError, ValueError) as error:
            last = str(error) or last
            await self.close()
            where = printable(settings.url, 200)
            raise BusFault(
                f"no NATS at {where}: {printable(last, 200)}; see HABITUS_NATS_URL, its token and credentials"
            ) from None
        except Exception as error:
            # What a file without a token or with a broken seed raises is of no common kind.
            await self.close()
            if settings.credentials is None:
                raise
            raise BusFault(
                f"nats.credentials {settings.credentials}: no credentials of NATS ({type(error).__name__})"
            ) from None
        self.js = self.nc.jetstream(publish_async_max_pending=512)
        try:
            await self._ensure_streams()
        except BusFault:
            await self.close()
            raise

    async def close(self) -> None:
        """Flush and close, within seconds also when the broker is gone; safe to call twice."""
        if self.nc.is_connected:
            with contextlib.suppress(nats.errors.Error, TimeoutError):
                await self.nc.flush(timeout=2)
        # A client that refused its URL never began and cannot be closed.
        if self.nc.is_connected or self.nc.is_connecting or self.nc.is_reconnecting:
            try:
                async with asyncio.timeout(_CLOSE_S):
                    await self.nc.close()
            except Exception as error:  # noqa: BLE001 - without a broker the client fails in many ways
                log.debug("bus: closing: %s", error or type(error).__name__)

    async def request(self, subject: str, payload: bytes, timeout: float) -> bytes:  # noqa: ASYNC109
        """Send one request and return the reply.

        Raises:
            NobodyServes: a TimeoutError, at once.
            TimeoutError: no answer came in time.
        """
        try:
            reply = await self.nc.request(subject, payload, timeout=timeout)
        except nats.errors.NoRespondersError:
            raise NobodyServes(f"nobody serves {subject}") from None
        except (nats.errors.TimeoutError, TimeoutError):
            raise TimeoutError(f"no answer on {subject} within {timeout:g} s") from None
        except nats.errors.Error as error:
            raise TimeoutError(f"{subject}: {error}") from None
        return reply.data

    async def park(self, stream: str, message: Msg, why: str, once: str = "") -> None:
        """Keep a refused message for a person, say why, and acknowledge the original.

        With `once`, an id, a message that is delivered again is not kept twice.
        """
        headers = {"Habitus-Subject": message.subject, "Habitus-Why": printable(why, 300)}
        if once:
            headers["Nats-Msg-Id"] = once
        await self.js.publish(subjects.parked(stream), message.data, headers=headers)
        await message.ack()
        log.error("parked a message of %s: %s", message.subject, why)

    async def _ensure_streams(self) -> None:
        for name, stream in _STREAMS.items():
            config = StreamConfig(
                name=name,
                subjects=[stream.subjects],
                retention=stream.retention,
                discard=stream.when_full,
                max_bytes=stream.mebibytes << 20,
                max_age=stream.days * _DAY_S,
                storage=StorageType.FILE,
                num_replicas=self._settings.replicas,
                duplicate_window=600,
            )
            try:
                await self._made(config)
            except BadRequestError:
                # A stream that stands with other limits is the operator's choice and stays.
                log.debug("stream %s stands with limits of its own", name)
            except JetStreamError as error:
                why = printable(str(error), 200)
                raise BusFault(f"stream {name} ({stream.mebibytes} MiB) cannot be made: {why}") from None

    async def _made(self, config: StreamConfig) -> None:
        """Make a stream; once more where the broker itself failed, which it may for a moment."""
        try:
            await self.js.add_stream(config)
        except ServerError as error:
            log.warning("stream %s: %s; trying again", config.name, printable(str(error), 200))
            await asyncio.sleep(_MOMENT_S)
            await self.js.add_stream(config)

    async def _on_disconnected(self) -> None:
        if not self.nc.is_closed:
            log.warning("bus: lost the broker; trying again")

    async def _on_reconnected(self) -> None:
        log.info("bus: the broker is back")


def _readable(credentials: Path) -> str:
    # The client reads it only when the server asks, and tells then of a time-out.
    try:
        credentials.open("rb").close()
    except OSError as error:
        raise BusFault(f"nats.credentials {credentials}: {error.strerror}") from None
    return str(credentials)
