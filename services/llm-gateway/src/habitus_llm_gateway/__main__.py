# SPDX-License-Identifier: Apache-2.0
"""`python -m habitus_llm_gateway`: answers on NATS and HTTP until it is told to stop."""

from functools import partial
from typing import Final

from habitus import subjects
from habitus.answering import answering
from habitus.http import serving
from habitus.service import Service, serve
from habitus_llm_gateway import faces
from habitus_llm_gateway.gateway import Gateway
from habitus_llm_gateway.providers import chosen

ABOUT: Final = "Asks a language model of any provider for one bounded verdict"


async def run(service: Service) -> None:
    """Find the provider, open both faces, wait for the wish to stop."""
    settings = service.settings.llm
    gateway = Gateway(chosen(settings), settings.timeout_s)
    client = service.bus.nc

    def ready() -> str | None:
        return None if client.is_connected else "the broker is away"

    async with (
        serving(faces.application(gateway, ready), settings.host, settings.port, "llm"),
        answering(service, ABOUT, subjects.JUDGE, partial(faces.answer, gateway)),
    ):
        await service.stop.wait()


if __name__ == "__main__":
    serve("llm-gateway", ABOUT, run)
