# SPDX-License-Identifier: Apache-2.0
"""Grades a flag or variable that was never seen by what it could do, not by a list of what is usual.

Two things tell: the type of its value and the words in its name. One without a value can only switch
something that its name says; a number can open a door or say who runs; a plain word can also name code,
a place or a person. A value of any other type (path, host, code, several words) is never mild: it is
the reader's to say what it is.
"""

import re
from functools import lru_cache
from typing import Final

from habitus_profiler.hazards import FEATURES, PROTECTIONS, SEARCHED, VARIABLES
from habitus_profiler.letters import are_mild
from habitus_profiler.naming import Value, harms, is_mild_name, names_left_out, parts_of
from habitus_profiler.programs import RUNNING
from habitus_profiler.words import words

# Names that in every common tool change how much is said or how long is waited, and nothing else.
MILD_FLAGS: Final = words(
    """
    --verbose --quiet --silent --progress --no-progress --show-error --color --colour --no-color --help
    --version --usage --stats --summary --human-readable --timeout --wait --retry --retries
    --retry-delay --retry-max-time --max-time --connect-timeout --read-timeout --tries
    --format --json --pretty --indent --sort --reverse --long --all --debug --log-level --loglevel
    --dry-run --no-cache --jobs --threads --workers --parallel --limit --max --min --count --lines --depth
    --fail --compressed --compress --level --fast --best --no-owner --no-acl --no-privileges --no-pager
    --no-header --name --tag --label --interval --period --since --until --max-old-space-size --size
    -q -v -vv -vvv -V --info --verbosity --no-warnings --no-deprecation --check --test --once --recursive
    --batch-size --concurrency --trace --full --yes --follow --noinput --no-input --overwrite
    --add-drop-table --add-drop-database
    """
)

_SWITCHES: Final = words(
    """
    --verbose --quiet --silent --debug --trace --dry-run --recursive --all --yes --long --follow --once --full
    --force --json --noinput --overwrite --progress --human-readable --reverse --compressed
    """
)
"""Names that in every common tool take no value."""

IDLE_FLAGS: Final = words("--version -version -V -v -vv --help -help -h --info version help")
"""Arguments by which a program that is given nothing else only tells of itself."""

