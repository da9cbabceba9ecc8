# SPDX-License-Identifier: Apache-2.0
"""Messages of syslog: RFC 5424 with structured data, and the form that /dev/log takes."""

import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from habitus.alerts import Alert, Severity
from habitus.languages import Language
from habitus_scorer.sinks.text import shown, words_of

FACILITIES: Final = {
    "user": 1, "daemon": 3, "auth": 4, "syslog": 5, "authpriv": 10,
    **{f"local{number}": 16 + number for number in range(8)},
}  # fmt: skip
_SEVERITY: Final = {
    Severity.INFO: 6, Severity.LOW: 5, Severity.MEDIUM: 4, Severity.HIGH: 3, Severity.CRITICAL: 2,
}  # fmt: skip
_SD_ID: Final = "habitus@32473"
"""32473 is the enterprise number that RFC 5612 keeps for examples: the project has none of its own."""

_BOM: Final = b"\xef\xbb\xbf"
_PARAM: Final = 200
_SPACE_FOR_TEXT: Final = 240
_NOT_IN_HEADER: Final = re.compile(r"[^\x21-\x7e]")


@dataclass(frozen=True)
class Sender:
    """What every message says of its sender."""

    facility: int
    hostname: str
    pid: int
    language: Language


def rfc5424(alert: Alert, sender: Sender, most: int) -> bytes:
    """Return one message of at most `most` bytes (480 or more): parameters that do not fit are left out.

    The text is cut at a character; it carries a byte order mark when it is not ASCII (RFC 5424, 6.4).
    """
    when = datetime.fromtimestamp(alert.raised / 1e9, UTC).isoformat(timespec="milliseconds")
    head = " ".join(
        [
            f"<{_priority(alert, sender)}>1",
            when.replace("+00:00", "Z"),
            _header(sender.hostname, 255),
            "habitus",
            str(sender.pid),
            "alert",
        ]
    ).encode()
    data = _structured(alert, sender, most - len(head) - _SPACE_FOR_TEXT)
    text = _text(alert, sender)
    mark = b"" if text.isascii() else _BOM
    start = b"%s %s " % (head, data) + mark
    return start + _cut(text.encode(), most - len(start))


def local_line(alert: Alert, sender: Sender, most: int) -> bytes:
    """Return what the C library's syslog() sends to /dev/log; the parameters follow the text."""
    when = time.strftime("%b %e %H:%M:%S", time.localtime(alert.raised / 1e9))
    fields = " ".join(f'{name}="{_quoted(value)}"' for name, value in _parameters(alert, sender))
    line = f"<{_priority(alert, sender)}>{when} habitus[{sender.pid}]: {_text(alert, sender)} {fields}"
    return _cut(line.encode(), most)


def _priority(alert: Alert, sender: Sender) -> int:
    return 8 * sender.facility + _SEVERITY[alert.severity]


def _header(text: str, most: int) -> str:
    return _NOT_IN_HEADER.sub("_", text)[:most] or "-"


def _structured(alert: Alert, sender: Sender, most: int) -> bytes:
    data = f"[{_SD_ID}".encode()
    for name, value in _parameters(alert, sender):
        one = f' {name}="{_quoted(value)}"'.encode()
        if len(data) + len(one) < most:
            data += one
    return data + b"]"


def _parameters(alert: Alert, sender: Sender) -> Iterator[tuple[str, str]]:
    words = words_of(alert, sender.language)
    given = {
        "alert": alert.id,
        "revision": str(alert.revision),
        "severity": str(alert.severity),
        "score": f"{alert.score:g}",
        **words.labels,
        "techniques": ",".join(alert.techniques),
        "pid": str(alert.who.pid or ""),
        "exe": alert.who.exe or "",
        "command": words.command,
        "lineage": words.lineage,
    }
    yield from ((name, shown(value, _PARAM)) for name, value in given.items() if value)


def _quoted(value: str) -> str:
    return re.sub(r'(["\\\]])', r"\\\1", value)


def _text(alert: Alert, sender: Sender) -> str:
    words = words_of(alert, sender.language)
    return " | ".join(part for part in (words.title, words.place, words.command, words.advice) if part)


def _cut(raw: bytes, most: int) -> bytes:
    if len(raw) <= most:
        return raw
    return raw[: max(0, most)].decode("utf-8", "ignore").encode()
