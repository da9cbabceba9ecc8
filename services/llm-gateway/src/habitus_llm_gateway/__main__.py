# SPDX-License-Identifier: Apache-2.0
"""`python -m habitus_llm_gateway`: answers on NATS and HTTP until it is told to stop."""

import asyncio
from functools import partial
from typing import Final

from habitus import subjects
from habitus.answering import answering
from habitus.garbage import collect_seldom, spare_what_stays
from habitus.http import serving
from habitus.service import ADDRESS, Service, ServiceFault, serve
from habitus_llm_gateway import faces
from habitus_llm_gateway.gateway import Gateway
from habitus_llm_gateway.prompts import PromptFault

ABOUT: Final = "Asks a language model of any provider for one bounded verdict"


async def run(service: Service) -> None:
    """Find the providers, open both faces, wait for the wish to stop."""
    settings = service.settings.llm
    try:
        gateway = Gateway.opened(settings)
    except PromptFault as fault:
        raise ServiceFault(f"prompt {fault}") from None
    client = service.bus.nc

    def ready() -> str | None:
        return None if client.is_connected else "the broker is away"

    collect_seldom()
    preparing = asyncio.create_task(_prepared(gateway))
    try:
        judge = partial(faces.answer, gateway)
        async with (
            serving(faces.application(gateway, ready), settings.host, settings.port, "llm") as address,
            answering(service, ABOUT, subjects.JUDGE, judge, metadata={ADDRESS: address}),
        ):
            await service.stop.wait()
    finally:
        preparing.cancel()
        await gateway.close()


async def _prepared(gateway: Gateway) -> None:
    """Have the libraries loaded, and spare the collector what they brought: a pass over it takes 50 ms."""
    await gateway.prepare()
    spare_what_stays()


if __name__ == "__main__":
    serve("llm-gateway", ABOUT, run)
