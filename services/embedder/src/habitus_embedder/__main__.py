# SPDX-License-Identifier: Apache-2.0
"""`python -m habitus_embedder`: serves one model on NATS and HTTP until it is told to stop."""

import asyncio
import logging
import os
from typing import Final

from habitus import subjects
from habitus.answering import answering
from habitus.embedding import EmbeddingModel
from habitus.http import serving
from habitus.plugins import load
from habitus.service import Service, serve
from habitus.settings import EmbedderSettings
from habitus.text import printable
from habitus_embedder import http_face, placement
from habitus_embedder.engine import Engine
from habitus_embedder.nats_face import NatsFace
from habitus_embedder.shared_cache import SharedCache

ABOUT: Final = "Turns texts into vectors with a model chosen by setting"
log = logging.getLogger("habitus.embedder")


async def run(service: Service) -> None:
    """Load the model, open both faces, wait for the wish to stop."""
    chosen = service.settings.embedder
    if chosen.numa_node is not None:
        placement.stay_on(chosen.numa_node)
    # Gigabytes take a while to read: the wish to stop is heard meanwhile.
    model = await asyncio.to_thread(_loaded, chosen)
    client = service.bus.nc

    def ready() -> str | None:
        return None if client.is_connected else "the broker is away"

    async with Engine(
        model,
        max_batch=chosen.max_batch,
        queue=chosen.queue,
        cache=chosen.cache,
        batch_tokens=chosen.batch_tokens,
        second=await _second(service, model),
    ) as engine:
        app = http_face.application(engine, ready)
        face = NatsFace(engine, client)
        async with (
            serving(app, chosen.host, chosen.port, "embedder"),
            answering(service, ABOUT, subjects.EMBED, face.answer),
        ):
            await service.stop.wait()


def _loaded(chosen: EmbedderSettings) -> EmbeddingModel:
    model: EmbeddingModel = load("habitus.models", chosen.model)(chosen)
    log.info(
        "model %s: %d dimensions, %d tokens, threshold %.2f",
        printable(model.name, 200),
        model.dimension,
        model.max_length,
        model.threshold,
    )
    return model


async def _second(service: Service, model: EmbeddingModel) -> SharedCache | None:
    mebibytes = service.settings.embedder.shared_cache_mb
    if not model.fingerprint or not mebibytes:
        return None
    shared = SharedCache(service.bus, model)
    return shared if await shared.open(mebibytes) else None


if __name__ == "__main__":
    # Tokenising has a thread of its own beside the model's: a pool of its own would fight with it.
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    serve("embedder", ABOUT, run)
