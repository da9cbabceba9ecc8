# SPDX-License-Identifier: Apache-2.0
"""Where `habitus up` keeps its state, and how the other commands find the stack that it runs."""

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, NamedTuple

from habitus.settings import NatsSettings, Settings

_ADDRESS: Final = "stack.json"
ROOTS: Final = Path("/var/lib/habitus")
"""State folder of a stack that root started."""


class StateFault(RuntimeError):
    """The state folder cannot be used; the text says why."""


class Api(NamedTuple):
    """Where the alert store's HTTP API is, and the token that it asks for."""

    url: str
    token: str


def folder(settings: Settings) -> Path:
    """Return the state folder: the setting, else /var/lib/habitus for root, else XDG_STATE_HOME."""
    if settings.console.state:
        return settings.console.state
    if os.geteuid() == 0:
        return ROOTS
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


def publish_address(path: Path, nats: NatsSettings, api: Api | None = None) -> None:
    """Write where the broker and the API are, with their tokens, for this user's other commands."""
    file = path / _ADDRESS
    file.touch(mode=0o600)
    told = {"url": nats.url, "token": nats.token}
    file.write_text(json.dumps(told | ({"api": api._asdict()} if api else {})))


def api(settings: Settings) -> Api | None:
    """Return the API that a setting names, else that of the running `habitus up`, else None.

    Raises:
        StateFault: `console.url` is set and `console.token` is not.
    """
    console = settings.console
    if console.url:
        if console.token is None:
            raise StateFault(f"{console.url} asks for a token: set HABITUS_CONSOLE_TOKEN")
        return Api(console.url.rstrip("/"), console.token)
    try:
        running = json.loads((folder(settings) / _ADDRESS).read_text())
        found = Api(running["api"]["url"], running["api"]["token"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
    elsewhere = settings.nats.model_fields_set and settings.nats.url != running["url"]
    return None if elsewhere else found


def running_broker(settings: Settings) -> NatsSettings | None:
    """Return the broker that a setting names, else that of the running `habitus up`, else None."""
    if settings.nats.model_fields_set:
        return settings.nats
    try:
        address = json.loads((folder(settings) / _ADDRESS).read_text())
        return NatsSettings(url=address["url"], token=address["token"], connect_timeout_s=3)
    except (OSError, ValueError, KeyError, TypeError):
        return None


def broker(settings: Settings) -> NatsSettings:
    """Return the broker to speak to.

    Raises:
        StateFault: none is set and no `habitus up` runs.
    """
    found = running_broker(settings)
    if found is None:
        raise StateFault(
            f"no running stack: start one with `habitus up`, or set HABITUS_NATS_URL{_of_root(settings)}"
        )
    return found


def _of_root(settings: Settings) -> str:
    """What another user needs to know: the address of root's stack, with its token, is root's alone."""
    mine = settings.console.state is not None or os.geteuid() == 0
    return "" if mine or not ROOTS.is_dir() else "; one that root started is seen with sudo"
