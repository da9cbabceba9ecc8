# SPDX-License-Identifier: Apache-2.0
"""Writes the documented settings file from the settings themselves, so that the two never differ."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic_core import PydanticUndefined

from habitus.sections import Section
from habitus.settings import PREFIX, Settings

_HEAD = f"""\
# Habitus settings. Every key is optional; what is commented out is the default. The environment wins over
# this file: {PREFIX}<SECTION>_<KEY>, e.g. {PREFIX}PROFILER_WINDOW_S=60; there a list of names
# is written by comma, a table in JSON. Name the file by --settings FILE or by {PREFIX}SETTINGS. A key that
# does not exist stops the start and is named.
"""


def as_toml() -> str:
    """Return the whole settings file with each key's default and meaning."""
    return "\n".join([_HEAD, *(_section(name) for name in Settings.model_fields)])


def _section(name: str) -> str:
    section = Settings.model_fields[name].annotation
    if not (isinstance(section, type) and issubclass(section, Section)):
        raise TypeError(f"settings section {name} is no Section")
    about = " ".join((section.__doc__ or "").split())
    return "\n".join([f"# {about}", f"[{name}]", *_keys(section), ""])


def _keys(section: type[Section]) -> Iterator[str]:
    for key, field in section.model_fields.items():
        if field.description:
            yield f"# {field.description}"
        unset = field.default is PydanticUndefined or field.default is None
        yield f"# {key} =" + ("" if unset else f" {_value(field.default)}")


def _key(key: str) -> str:
    return key if re.fullmatch(r"[A-Za-z0-9_-]+", key) else json.dumps(key, ensure_ascii=False)


def _value(value: Any) -> str:
    if isinstance(value, dict):
        return (
            "{ " + ", ".join(f"{_key(key)} = {_value(item)}" for key, item in value.items()) + " }"
            if value
            else "{}"
        )
    if isinstance(value, list):
        return "[" + ", ".join(map(_value, value)) + "]"
    return json.dumps(str(value) if isinstance(value, Path) else value, ensure_ascii=False)
