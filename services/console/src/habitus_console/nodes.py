# SPDX-License-Identifier: Apache-2.0
"""What running collectors say of their nodes, for a person."""

import time
from collections.abc import Iterator, Mapping
from typing import Final

import nats.errors
from nats.js.errors import Error as JetStreamError
from rich.table import Table

from habitus import subjects
from habitus.bus import Bus
from habitus.languages import Bilingual, Language
from habitus.nodes import NodeStatus
from habitus_console.render import safe

_TITLE: Final = Bilingual(en="Collector of node {node}", zh="节点 {node} 的采集器")
_AGO: Final = Bilingual(en="{seconds:.0f} s ago", zh="{seconds:.0f} 秒前")
_NOTHING: Final = Bilingual(en="nothing", zh="无")
_NAMES: Final = {
    "loader": Bilingual(en="loader", zh="加载器"),
    "kernel": Bilingual(en="kernel", zh="内核"),
    "hooks": Bilingual(en="attached programs", zh="已挂接的程序"),
    "sources": Bilingual(en="containers named by", zh="容器名称来源"),
    "containers": Bilingual(en="containers watched", zh="监视中的容器"),
    "events": Bilingual(en="events sent", zh="已发送事件"),
    "known": Bilingual(en="known, kept in the kernel", zh="已知而留在内核"),
    "cached_images": Bilingual(en="images with known events", zh="有已知事件的镜像"),
    "lost": Bilingual(en="events lost", zh="丢失事件"),
    "queued": Bilingual(en="events in memory", zh="内存中待发事件"),
    "spooled": Bilingual(en="bytes on disk for the broker", zh="磁盘上待发字节"),
    "waiting_s": Bilingual(en="oldest event waits, s", zh="最早的事件已等待（秒）"),
    "ring": Bilingual(en="ring buffer in use", zh="环形缓冲区占用"),
    "updated": Bilingual(en="said", zh="更新于"),
}
_LOST: Final = Bilingual(en="node {node} lost events: {counts}", zh="节点 {node} 丢失事件：{counts}")
_SPOOLED: Final = Bilingual(
    en="node {node}: the broker takes no events, {megabytes:.1f} MB wait on disk",
    zh="节点 {node}：消息服务器不收事件，{megabytes:.1f} MB 在磁盘上等待",
)
_MEGABYTE: Final = 1_000_000


async def statuses(bus: Bus) -> list[NodeStatus]:
    """Return what each collector last said of its node."""
    try:
        bucket = await bus.js.key_value(subjects.NODES)
        entries = [await bucket.get(key) for key in await bucket.keys()]
    except (JetStreamError, nats.errors.Error):
        return []
    return [NodeStatus.model_validate_json(entry.value) for entry in entries if entry.value]


def table(status: NodeStatus, language: Language) -> Table:
    """Return all that one collector says, a row each."""
    title = _TITLE.in_(language).format(node=status.node)
    rows = Table(title=safe(title), title_justify="left", show_header=False)
    for name in NodeStatus.model_fields:
        if name != "node":
            label = _NAMES[name].in_(language) if name in _NAMES else name
            rows.add_row(safe(label), safe(_value(name, getattr(status, name), language)))
    return rows


class Troubles:
    """Says each trouble of a node once, and again when it has grown."""

    def __init__(self) -> None:
        self._lost: dict[str, dict[str, int]] = {}
        self._spooling: set[str] = set()

    def of(self, status: NodeStatus, language: Language) -> Iterator[str]:
        """Yield what is to be said of a status."""
        if status.lost and status.lost != self._lost.get(status.node):
            yield _LOST.in_(language).format(node=status.node, counts=_counts(status.lost))
        self._lost[status.node] = status.lost
        if status.spooled and status.node not in self._spooling:
            megabytes = status.spooled / _MEGABYTE
            yield _SPOOLED.in_(language).format(node=status.node, megabytes=megabytes)
        self._spooling -= {status.node}
        self._spooling |= {status.node} if status.spooled else set()


def _value(name: str, value: object, language: Language) -> str:
    if name == "updated" and isinstance(value, int):
        return _AGO.in_(language).format(seconds=max(0, time.time() - value / 1e9))
    if name == "ring" and isinstance(value, float):
        return f"{value:.1%}"
    if isinstance(value, Mapping):
        return _counts(value) or _NOTHING.in_(language)
    if isinstance(value, list):
        return ", ".join(map(str, value)) or _NOTHING.in_(language)
    return str(value)


def _counts(counts: Mapping[str, object]) -> str:
    return ", ".join(f"{name} {count}" for name, count in sorted(counts.items()))
