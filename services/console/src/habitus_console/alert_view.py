# SPDX-License-Identifier: Apache-2.0
"""Shows stored alerts to a person: a table of many, the history of one."""

from collections.abc import Sequence
from typing import Final

from rich.console import Group, RenderableType

from habitus.languages import Bilingual, Language
from habitus_console import render
from habitus_console.listing import Listing
from habitus_console.render import safe, when
from habitus_console.store.records import Entry, Record
from habitus_console.store.states import Act, Status

STATUS: Final = {
    Status.OPEN: Bilingual(en="open", zh="待处理"),
    Status.ACKNOWLEDGED: Bilingual(en="acknowledged", zh="已确认"),
    Status.BENIGN: Bilingual(en="benign", zh="已标为正常"),
}
_ACT: Final = {
    Act.RAISED: Bilingual(en="raised", zh="产生"),
    Act.REVISED: Bilingual(en="revised", zh="更新"),
    Act.ACKNOWLEDGE: Bilingual(en="acknowledged", zh="确认"),
    Act.BENIGN: Bilingual(en="called benign", zh="标为正常"),
    Act.REOPEN: Bilingual(en="reopened", zh="重新打开"),
}
_ID: Final = 18
"""Length of an alert's id: it is what the next command is given."""
_COLUMNS: Final = (
    Bilingual(en="alert", zh="告警"),
    Bilingual(en="state", zh="状态"),
    Bilingual(en="raised", zh="时间"),
    Bilingual(en="title", zh="标题"),
    Bilingual(en="where", zh="位置"),
)
_HISTORY: Final = (
    Bilingual(en="when", zh="时间"),
    Bilingual(en="what", zh="操作"),
    Bilingual(en="who", zh="操作人"),
    Bilingual(en="revision", zh="版本"),
    Bilingual(en="score", zh="评分"),
    Bilingual(en="why", zh="原因"),
)


def table(entries: Sequence[Entry], language: Language) -> RenderableType:
    """Return a line for each alert."""
    rows = []
    for one in entries:
        place = "/".join(part for part in (one.namespace, one.pod, one.container) if part)
        state = STATUS[one.status].in_(language)
        cells = (one.id, state, when(one.raised), one.title.in_(language), f"{place} {one.image}".strip())
        rows.append([safe(cell) for cell in cells])
    return Listing([title.in_(language) for title in _COLUMNS], rows, least=_ID)


def panel(entry: Entry, language: Language) -> RenderableType:
    """Return one alert, whole, with its state."""
    if entry.alert is None:
        raise ValueError("the alert was not asked for whole")
    return render.alert(entry.alert, language, STATUS[entry.status].in_(language))


def whole(record: Record, language: Language) -> RenderableType:
    """Return one alert and, below, who did what, when and why."""
    rows = []
    for each in record.history:
        what = _ACT[each.act].in_(language)
        score = f"{each.score:g} ({each.severity})"
        cells = (when(each.at), what, each.who, each.revision, score)
        rows.append([*map(safe, cells), safe(each.why, 2000)])
    return Group(panel(record, language), Listing([title.in_(language) for title in _HISTORY], rows))
