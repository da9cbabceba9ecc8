# SPDX-License-Identifier: Apache-2.0
"""The settings of the `habitus` command and of the alert store that it speaks to."""

from pathlib import Path
from typing import Literal

from pydantic import Field

from habitus.sections import Section


class ConsoleSettings(Section):
    """What the `habitus` command shows; where alerts are kept and who may ask for them."""

    language: Literal["en", "zh"] | None = Field(default=None, description="None follows the locale")
    state: Path | None = Field(default=None, description="folder of `habitus up`'s own state")
    host: str = Field(default="127.0.0.1", description="HTTP API of the alert store")
    port: int = Field(default=8603, ge=0, le=65535, description="HTTP; 0 takes a free one")
    token: str | None = Field(
        default=None, min_length=16, description="bearer token of the API; `habitus up` makes one itself"
    )
    url: str | None = Field(
        default=None,
        pattern=r"^https?://",
        description="API that `habitus alerts` asks; None: that of the running `habitus up`",
    )
    database: str | None = Field(
        default=None,
        description="postgresql+psycopg://user:password@host/name; None: SQLite in the state folder",
    )
    keep_days: float = Field(default=90, gt=0, le=36_500, description="older alerts are removed")
    keep_alerts: int = Field(default=20_000, ge=1, description="beyond, the oldest are removed")
