# SPDX-License-Identifier: Apache-2.0
"""Answers `habitus.sinks`: a person lists the sinks, tests one, sends a dead letter again."""

import logging
import time
from typing import Final

import nats.errors
import pydantic
from nats.js.errors import Error as JetStreamError

from habitus import subjects
from habitus.alerts import Alert, Departure, Severity, Where, Who
from habitus.bus import Bus
from habitus.engines import EngineScore
from habitus.languages import Bilingual
from habitus.sinks import SinkFault, SinkReply, SinkRequest
from habitus_scorer.outlets import Outlet

log = logging.getLogger(__name__)

_FAULTS: Final = (nats.errors.Error, JetStreamError, TimeoutError)


class SinksFace:
    """Serves the requests of `habitus sinks`."""

    def __init__(self, bus: Bus, outlets: list[Outlet]) -> None:
        self._bus = bus
        self._outlets = {outlet.name: outlet for outlet in outlets}

    async def answer(self, data: bytes) -> bytes:
        """Return a SinkReply; what goes wrong is said in it."""
        try:
            reply = await self._done(SinkRequest.model_validate_json(data))
        except pydantic.ValidationError:
            reply = SinkReply(error="no request of this version")
        except SinkFault as fault:
            reply = SinkReply(error=str(fault))
        except _FAULTS as error:
            reply = SinkReply(error=f"the broker: {error or type(error).__name__}")
        return reply.model_dump_json().encode()

    async def _done(self, request: SinkRequest) -> SinkReply:
        if request.op == "list":
            return SinkReply(sinks=[await outlet.state() for outlet in self._outlets.values()])
        outlet = self._outlets.get(request.sink)
        if outlet is None:
            known = ", ".join(self._outlets) or "none"
            return SinkReply(error=f"scorer.sinks names no such sink; it names: {known}")
        if request.op == "test":
            await outlet.send_now(sample(time.time_ns()))
        else:
            await self._resend(outlet, request.sequence)
        return SinkReply()

    async def _resend(self, outlet: Outlet, sequence: int) -> None:
        stored = await self._bus.js.get_msg(subjects.PARKED, seq=sequence)
        if stored.subject != subjects.dead_letters(outlet.name):
            raise SinkFault(f"message {sequence} of {subjects.PARKED} is no dead letter of this sink")
        try:
            alert = Alert.model_validate_json(stored.data or b"")
        except pydantic.ValidationError:
            raise SinkFault(f"dead letter {sequence} is of a version that nobody here reads") from None
        await outlet.send_now(alert)
        await outlet.note(alert)
        await self._bus.js.delete_msg(subjects.PARKED, sequence)
        log.info("dead letter %d: sink %s took alert %s", sequence, outlet.name, alert.id)


def sample(now: int) -> Alert:
    """Return an alert that says of itself that it is none; `now` is in nanoseconds since the epoch."""
    text = Bilingual(
        en="This is a test of the sink: nothing happened.", zh="这是一次告警出口测试：没有发生任何异常。"
    )
    container = {"id": "0" * 64, "name": "sample", "image": "habitus-sample:v1"}
    process = {"pid": 1, "exe": "/bin/true", "name": "true", "argv": ["true", "--sample"]}
    event = {"ts": now, "node": "sample", "class": "process", "op": "exec", "container": container}
    return Alert(
        id=f"a-test-{now:x}",
        incident=f"i-test-{now:x}",
        severity=Severity.CRITICAL,  # it passes every filter
        title=Bilingual(en="Test: a sample alert", zh="测试：示例告警"),
        advice=text,
        score=0,
        engines={"rule": EngineScore(points=0, max_points=40)},
        where=Where(node="sample", container="sample", container_id="0" * 64, image="habitus-sample:v1"),
        who=Who(pid=1, uid=0, name="true", exe="/bin/true", argv=["true", "--sample"], lineage=["true"]),
        departures=[
            Departure(
                anomaly_id="sample", event_id="sample", reason="unknown-path", path=["habitus-sample:v1"],
                detail="a sample", score=0,
            )
        ],
        first_seen=now,
        raised=now,
        latency_ms=0,
        events=[{**event, "process": process}],
    )  # fmt: skip
