# SPDX-License-Identifier: Apache-2.0
"""What every table of the settings shares."""

from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict
from pydantic_settings import NoDecode


def _listed(value: Any) -> Any:
    return [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value


# `a,b` in the environment, a list in the file.
Names = Annotated[list[str], NoDecode, BeforeValidator(_listed)]


class Section(BaseModel):
    """One table of the file."""

    model_config = ConfigDict(extra="forbid", frozen=True)
