# SPDX-License-Identifier: Apache-2.0
"""What a typed token is, and what it is worth as the value of a flag or variable."""

import re
from typing import Final, NamedTuple

from habitus_profiler.flags import switch_of, value_of
from habitus_profiler.kindred import POWERFUL
from habitus_profiler.naming import Value, names_left_out, names_route, names_scratch
from habitus_profiler.paths import HARMLESS, SCRATCH, is_code, is_sensitive, under
from habitus_profiler.slots import Slot
from habitus_profiler.words import words

REMOTE: Final = frozenset({"ip", "host", "email", "url"})
"""Kinds of tokens that name a remote."""


_COMPOSED: Final = frozenset({"assignment", "flag", "list"})
_TELLING: Final = frozenset({"path", "remote", "tuned"})
"""Kinds of slots that tell by themselves what a list holds."""
_NEAR: Final = frozenset({Slot("remote", "loopback")})
_LONG: Final = 5
_COUNTS: Final = re.compile(r"\A\w[^=]*=-?\d{2,}\Z")
"""A setting that is a number: `retention.ms=86400000`."""
_OF_HOME: Final = frozenset({"etc", "conf", "config", "conf.d"})
_RUN: Final = ("/run/", "/var/run/")
_OPENED: Final = re.compile(r",level,admin|,mode,\d\d[2367]")
"""How HAProxy opens its socket to anybody, or gives away all power by it."""
_KEYS: Final = (".key", ".pem", ".p12", ".jks", ".kubeconfig")
_OF_SETTINGS: Final = ("/etc", "/usr/local/etc")
_OWN_PLACES: Final = ("/run", "/var/run", *_OF_SETTINGS)
_SETTING_FILES: Final = (".conf", ".cfg", ".cnf", ".ini", ".yaml", ".yml", ".toml")
_RUNTIMES: Final = words(
    """
    buildkitd certs containerd crictl crio cron crond crontab ctr docker dockerd letsencrypt nerdctl pki
    podman runc secrets ssh ssl su sudo tls
    """
)
"""Whoever may speak to the sockets of these owns the node; who writes their settings, the machine."""


class Token(NamedTuple):
    """One typed token."""

    kind: str
    text: str
    slots: tuple[Slot, ...] = ()


def graded(token: Token, text: str) -> Value:
    """Return the grade of a flag's value; a mild setting, or a text of several, is as good as a word.

    A host, or a path that lies nowhere that anybody writes, is a slot of its own: it has to be known as well.
    """
    if token.kind in REMOTE:
        return "near" if _NEAR.issuperset(token.slots) else "place"
    if token.kind == "path":
        return _of_path(token, text)
    if not token.slots and (" " in text or text[:1] in {"{", "["}):
        return "setting"  # what it holds is read by itself
    if token.kind in _COMPOSED and token.slots:
        kinds = {slot.kind for slot in token.slots}
        if kinds == {"tuned"} and token.kind != "list":
            return (
                "amount" if _COUNTS.search(text) else "setting"
            )  # also options handed on: `--v8-flags=--max-old-space-size=512`
        if token.kind != "flag":
            return "place" if kinds <= _TELLING else "other"
    return value_of(token.kind, text)


def _of_path(token: Token, text: str) -> Value:
    if text[:1] == ".":
        text = text.removesuffix("/...")
    text = text.removeprefix("file:").replace("/./", "/")
    if text in HARMLESS:
        return "format"
    if not token.slots and (" " in text or text[:1] in {"{", "["}):
        return "setting"
    if under(text, SCRATCH) is None and "/." not in text:
        return "word" if is_code(text) or is_sensitive(text) else "place"
    return value_of(token.kind, text)


def tells_nothing(flag: str, path: str) -> bool:
    """Say whether what a path behind a flag names is no matter: left out, a route, scratch for scratch."""
    if names_left_out(flag):
        return True
    if under(path, SCRATCH):
        return names_scratch(flag) and not is_code(path) and "/." not in path
    return names_route(flag) and not is_sensitive(path)


def is_own(program: str, path: str) -> bool:
    """Say whether a path is a program's own run-time or settings file: `/run/haproxy.sock` for haproxy."""
    path = path.partition(":")[0]  # and a section of it
    if not program or _OPENED.search(path) or "/." in path or path.endswith(_KEYS):
        return False
    return _is_at_home(program, path) or _is_named_after(program, path)


def _is_at_home(program: str, path: str) -> bool:
    """Say whether a file is where only this program looks: `/fluent-bit/etc/parsers.conf`."""
    top, _, rest = path[1:].partition("/")
    if top == program and rest.partition("/")[0] in _OF_HOME:
        return path.endswith(_SETTING_FILES)
    folder, _, name = path.rpartition("/")
    if path.startswith(_RUN):
        return program not in _RUNTIMES and name in {f"{program}.sock", f"{program}.pid"}
    return program == "logrotate" and folder == "/etc/logrotate.d"


def _is_named_after(program: str, path: str) -> bool:
    base = under(path, _OWN_PLACES)
    if base is None:
        return False
    name, slash, _ = path[len(base) + 1 :].partition("/")
    # A program is called as it likes, so `/etc/shadow` is not the own file of `shadow`.
    if not (_RUNTIMES | POWERFUL).isdisjoint({program, name, program.partition("-")[0]}):
        return False
    if base in _OF_SETTINGS and not slash and not name.endswith(_SETTING_FILES):
        return False
    stems = {program, program.removesuffix("d")}
    first = program.partition("-")[0]  # `grafana-server`, `otelcol-contrib`
    stems |= {first} if len(first) >= _LONG else set()
    return name in stems or name.startswith((f"{program}.", f"{program}-", f"{program.removesuffix('d')}."))


def switched(name: str, value: str) -> tuple[Slot, ...]:
    """Return the slot of a value that switches a power on or a protection off."""
    switch = switch_of(name, value)
    return (Slot("switch", switch),) if switch else ()
