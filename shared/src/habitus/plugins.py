# SPDX-License-Identifier: Apache-2.0
"""Plugins by entry point: only the names that a setting lists are imported."""

from importlib.metadata import EntryPoint, entry_points
from typing import Any


class PluginFault(RuntimeError):
    """A plugin that cannot be used; the text names it and says what to do."""


def find(group: str, name: str) -> EntryPoint:
    """Return the entry point `name` of `group` without importing what it points at.

    Raises:
        PluginFault: no such name; those that are installed are listed.
    """
    found = {point.name: point for point in entry_points(group=group)}
    point = found.get(name)
    if point is None:
        known = ", ".join(sorted(found)) or "none"
        raise PluginFault(f"no plugin {name!r} in group {group!r}; installed: {known}")
    return point


def load(group: str, name: str) -> Any:
    """Import and return the object that the entry point `name` of `group` points at.

    Raises:
        PluginFault: no such name, or its import failed (a missing package is named).
    """
    point = find(group, name)
    try:
        return point.load()
    except ImportError as error:
        raise PluginFault(_missing(point, error)) from error
    except Exception as error:
        raise PluginFault(f"plugin {point.name!r} ({point.value}) failed to load: {error}") from error


def names(group: str) -> list[str]:
    """Return the installed names of `group`, sorted, without importing any."""
    return sorted(point.name for point in entry_points(group=group))


def _missing(point: EntryPoint, error: ImportError) -> str:
    package = point.dist.name if point.dist else "its package"
    wanted = f"module {error.name!r}" if error.name else str(error)
    return (
        f"plugin {point.name!r} needs {wanted}, which is not installed; "
        f"install {package} with the extra that carries it, e.g. pip install '{package}[{point.name}]'"
    )
