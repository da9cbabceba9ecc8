# SPDX-License-Identifier: Apache-2.0
"""What one-letter flags can do, by program, after the programs' public manuals.

`SWITCHES` names, for programs whose letters are known here, those that take no value and can do no harm:
they say how much is told, in what order, how links and times are kept. What is not named there (insecure,
forward, listen, execute, absolute names, another user) is news. For programs that are not named, a letter
without a value is mild unless it is one of those that mostly mean one of these things.
"""

import re
from functools import lru_cache
from typing import Final

from habitus_profiler.programs import RUNNING, SHELLS, TALKERS, WRAPPERS, program
from habitus_profiler.words import words

SWITCHES: Final = {
    # download and reach
    "curl": "0123467fgijlqsvGILNRS#",
    "wget": "46bcdnpqvxFHNS",
    "ssh": "46aknqvxCGT",
    "scp": "46pqrvBC",
    "sftp": "46pqrvBC",
    "nc": "46nuvwz",
    "ncat": "46nuvwz",
    "netcat": "46nuvwz",
    "ping": "46nqvDO",
    "dig": "46",
    "traceroute": "46n",
    "sendmail": "bimnopqtv",
    # interpreters and shells
    "python": "bdqsuvxBEIOS",
    "perl": "0aclnpstwTW",
    "ruby": "clvwTW",
    "node": "cv",
    "php": "lmqvwH",
    "lua": "vEW",
    "pytest": "lqrsvx",
    **dict.fromkeys(SHELLS, "bcefhlmnuvxBC"),
    # what runs another program
    "env": "0iv",
    "xargs": "0rtx",
    "timeout": "v",
    "tini": "gsv",
    "sshd": "46Ddeqt",
    "time": "pv",
    "flock": "nosuxF",
    "parallel": "kmtuvX",
    "watch": "cdgt",
    "sudo": "n",
    # files
    "chmod": "cfv",
    "chown": "cfhv",
    "rm": "fv",
    "cp": "adfnpruvLPRT",
    "mv": "fnuv",
    "ln": "fnsv",
    "dd": "",
    "mount": "v",
    "crontab": "l",
    "iptables": "nvwxL",
    "dpkg": "lsLS",
    "rpm": "aqlV",
    "tar": "acfhjkmoprstvxzJOSUW",
    "rsync": "acghilnopqrtuvxyzACDHJNOPRSWX",
    "sed": "nrsuzE",
    "base64": "iw",
    # containers and sources
    "git": "abflnpqstuvwxzdPS",
    "docker": "adflnqst",
    "podman": "adflnqst",
    "kubectl": "wR",
    "gpg": "aenqtv",
    "pip": "qvIU",
    "npm": "dfqswBCDEOPS",
    # data and servers
    "psql": "01abelnqstxzAELSX",
    "mysql": "abcfnqrstvwABCEHNX",
    "nats-server": "tDV",
    "nginx": "qtvTV",
    "haproxy": "cdqsvDVW",
    "php-fpm": "tyDFO",
    "ansible-playbook": "vCD",
    "kcat": "equCEJLZ",
    "kafkacat": "equCEJLZ",
    # what only looks
    **dict.fromkeys(("grep", "egrep", "fgrep", "zgrep"), "abchilnoqrsvwxzEFHLPR"),
    **dict.fromkeys(("ls", "df", "du"), "abcdfghiklmnopqrstuvwxABCDFGHLPRSTUX1"),
    "ps": "aefluwxALT",
    "ss": "aeilnoprstuxmH",
    "netstat": "aceilnoprstu",
    "diff": "abdiqruwBN",
    "jq": "acejnrsCMRS",
    "mkdir": "pv",
    "deno": "qr",
    "make": "ikmnqrstwBRS",
    "cat": "bensvAET",
    **dict.fromkeys(("head", "tail"), "cfnqvzF"),
    "wc": "clmwL",
    "uniq": "cdiu",
    "cut": "s",
    "tr": "cds",
    "sort": "bdfghimnrsuzVRM",
    "date": "uIR",
    "gzip": "cdfklnqrtvN",
}
"""Program → letters that take no value and can do no harm."""

