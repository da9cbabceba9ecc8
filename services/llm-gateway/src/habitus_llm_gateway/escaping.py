# SPDX-License-Identifier: Apache-2.0
r"""Turns hostile values into data that a prompt may carry: one JSON text a value, nothing raw.

What is escaped, and why:
- control, format (bidi, zero width, tags), surrogate, private and unassigned characters, and those
  that are letters by name but show nothing: they hide text from a person and show it to a model;
- `<` and `>`: chat templates mark turns by `<|im_start|>`, `<s>`, `<start_of_turn>`, and a local
  model's tokenizer takes them from the data as well;
- `[INST]` and its kin, and runs of three backticks, equal signs, hashes or hyphens, which close
  fences of other people's making.

Lines end only where we end them, so nothing in the data can stand at the start of a line.
"""

import json
import re
import unicodedata
from functools import lru_cache
from hashlib import blake2b
from itertools import islice
from typing import Any, Final

_UNSAFE: Final = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
_INVISIBLE: Final = frozenset("\u115f\u1160\u3164\uffa0\u2800\u034f\u17b4\u17b5")
_VARIATION: Final = re.compile("[\ufe00-\ufe0f\U000e0100-\U000e01ef]")
_MARKS: Final = re.compile(
    r"[<>]|\[(?=/?\s*(?:INST|SYS|AVAILABLE_TOOLS|TOOL)\b)|([`=#~-])(?=\1\1)", re.IGNORECASE
)

_STEPS: Final = ((512, 48), (256, 32), (128, 24), (64, 16), (40, 8))
"""(characters of a text, items of a list or table), the widest that fits is taken."""
_MOST_CHARACTERS: Final = 6000
_COARSE: Final = (1024, 48)
_DEEPEST: Final = 6
_LONGEST_KEY: Final = 64
_as_json = json.JSONEncoder(ensure_ascii=False, default=str).encode
_SMALL: Final = frozenset({bool, int, float, type(None)})
_REMEMBERED: Final = 512
"""Characters of a text whose escaped form is kept: most fields are those of the question before."""


def as_data(value: Any) -> str:
    """Return `value` as one line of JSON in which nothing can be taken for an instruction's frame.

    The result parses as JSON and gives the value back.
    """
    if type(value) is str and len(value) <= _REMEMBERED:
        return _text_as_data(value)
    return without_marks(_as_json(value))


@lru_cache(1024)
def _text_as_data(text: str) -> str:
    return without_marks(_as_json(text))


def bounded(value: Any) -> Any:
    """Return a copy of any JSON value of bounded size, before anything costly is done with it.

    What is left out is named by its digest, so that values differ when what is left out does. It
    stands in the middle of a text, which `fitted` leaves out again.
    """
    longest, most = _COARSE
    return _shortened(value, longest, most, 0)


def fitted(value: Any) -> Any:
    """Return a copy of any JSON value that is short enough for a prompt; it says what is left out."""
    kept = value
    for longest, most in _STEPS:
        kept = _shortened(value, longest, most, 0)
        if len(_as_json(kept)) <= _MOST_CHARACTERS:
            break
    return kept


def _shortened(value: Any, longest: int, most: int, depth: int) -> Any:
    if isinstance(value, str):
        return value if len(value) <= longest else _short(value, longest)
    if not isinstance(value, list | dict):
        return value
    if depth >= _DEEPEST:
        return f"[too deep: {_digest(value)}]"
    if isinstance(value, list):
        kept = [_shortened(item, longest, most, depth + 1) for item in value[:most]]
        rest = value[most:]
        return [*kept, f"[{len(rest)} more, {_digest(rest)}]"] if rest else kept
    table: dict[str, Any] = {}
    for key, item in value.items() if len(value) <= most else islice(value.items(), most):
        name = key if type(key) is str and len(key) <= _LONGEST_KEY else _short(str(key), _LONGEST_KEY)
        # Most are short texts and numbers: a call for each is most of what a question's walk takes.
        kind = type(item)
        as_it_is = len(item) <= longest if kind is str else kind in _SMALL
        table[name] = item if as_it_is else _shortened(item, longest, most, depth + 1)
    if len(value) <= most:
        return table
    left_out = list(islice(value.items(), most, None))
    return table | {"[more]": f"{len(left_out)}, {_digest(left_out)}"}


def _short(text: str, most: int) -> str:
    if len(text) <= most:
        return text
    half = most // 2
    middle = text[half:-half]
    return f"{text[:half]}[{len(middle)} characters left out, {_digest(middle)}]{text[-half:]}"


def _digest(value: Any) -> str:
    text = value if isinstance(value, str) else _as_json(value)
    return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()


def without_marks(text: str) -> str:
    """Return a text with everything that could frame an instruction written as JSON's own escape."""
    text = _MARKS.sub(lambda found: _code(found[0]), text)
    if text.isascii() and text.isprintable():
        return text
    return "".join(_code(character) if _is_unsafe(character) else character for character in text)


def _is_unsafe(character: str) -> bool:
    return (
        unicodedata.category(character) in _UNSAFE
        or character in _INVISIBLE
        or _VARIATION.match(character) is not None
    )


def _code(character: str) -> str:
    """Return a character as JSON's own escape; beyond the first plane as a pair."""
    units = character.encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[at]:02x}{units[at + 1]:02x}" for at in range(0, len(units), 2))
