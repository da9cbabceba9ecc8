# SPDX-License-Identifier: Apache-2.0
"""Request/reply for a service: many requests at once, shared out over its replicas."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Final

import nats.errors
from nats.micro.request import Request
from nats.micro.service import EndpointConfig

from habitus.service import Service

log = logging.getLogger(__name__)

# Takes a request's bytes and returns the reply's; bad input is part of the reply and never raises.
Answer = Callable[[bytes], Awaitable[bytes]]

_LEAVE_S: Final = 1.0
_FINISH_S: Final = 2.0


@contextlib.asynccontextmanager
async def answering(
    service: Service,
    about: str,
    subject: str,
    answer: Answer,
    also: Mapping[str, Answer] | None = None,
    *,
    metadata: dict[str, str] | None = None,
) -> AsyncIterator[None]:
    """Announce `service` and answer `subject`, and the subjects of `also`, while the context lasts.

    `metadata` is part of what a ping is answered with, such as the address of its HTTP face (ADDRESS).
    Replicas share the requests by the queue group `habitus-<name>`. On leaving, no more requests
    are taken and those under way have two seconds to end.
    """
    calls = {each: _Calls(serve) for each, serve in {subject: answer, **(also or {})}.items()}
    endpoints = [
        EndpointConfig(
            name=each.replace(".", "-"),
            subject=each,
            queue_group=f"habitus-{service.name}",
            handler=those.accept,
        )
        for each, those in calls.items()
    ]
    micro = await service.announce(about, *endpoints, metadata=metadata)
    try:
        yield
    finally:
        # A broker that is away must not hold up the end.
        with contextlib.suppress(nats.errors.Error, TimeoutError):
            async with asyncio.timeout(_LEAVE_S):
                await micro.stop()
        await asyncio.gather(*(those.finish() for those in calls.values()))


class _Calls:
    def __init__(self, answer: Answer) -> None:
        self._answer = answer
        self._tasks: set[asyncio.Task[None]] = set()

    async def accept(self, request: Request) -> None:
        # The client awaits a handler before it takes the next message: answer in a task instead.
        task = asyncio.create_task(self._serve(request))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def finish(self) -> None:
        if not self._tasks:
            return
        _, late = await asyncio.wait(self._tasks, timeout=_FINISH_S)
        for task in late:
            task.cancel()

    async def _serve(self, request: Request) -> None:
        try:
            reply = await self._answer(request.data)
        except Exception as error:
            # A fault of ours must not end the service, nor leave the caller waiting.
            log.exception("%s: a request failed", request.subject)
            await _sent(request.respond_error("500", type(error).__name__))
        else:
            await _sent(request.respond(reply))


async def _sent(respond: Awaitable[None]) -> None:
    try:
        await respond
    except (nats.errors.Error, ValueError) as error:
        # ValueError: the message asked for no reply.
        log.debug("a reply was not sent: %s", error)
