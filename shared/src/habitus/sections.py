# SPDX-License-Identifier: Apache-2.0
"""What every table of the settings shares."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict
from pydantic_settings import NoDecode


def _listed(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    if value.lstrip().startswith("["):
        return json.loads(value)
    return [part.strip() for part in value.split(",") if part.strip()]


# `a,b` or a JSON list in the environment, a list in the file.
Names = Annotated[list[str], NoDecode, BeforeValidator(_listed)]
Paths = Annotated[list[Path], NoDecode, BeforeValidator(_listed)]


class Section(BaseModel):
    """One table of the file."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def why(error: Mapping[str, Any]) -> str:
    """Return what is wrong, in words for whoever wrote the setting, of one of pydantic's errors."""
    if error["type"] == "extra_forbidden":
        return "no such setting"
    return str(error["msg"]).removeprefix("Value error, ")
