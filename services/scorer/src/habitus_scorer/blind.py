# SPDX-License-Identifier: Apache-2.0
"""Scores a blind interval: events were lost, so there is no deed that rules or a model could judge."""

from typing import Final

from habitus.anomalies import Anomaly
from habitus.engines import EngineScore, Finding
from habitus.languages import Bilingual

REASON: Final = "blind-interval"
NAME: Final = "losses"
"""What the score of it is called among the engines'."""

_POSSIBLE: Final = 100.0
_MEDIUM: Final = 60.0
_HIGH: Final = 80.0
_MANY: Final = 1000
_LONG_NS: Final = 10 * 10**9

_TITLE: Final = Bilingual(
    en="blind interval: events of this image were lost", zh="监测盲区：该镜像的部分事件已丢失"
)
_ADVICE: Final = Bilingual(
    en="What ran in this time was not seen in full, and a flood can be meant to hide something: look at what "
    "the containers of this image did then (their logs, their processes, their network peers). Find out who "
    "floods. If the load is legitimate, give the collector more room: a larger collector.ring_mb, fewer "
    "sensors, more processor time; or a larger collector.spool_mb where the broker was away.",
    zh="该时段内的行为未被完整观测，事件洪泛也可能是为了掩盖攻击：请核查该镜像的容器在此期间的活动（日志、进程、网络对端），"
    "并查明洪泛来源。若属正常负载，请为采集器增加余量：调大 collector.ring_mb、减少传感器或分配更多 CPU；"
    "若因消息服务中断所致，请调大 collector.spool_mb。",
)


def scores_of(anomaly: Anomaly) -> dict[str, EngineScore]:
    """Return the score that raises an alert by itself: medium, or high for many events or a long time."""
    lost = anomaly.event.lost
    much = lost is not None and (sum(lost.counts.values()) >= _MANY or lost.until - lost.since >= _LONG_NS)
    finding = Finding(
        id=REASON, title=_TITLE, detail=anomaly.detail, advice=_ADVICE, level="high" if much else "medium"
    )
    score = EngineScore(points=_HIGH if much else _MEDIUM, max_points=_POSSIBLE, findings=[finding])
    return {NAME: score}
