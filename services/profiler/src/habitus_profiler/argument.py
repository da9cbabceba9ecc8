# SPDX-License-Identifier: Apache-2.0
"""What one argument tells by the program it is given to and by the flag before it."""

import re
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Final

from habitus_profiler import loose, shell
from habitus_profiler.addresses import is_inside, parsed, remote_of
from habitus_profiler.flags import is_mild, is_switch, switch_of, switched_on
from habitus_profiler.grades import Token, graded, is_own, tells_nothing
from habitus_profiler.kindred import holds_data
from habitus_profiler.letters import is_known_switch
from habitus_profiler.manuals import BLANK, OFF, Page
from habitus_profiler.naming import Value, names_data, names_left_out, names_look, names_no_peer, names_obeyed
from habitus_profiler.paths import is_program, is_sensitive
from habitus_profiler.programs import (
    ASKING,
    BUILT_IN,
    CODE_FLAGS,
    FETCHERS,
    HOST_FLAGS,
    LOAD_FLAGS,
    LOADERS,
    REACHERS,
    RUNNING,
    SERVERS,
    SHELLS,
    TALKERS,
    TAME,
    WHO_FLAGS,
    WRAPPERS,
    is_shell_flag,
)
from habitus_profiler.slots import Slot
from habitus_profiler.telling import gives, telling
from habitus_profiler.tokens import typed
from habitus_profiler.volatile import softened

_VARIABLE: Final = re.compile(r"[A-Za-z_]\w*\Z")
_HOST_OF_URL: Final = re.compile(r"://(?:[^/@\s]*@)?[^/\s?#,;:]+")
_API: Final = re.compile(r"[a-z]+/v\d{1,2}(?:(?:alpha|beta)\d{1,2})?\Z")
"""A group of Kubernetes' resources: `policy/v1`."""
_TREE: Final = re.compile(r"[A-Za-z][\w-]*\Z")
_NAME: Final = re.compile(r"[A-Za-z][\w-]{0,30}\Z")
_FAR_REACHING: Final = RUNNING | TALKERS | WRAPPERS
_MINUTES: Final = 10
_LONGEST_FLAG: Final = 200
_LONGEST_LOAD: Final = 300
_MEDIA_TYPE: Final = re.compile(
    r"(?:application|audio|font|image|multipart|text|video)/(?:\*|[a-z][\w+-]*(?:\.[\w+-]+){0,4})(?:;.*)?\Z"
)
"""RFC 6838."""
_DOING: Final = frozenset({"-delete", "-exec", "-execdir"})
_ASKED_BY: Final = frozenset({"--command", "--eval", "--exec", "--execute", "-e"})
_ASKED: Final = re.compile(
    r"[a-z]\w*(?:\.[A-Za-z]\w*(?:\(\))?){1,4}\Z|(?:/[\w=./-]+)?:read-(?:attribute|resource|children-names)\([\w=,-]*\)\Z"
)
"""What an expression asks without saying more: `rs.status().ok`, `:read-attribute(name=status)`."""
_AGES: Final = frozenset({"-mtime", "-mmin", "-ctime", "-cmin", "-atime", "-amin"})
_READER: Final = re.compile(r"[a-z]{2,12}:(?!//)\S")
"""What reads the rest of a word: `env:NAME`, `yaml:a::b`."""
_ADDRESS: Final = re.compile(r"(?:[:=@,[(]|\.[a-z]{2,}/)((?:\d{1,3}\.){3}\d{1,3})(?![\w.])")
"""An address within a word: `/shop.example/203.0.113.9`."""
_DOTS: Final = 3
_ONE_LETTER: Final = len("-x")
_INERT: Final = frozenset({"number", "size", "duration", "date", "timestamp"})
_FLAGS: Final = frozenset({"flag", "tuned"})
_ASKING_PORTS: Final = frozenset({"nc", "ncat", "netcat"})
_ASKS_PORT: Final = re.compile(r"-[nvuw46]{0,4}z[nvuw46]{0,4}\Z")
_RANGE: Final = re.compile(r"\d+-\d+\Z")
_PLACES: Final = frozenset({"url", "host", "ip"})
_FAR: Final = frozenset({"flag", "host", "list", "path", "url"})
_PEERS: Final = frozenset({"remote", "scheme"})


