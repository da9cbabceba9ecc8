# SPDX-License-Identifier: Apache-2.0
"""What was spent today, in US dollars and tokens, against the day's budget.

A question reserves what it can cost at most before it is asked, and settles afterwards, so that
many questions at once cannot overrun the budget together. Days are those of UTC.
"""

import json
import logging
import os
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

log = logging.getLogger(__name__)

MILLION: Final = 1_000_000


def _today() -> str:
    return datetime.now(UTC).date().isoformat()


@dataclass(frozen=True)
class Spend:
    """US dollars and tokens."""

    usd: float = 0.0
    tokens: int = 0

    def __add__(self, other: "Spend") -> "Spend":
        return Spend(self.usd + other.usd, self.tokens + other.tokens)

    def __sub__(self, other: "Spend") -> "Spend":
        return Spend(max(self.usd - other.usd, 0.0), max(self.tokens - other.tokens, 0))


def priced(tokens_in: int, tokens_out: int, usd_in: float | None, usd_out: float | None) -> Spend:
    """Return what tokens cost at prices for a million; a price that is not known is none."""
    usd = (tokens_in * (usd_in or 0) + tokens_out * (usd_out or 0)) / MILLION
    return Spend(usd, tokens_in + tokens_out)


class Ledger:
    """The day's book.

    Args:
        usd, tokens: the most that a day may take; None: no limit.
        file: keeps the day's spend over a restart; None: a restart begins at nothing.
    """

    def __init__(
        self,
        usd: float | None = None,
        tokens: int | None = None,
        file: Path | None = None,
        today: Callable[[], str] = _today,
    ) -> None:
        self._most = (usd, tokens)
        self._file = file
        self._today = today
        self._day = today()
        self._spent = self._read()
        self._reserved = Spend()
        self._short = False

    def reserve(self, most: Spend) -> bool:
        """Set aside what a question may cost; False when the day's budget does not hold it."""
        self._turn()
        # What is only set aside may come back: it refuses a question, and does not yet end the day.
        self._short = self._beyond(self._spent + most)
        if self._beyond(self._spent + self._reserved + most):
            return False
        self._reserved += most
        return True

    def _beyond(self, spend: Spend) -> bool:
        usd, tokens = self._most
        return (usd is not None and spend.usd > usd) or (tokens is not None and spend.tokens > tokens)

    def settle(self, reserved: Spend, spent: Spend) -> None:
        """Give back what was set aside and book what was spent."""
        self._turn()
        self._reserved -= reserved
        if spent.tokens:
            self._spent += spent
            self._write()

    @property
    def state(self) -> dict[str, Any]:
        """What `/v1/providers` shows of it; `spent`: what is left did not hold the last question."""
        self._turn()
        usd, tokens = self._most
        limits = {"usd_per_day": usd, "tokens_per_day": tokens}
        state = "spent" if self._short or self._beyond(self._spent + Spend(tokens=1)) else "open"
        return {"day": self._day, **asdict(self._spent), **limits, "state": state}

    def _turn(self) -> None:
        day = self._today()
        if day != self._day:
            self._day, self._spent, self._short = day, Spend(), False

    def _read(self) -> Spend:
        if self._file is None or not self._file.exists():
            return Spend()
        try:
            kept = json.loads(self._file.read_text(encoding="utf-8"))
            if kept["day"] != self._day:
                return Spend()
            return Spend(max(float(kept["usd"]), 0.0), max(int(kept["tokens"]), 0))
        except (OSError, ValueError, KeyError, TypeError) as error:
            log.warning(
                "llm.state %s cannot be read (%s): the day begins anew", self._file, type(error).__name__
            )
            return Spend()

    def _write(self) -> None:
        if self._file is None:
            return
        try:
            beside = self._file.with_suffix(".new")
            beside.write_text(json.dumps({"day": self._day, **asdict(self._spent)}), encoding="utf-8")
            os.replace(beside, self._file)  # noqa: PTH105  # atomic
        except OSError as error:
            log.warning("llm.state %s cannot be written: %s", self._file, type(error).__name__)
