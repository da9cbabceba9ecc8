# SPDX-License-Identifier: Apache-2.0
"""Turns HTTP statuses into the gateway's own faults: nothing of a client's text is passed on."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final

from habitus_llm_gateway.providers import Fault, ProviderFault

_BY_STATUS: Final[dict[int, Fault]] = {
    400: "refused the question",
    401: "key refused",
    402: "key refused",
    403: "key refused",
    404: "no such model",
    408: "too slow",
    409: "unavailable",
    413: "refused the question",
    422: "refused the question",
    425: "unavailable",
    429: "rate limited",
}
_SERVER_ERROR: Final = 500
_LONGEST_WAIT_S: Final = 3600


def of_status(status: int, headers: Mapping[str, str]) -> ProviderFault:
    """Return the fault that an HTTP status stands for."""
    other: Fault = "unavailable" if status >= _SERVER_ERROR else "refused the question"
    return ProviderFault(_BY_STATUS.get(status, other), f"HTTP {status}", retry_after(headers))


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Return the seconds that Retry-After-Ms or Retry-After asks for, or None (RFC 9110, 10.2.3)."""
    milliseconds = headers.get("retry-after-ms", "")
    if re.fullmatch(r"\d{1,9}(\.\d{1,9})?", milliseconds):
        return min(float(milliseconds) / 1000, _LONGEST_WAIT_S)
    value = headers.get("retry-after", "")
    if re.fullmatch(r"\d{1,9}(\.\d{1,9})?", value):
        return min(float(value), _LONGEST_WAIT_S)
    try:
        when = parsedate_to_datetime(value)
    except ValueError:
        return None
    if when.tzinfo is None:
        when = when.replace(tzinfo=UTC)
    return min(max((when - datetime.now(UTC)).total_seconds(), 0), _LONGEST_WAIT_S)