def is_mild_flag(program: str, flag: str, behind: str, page: Page = BLANK) -> bool:
    """Say whether a flag can do no harm that the word behind it does not tell (empty: there is none).

    What a page of the program's manual says comes first.

    Letters of programs that run or reach anything say too little to be mild, unless they are known.
    """
    if flag[:1] != "-" or len(flag) > _LONGEST_FLAG or typed(flag).slots != (Slot("flag", softened(flag)),):
        return False
    told = page.is_mild(flag)
    if told is not None:
        return told
    if is_known_switch(program, flag):
        return True
    is_far = program in _FAR_REACHING and flag[:2] != "--" and (len(flag) > _ONE_LETTER or not behind)
    return not is_far and _is_mild_before(program, flag, behind)


def _is_mild_before(program: str, flag: str, behind: str) -> bool:
    value: Value = graded(typed(behind), behind) if behind else "none"
    if is_own(program, behind) or (behind[:1] == "/" and tells_nothing(flag, behind)):
        return is_mild(flag, "format", program) and (flag[:2] != "--" or is_mild(flag, "none", program))
    if flag in HOST_FLAGS and value in {"place", "word"} and not _is_next(behind):
        value = "place"  # a plain word is a host here, and a slot of its own
    if value == "none" or (is_switch(flag) and value not in {"on", "off"}) or _is_next(behind):
        return is_mild(flag, "none", program)
    if _is_built_in(flag, behind):
        return is_mild(flag, "format", program)
    loads = flag in LOAD_FLAGS or flag in LOADERS.get(program, ())
    return not loads and (flag not in HOST_FLAGS or value == "place") and is_mild(flag, value, program)


def own_variable(word: str) -> Token:
    """Read an assignment in shell text: what a script calls its own, in lower case, is nobody else's."""
    token = typed(word)
    name = word.partition("=")[0]
    if not name.islower() or name.endswith("_proxy") or name.startswith("npm_"):
        return token
    return token._replace(slots=tuple(slot for slot in token.slots if slot != Slot("variable", name)))


def is_script(page: Page, name: str, flag: str, word: str) -> bool:
    """Say whether a plain word is what an interpreter runs, though a switch stands before it."""
    if flag in CODE_FLAGS.get(name, ()) or (name in SHELLS and is_shell_flag(flag)):
        return False
    if flag in {"", "-m"} or is_switch(flag) or is_known_switch(name, flag):
        return True
    if flag[:2] != "--" and flag[:2] != flag and flag[:2] in LOADERS.get(name, ()):
        return True  # `-Ilib`: its value is joined to it
    return page.lets(flag) and (is_program(word) or "/bin/" in word)


def loaded(program: str, flag: str, word: str, page: Page = BLANK) -> Iterator[Slot]:
    """Yield a flag's value where it is code, or is run.

    Not SQL, whose verbs are slots, nor what behind one letter (`-r gs://…`) is a place that tells by itself.
    """
    if _is_built_in(flag, word) or page.lets(flag):
        return
    if program in SERVERS and (not flag or is_switch(flag)):
        yield from loose.objects(word)
    is_loader = flag in LOADERS.get(program, ())
    is_loader = is_loader or (flag in LOAD_FLAGS and not is_known_switch(program, flag))
    if is_loader or _is_code(page, flag, word):
        token = typed(word)
        if (flag in _ASKED_BY and _ASKED.match(word) and not telling(word)) or _are_places(token, word):
            return
        tells = len(flag) == _ONE_LETTER and (token.kind in _PLACES or graded(token, word) == "place")
        if " " in word and loose.runs(word):
            # A command line of its own: its words are slots of their own.
            yield Slot("load", loose.runs(word))
        elif token.kind not in _INERT and not tells and not loose.is_sql(word):
            yield Slot("load", token.text[:_LONGEST_LOAD])


def _are_places(token: Token, word: str) -> bool:
    """Say whether a list (of jars) names places only, each of which tells by itself."""
    parts = word.split(":")
    return token.kind == "list" and len(parts) > 1 and all(typed(part).slots for part in parts)


