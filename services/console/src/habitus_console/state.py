# SPDX-License-Identifier: Apache-2.0
"""Where `habitus up` keeps its state, and how the other commands find the stack that it runs."""

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from habitus.settings import NatsSettings, Settings

_ADDRESS: Final = "stack.json"


class StateFault(RuntimeError):
    """The state folder cannot be used; the text says why."""


def folder(settings: Settings) -> Path:
    """Return the state folder: the setting, else /var/lib/habitus for root, else XDG_STATE_HOME."""
    if settings.console.state:
        return settings.console.state
    if os.geteuid() == 0:
        return Path("/var/lib/habitus")
    return Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state") / "habitus"


@contextmanager
def owned(path: Path) -> Iterator[None]:
    """Hold the state folder for one `habitus up`.

    Raises:
        StateFault: another one holds it, or it cannot be written.
    """
    try:
        path.mkdir(parents=True, exist_ok=True, mode=0o700)
        lock = (path / "lock").open("w")
    except OSError as error:
        raise StateFault(f"state folder {path}: {error.strerror}; see HABITUS_CONSOLE_STATE") from None
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise StateFault(f"`habitus up` already runs with {path}") from None
        try:
            yield
        finally:
            (path / _ADDRESS).unlink(missing_ok=True)


def publish_address(path: Path, nats: NatsSettings) -> None:
    """Write the broker's address and token for this user's other commands."""
    file = path / _ADDRESS
    file.touch(mode=0o600)
    file.write_text(json.dumps({"url": nats.url, "token": nats.token}))


def running_broker(settings: Settings) -> NatsSettings | None:
    """Return the broker that a setting names, else that of the running `habitus up`, else None."""
    if settings.nats.model_fields_set:
        return settings.nats
    try:
        address = json.loads((folder(settings) / _ADDRESS).read_text())
        return NatsSettings(url=address["url"], token=address["token"], connect_timeout_s=3)
    except (OSError, ValueError, KeyError):
        return None


def broker(settings: Settings) -> NatsSettings:
    """Return the broker to speak to.

    Raises:
        StateFault: none is set and no `habitus up` runs.
    """
    found = running_broker(settings)
    if found is None:
        raise StateFault("no running stack: start one with `habitus up`, or set HABITUS_NATS_URL")
    return found
