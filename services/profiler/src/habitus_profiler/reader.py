# SPDX-License-Identifier: Apache-2.0
"""Reads one command line, word by word, into normal texts and slots.

What a shell or an interpreter would run is read as code, SQL gives its verbs, the rest is typed by `tokens`.
"""

import re
from collections.abc import Callable, Iterable, Sequence
from hashlib import blake2b
from typing import Final

from habitus_profiler import inline, little, loose, manuals, shell
from habitus_profiler.addresses import is_name, remote_of
from habitus_profiler.argument import (
    argument,
    asks_near,
    by_page,
    is_mild_flag,
    is_script,
    loaded,
    own_variable,
    reached,
    tidies,
    told,
    told_together,
)
from habitus_profiler.called import MODE, mode, named
from habitus_profiler.flags import attached, is_switch
from habitus_profiler.grades import Token, is_own
from habitus_profiler.letters import is_known_switch
from habitus_profiler.naming import names_gauge, names_tongue
from habitus_profiler.paths import HARMLESS, SCRATCH, classed, is_sensitive, under
from habitus_profiler.programs import (
    ASKING,
    CODE_FLAGS,
    KEYWORDS,
    PASSIVE,
    RUNNING,
    SEQUENCES,
    SHELL_TEXT,
    SHELLS,
    SWITCHERS,
    TALKERS,
    TAME,
    WRAPPERS,
    is_code_flag,
    is_shell_flag,
    names_host,
    program,
)
from habitus_profiler.slots import Slot
from habitus_profiler.tokens import typed
from habitus_profiler.volatile import softened

MAX_TOKENS: Final = 512
_MAX_NESTED: Final = 4
_MAX_SHELL: Final = 16384


def digest(text: str) -> str:
    return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()


_NOUNS: Final = frozenset({"node", "system"})
"""Names of programs that as plain arguments mostly name something else."""
_GOING_ON: Final = frozenset({"|", "$(", "`"})
_PASSING_NOTHING: Final = SEQUENCES | {"(", ")"}
"""What is run one behind the other is told by itself."""
_SPACED: Final = re.compile(r"(?:file:)?(?=/.* )(?:/[\w .,()&'+@#!-]+)+\.[A-Za-z0-9]{2,5}\Z")
"""A file with spaces in its name."""
_HEAD: Final = re.compile(r"-{0,2}[A-Za-z_][\w.-]*\Z")
_FLAGS: Final = frozenset({"flag", "tuned"})
_AMOUNTS: Final = frozenset({"number", "duration"})
_SETS_MODE: Final = frozenset({"chmod", "-chmod"})  # also as a command of a file system of its own
_ANYWHERE: Final = Slot("remote", "any")