def _is_code(page: Page, flag: str, word: str) -> bool:
    """Say whether the manual calls a value code that nothing else tells of: its words, or its place."""
    if flag not in page.code or " " in word or word in TAME:
        return False
    return not any(slot.kind in {"path", "remote"} for slot in typed(word).slots)


def _is_built_in(flag: str, word: str) -> bool:
    """Say whether a word names no code of one's own: a pool of workers, a switch of Python (`-X dev`)."""
    return word in BUILT_IN or (flag == "-X" and word.isidentifier())


def told(flag: str, word: str, page: Page = BLANK) -> Iterator[Slot]:
    """Yield what the word behind `flag` (or with it, `flag=word`) tells by what it says."""
    name, equals, value = word.partition("=")
    said = value if word[:1] == "-" or (equals and _VARIABLE.match(name)) else word
    given_by = name if equals else flag
    yield from page.acted(flag, word)
    is_name = page.names and word[:1] != "-"  # a package or a target may be called anything
    looks = given_by in page.mild and names_look(given_by)  # `--scanners vuln,secret`
    words = () if is_name or looks or word in page.daily else telling(_beyond_host(said))
    if words and not names_left_out(given_by):
        yield from (Slot("word", found) for found in words)
    yield from (Slot("word", found) for found in switched_on(*((name, value) if equals else (flag, word))))
    switch = switch_of(page.spelt(flag), word) if flag else None
    if switch and not (flag in page.mild and switch.endswith("=on")):
        yield Slot("switch", switch)
    if ":" in said:
        yield from _led(given_by, said)
    if said.count(".") >= _DOTS:
        yield from _addresses(said)
    top, slash, _ = said.partition("/")
    # Spelt as a relative path: a branch's kind, a store's tree.
    if (
        slash
        and _TREE.match(top)
        and not _API.match(said)
        and given_by not in page.data
        and not names_data(given_by)
        and not _MEDIA_TYPE.match(said)
        and said[-4:] != ".pid"
    ):
        yield Slot("tree", softened(top))
    if flag in WHO_FLAGS and _NAME.match(word):
        yield Slot("who", word)
    yield from loose.entries(word)


def _beyond_host(text: str) -> str:
    """Return a text without the host that it is, or that its URL names: that is a slot of its own."""
    if "://" in text:
        return _HOST_OF_URL.sub("://h", text)
    is_host = typed(text).kind in {"host", "ip"} and "/" not in text and "@" not in text
    return f"h:{text.rpartition(':')[2]}" if is_host else text


def _led(flag: str, word: str) -> Iterator[Slot]:
    """Yield what a word before a colon is: a module that runs (`shell:app`), a reader of what is obeyed."""
    head, _, tail = word.partition(":")
    if head in RUNNING and tail.isidentifier():
        yield Slot("command", head)
    if head != "file" and _READER.match(word) and names_obeyed(flag):
        yield Slot("scheme", head)


def _addresses(word: str) -> Iterator[Slot]:
    for found in _ADDRESS.findall(word):
        if parsed(found):
            yield Slot("remote", remote_of(found))


def told_together(before: str, word: str, page: Page = BLANK) -> Iterator[Slot]:
    """Yield what two arguments, or a flag and its value in one, give away together."""
    name, _, value = word.partition("=")
    if word in page.daily or page.lets(before) or page.lets(name):
        return
    switch = (
        switch_of(before, word) if before[:1] != "-" and _VARIABLE.match(before.replace("-", "_")) else None
    )
    if switch:
        yield Slot("switch", switch)
    for found in (gives(before, word), gives(name, value)):
        if found:
            yield Slot("word", found)


def argument(name: str, flag: str, word: str) -> Token:
    """Type an argument; what is only asked about, and where a server answers, is no place of files."""
    token = typed(word)
    if token.kind in _FAR and names_no_peer(word.partition("=")[0] if word[:1] == "-" else flag):
        return token._replace(slots=tuple(slot for slot in token.slots if slot.kind not in _PEERS))
    if word.startswith("unix:") and is_own(name, "/" + word.partition(":")[2].lstrip("/")):
        return token._replace(slots=())
    if token.kind == "flag" and "=/" in word and is_own(name, word.partition("=")[2]):
        return token._replace(slots=tuple(slot for slot in token.slots if slot.kind != "path"))
    if token.kind == "list" and word[:1] == "/" and is_own(name, word):
        return Token("text", token.text)  # a file of its own, and a section of it
    if token.kind != "path":
        return token
    is_asked = name in ASKING and not is_sensitive(word)
    return Token("text", token.text) if is_asked or tells_nothing(flag, word) or is_own(name, word) else token


