# SPDX-License-Identifier: Apache-2.0
"""Types one token of a command line: its kind, its normal text, and the slots in it.

Volatile kinds (number, hex, uuid, timestamp, date, size, duration, version) have their kind for
normal text. All others keep what they say, with the volatile parts inside replaced. Values of
`flag=value`, `KEY=value` and of lists are typed by the same rules.
"""

import re
from collections.abc import Callable
from functools import lru_cache
from typing import Final

from habitus_profiler import urls
from habitus_profiler.addresses import is_full_name, is_name, is_no_host, parsed, port_of, remote_of
from habitus_profiler.blobs import blob_kind, is_base64
from habitus_profiler.flags import attached, is_mild
from habitus_profiler.grades import REMOTE, Token, graded, switched, tells_nothing
from habitus_profiler.paths import classed, is_code, is_program
from habitus_profiler.programs import BUILT_IN
from habitus_profiler.slots import Slot
from habitus_profiler.volatile import is_hex_id, kind_of, softened

MAX_TOKEN: Final = 4096
_SHORT: Final = 200
_MAX_DEPTH: Final = 4
_LAST_PORT: Final = 65535
_WRAPPER: Final = re.compile(
    r"(?:jdbc:\w{1,20}|data|dict|dns|eval|exec|expect|ext|fd|glob|gopher|javascript|ldap|macro|phar|php|pipe|rmi|script|vnd\.sun\.star\.script|zip):+"
)
_FLAG: Final = re.compile(r"-+[^\s=-][^\s=]*")
_KEY: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_.\[\]-]*\+?=")
_EMAIL: Final = re.compile(
    r"([A-Za-z0-9_.-][A-Za-z0-9_.+-]*)@([A-Za-z0-9.-]+|\[[0-9a-fA-F:.]+\])(?::(.*))?\Z", re.DOTALL
)
_PORTED: Final = re.compile(r"(\[[0-9a-fA-F:.%]+\]|[A-Za-z0-9_.-]+):(\d{1,5})\Z")
_AGENTS: Final = ("-agentpath:", "-agentlib:", "-javaagent:")
_EVERY: Final = "0.0.0.0"  # noqa: S104  # the address is read here, not bound to
_PORT_ALONE: Final = re.compile(r":\d{2,5}\Z")
_CIDR: Final = re.compile(r"([0-9a-fA-F.:]+)/(\d{1,3})\Z")
_BLOBS: Final = {"hex": "hex-blob", "jwt": "jwt", "base64": "base64"}
_MODE: Final = re.compile(r"[ugoa]*[+=][rwxXst]*s[rwxXst]*\Z")
_REMOTE_DEVICE: Final = re.compile(r"/dev/(tcp|udp)/([^/]+)(?:/(.*))?\Z")
_READER: Final = re.compile(r"([a-z]{2,12}):\Z")  # `msl:/tmp/x`: what reads the file behind it
_HEAD: Final = re.compile(r"[A-Za-z][\w+-]{0,30}\Z")
_INNER: Final = re.compile(r"(?<=[@:=!(])/\w")
_EASY: Final = re.compile(r"[\w.+/$-]{0,80}@//(?=\w)")
"""What stands before a database's host: `app@//db.shop.svc:1521/SHOP`."""
_KINDS_OF_FILE: Final = frozenset(
    {"dir", "file", "oci", "xml", "html", "json", "lcov", "csv", "text", "term", "junit", "va"}
)
_MINUS: Final = re.compile(r"-\d[\d.:x]*\Z")
"""Less than nothing, or a number to be found: `scale=-2:720`."""
_UNITS: Final = (".service", ".timer")
"""By its bare name a unit is named, and no file."""
_LIST: Final = re.compile(r"[,;]")


def typed(token: str, depth: int = 0) -> Token:
    """Return the kind, normal text and slots of one token. Never raises."""
    return (_remembered if len(token) <= _SHORT else _typed)(token, depth)


def _typed(token: str, depth: int) -> Token:
    if not token:
        return Token("empty", "''")
    if len(token) > MAX_TOKEN:
        return Token("text", softened(token[:MAX_TOKEN]), (Slot("overlong", _rank(len(token))),))
    for kind in _KINDS:
        found = kind(token, depth)
        if found is not None:
            return found
    return Token("text", softened(token))


_remembered: Final = lru_cache(maxsize=8192)(_typed)


def _rank(length: int) -> str:
    return f"over {1 << (length.bit_length() - 1)} characters"


def _volatile(token: str, depth: int) -> Token | None:
    del depth
    kind = kind_of(token)
    return Token(kind, f"<{kind}>") if kind else None


def _within(depth: int) -> Callable[[str], Token]:
    """Return what reads a part of a token that is itself read at `depth`."""
    return lambda part: typed(part, depth)


def _url(token: str, depth: int) -> Token | None:
    found = urls.URL.findall(token)
    if len(found) > 1 and depth < _MAX_DEPTH:
        separator = next((mark for mark in ",;" if mark in token), None)
        if separator:
            return _joined(token, separator, depth)
    return urls.read(token, _within(min(depth + 1, _MAX_DEPTH))) if found else None


