# SPDX-License-Identifier: Apache-2.0
"""Which values of a slot are of one kind, so that enough different ones make another one no news.

What varied while it was learned varies on: three settings files beside each other below `/etc/<program>`,
three tenants' folders below `/srv`, three hosts of one namespace. What was the same all along stays the
only one. A value belongs to families; it may be taken for seen when one of them has `needed` members.
Only sets of values count, never how often or in what order they came.

A place where only data lie, or a folder of settings, is known where another such place is: the file trie
shows what is done there (docs/decisions/0032).

Never a family: scratch and hidden places, folders where a new file alone gives power
(`/etc/cron.d`), folders by name that others may write to (`uploads`), top-level folders, and domains
that strangers share.
"""

import re
from functools import lru_cache
from typing import Final, NamedTuple

from habitus_profiler.addresses import is_domain, is_internal, suffix_of
from habitus_profiler.paths import RUN_FROM, SCRATCH, SENSITIVE, extension_of, is_program, place_of, under
from habitus_profiler.words import words


class Family(NamedTuple):
    """`key` names the family within its kind of slot; `needed` different members make it known."""

    key: str
    needed: int


_SEVERAL: Final = 3
_MANY: Final = 4
"""So many keys or secrets of one folder are told apart by nobody: who renews them renews the next."""
_SECRETS: Final = frozenset({"/run/secrets", "/var/run/secrets"})
_PAIR: Final = 2
_KEYS: Final = frozenset({"key", "p12", "jks", "keytab", "kubeconfig"})
POWERFUL: Final = words(
    """
    cron.d cron.daily cron.hourly cron.weekly cron.monthly crontabs ssh pam.d sudoers.d profile.d ld.so.conf.d
    systemd init.d security apt udev modprobe.d modules-load.d kubernetes sysctl.d xdg update-motd.d
    logrotate.d rc.d ld.so.preload
    """
)
_SHARED: Final = frozenset({"/run", "/var/run"})
WRITABLE: Final = words(
    """
    upload uploads uploaded tmp temp public html htdocs wwwroot www webroot static media incoming spool
    download downloads drop shm import imports imported attachments avatars userfiles inbox . .. ~
    """
)
_PLUGINS: Final = ("/nagios/plugins", "/monitoring-plugins")
"""Where checks lie that only look."""
_LOADED: Final = frozenset({"jar", "war", "dll", "wasm"})
_DATA: Final = frozenset({"srv", "opt", "mnt", "media", "data"})
_DOCUMENTS: Final = ("/*.xml", "/*.sql")
_SETTING_FILES: Final = tuple(
    f"/*.{extension}"
    for extension in ("cnf", "conf", "ini", "json", "properties", "toml", "xml", "yaml", "yml")
)
_RUNS: Final = ("jar", "war", "py", "js", "mjs", "cjs", "ts", "rb", "php", "pl", "dll", "exe", "sh")
_LOOSE_TOPS: Final = frozenset({"var", "usr", "home", "root"})
_DEEPEST: Final = 8
_OWN_SCRATCH: Final = 4
_BELOW_ETC: Final = 2
_MODULE: Final = re.compile(r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)+(?::[A-Za-z_]\w*)?\Z")
_CALL: Final = re.compile(r"([A-Z]\w*(?:\.[A-Z]\w*)+)\.[a-z]\w*[!?]?\([\w\s.,:<>]{0,100}\)\Z")
_CLOSED: Final = frozenset({"", "usr", "run", "home", "root", "boot", "lost+found"})
"""Top-level folders below which nothing is an ordinary place for data."""
_OUTSIDE: Final = words("host hostfs rootfs sysroot node etc proc sys root docker")
"""Folders by whose name another machine's files are reached."""
_VAR_LISTS: Final = (["lib"], ["log"], ["backups"], ["cache"])
_SETTINGS: Final = words("conf cfg cnf ini yaml yml toml xml properties sql")
_WORKSPACE: Final = words(
    """
    app apps artifacts assets build cache charts checkpoints cmd conf config configs data db dist dists docs
    e2e envs environments examples fixtures helm infra internal inventory k8s logs manifests migrations out
    output overlays packages pkg playbooks reports roles results runs scripts services spec sql src target
    templates terraform test tests values
    """
)
"""Folders by whose names sources and what is made of them lie."""
_TREES: Final = (
    (
        "workload",
        words(
            """
            crd crds cronjob cronjobs customresourcedefinition daemonset daemonsets deploy deployment
            deployments ds endpoints hpa ingress job jobs pdb pod pods pvc replicaset replicasets service
            services statefulset statefulsets sts svc
            """
        ),
        1,
    ),
    ("branch", words("bugfix chore docs feat feature fix heads hotfix main origin refs release tags"), 1),
    (
        "workspace",
        _WORKSPACE,
        0,
    ),
)
"""Names before a slash that are of one kind: what Kubernetes runs, how branches are called, where sources
lie."""
_PLAIN: Final = {"package": _SEVERAL, "who": _SEVERAL}
"""kind → how many values of it make any other known."""


