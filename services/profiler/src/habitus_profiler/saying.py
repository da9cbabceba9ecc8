# SPDX-License-Identifier: Apache-2.0
"""What a normal form says that no slot tells: its plain words, such as subcommands and names of things.

A form without a novel slot whose plain words were all seen in its leaf says nothing new: flags were
left out, or put in another order, or given what the slots call mild. One whose new words begin with a
word that only looks (`status`, `list-modules`) asks, and does nothing. Neither needs a vector. Text in
quotes (shell, code, SQL) is never read so.
"""

import re
from collections.abc import Iterable
from functools import lru_cache
from itertools import islice
from typing import Final, NamedTuple

from habitus_profiler import manuals
from habitus_profiler.flags import is_switch
from habitus_profiler.letters import is_known_switch
from habitus_profiler.paths import is_program
from habitus_profiler.words import words

LOOKING: Final = words(
    """
    analyze blame cat catalog check checking checks columns compare components count describe df diff du
    explain find fmt graph grep head health healthcheck healthz help history idxstats images info inspect
    integrity lag lint linting list listing lists locate log logs ls lsf lsl members metadata metrics monitor
    outdated peek ping plan plugins preview print processlist progress ps quickcheck ready report reports rtt
    schemas search show size sizes space stat state stats status statuses summary tables tail timeline top
    topics tree uptime usage validate verify version versions view wait warnings which
    """
)
"""Words by which a program is asked something and changes nothing."""

ACTING: Final = words(
    """
    attach clear decrypt delete deregister destroy detach disable discard downgrade download drop dump
    edit eject enable enc encrypt env erase eval exec export expose failover fetch flush forward fresh grant
    import inject install invoke issue kill load login mount move mv presign promote proxy
    publish purge push put register release remove rename reply reset restore revoke rm save send serve
    share shell shutdown sign source sub subscribe suspend terminate transfer trigger truncate trust
    tunnel uninstall unset upload wipe write
    """
)
"""Words by which data leave or are lost, code runs, or somebody gets power."""

_PLAIN: Final = re.compile(r"[A-Za-z0-9][\w.:@-]*\Z")
_PARTS: Final = re.compile(r"[^A-Za-z]+")
_FEW: Final = 2
"""So many new words that do not act are no news."""
_FIRST: Final = 2
"""So many new words may say what is done: `experiments search`, `image ls`."""


class Vocabulary(NamedTuple):
    """The plain words of many forms, and the flags that something stood behind."""

    plain: frozenset[str]
    given: frozenset[str]
    flags: frozenset[str]


def vocabulary_of(forms: Iterable[str]) -> Vocabulary:
    """Return what the normal forms of one leaf say."""
    plain: set[str] = set()
    given: set[str] = set()
    flags: set[str] = set()
    for form in forms:
        name, flag, quoted = form.partition(" ")[0], "", False
        for word in islice(form.split(" "), 1, None):
            quotes = word.count('"')
            if quoted or quotes:
                quoted, flag = quoted ^ (quotes % 2 == 1), ""
            elif is_flag(word):
                flag = word
                flags.add(word)
            else:
                if flag and not _is_switch(name, flag):
                    given.add(flag)
                plain.add(word)
                flag = ""
    return Vocabulary(frozenset(plain), frozenset(given), frozenset(flags))


def is_flag(word: str) -> bool:
    """Say whether a word of a normal form is a flag that something may stand behind."""
    return len(word) > 1 and word[0] == "-"


def is_quiet(form: str, seen: Vocabulary) -> bool:
    """Say whether a form without a novel slot says nothing new, or only asks."""
    if '"' in form:
        return False
    new = list(_new_words(form, seen))
    if not all(map(_PLAIN.match, new)):
        return False
    if any(map(_is_act, new)):
        return False
    return len(new) <= _FEW or any(_has_part(LOOKING, word) for word in new[:_FIRST])


def acts(form: str, seen: Vocabulary) -> bool:
    """Say whether a word is new in a form by which it may do harm."""
    return '"' not in form and any(map(_is_act, _new_words(form, seen, values=True)))


def _new_words(form: str, seen: Vocabulary, *, values: bool = False) -> Iterable[str]:
    """Yield the plain words that are new; `values`: those behind a flag that is new, too.

    What the manual calls asking or daily work is not.
    """
    name, flag = form.partition(" ")[0], ""
    page = manuals.page_of(form)
    for word in islice(form.split(" "), 1, None):
        if is_flag(word):
            flag = "" if "=" in word else word
            continue
        # What stands behind a flag that takes a value is the flag's, and was graded with it.
        is_value = (
            page.takes(flag) or flag in seen.given or (flag and not values and _may_take(name, flag, seen))
        )
        flag = ""
        if is_value:
            continue
        is_usual = page.names or word in page.asks or word in page.daily
        page = page.behind("", word)
        if not is_usual and word not in seen.plain and not _is_typed(word):
            yield word


def _may_take(name: str, flag: str, seen: Vocabulary) -> bool:
    return flag not in seen.flags and not _is_switch(name, flag)


def _is_switch(name: str, flag: str) -> bool:
    return is_switch(flag) or is_known_switch(name, flag)


def _is_typed(word: str) -> bool:
    """Say whether a slot told of a word (a path, a host, a setting), or nothing in it stays the same."""
    return "/" in word or "=" in word or (word[:1] == "<" and word[-1:] == ">")


def _is_act(word: str) -> bool:
    return _PLAIN.match(word) is not None and _has_part(ACTING, word) and not is_program(word)


def _has_part(table: frozenset[str], word: str) -> bool:
    """Say whether a word's first or last part is in a table: `list-modules`, `migrate:fresh`."""
    parts = _parts(word)
    return bool(parts) and not table.isdisjoint((parts[0], parts[-1]))


@lru_cache(maxsize=4096)
def _parts(word: str) -> list[str]:
    return [part.lower() for part in _PARTS.split(word) if part]