def _bracketed(token: str, depth: int) -> Token | None:
    """Read a list in brackets: `[https://a.shop.svc:9200,https://b.shop.svc:9200]`."""
    if depth >= _MAX_DEPTH or token[0] != "[" or token[-1] != "]" or '"' in token:
        return None
    inner = typed(token[1:-1], depth + 1)
    return inner._replace(text=f"[{inner.text}]") if inner.kind in {"list", *REMOTE} else None


def _address(token: str, depth: int) -> Token | None:
    del depth
    if "." not in token and ":" not in token:
        return None
    if _PORT_ALONE.match(token):  # what listens so, listens on every address
        token = f"{_EVERY}{token}"
    host, port = token, None
    ported = _PORTED.match(token)
    if ported:
        host, port = ported[1], int(ported[2])
    elif cidr := _CIDR.match(token):
        host = cidr[1]
    if parsed(host) is None:
        return None
    remote = remote_of(host)
    return Token("ip", f"<{remote}>{port_of(remote, port)}", (Slot("remote", remote),))


def _wrapped(token: str, depth: int) -> Token | None:
    """Read what names its reader first: `jdbc:h2:mem:x`, `data:…`, `ext::sh`."""
    match = _WRAPPER.match(token)
    if match is None or depth >= _MAX_DEPTH or "://" in token:
        return None
    inner = typed(token[match.end() :], depth + 1)
    return Token("url", match[0] + inner.text, (Slot("scheme", match[0].rstrip(":")), *inner.slots))


def _email(token: str, depth: int) -> Token | None:
    match = _EMAIL.match(token)
    if match is None:
        return None
    if match[2].isdigit():
        return None  # an offset or a moment: `s@1770717357000`
    remote = remote_of(match[2])
    tail = match[3]
    if tail is None:
        return Token("email", f"{softened(match[1])}@{remote}", (Slot("remote", remote),))
    inner = typed(tail, depth + 1)
    text = f"{softened(match[1])}@{remote}:{inner.text}"
    return Token("host", text, (Slot("remote", remote), *inner.slots))


def _flag(token: str, depth: int) -> Token | None:
    if token[0] != "-":
        return None
    match = _FLAG.match(token)
    if match is None:
        return Token("flag", token) if token in {"-", "--"} else None
    name, equals, value = token.partition("=")
    if not equals:
        name, value = attached(token)
    elif name.startswith(_AGENTS):  # `-agentpath:/opt/x.so=start` names a place, too
        name, place = attached(name)
        value = f"{place}:{value}"
    name = softened(name)
    slot = Slot("flag", name)
    if not value:
        emptied = equals and is_mild(name, "off")
        nothing = switched(name, "") if equals else ()
        return Token("flag", name + equals, (Slot("tuned", name) if emptied else slot, *nothing))
    amount = value.removeprefix("-") if value[1:2].isdigit() else value
    inner = typed(amount, depth + 1) if depth < _MAX_DEPTH else Token("text", softened(value))
    if inner.kind == "path" and tells_nothing(name, value):
        inner, value = Token("text", inner.text), "route"
    if is_mild(name, graded(inner, value)):
        slot = Slot("tuned", name)
    return Token("flag", f"{name}{equals}{inner.text}", (slot, *switched(name, value), *inner.slots))


def _assignment(token: str, depth: int) -> Token | None:
    match = _KEY.match(token)
    if match is None or depth >= _MAX_DEPTH:
        return None
    if token[match.end() : match.end() + 1] == "=":  # a package and its version, as pip spells it
        name, _, version = token.partition("==")
        return Token("package", f"{softened(name)}=={softened(version)}", (Slot("package", softened(name)),))
    key = softened(match[0][:-1])
    value = token[match.end() :]
    inner = typed(value[1:] if _MINUS.match(value) else value, depth + 1)
    if inner.kind == "path" and tells_nothing(key, value):
        inner, value = Token("text", inner.text), "route"
    mild = is_mild(f"{key}=", graded(inner, value) if value else "off")
    mild = mild or BUILT_IN.issuperset(value.split(","))
    slot = Slot("tuned", f"{key}=") if mild else Slot("variable", key)
    return Token("assignment", f"{key}={inner.text}", (slot, *switched(key, value), *inner.slots))


def _path(token: str, depth: int) -> Token | None:
    remote = _REMOTE_DEVICE.match(token)
    if remote:
        host = remote_of(remote[2])
        slots = (Slot("scheme", f"/dev/{remote[1]}"), Slot("remote", host))
        return Token("path", f"/dev/{remote[1]}/{host}/{softened(remote[3] or '')}", slots)
    if token.startswith(("/", "~")) and ":" in token and depth < _MAX_DEPTH:
        return _joined(token, ":", depth)
    if not token.startswith(("/", "./", "../", "~/", "~")) and token not in {".", ".."} and "/" not in token:
        return None
    if is_base64(token):
        return None
    if _INNER.search(token) and depth < _MAX_DEPTH:
        return _split_path(token, depth)
    found = classed(token)
    return Token("path", found.text, (Slot("path", found.slot),) if found.slot else ())