@lru_cache(maxsize=8192)
def families(kind: str, value: str) -> tuple[Family, ...]:
    """Return the families of a slot's value."""
    if kind == "remote":
        return _domains(value)
    if kind in {"path", "load"} and "/" in value:
        return (*_like(kind, value), *_beside(value), *_below(value))
    if kind in {"load", "entry"}:
        return _modules(value)
    if kind == "command" and "/" not in value:
        extension = extension_of(value)
        return (Family(f"*.{extension}", _PAIR),) if extension else _alike(value, _PAIR)
    if kind == "tree":
        alike = next((Family(name, needed) for name, group, needed in _TREES if value in group), None)
        return (Family("*", _PAIR), *((alike,) if alike else ()))
    return (Family("*", _PLAIN[kind]),) if kind in _PLAIN else ()


def _modules(value: str) -> tuple[Family, ...]:
    """Return the family of one package's modules, or of one module's functions on plain arguments."""
    called = _CALL.match(value)
    if called:
        return (Family(f"{called[1]}.*()", 1),)
    package, dot, _ = value.partition(".")  # of one package, one application's
    return (Family(f"{package}.*", 1),) if dot and _MODULE.match(value) else ()


@lru_cache(maxsize=8192)
def above(kind: str, value: str) -> tuple[str, ...]:
    """Return the values that stand for this one, too: `/srv` for a folder in it, `/reports` for reports.

    For settings it is the code that runs in their folder: who can write there has both.
    """
    if kind == "remote" and is_internal(value):
        return (value.partition(".")[0],)  # a Service by its whole name
    if kind == "path" and value.endswith(_SETTING_FILES) and ordinary(value):
        folder = value.rpartition("/")[0]
        return (*(f"{folder}/*.{extension}" for extension in _RUNS), *_standing_for(kind, value))
    return _standing_for(kind, value)


def _standing_for(kind: str, value: str) -> tuple[str, ...]:
    top = value.split("/")[1] if kind == "path" and value.startswith("/") else ""
    if top in _DATA and "*" not in value and not _is_open(value, value.split("/")[2:]):
        return (f"/{top}",)
    is_document = value.endswith(_DOCUMENTS) and top not in _LOOSE_TOPS and value.count("/") > 1
    return (place_of(value),) if is_document and not _is_open(value, value.split("/")) else ()


@lru_cache(maxsize=8192)
def ordinary(path: str) -> str | None:
    """Return how a path where only data or settings lie may be taken for another such one, else None.

    `data` for the place of data files, the extension for settings in a folder. Programs, system places and
    whatever strangers may write to or read from are never ordinary.
    """
    parts = path.split("/")
    if not path.startswith("/"):
        return _relative(path, parts)
    if "<" in parts[1] or parts[1] in _CLOSED or path.endswith(".sock"):
        return None
    below = (
        parts[2:] if parts[1] == "media" else parts[1:]
    )  # where disks are mounted, and no folder of a site
    if under(path, SENSITIVE) or _is_open(path, below) or not (_OUTSIDE | RUN_FROM).isdisjoint(parts):
        return None
    if parts[1] == "var" and parts[2:3] not in _VAR_LISTS:
        return None
    if "*" not in parts[-1]:
        return "data"
    extension = extension_of(parts[-1])
    return extension if extension in _SETTINGS else None


def holds_data(path: str) -> bool:
    """Say whether a path's class is one where data may lie without being news."""
    if path.startswith("/"):
        return ordinary(path) is not None
    return (
        path[:1] not in {".", "~"}
        and not _is_open(path, path.split("/"))
        and (not is_program(path) or path.partition("/")[0] in _WORKSPACE)
    )


def _relative(path: str, parts: list[str]) -> str | None:
    extension = extension_of(parts[-1])
    if path[:1] in {".", "~"} or _is_open(path, parts) or extension not in _SETTINGS:
        return None
    return "data" if parts[0] in _WORKSPACE else f"relative {extension}"


def _beside(path: str) -> tuple[Family, ...]:
    """Return the family of the files of one extension in one folder."""
    folder, _, name = path.rpartition("/")
    extension = extension_of(name)
    parts = folder.strip("/").split("/")
    sensitive = under(path, SENSITIVE)
    plain = extension or sensitive == "/etc" or folder.endswith(_PLUGINS)
    if not folder.strip("/") or not plain or _is_open(path, [*parts, name]):
        return ()
    if extension in _KEYS or sensitive in _SECRETS:
        return (Family(f"{folder}/*.{extension}", _MANY),) if extension else ()
    if folder.endswith(_PLUGINS):
        return (Family(f"{folder}/*", 1),)
    if folder in _SHARED or folder == sensitive or sensitive not in {None, "/etc"}:
        return ()
    # What holds code is a class by its folder elsewhere, and may be loaded by it.
    needed = 1 if sensitive or extension in _LOADED else _SEVERAL
    return (Family(f"{folder}/*.{extension}" if extension else f"{folder}/*", needed),)