# Values that say how something is told, or for which stage or time, whatever the flag.
_FORMATS: Final = words(
    """
    json yaml table wide csv tsv text plain xml short long html prometheus pretty compact raw simple trace
    debug info notice warn warning error critical fatal verbose quiet auto graceful
    ignore skip update replace fail abort stop continue retry nothing append merge upsert overwrite
    production prod preprod staging release nightly hourly daily weekly monthly
    """
)
_ON: Final = words(
    "true yes on always required require full strict tlsv1.2 tlsv1.3 tls1.2 tls1.3 tls12 tls13 verify-full"
)
_OFF: Final = words("false no off never none disabled optional")
_BY_WORD: Final[dict[str, Value]] = {
    **dict.fromkeys(_FORMATS, "format"),
    **dict.fromkeys(_ON, "on"),
    **dict.fromkeys(_OFF, "off"),
}
_SWITCH: Final = re.compile(
    r"--(?:no|enable|disable|with|without|skip|ignore|keep|if|prefer|trace|show|print|warn|list|validate|check"
    r"|test)-[a-z]|-XX:[+-]"
)
_LETTERED: Final = re.compile(r"-[DEPX][a-z_]{2}")
_LONG: Final = 3
_SEPARATOR: Final = re.compile(r"[,:;|\s]{1,2}\Z")
_UNSAFE_STAGES: Final = frozenset({"dev", "development", "debug"})
_STAGES: Final = frozenset({("environment",), ("env",), ("profile",), ("profiles",)})
"""Flags and variables by which a program is told how careful to be."""
_ANY_OF: Final = frozenset({("pattern",), ("glob",), ("regex",)})
_ANYTHING: Final = frozenset({"*", ".*", "0.0.0.0/0", "::/0"})
_STREAM: Final = re.compile(r"(?:-|stdin|/dev/stdin|/dev/fd/\d+|/proc/self/fd/\d+)\Z")
_SETTINGS: Final = frozenset({"conf", "config", "configuration", "policy", "rules", "settings"})
"""What stands behind these is obeyed: from a stream it is whatever somebody sends."""
_KEPT: Final = PROTECTIONS | words(
    "audit config rules policy userknownhostsfile log logs logfile accesslog errorlog"
)
"""What is kept of these in no file is not kept."""
_MOMENT: Final = re.compile(r"\d{1,3}(?:ms|s|m|min)\Z")
"""So long nothing is kept that anybody wants to read again."""
_CLASS: Final = re.compile(r"(?:[a-z_]\w*\.)+[A-Z]\w*\Z")
_VOWELS: Final = frozenset("aeiouyAEIOUY")
_BY_KIND: Final[dict[str, Value]] = {
    **dict.fromkeys(("size", "duration", "date", "timestamp", "uuid", "version"), "amount"),
    **dict.fromkeys(("number", "hex"), "number"),
}
_FIGURES: Final = re.compile(r"[+-]?\d[\d.,:x/%*+-]*\Z")
_MARKED: Final = re.compile(r"(?=.*[A-Za-z0-9])[\w.*?:+%@^~{-][\w.*?:+,=%@^~{}/-]*\$?\Z")
_TOLD: Final = re.compile(r"\\[nrt0]|%\(\w{1,20}\)[sdr]|(?<=[\w\]])[<>]=?(?=[\w.-])|(?<=\d)[<>!]\Z")
"""Marks of a pattern by which something is told, and of a comparison."""
"""A word with marks by which no code is written: a pattern, a range, `tag:slow`, `+faststart`."""
_REGEX: Final = re.compile(
    r"(?=\^|.*(?:\.[*+]|\\[dwsb.]|\[\^?\w-|\$\Z))(?!.*\$[({])[\w.*?+^()\[\]{}|\\:,=!/@%~$-]{2,200}\Z"
)
"""A regular expression, by its own marks; none of a shell's."""
_WORD: Final = re.compile(r"\w+")
_LONGEST_WORD: Final = 80
_LONGEST_LIST: Final = 400
_ATTACHED: Final = re.compile(r"(-(?:Xm[sxn]|Xss|XX:[A-Za-z]+|[A-Za-z]))(?=[\d/.~])(.+)\Z")
_LEADS: Final = re.compile(r"(--?[A-Za-z][\w-]{0,30}:)((?:[A-Za-z][\w+.-]*:/)?/.+)\Z")
"""A place behind a colon: `-s:/in/a.xml`, `-xsl:https://a.example/r.xsl`."""
_COLON: Final = re.compile(
    r"(-(?:javaagent|agentpath|agentlib|Xbootclasspath/?[ap]?):|--[a-z][a-z-]{1,30}:(?=[/.~@]))(.+)\Z"
)


def value_of(kind: str, text: str) -> Value:
    """Return the grade of a value by its token's kind and spelling."""
    by_kind: Value | None = "none" if not text else _BY_KIND.get(kind)
    if by_kind:
        return "digit" if by_kind == "number" and len(text) == 1 else by_kind
    text = _TOLD.sub("0", text).strip("'\"")
    if "|" in text and RUNNING.isdisjoint(_WORD.findall(text)):
        text = text.replace("|", "")  # one of several words, and no pipe
    if _SEPARATOR.match(text) or (_REGEX.match(text) and RUNNING.isdisjoint(_WORD.findall(text))):
        return "format"
    if _FIGURES.match(text):
        return "number"
    if kind == "list":
        return "word" if all(map(_MARKED.match, re.split("[,;]", text))) else "other"
    # A name of code is none, nor is what is written in marks of code.
    is_word = kind == "text" and len(text) <= _LONGEST_WORD and _MARKED.match(text) and not _CLASS.match(text)
    return _BY_WORD.get(text.lower(), "word" if is_word else "other")


