# SPDX-License-Identifier: Apache-2.0
"""The normal form of a command line: one text in which nothing volatile is left, and its slots.

Shell text (`sh -c …`, also behind `env`, `timeout`, `xargs` and inside itself) is split and each
command in it read as a command line of its own; inline code of interpreters gives its words.
Flags inside shell text belong to their command: the slot is `curl -o`, not `-o`.
"""

import re
from collections.abc import Sequence
from functools import lru_cache
from hashlib import blake2b
from typing import Final, NamedTuple

from habitus_profiler import shell
from habitus_profiler.addresses import is_name, remote_of
from habitus_profiler.paths import HARMLESS, classed, exe_place
from habitus_profiler.programs import (
    CALLS,
    CODE_FIRST,
    CODE_FLAGS,
    HOST_FLAGS,
    KEYWORDS,
    LOAD_FLAGS,
    PASSIVE,
    RUNNING,
    SHELL_TEXT,
    SHELLS,
    SWITCHERS,
    TELLING,
    WRAPPERS,
    is_shell_flag,
    names_host,
    program,
)
from habitus_profiler.slots import Slot, is_tuning
from habitus_profiler.tokens import Token, typed
from habitus_profiler.volatile import softened

MAX_TOKENS: Final = 512
MAX_TEXT: Final = 4000
_MAX_SLOTS: Final = 512
_MAX_NESTED: Final = 4
_MAX_SHELL: Final = 16384
_SHORT: Final = 2000


class Form(NamedTuple):
    """`text` is what two command lines that differ in nothing but ids and times share."""

    text: str
    slots: tuple[Slot, ...]


def form_of(argv: tuple[str, ...]) -> Form:
    """Return the normal form of an argument vector, argv[0] included. Never raises."""
    return (_remembered if sum(map(len, argv)) <= _SHORT else _form_of)(argv)


def _form_of(argv: tuple[str, ...]) -> Form:
    reader = _Reader()
    words = argv[:MAX_TOKENS]
    if words:
        reader.take(_named(words[0]))
        reader.arguments(program(words[0]), words[1:], prefix="", depth=0)
    if len(argv) > MAX_TOKENS:
        reader.slots[Slot("overlong", f"over {1 << (len(argv).bit_length() - 1)} arguments")] = None
    text = " ".join(reader.texts)
    if len(text) > MAX_TEXT:
        # The tail still tells two forms apart; only the embedder does not see it.
        text = f"{text[:MAX_TEXT]}…{_digest(text[MAX_TEXT:])}"
    return Form(text, tuple(reader.slots)[:_MAX_SLOTS])


_remembered: Final = lru_cache(maxsize=4096)(_form_of)


def _digest(text: str) -> str:
    return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()


def _named(word: str) -> Token:
    """Read argv[0]: programs of the image by their bare name, others with their directory."""
    if "/" not in word:
        return Token("command", softened(word))
    place = exe_place(word)
    if place.fixed:
        return Token("command", place.text.rsplit("/", 1)[-1])
    return Token("command", place.text, (Slot("program", f"in {place.place}"),))


_LOOSE: Final = re.compile(
    r"(?<![A-Za-z0-9+.-])[A-Za-z][A-Za-z0-9+.-]*://[^\s'\"`;|<>()]+|/(?:[\w.@+-]+/)*[\w.@+-]+"
)
_IDENTIFIER: Final = re.compile(r"[A-Za-z_]\w+")
_LOOSE_OPERATORS: Final = ("$(", "`", "|", "&&")
_SQL_START: Final = re.compile(
    r"\s*(?:select|insert|update|delete|create|drop|alter|copy|with|begin|grant|truncate|show|do|call|set|"
    r"vacuum|analyze|explain|revoke|load|use|replace|merge)\b",
    re.IGNORECASE,
)
_SQL_VERB: Final = re.compile(
    r"\b(select|insert|update|delete|create|drop|alter|copy|program|grant|revoke|truncate|outfile|dumpfile|"
    r"load_file|infile|execute|call|do|attach|lo_import|lo_export|pg_read_file|pg_ls_dir|sys_exec|shell|"
    r"extension|superuser|function|trigger|role|user|union|into)\b",
    re.IGNORECASE,
)
_HEAD: Final = re.compile(r"-{0,2}[A-Za-z_][\w.-]*\Z")
_ENOUGH_WORDS: Final = 200


_FLAGS: Final = frozenset({"flag", "tuned"})
_NUMBERS: Final = frozenset({"number", "size", "duration"})
_PLAIN: Final = re.compile(r"[A-Za-z][A-Za-z_-]{1,23}\Z")


