# SPDX-License-Identifier: Apache-2.0
"""Says of settings that cannot be used where the fault is and what it is, in one line."""

import json
import os
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_settings import NoDecode

from habitus.sections import why


def of_validation(error: ValidationError, source: str | None, prefix: str) -> str:
    """Return the first fault with its key and its origin: a variable, else the file `source`."""
    first = error.errors()[0]
    place = [str(part) for part in first["loc"]]
    # A variable holds a whole key: what lies below it is in its JSON.
    variable = f"{prefix}{'_'.join(place[:2])}".upper()
    given = variable in {name.upper() for name in os.environ}
    origin = f"settings file {source}" if source and not given else f"environment variable {variable}"
    others = error.error_count() - 1
    more = f" (and {others} more)" if others else ""
    return f"{origin}: {'.'.join(place)}: {why(first)}{more}"


def not_json(settings: type[BaseModel], prefix: str) -> str | None:
    """Return which variable should hold JSON and does not, None where all do."""
    keys = _keys_of_json(settings)
    for variable, value in os.environ.items():
        name = variable.lower().removeprefix(prefix.lower())
        if name not in keys or name == variable.lower():
            continue
        key, default = keys[name]
        try:
            json.loads(value)
        except ValueError as error:
            form = '{"name": …}' if isinstance(default, dict) else '[{"name": …}]'
            return f"environment variable {variable}: {key}: JSON like {form} is needed here: {error}"
    return None


def _keys_of_json(settings: type[BaseModel]) -> dict[str, tuple[str, Any]]:
    """Return section_key → (section.key, its default) of what the environment can only say in JSON."""
    found: dict[str, tuple[str, Any]] = {}
    for section, table in settings.model_fields.items():
        found[section] = (section, {})
        for key, field in type(table.default).model_fields.items():
            default = field.get_default(call_default_factory=True)
            if isinstance(default, dict | list) and NoDecode not in field.metadata:
                found[f"{section}_{key}"] = (f"{section}.{key}", default)
    return found