def attached(token: str) -> tuple[str, str]:
    """Split `-Xmx512m`, `-p8080`, `-o/tmp/x`, `-javaagent:x.jar` into the flag and its value."""
    match = _ATTACHED.match(token) or _COLON.match(token) or _LEADS.match(token)
    return (match[1], match[2]) if match else (token, "")


def is_switch(flag: str) -> bool:
    """Say whether a flag's name says that it takes no value: `--no-audit`, `--show-limits`, `--verbose`."""
    return flag in _SWITCHES or _SWITCH.match(flag) is not None


@lru_cache(maxsize=4096)
def is_mild(flag: str, value: Value, program: str = "") -> bool:
    """Say whether a flag or variable with such a value can do no harm that the value itself does not tell."""
    name = _named(flag)
    if value == "other" or not name:
        return False
    if len(name) == 1 or (flag[:1] == "-" and flag[:2] != "--" and not _is_word(name)):
        return are_mild(program, name, "word" if value in {"on", "off"} else value)
    if flag[-1] == "=" and (VARIABLES.match(name) or (value == "place" and _is_searched(name))):
        return False
    return is_mild_name(parts_of(name), value)


@lru_cache(maxsize=4096)
def switched_on(flag: str, value: str) -> tuple[str, ...]:
    """Return which of the features that a flag switches on (`--enable-feature=a,b`) could do harm."""
    parts = parts_of(flag)
    if not parts or parts[-1] not in FEATURES:
        return ()
    names = (name.removesuffix("=true") for name in value[:_LONGEST_LIST].split(","))
    return tuple(name for name in names if harms(parts_of(name), "none"))


@lru_cache(maxsize=4096)
def switch_of(flag: str, text: str) -> str | None:
    """Return how a value switches a power on or a protection off (`--tls=off`), else None.

    That anything goes (`--email-domain=*`) switches, too. A flag may be known and yet never have been given
    this value.
    """
    name = _named(flag)
    is_pattern = names_left_out(flag) or parts_of(name)[-1:] in _ANY_OF
    if text in _ANYTHING and name and not is_pattern:
        return f"{flag.rstrip('=')}=*"
    if text.lower() in _UNSAFE_STAGES and parts_of(name)[-1:] in _STAGES:
        return f"{flag.rstrip('=')}=<development>"
    kept = _kept(parts_of(name), text)
    if kept:
        return f"{flag.rstrip('=')}={kept}"
    value = "off" if text in {"", "0"} else _BY_WORD.get(text.lower())
    if value not in {"on", "off"} or len(name) <= 1 or not harms(parts_of(name), value):
        return None
    return f"{flag.rstrip('=')}={value}"


def _kept(parts: tuple[str, ...], text: str) -> str | None:
    """Return where settings come from that anybody may send, or how little is kept of what should be."""
    if not _SETTINGS.isdisjoint(parts) and (not text or _STREAM.match(text)):
        return "<stream>" if text else "<nothing>"
    if text == "/dev/null" and not _KEPT.isdisjoint(parts):
        return text
    return "<moment>" if "retention" in parts and _MOMENT.match(text) else None


def _is_searched(name: str) -> bool:
    return name.isupper() and name.endswith(SEARCHED)


def _named(flag: str) -> str:
    """Return a flag's name; that of a setting behind one letter (`-Dserver.port`) is set apart from it."""
    name = flag.lstrip("-").rstrip("=")
    return f"{name[0]}.{name[1:]}" if _LETTERED.match(flag) else name


def _is_word(name: str) -> bool:
    """Say whether `name` behind one dash is a word (`-detailed`) and no cluster of letters (`-lvnp`)."""
    return name in _FORMATS or (len(name) >= _LONG and not _VOWELS.isdisjoint(name))
