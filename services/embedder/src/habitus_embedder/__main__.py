# SPDX-License-Identifier: Apache-2.0
"""`python -m habitus_embedder`: serves one model on NATS and HTTP until it is told to stop."""

from typing import Final

from habitus import subjects
from habitus.answering import answering
from habitus.embedding import EmbeddingModel
from habitus.http import serving
from habitus.plugins import load
from habitus.service import Service, serve
from habitus_embedder import http_face
from habitus_embedder.engine import Engine
from habitus_embedder.nats_face import NatsFace

ABOUT: Final = "Turns texts into vectors with a model chosen by setting"


async def run(service: Service) -> None:
    """Load the model, open both faces, wait for the wish to stop."""
    chosen = service.settings.embedder
    model: EmbeddingModel = load("habitus.models", chosen.model)()
    client = service.bus.nc

    def ready() -> str | None:
        return None if client.is_connected else "the broker is away"

    async with Engine(model, max_batch=chosen.max_batch, queue=chosen.queue, cache=chosen.cache) as engine:
        app = http_face.application(engine, ready)
        face = NatsFace(engine, client)
        async with (
            serving(app, chosen.host, chosen.port, "embedder"),
            answering(service, ABOUT, subjects.EMBED, face.answer),
        ):
            await service.stop.wait()


if __name__ == "__main__":
    serve("embedder", ABOUT, run)