def _like(kind: str, path: str) -> tuple[Family, ...]:
    like = ordinary(path) if kind == "path" else None
    if like:
        return (Family(f"ordinary {like}", int(like != "data")),)
    top, *rest = path.split("/")
    if kind != "path" or not rest or not top or top[:1] in {".", "~"} or _is_open(path, [top, *rest]):
        return ()
    return (Family(f"{top}/**.{extension_of(rest[-1])}", 1),)  # sources of one kind in one tree


def _below(path: str) -> tuple[Family, ...]:
    """Return, for each folder of a path but the uppermost, the family of its like with another name."""
    parts = path.strip("/").split("/")[:_DEEPEST]
    sensitive = under(path, SENSITIVE)
    if not path.startswith("/") or sensitive not in {None, "/etc"} or path.endswith(".sock"):
        return ()
    place = under(path, SCRATCH)
    if place and len(parts) > _OWN_SCRATCH and not _is_open("/", parts[place.count("/") :]):
        # Far below a folder of one's own in it: `/tmp/_argocd-repo/<uuid>/charts/orders/values.yaml`.
        return _varied(parts, place.count("/") + 2, len(parts) - 1)
    if _is_open(path, parts):
        return ()
    last = len(parts) - 1 if "." in parts[-1] else len(parts)
    # `/etc/tls/<who>/tls.crt`: below /etc a folder of a folder may vary, what a program is set up by may not.
    first = _BELOW_ETC if sensitive else 2 if parts[0] in _LOOSE_TOPS else 1
    found = [*_varied(parts, first, last)]
    extension = extension_of(parts[-1])
    if sensitive and last > first and extension and extension not in _KEYS:
        found.append(Family("/".join(("", *parts[: last - 1], "*", f"*.{extension}")), _SEVERAL))
    return tuple(found)


def _varied(parts: list[str], first: int, last: int) -> tuple[Family, ...]:
    return tuple(
        Family("/".join(("", *parts[:at], "*", *parts[at + 1 :])), _SEVERAL) for at in range(first, last)
    )


def _is_open(path: str, parts: list[str]) -> bool:
    """Say whether a path lies where others may write, is hidden, or gives power by being there."""
    hidden = any(part.startswith(".") for part in parts)
    return hidden or under(path, SCRATCH) is not None or not (WRITABLE | POWERFUL).isdisjoint(parts)


def _domains(name: str) -> tuple[Family, ...]:
    """Return the domains above a host that are one owner's: two hosts of the nearest, three of the others.

    Inside a cluster one is enough, up to the namespace, in which bare names lie, too. Buckets, that strangers
    own beside one's own, are akin by all of their parts but one.
    """
    if "." not in name:
        if name in {"any", "loopback"}:
            return ()
        alike = _alike(name)
        return alike if ":" in name else (Family("", 1), *alike)  # a bucket; a name of one's own namespace
    host, slash, _ = name.partition("/")
    if slash and not name.endswith("/24"):
        return (Family(f"{host}/*", _SEVERAL),)  # one of many owners there
    if name.endswith("/24"):
        return (
            Family(f"{name.rsplit('.', 2)[0]}.0.0/16", _SEVERAL),
            Family(f"{name.partition('.')[0]}/8", _PAIR),
        )
    internal = is_internal(name)
    found = [Family(name, 1)] if is_domain(name) else []  # the domain of its hosts
    suffix = suffix_of(name) or (name.partition(".")[2] if internal else None)
    while suffix and suffix.partition(".")[0] not in {"svc", "pod", "cluster"}:
        needed = _SEVERAL if found and not internal else 1
        found.append(Family(suffix, needed))
        suffix = suffix_of(suffix)
    return (*found, *_elsewhere(name), *_alike(name.partition(".")[0])) if internal else tuple(found)


def _elsewhere(name: str) -> tuple[Family, ...]:
    """Return the families of one Service in many namespaces: `db.*.svc`."""
    labels = name.split(".")
    own = next((at for at, label in enumerate(labels) if label in {"svc", "pod"}), len(labels) - 1)
    if own <= 1:
        return ()
    return tuple(Family(".".join((*labels[:at], "*", *labels[at + 1 :])), _SEVERAL) for at in range(1, own))


def _alike(name: str, needed: int = _SEVERAL) -> tuple[Family, ...]:
    member = name.removesuffix("-<number>")
    return (Family(f"{member}-", 1), *_by_parts(name, needed))  # `db` and `db-2`


def _by_parts(name: str, needed: int) -> tuple[Family, ...]:
    parts = name.split("-")[:_DEEPEST]
    if len(parts) == 1:
        return ()
    return tuple(Family("-".join((*parts[:at], "*", *parts[at + 1 :])), needed) for at in range(len(parts)))