def _tunes(flag: str, value: str) -> bool:
    """Say whether a flag with this word behind it only tunes."""
    if flag[:1] != "-" or "=" in flag or flag in LOAD_FLAGS or flag in HOST_FLAGS or not is_tuning(flag):
        return False
    if typed(value).kind in _NUMBERS:
        return True
    plain = flag.startswith("--") and _PLAIN.match(value) is not None
    return plain and value.lower() not in CALLS and value not in TELLING


class _Reader:
    """Collects texts and slots in order; a slot counts once."""

    def __init__(self) -> None:
        self.texts: list[str] = []
        self.slots: dict[Slot, None] = {}

    def take(self, token: Token, prefix: str = "") -> None:
        self.texts.append(token.text)
        for slot in token.slots:
            named = Slot(slot.kind, f"{prefix} {slot.value}") if prefix and slot.kind in _FLAGS else slot
            self.slots[named] = None

    def arguments(self, name: str, words: Sequence[str], prefix: str, depth: int) -> None:
        """Read what stands behind the program `name`."""
        flag, plain, script = "", 0, False
        for at, word in enumerate(words):
            # Behind its script, an interpreter's arguments are the script's.
            script = script or (not flag and word[:1] != "-")
            if self.special(name, flag, plain, word, depth, script=script):
                flag, plain = "", plain + 1
                continue
            if self.wrapped(name, plain, words, at, depth):
                return
            if flag in LOAD_FLAGS and not word.startswith("-"):
                self.slots[Slot("load", typed(word).text[:300])] = None
            if at + 1 < len(words) and _tunes(word, words[at + 1]):
                self.take(Token("flag", softened(word), (Slot("tuned", softened(word)),)), prefix)
            else:
                self.word(name, flag, word, prefix, plain)
            if word.startswith(("-", "+")) and len(word) > 1:
                flag = word.partition("=")[0]
                if flag != word and flag in LOAD_FLAGS:
                    self.slots[Slot("load", typed(word.partition("=")[2]).text[:300])] = None
            else:
                flag, plain = "", plain + ("=" not in word)

    def word(self, name: str, flag: str, word: str, prefix: str, plain: int = 1) -> None:
        """Read one argument that is no code."""
        if any(map(str.isspace, word)):
            self.loose(word)
        elif names_host(name, flag, plain) and is_name(word) and not word.isdigit():
            self.take(Token("host", remote_of(word), (Slot("remote", remote_of(word)),)))
        elif name == "chmod" and len(word) == 4 and word.isdigit() and word[0] in "234567":  # noqa: PLR2004
            self.take(Token("mode", word, (Slot("mode", "setid"),)))
        else:
            self.take(typed(word), prefix)
            if "(" in word:
                self.calls(word)
            if word in RUNNING:
                self.slots[Slot("command", word)] = None
            elif word in TELLING:
                self.slots[Slot("word", word)] = None

    def special(self, name: str, flag: str, plain: int, word: str, depth: int, *, script: bool) -> bool:
        """Read an argument that is code; False when it is none."""
        if (name in SHELLS and is_shell_flag(flag)) or (name in SHELL_TEXT and flag in {"-c", "--command"}):
            self.script(word, depth + 1)
        elif (flag in CODE_FLAGS.get(name, ()) and not script) or (
            name in CODE_FIRST and not plain and word[:1] != "-"
        ):
            self.code(word)
        elif (name == "env" and flag == "-S") or (name == "watch" and " " in word):
            self.script(word, depth + 1)
        else:
            return False
        return True

    def wrapped(self, name: str, plain: int, words: Sequence[str], at: int, depth: int) -> bool:
        """Read the command behind a wrapper (`timeout 5 curl …`); False when this word is not it."""
        word = words[at]
        found_exec = at > 0 and words[at - 1] in {"-exec", "-execdir", "-ok", "-okdir"}
        if not found_exec:
            if name not in WRAPPERS and name not in SWITCHERS and name not in SHELL_TEXT - {"script", "su"}:
                return False
            if name in SWITCHERS and plain == 0:
                return False
            if word.startswith("-") or "=" in word or typed(word).kind not in {"text", "path"}:
                return False
            if name in {"chroot", "flock"} and plain == 0:
                return False
        self.command(words[at:], depth)
        return True

    def command(self, words: Sequence[str], depth: int) -> None:
        """Read a command that another one runs: its name is a slot."""
        name = program(words[0])
        if words[0].startswith("$"):
            self.texts.append(words[0])
            self.slots[Slot("command", softened(words[0][:100]))] = None
            self.inside(words[0])
        else:
            token = _named(words[0])
            bare = token.text.rsplit("/", 1)[-1]
            self.take(token._replace(slots=(*token.slots, Slot("command", bare))))
        if depth <= _MAX_NESTED:
            self.arguments(name, words[1:], prefix=name, depth=depth)

    def script(self, text: str, depth: int) -> None:
        """Read shell text."""
        text = self.bounded(text)
        if depth > _MAX_NESTED:
            self.slots[Slot("overlong", "shells inside shells")] = None
            self.texts.append(softened(text))
            return
        self.texts.append('"')
        pieces = shell.split(text)
        words: list[str] = []
        for at, piece in enumerate(pieces):
            if not piece.operator:
                words.append(piece.text)
            elif piece.text in shell.REDIRECTS:
                self.redirect(pieces, at, words)
            else:
                self.simple(words, depth)
                words = []
                self.operator(piece.text)
        self.simple(words, depth)
        self.texts.append('"')

    def redirect(self, pieces: Sequence[shell.Piece], at: int, words: list[str]) -> None:
        """Put a redirection into its command; to where nobody is harmed it is no slot."""
        target = pieces[at + 1].text if at + 1 < len(pieces) and not pieces[at + 1].operator else ""
        words.append(pieces[at].text)
        if target not in HARMLESS and not target.isdigit() and target != "-":
            place = classed(target).slot if target else None
            self.slots[Slot("operator", f"{pieces[at].text} {place or 'file'}")] = None

    def operator(self, text: str) -> None:
        self.texts.append(text)
        if text != ")":
            self.slots[Slot("operator", text)] = None

    def simple(self, words: list[str], depth: int) -> None:
        """Read one simple command of a shell text."""
        for at, word in enumerate(words):
            if word in KEYWORDS:
                self.texts.append(word)
            elif word in PASSIVE:
                for rest in words[at:]:
                    self.word("", "", rest, "")
                return
            elif typed(word).kind == "assignment":
                self.take(typed(word))
            else:
                self.command(words[at:], depth)
                return

    def code(self, text: str) -> None:
        """Read inline code of an interpreter: each of its words is a slot."""
        text = self.bounded(text)
        self.texts.append(softened(text))
        for word in _IDENTIFIER.findall(text)[:_ENOUGH_WORDS]:
            self.slots[Slot("code", softened(word))] = None
        self.inside(text)

    def calls(self, text: str) -> None:
        """Take the names in a text that looks like code by which something would run."""
        for word in _IDENTIFIER.findall(text)[:_ENOUGH_WORDS]:
            if word.lower() in CALLS:
                self.slots[Slot("code", word)] = None

    def loose(self, text: str, depth: int = 0) -> None:
        """Read an argument of several words that is no code that we know: SQL, a header, a message."""
        text = self.bounded(text)
        head, equals, rest = text.partition("=")
        if equals and _HEAD.match(head) and depth < _MAX_NESTED:
            for slot in typed(head + "=x").slots:
                self.slots[slot] = None
            self.texts.append(head + "=")
            self.loose(rest, depth + 1)
            return
        words = text.split()[:MAX_TOKENS]
        if words and program(words[0].lstrip("!'\"")) in RUNNING:
            self.script(text.lstrip("!"), depth + 1)
            return
        self._operators(text)
        if "(" in text:
            self.calls(text)
        self.texts.append('"' + " ".join(typed(word.strip("'\"(),;")).text for word in words) + '"')
        self.inside(text)

    def _operators(self, text: str) -> None:
        if _SQL_START.match(text):
            for verb in _SQL_VERB.findall(text)[:_ENOUGH_WORDS]:
                self.slots[Slot("sql", verb.lower())] = None
            return
        for operator in _LOOSE_OPERATORS:
            if operator in text:
                self.slots[Slot("operator", operator)] = None

    def bounded(self, text: str) -> str:
        """Return what of a long text is read; that there is more is a slot, and its digest text."""
        if len(text) <= _MAX_SHELL:
            return text
        self.slots[Slot("overlong", f"text over {1 << (len(text).bit_length() - 1)} characters")] = None
        return f"{text[:_MAX_SHELL]} {_digest(text)}"

    def inside(self, text: str) -> None:
        """Take the slots of URLs and absolute paths anywhere in a text."""
        for match in _LOOSE.findall(text)[:_ENOUGH_WORDS]:
            for slot in typed(match).slots:
                self.slots[slot] = None
