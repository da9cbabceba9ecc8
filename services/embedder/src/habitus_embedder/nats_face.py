# SPDX-License-Identifier: Apache-2.0
"""The embedder on NATS: `habitus.embed`, msgpack EmbedRequest → EmbedReply."""

from typing import Final

from nats.aio.client import Client

from habitus.embedding import EmbedReply, EmbedRequest
from habitus.text import printable
from habitus.wire import WireFault, decode, encode
from habitus_embedder.engine import Engine
from habitus_embedder.faults import EmbedFault, Refused

# What a reply has beside its vectors, rounded up.
_ENVELOPE: Final = 1024


class NatsFace:
    """Answers requests. A request without texts gets the model's name, dimension and threshold.

    The vectors of one reply must fit into the broker's `max_payload`: with NATS's own 1 MiB and
    1024 dimensions that is 255 texts a request. Callers split; a larger request is refused and
    the error names the limit.
    """

    def __init__(self, engine: Engine, client: Client) -> None:
        self._engine = engine
        self._client = client

    async def answer(self, data: bytes) -> bytes:
        """Return the reply to one request; what is wrong with it is the reply's `error`."""
        try:
            reply = await self._embedded(decode(EmbedRequest, data))
        except WireFault as fault:
            reply = EmbedReply(error=printable(str(fault), 300))
        except EmbedFault as fault:
            reply = EmbedReply(error=str(fault), retry_after_ms=fault.retry_after_ms)
        return encode(reply)

    async def _embedded(self, request: EmbedRequest) -> EmbedReply:
        model = self._engine.model
        dimension = request.dimension if 0 < request.dimension < model.dimension else model.dimension
        most = (self._client.max_payload - _ENVELOPE) // (dimension * 4)
        if len(request.texts) > most:
            raise Refused(
                f"{len(request.texts)} texts of {dimension} dimensions exceed the broker's max_payload "
                f"of {self._client.max_payload} bytes; send at most {most} texts a request"
            )
        rows = await self._engine.embed(
            request.texts,
            model=request.model,
            deadline_ms=request.deadline_ms,
            dimension=request.dimension,
        )
        return EmbedReply(
            model=model.name,
            dimension=dimension,
            threshold=model.threshold,
            vectors=b"".join(rows),
        )
