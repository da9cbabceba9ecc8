# SPDX-License-Identifier: Apache-2.0
"""`python -m habitus_scorer`: anomalies in, scores and alerts out."""

import asyncio

from habitus import subjects
from habitus.answering import answering
from habitus.intake import Intake
from habitus.service import Service, serve
from habitus_scorer import delivery
from habitus_scorer.evidence import EvidenceKeeper
from habitus_scorer.guard import Guard
from habitus_scorer.incidents import IncidentBook
from habitus_scorer.line import IN_HAND, Line
from habitus_scorer.outlets import Outlet
from habitus_scorer.panel import Panel
from habitus_scorer.recovery import recover
from habitus_scorer.sinks_face import SinksFace

DURABLE = "scorer"
_ON_THE_WAY_S = 5.0
ABOUT = "scores anomalies by engines, folds them into incidents and raises alerts"


async def run(service: Service) -> None:
    """Score until stopped. A plugin that cannot be used ends the start with one line."""
    settings, bus = service.settings.scorer, service.bus
    # The gateway answers within its own patience; the message may take a little longer.
    panel = Panel.seated(settings, bus.request, {"llm": service.settings.llm.patience_s + _ON_THE_WAY_S})
    book = IncidentBook(settings.cooldown_s, across=settings.fold_across)
    evidence = EvidenceKeeper(bus, settings.alert_at, service.settings.nats.replicas)
    await evidence.open()
    line = Line(bus, panel, book, settings.alert_at, evidence)
    intake = Intake(bus, subjects.ANOMALIES, DURABLE, line.handle, IN_HAND)
    sinks = [Outlet(bus, *each) for each in delivery.seated(settings)]
    await intake.create()
    for sink in sinks:
        await sink.create()
    await recover(bus, DURABLE, book, line)
    also = {subjects.SINKS: SinksFace(bus, sinks).answer}
    guard = Guard(panel).answer
    async with answering(service, ABOUT, subjects.GUARD, guard, also), asyncio.TaskGroup() as group:
        group.create_task(intake.run(service.stop))
        group.create_task(panel.run(service.stop))
        group.create_task(evidence.run(service.stop))
        for sink in sinks:
            group.create_task(sink.run(service.stop))
    line.close()


if __name__ == "__main__":
    serve("scorer", ABOUT, run)
