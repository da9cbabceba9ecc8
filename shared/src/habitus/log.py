# SPDX-License-Identifier: Apache-2.0
"""Log lines that are safe to read: what was observed is escaped before it is written."""

import json
import logging
import sys
from datetime import UTC, datetime
from typing import Literal

from habitus.text import printable


class _Plain(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        when = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        return printable(f"{when} {record.levelname.lower()} {record.name}: {_message(record)}")


class _Json(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        when = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        fields = {
            "ts": when,
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": _message(record),
        }
        return printable(json.dumps(fields, ensure_ascii=False))


def _message(record: logging.LogRecord) -> str:
    message = record.getMessage()
    if record.exc_info and record.exc_info[1] is not None:
        error = record.exc_info[1]
        message += f" ({type(error).__name__}: {error})"
    return message


def set_up(level: Literal["debug", "info", "warning", "error"], *, json_lines: bool = False) -> None:
    """Write every log line of this process to stderr, escaped, one line each."""
    out = logging.StreamHandler(sys.stderr)
    out.setFormatter(_Json() if json_lines else _Plain())
    logging.basicConfig(level=level.upper(), handlers=[out], force=True)
    logging.getLogger("nats").setLevel(logging.CRITICAL)  # the bus reports the same, in one line
    for client in ("httpx", "httpcore"):  # they log addresses and headers, which may be secrets
        logging.getLogger(client).setLevel(logging.WARNING)