VALUED: Final = {
    "curl": "AmrwyzCHXY",
    "wget": "ltwQTU",
    "php": "d",
    "ssh": "bcmop",
    "scp": "cl",
    "ping": "ciswW",
    "nc": "iwq",
    "xargs": "dnsELP",
    "timeout": "ks",
    "python": "WX",
    "watch": "n",
    "git": "e",
    "pip": "cw",
    "parallel": "jnLN",
    "nice": "n",
    "ionice": "cn",
    "strace": "s",
    "taskset": "c",
    "chrt": "p",
}
"""Program → letters that take a number or a word and can do no harm: its own name, how long it waits."""

_RISKY: Final = frozenset("kA")
_FAR_REACHING: Final = RUNNING | TALKERS | WRAPPERS
_WORDS: Final = frozenset({"word"})
_GIVEN: Final = frozenset({"amount", "digit", "number", "word", "setting", "place"})
_WITH_NUMBER: Final = frozenset("uU")
_WITH_DIGIT: Final = frozenset("uUgG")
_LISTENING: Final = frozenset("lp")
_NAMED_WITH_WORD: Final = frozenset("abdfgijlmnopqstvwxyzBCFJKLNOQTWXYZ")
_NAMED_WITH_PLACE: Final = frozenset("abdefgijklnoqstuvwyzBDFGHJNOQSTVWYZ")
_WITH_WORD: Final = _NAMED_WITH_WORD | frozenset("krxAEGMRV")
_WITH_PLACE: Final = _NAMED_WITH_PLACE | frozenset("mpxAEKLRUX")
"""Of a program whose letters no table names, nearly any: the word or place tells by itself."""
_COMMANDS: Final = words("rm rmr mv cp dd sh su nc ln mk chmod chown chgrp put")
"""Names behind one dash that are commands and no letters."""
_MEMORY: Final = re.compile(r"X(?:m[sxn]|ss)\Z")
"""A Java machine's sizes."""
_LETTERS: Final = re.compile(r"-[A-Za-z0-9#]{0,8}\Z")


@lru_cache(maxsize=4096)
def is_known_switch(command: str, flag: str) -> bool:
    """Say whether `flag` is letters that in this program take no value and can do no harm."""
    letters = SWITCHES.get(_stem(command))
    if command == "wget":
        flag = flag.removesuffix("O-")  # to standard output
    return letters is not None and _LETTERS.match(flag) is not None and set(flag[1:]).issubset(letters)


def are_mild(command: str, letters: str, value: str) -> bool:
    """Say whether letters behind one dash can do no harm that what stands behind them does not tell.

    `value` is the grade of that (`flags.Value`).
    """
    if letters in _COMMANDS or value == "none":
        return letters not in _COMMANDS and _is_mild_alone(command, letters)
    is_valued = (
        value in (_GIVEN if letters != "X" else _WORDS)
        and len(letters) == 1
        and letters in VALUED.get(_stem(command), ())
    )
    if is_valued or value == "format" or (value == "setting" and command not in _FAR_REACHING):
        return True
    if value in {"amount", "digit", "number"}:
        is_memory = value == "amount" and _MEMORY.match(letters) is not None
        doors = _WITH_DIGIT if value == "digit" else _WITH_NUMBER
        doors = doors if len(letters) == 1 else doors | _LISTENING
        return is_memory or (command not in _FAR_REACHING and doors.isdisjoint(letters))
    if len(letters) > 1:
        # Clusters seldom take a value: what stands behind one is the next argument, and read by itself.
        return value in {"word", "place"} and _is_mild_alone(command, letters)
    return command not in _FAR_REACHING and letters in _taking(command, value)


def _taking(command: str, value: str) -> frozenset[str]:
    if _stem(command) in SWITCHES:
        return _NAMED_WITH_WORD if value == "word" else _NAMED_WITH_PLACE
    return _WITH_WORD if value == "word" else _WITH_PLACE


def _is_mild_alone(command: str, letters: str) -> bool:
    if _stem(command) in SWITCHES:
        return is_known_switch(command, f"-{letters}")
    return command not in _FAR_REACHING and _RISKY.isdisjoint(letters)


def _stem(command: str) -> str:
    return program(command).rstrip("0123456789.") if command not in SWITCHES else command