class Reader:
    """Collects texts and slots in order; a slot counts once.

    `literal`: ids were read as parts of words, so that another id may give another form.
    """

    def __init__(self) -> None:
        self.literal = False
        self.page = manuals.BLANK
        self.texts: list[str] = []
        self.slots: dict[Slot, None] = {}

    def take(self, token: Token, prefix: str = "", flag: str = "") -> None:
        self.texts.append(token.text)
        for slot in token.slots:
            named = Slot(slot.kind, f"{prefix} {slot.value}") if prefix and slot.kind in _FLAGS else slot
            self.slots[named] = None
            flag = "" if is_switch(flag) or flag in self.page.mild else self.page.spelt(flag)
            if slot.kind == "path" and under(slot.value, SCRATCH):
                self.slots[Slot("scratch", f"{prefix} {softened(flag)}".strip())] = None
            if slot == _ANYWHERE and not names_gauge(flag):
                self.slots[Slot("listen", f"{prefix} {softened(flag)}".strip())] = None

    def add(self, slots: Iterable[Slot]) -> None:
        self.slots.update(dict.fromkeys(slots))

    def arguments(self, name: str, words: Sequence[str], prefix: str, depth: int) -> None:
        """Read what stands behind the program `name`."""
        flag, plain, script = "", 0, ""
        interprets = name in CODE_FLAGS or name in SHELLS
        reads_as = name if _SETS_MODE.isdisjoint(words) else "chmod"
        self.page = manuals.page(name)
        self.add(reached(name, words))
        codes = little.codes(name, words)
        for at, word in enumerate(words):
            # Behind its script, an interpreter's arguments are the script's.
            before, page = script, self.page
            if interprets and not script and word[:1] != "-" and is_script(self.page, name, flag, word):
                script = manuals.stem(word)
                self.page = manuals.page(script)
                if word[:1] == "/" and flag != "-m":
                    self.add(named(word).slots)
            if self.special(name, flag, word, depth, script=bool(script), is_little=at in codes):
                flag, plain = "", plain + 1
                continue
            if self.wrapped(name, plain, words, at, depth=depth, flag=flag) or self.handed(words, at, depth):
                return
            given = before or name
            if word[:1] != "-":
                self.add(loaded(given, flag, word, page))
            self.add(told_together(words[at - 1] if at else "", word, self.page))
            spelt = self.page.spelt(word)
            is_tidy = tidies(name, words, at)
            if not is_tidy:
                self.add(self.page.graves(flag, word))
            if is_tidy or is_mild_flag(given, spelt, words[at + 1] if at + 1 < len(words) else "", self.page):
                self.take(Token("flag", softened(word), (Slot("tuned", softened(spelt)),)), prefix)
            else:
                self.word(before or reads_as, flag, word, prefix, plain)
            if word.startswith(("-", "+")) and len(word) > 1:
                flag = self.flagged(name, given, word)
            else:
                self.page = self.page.behind(flag, word)
                is_value = "=" in word or (name in WRAPPERS and typed(word).kind in _AMOUNTS)
                flag, plain = "", plain + (not is_value)

    def flagged(self, name: str, given: str, word: str) -> str:
        """Read what a flag has with it; return the flag that the next argument stands behind, if it may."""
        flag, equals, value = word.partition("=")
        if equals:
            self.add(loaded(given, flag, value, self.page))
        # What stands behind a switch of a program that reaches may be a host.
        is_done = equals or attached(word)[1] or (name in TALKERS and is_known_switch(name, word))
        return "" if is_done else flag

    def word(self, name: str, flag: str, word: str, prefix: str, plain: int = 1) -> None:
        """Read one argument that is no code."""
        if _SPACED.match(word):
            word = "_".join(word.split())
        if any(map(str.isspace, word)) or word.startswith(('{"', '["')):
            self.loose(word)
            if self.page.commands(flag):
                self.add(slot for each in word.split()[:MAX_TOKENS] for slot in self.page.acted("", each))
        elif self.is_host(name, flag, plain) and is_name(word) and not word.isdigit():
            self.take(Token("host", remote_of(word), (Slot("remote", remote_of(word)),)), prefix, flag)
        elif name == "chmod" and MODE.match(word):
            self.take(Token("mode", word, mode(word)))
        else:
            given_by = word.partition("=")[0] if word[:1] == "-" else flag
            self.take(by_page(self.page, flag, word, argument(name, flag, word)), prefix, given_by)
            if "(" in word:
                self.calls(word)
            if word in RUNNING - _NOUNS and not (
                names_tongue(flag) or self.page.names or self.page.lets(flag)
            ):
                self.slots[Slot("command", word)] = None
            if not is_own(name, word):
                self.add(told(flag, word, self.page))

    def is_host(self, name: str, flag: str, plain: int) -> bool:
        """Say whether a plain word is a host: by the program's manual, else by what is usual."""
        if flag and self.page.takes(flag):
            return flag in self.page.hosts
        return names_host(name, flag, plain)

    def special(self, name: str, flag: str, word: str, depth: int, *, script: bool, is_little: bool) -> bool:
        """Read an argument that is code; False when it is none."""
        if (name in SHELLS and is_shell_flag(flag) and not script) or (
            name in SHELL_TEXT and flag in {"-c", "--command"}
        ):
            self.script(word, depth + 1)
        elif is_little:
            self.coded(word, lambda text: little.slots_of(name, text))
        elif is_code_flag(name, flag) and not script:
            self.coded(word, inline.code)
        elif (name == "env" and flag == "-S") or (name == "watch" and " " in word):
            self.script(word, depth + 1)
        else:
            return False
        return True

    def wrapped(self, name: str, plain: int, words: Sequence[str], at: int, *, depth: int, flag: str) -> bool:
        """Read the command behind a wrapper (`timeout 5 curl …`); False when this word is not it."""
        word = words[at]
        found_exec = at > 0 and words[at - 1] in {"-exec", "-execdir", "-ok", "-okdir"}
        if not found_exec:
            if name not in WRAPPERS and name not in SWITCHERS and name not in SHELL_TEXT - {"script", "su"}:
                return False
            if (name in SWITCHERS and plain == 0) or self.page.holds(flag):
                return False
            if word.startswith("-") or "=" in word or typed(word).kind not in {"text", "path"}:
                return False
            if name in {"chroot", "flock"} and plain == 0:
                return False
        self.command(words[at:], depth)
        return True

    def handed(self, words: Sequence[str], at: int, depth: int) -> bool:
        """Read code that any program hands on (`uv run python -c …`); False when this word begins none."""
        flag = words[at + 1] if at + 1 < len(words) else ""
        if flag[:1] != "-" or words[at][:1] == "-":
            return False
        name = program(words[at])
        if not (is_code_flag(name, flag) or (name in SHELLS and is_shell_flag(flag))):
            return False
        self.command(words[at:], depth)
        return True

    def command(self, words: Sequence[str], depth: int) -> None:
        """Read a command that another one runs: its name is a slot."""
        name = program(words[0])
        if words[0].startswith("$"):
            self.texts.append(words[0])
            self.slots[Slot("command", softened(words[0][:100]))] = None
            self.add(loose.places(words[0]))
        else:
            token = named(words[0])
            bare = token.text.rsplit("/", 1)[-1]
            is_near = asks_near(name, words)
            self.take(token if is_near else token._replace(slots=(*token.slots, Slot("command", bare))))
        if depth <= _MAX_NESTED:
            outer = self.page
            self.arguments(name, words[1:], prefix=name, depth=depth)
            self.page = outer

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
        resumed = False
        for at, piece in enumerate(pieces):
            if not piece.operator:
                words.append(piece.text)
            elif piece.text in shell.REDIRECTS:
                self.redirect(pieces, at, words)
            else:
                self.simple(words, depth, resumed=resumed)
                words, resumed = [], piece.resumes
                self.operator(piece.text, pieces[at + 1].text if at + 1 < len(pieces) else "")
        self.simple(words, depth, resumed=resumed)
        self.texts.append('"')

    def redirect(self, pieces: Sequence[shell.Piece], at: int, words: list[str]) -> None:
        """Put a redirection into its command; to where nobody is harmed it is no slot."""
        target = pieces[at + 1].text if at + 1 < len(pieces) and not pieces[at + 1].operator else ""
        words.append(pieces[at].text)
        if target not in HARMLESS and not target.isdigit() and target != "-":
            place = (classed(target).slot or (target if is_sensitive(target) else None)) if target else None
            self.slots[Slot("operator", f"{pieces[at].text} {place or 'file'}")] = None

    def operator(self, text: str, command: str) -> None:
        """Take an operator and the word behind it; what cannot do anything may follow anything."""
        self.texts.append(text)
        is_tame = text in _GOING_ON and (command in ASKING or command in TAME)
        if text not in _PASSING_NOTHING and not is_tame and (text != "&" or command):
            self.slots[Slot("operator", text)] = None

    def simple(self, words: list[str], depth: int, *, resumed: bool = False) -> None:
        """Read one simple command of a shell text, or the rest of one, `resumed` behind a substitution."""
        if resumed:
            for word in words:
                self.word("", "", word, "")
            return
        while words and words[0] in shell.REDIRECTS:
            words = words[2:]  # of what stood in brackets: a slot of its own
        for at, word in enumerate(words):
            if word in KEYWORDS:
                self.texts.append(word)
            elif word in PASSIVE:
                for rest in words[at:]:
                    self.word("", "", rest, "")
                return
            elif typed(word).kind == "assignment":
                self.take(own_variable(word))
            else:
                self.command(words[at:], depth)
                return

    def coded(self, text: str, read: Callable[[str], Iterable[Slot]]) -> None:
        """Read code that stands in an argument: of its text no more counts than the slots that it gives."""
        self.literal = True
        slots = dict.fromkeys(read(self.bounded(text)))
        self.texts.append(f"<code:{digest(repr(tuple(slots)))[:8]}>" if slots else "<code>")
        self.add(slots)

    def calls(self, text: str) -> None:
        """Take the names in a text that looks like code by which something would run."""
        self.literal = True
        self.add((*loose.calls(text), *loose.places(text)))

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
        if loose.runs(text):
            self.script(text.lstrip("\\!. "), depth + 1)
            return
        self.add(slot for word in words[:1] for slot in typed(word).slots if slot.kind == "scheme")
        self.add(loose.operators(text))
        self.add(loose.escapes(text))
        if "(" in text:
            self.calls(text)
        self.texts.append('"' + " ".join(typed(word.strip("'\"(),;")).text for word in words) + '"')
        self.add(loose.places(text))
        self.add(loose.settings(text))
        self.add(loose.switched(text))
        self.add(loose.agents(text))
        self.add(loose.addresses(text))
        self.add(loose.named(text))

    def bounded(self, text: str) -> str:
        """Return what of a long text is read; that there is more is a slot, and its digest text."""
        if len(text) <= _MAX_SHELL:
            return text
        self.slots[Slot("overlong", f"text over {1 << (len(text).bit_length() - 1)} characters")] = None
        return f"{text[:_MAX_SHELL]} {digest(text)}"