def by_page(page: Page, flag: str, word: str, token: Token) -> Token:
    """Return a token as the manual has it: flags by one spelling, mild ones as such, data no places."""
    if page is BLANK:
        return token
    if page.names and token.kind == "path" and word.startswith("//"):
        return Token("text", token.text)  # a target: `//services/shop:image`
    name, equals, value = word.partition("=")
    name = softened(name) if word[:1] == "-" or equals else ""
    joined = page.flag_in(word) if word[:1] == "-" and len(word) > _ONE_LETTER else name
    if joined != name and page.lets(joined) and {slot.kind for slot in token.slots} <= _FLAGS:
        return token._replace(slots=(Slot("tuned", page.spelt(joined)),))
    given_by = name or flag
    slots = []
    for slot in token.slots:
        if slot.kind in _FLAGS and slot.value == name:
            is_grave = name in page.grave and value not in TAME and value.lower() not in OFF
            kind = "tuned" if page.is_mild(name) or value in TAME else slot.kind
            slots.append(Slot("flag" if is_grave else kind, page.spelt(name)))
        elif slot == Slot("variable", name) and page.lets(name):
            slots.append(Slot("tuned", f"{name}="))  # a setting behind `-o` or `-c`
        elif not _is_let(page, given_by, slot):
            slots.append(slot)
    return token._replace(slots=tuple(slots))


def _is_let(page: Page, flag: str, slot: Slot) -> bool:
    if slot.kind == "switch":  # a power that the manual calls harmless; not a protection that is off
        return flag in page.mild and slot.value.endswith("=on")
    return slot.kind == "path" and flag in page.data and holds_data(slot.value)


def tidies(program: str, words: Sequence[str], at: int) -> bool:
    """Say whether `find` deletes by it only what is empty, dangling or old, or packs what is found."""
    if program != "find" or words[at] not in _DOING:
        return False
    if words[at] != "-delete":
        return at + 1 < len(words) and words[at + 1] in TAME
    if "-empty" in words or "-xtype" in words:
        return True
    return any(flag in _AGES and _is_old(flag, age) for flag, age in pairwise(words))


def _is_old(flag: str, age: str) -> bool:
    """Say whether `find` means by an age (`+7`) what nobody works on any more."""
    least = _MINUTES if flag.endswith("min") else 0
    return age[:1] == "+" and age[1:].isdigit() and int(age[1:]) >= least


def _is_next(word: str) -> bool:
    """Say whether a word is no value of the flag before it, but a flag or a redirection."""
    return word in shell.REDIRECTS or (word[:1] == "-" and " " not in word and typed(word).kind != "number")


def asks_near(name: str, words: Sequence[str]) -> bool:
    """Say whether a command speaks to this machine only, or fetches from hosts inside only."""
    remotes = _remotes(words)
    if name in FETCHERS and remotes:
        return all(remote == "loopback" or is_inside(remote) for remote in remotes)
    return name in TALKERS and list(remotes) == ["loopback"]


def reached(name: str, words: Sequence[str]) -> Iterator[Slot]:
    """Yield the hosts that a program opens a shell or a tunnel to."""
    only_asks = (
        name in _ASKING_PORTS and any(map(_ASKS_PORT.match, words)) and not any(map(_RANGE.match, words))
    )
    if name in _ASKING_PORTS and any("$" in word for word in words):
        yield Slot("reach", "$")  # one after the other
    if name in _ASKING_PORTS and any(map(_RANGE.match, words)):
        yield Slot("reach", "<ports>")
    if name in REACHERS and not only_asks:
        yield from (Slot("reach", remote) for remote in _remotes(words))


def _remotes(words: Sequence[str]) -> dict[str, None]:
    """Return the hosts among arguments, in order, each once."""
    return {slot.value: None for word in words for slot in typed(word).slots if slot.kind == "remote"}
