# SPDX-License-Identifier: Apache-2.0
"""Splits the text of `sh -c` into words and operators, as POSIX.1-2017 XCU 2.3 does, but forgivingly.

It never raises: an unclosed quote ends with the text. Comments go; expansions stay in their word.
"""

import re
from typing import Final, NamedTuple

_OPERATORS: Final = (
    "<<<", "&&", "||", ";;", "|&", ">>", "<<", ">&", "<&", "&>", ">|", "<>", "<(", ">(",
    "|", ";", "&", ">", "<", "(", ")",
)  # fmt: skip
SEPARATORS: Final = frozenset({"|", "|&", "||", "&&", ";", ";;", "&", "(", ")", "$(", "`", "<(", ">("})
"""Operators after which a new command begins."""

REDIRECTS: Final = frozenset({">", ">>", "<", "<<", "<<<", ">&", "<&", "&>", ">|", "<>"})


# Runs without meaning of their own: outside quotes, and inside double and single ones.
_RUNS: Final = {
    "": re.compile(r"[^\\'\"`$|&;<>()\s#]+"),
    '"': re.compile(r'[^\\"`$]+'),
    "'": re.compile(r"[^']+"),
}


_ARITHMETIC: Final = re.compile(r"\$\(\((?!.*?(?:\$\(|`).*?\)\))[^()]*(?:\([^()]*\)[^()]*)*\)\)")
"""What is only counted, and runs nothing."""


class Piece(NamedTuple):
    """A word with its quotes taken off, or an operator."""

    text: str
    operator: bool = False
    resumes: bool = False
    """Whether behind it the command goes on in which a substitution stood."""


class _Lexer:
    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.pieces: list[Piece] = []
        self.word: list[str] = []
        self.begun = False
        self.quote = ""
        self.outer: list[
            str | None
        ] = []  # the quote to go back to after each open `$(`, None for a `(` in it

    def run(self) -> list[Piece]:
        while self.at < len(self.text):
            run = _RUNS[self.quote].match(self.text, self.at)
            if run:
                self.word.append(run[0])
                self.begun = True
                self.at = run.end()
                continue
            self.step(self.text[self.at])
        self.end_word()
        return self.pieces

    def step(self, character: str) -> None:
        if self.quote == "'":
            self.in_single(character)
        elif character == "\\":
            self.escape()
        elif self.text.startswith("$((", self.at) and (match := _ARITHMETIC.match(self.text, self.at)):
            self.take(match[0])
        elif self.text.startswith("$(", self.at):
            self.substitution()
        elif character == "`":
            self.operator("`")
        elif character == '"':
            self.quote = "" if self.quote else '"'
            self.begun = True
            self.at += 1
        elif self.quote:
            self.take(character)
        else:
            self.plain(character)

    def in_single(self, character: str) -> None:
        if character == "'":
            self.quote = ""
            self.at += 1
        else:
            self.take(character)

    def escape(self) -> None:
        following = self.text[self.at + 1 : self.at + 2]
        if following != "\n":
            self.word.append(following or "\\")
            self.begun = True
        self.at += 2

    def substitution(self) -> None:
        self.outer.append(self.quote)
        self.quote = ""
        self.operator("$(")

    def plain(self, character: str) -> None:
        if character == "'":
            self.quote = "'"
            self.begun = True
            self.at += 1
        elif character == "\n":
            self.operator(";", 1)
        elif character.isspace():
            self.end_word()
            self.at += 1
        elif character == "#" and not self.begun:
            end = self.text.find("\n", self.at)
            self.at = len(self.text) if end < 0 else end
        else:
            self.operator_or_take(character)

    def operator_or_take(self, character: str) -> None:
        if character not in "|&;<>()":
            self.take(character)
            return
        name = next(op for op in _OPERATORS if self.text.startswith(op, self.at))
        if name in REDIRECTS and "".join(self.word).isdigit():
            self.word, self.begun = [], False  # the 2 of `2>`
        if name == ")" and self.outer:
            self.end_word()
            self.pieces.append(Piece(name, operator=True, resumes=self.outer[-1] is not None))
            self.at += 1
            self.quote = self.outer.pop() or ""
            return
        if name == "(" and self.outer:
            self.outer.append(None)
        self.operator(name)

    def operator(self, name: str, length: int = 0) -> None:
        self.end_word()
        self.pieces.append(Piece(name, operator=True))
        self.at += length or len(name)

    def take(self, text: str) -> None:
        self.word.append(text)
        self.begun = True
        self.at += len(text)

    def end_word(self) -> None:
        if self.begun:
            self.pieces.append(Piece("".join(self.word)))
        self.word, self.begun = [], False


def split(text: str) -> list[Piece]:
    """Return the words and operators of a shell text, in order. A newline reads as `;`."""
    return _Lexer(text).run()