def _split_path(token: str, depth: int) -> Token:
    """Read `@/etc/passwd` and `name:/etc/passwd`: an absolute path behind something else."""
    match = _INNER.search(token)
    start = match.start() if match else 0
    inner = typed(token[start:], depth + 1)
    reader = _READER.match(token[:start])
    # A file tells by itself where it lies; a report's kind (`--cov-report=xml:/reports/x.xml`) reads nothing.
    reads = reader is not None and reader[1] not in _KINDS_OF_FILE
    slots = (Slot("scheme", reader[1]), *inner.slots) if reader and reads else inner.slots
    return Token("path", softened(token[:start]) + inner.text, slots)


def _host_path(token: str, depth: int) -> Token | None:
    """Read `evil.example/x.sh`: a URL that goes without its scheme."""
    del depth
    host, slash, _ = token.partition("/")
    name = host.partition(":")[0]
    if not slash or not host or not (is_full_name(name) or name == "localhost" or parsed(name)):
        return None
    if is_no_host(token):
        return Token("text", softened(token))
    return urls.schemeless("", token, _within(_MAX_DEPTH))


def _blob(token: str, depth: int) -> Token | None:
    del depth
    kind = blob_kind(token)
    if kind is None:
        return None
    return Token("blob", f"<{_BLOBS[kind]}>", (Slot("blob", kind),))


def _hex(token: str, depth: int) -> Token | None:
    del depth
    return Token("hex", "<hex>") if is_hex_id(token) else None


def _mode(token: str, depth: int) -> Token | None:
    del depth
    return Token("mode", token, (Slot("mode", "setid"),)) if _MODE.match(token) else None


def _host(token: str, depth: int) -> Token | None:
    host, _, rest = token.partition(":")
    if is_program(token) or is_no_host(token):  # `worker.py` is no host in Paraguay
        return None
    ported = _PORTED.match(token)
    is_port = ported and int(ported[2]) <= _LAST_PORT and (len(ported[2]) > 1 or "." in ported[1])
    is_port = is_port and kind_of(host) is None  # `1m:30` lasts so long
    if ported and is_port and is_name(ported[1]) and len(ported[1]) > 1:
        remote = remote_of(ported[1])
        return Token("host", remote + port_of(remote, int(ported[2])), (Slot("remote", remote),))
    if not is_full_name(host) and host != "localhost":
        return None
    remote = remote_of(host)
    if not rest:
        return Token("host", remote, (Slot("remote", remote),))
    inner = typed(rest, depth + 1)
    return Token("host", f"{remote}:{inner.text}", (Slot("remote", remote), *inner.slots))


def _module(token: str, depth: int) -> Token | None:
    """Read `mirror.files.svc::videos/x`: a host and what its rsync server calls a folder."""
    host, colons, rest = token.partition("::")
    if not colons or depth >= _MAX_DEPTH or not (is_full_name(host) or parsed(host)):
        return None
    return Token("host", f"{remote_of(host)}::{softened(rest)}", (Slot("remote", remote_of(host)),))


def _behind_at(token: str, depth: int) -> Token | None:
    match = _EASY.match(token)
    if match is None or depth >= _MAX_DEPTH:
        return None
    return urls.schemeless(match[0], token[match.end() :], _within(_MAX_DEPTH))


def _behind_colon(token: str, depth: int) -> Token | None:
    """Read `remote:203.0.113.9`: a word before a whole address or name."""
    head, colon, tail = token.partition(":")
    if not colon or depth >= _MAX_DEPTH or not _HEAD.match(head):
        return None
    inner = typed(tail, depth + 1)
    return Token("host", f"{softened(head)}:{inner.text}", inner.slots) if inner.kind in REMOTE else None


def _file(token: str, depth: int) -> Token | None:
    """Read a bare file name (`server.js`, `.env`) whose extension says that it holds code."""
    del depth
    if " " in token or not is_code(token) or token.endswith(_UNITS):
        return None
    found = classed(token)
    return Token("path", found.text, (Slot("path", found.slot),) if found.slot else ())


def _several(token: str, depth: int) -> Token | None:
    if len(token) > 1 and token[-1] in ",;" and depth < _MAX_DEPTH:
        inner = typed(token[:-1], depth + 1)
        return inner._replace(text=inner.text + token[-1]) if inner.slots else None
    if depth >= _MAX_DEPTH or not _LIST.search(token.strip(",;")) or " " in token:
        return None
    return _joined(token, "," if "," in token else ";", depth)


def _joined(token: str, separator: str, depth: int) -> Token:
    parts = [typed(part, depth + 1) for part in token.split(separator)]
    slots = tuple(dict.fromkeys(slot for part in parts for slot in part.slots))
    return Token("list", separator.join(part.text for part in parts), slots)


_KINDS: Final = (
    _address, _bracketed, _volatile, _flag, _assignment, _wrapped, _url, _behind_at, _email, _several,
    _module, _host_path, _behind_colon, _path, _hex, _blob, _mode, _host, _file,
)  # fmt: skip
