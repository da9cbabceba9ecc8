# SPDX-License-Identifier: Apache-2.0
"""Secrets in command lines, addresses and paths are named and numbered before anything leaves.

`--password=hunter2` leaves as `--password=[secret-1:password]`: a model needs to know that a
password was there, not which. The same secret has the same number within a question. What was
taken out stays here, see `vault`.

Not taken out: random-looking text as such. An encoded payload looks like a key, and is what the
model must see; limits are in docs/llm-gateway.md.
"""

import re
from functools import lru_cache, partial
from typing import Any, Final

# Names that mean a secret wherever they stand in a word, and those that must begin one.
_ANYWHERE: Final = (
    r"passw(?:or)?d|passphrase|passcode|secret|token|api[_-]?key|access[_-]?key(?:[_-]?id)?|account[_-]?key|"
    r"private[_-]?key|encryption[_-]?key|session[_-]?key|credentials?"
)
_AT_START: Final = r"pass|pwd|auth|bearer|signature|sig|sas"
_NAMED: Final = rf"(?:(?:{_ANYWHERE})|(?<![A-Za-z0-9])(?:{_AT_START}))"
_HINTS: Final = ("pass", "secret", "token", "key", "credential", "pwd", "auth", "bearer", "sig", "sas")
_FLAGGED: Final = rf"--?(?:[A-Za-z0-9]{{1,24}}[_.-]){{0,4}}(?:{_ANYWHERE}|{_AT_START})"
_VALUE: Final = r"(?:\"[^\"]+\"|'[^']+'|[^\s&;,\"'|)}\]]+)"

# Kind, hints of which one must be there (in lower case), pattern whose group `secret` is taken out.
# The order is that of trust: forms that can be nothing else come first. No pattern may take more
# than linear time: the text is the attacker's.
_PATTERNS: Final[tuple[tuple[str, tuple[str, ...], re.Pattern[str]], ...]] = tuple(
    (kind, hints, re.compile(pattern))
    for kind, hints, pattern in (
        (
            "private-key",
            ("private key-----",),
            (
                r"(?s)(?P<secret>-----BEGIN [A-Z ]{0,20}PRIVATE KEY-----.{1,8192}?"
                r"(?:-----END [A-Z ]{0,20}PRIVATE KEY-----|\Z))"
            ),
        ),
        ("jwt", ("eyj",), r"(?P<secret>\beyJ[A-Za-z0-9_-]{6,}\.[A-Za-z0-9_-]{6,}(?:\.[A-Za-z0-9_-]*)?)"),
        ("aws-key", ("akia", "asia", "aroa", "aida"), r"(?P<secret>\b(?:AKIA|ASIA|AROA|AIDA)[A-Z0-9]{16}\b)"),
        (
            "google-key",
            ("aiza", "ya29.", "gocspx-"),
            r"(?P<secret>\bAIza[A-Za-z0-9_-]{35}|\bya29\.[A-Za-z0-9_-]{20,}|\bGOCSPX-[A-Za-z0-9_-]{20,})",
        ),
        (
            "github-token",
            ("ghp_", "gho_", "ghu_", "ghs_", "ghr_", "github_pat_"),
            r"(?P<secret>\bgh[pousr]_[A-Za-z0-9]{30,}|\bgithub_pat_[A-Za-z0-9_]{30,})",
        ),
        ("gitlab-token", ("gl",), r"(?P<secret>\bgl(?:pat|dt|rt|cbt|ptt|ft|soat)-[A-Za-z0-9_-]{16,})"),
        (
            "slack-token",
            ("xox", "xapp"),
            r"(?P<secret>\bxox[abeoprs]-[A-Za-z0-9-]{10,}|\bxapp-[A-Za-z0-9-]{10,})",
        ),
        (
            "slack-hook",
            ("hooks.slack.com",),
            r"hooks\.slack\.com/(?P<secret>(?:services|workflows)/[A-Za-z0-9/_-]{10,})",
        ),
        (
            "model-key",
            ("sk-", "hf_", "gsk_"),
            r"(?P<secret>\bsk-[A-Za-z0-9_-]{16,}|\bhf_[A-Za-z0-9]{20,}|\bgsk_[A-Za-z0-9]{20,})",
        ),
        (
            "payment-key",
            ("k_live_", "k_test_", "whsec_"),
            r"(?P<secret>\b[sr]k_(?:live|test)_[A-Za-z0-9]{10,}|\bwhsec_[A-Za-z0-9]{16,})",
        ),
        (
            "package-token",
            ("npm_", "pypi-", "dckr_pat_"),
            r"(?P<secret>\bnpm_[A-Za-z0-9]{30,}|\bpypi-[A-Za-z0-9_-]{30,}|\bdckr_pat_[A-Za-z0-9_-]{20,})",
        ),
        (
            "cloud-token",
            ("dop_v1_", "hvs.", "hvb.", "sg."),
            (
                r"(?P<secret>\bdop_v1_[a-f0-9]{32,}|\bhv[sb]\.[A-Za-z0-9_-]{20,}|"
                r"\bSG\.[A-Za-z0-9_-]{16,64}\.[A-Za-z0-9_-]{16,})"
            ),
        ),
        ("bot-token", (":aa",), r"(?P<secret>\b\d{8,10}:AA[A-Za-z0-9_-]{30,})"),
        ("url-password", ("://",), r"://[^\s/:@]{0,128}:(?P<secret>[^\s/]{1,256})@"),
        ("url-token", ("://",), r"\bhttps?://(?P<secret>[A-Za-z0-9_-]{16,256})@"),
        (
            "authorization",
            ("authorization",),
            (
                r"(?i)authorization['\"]?\s{0,4}[:=]\s{0,4}['\"]?(?:[a-z][a-z0-9-]{0,20}\s{1,4})?"
                r"(?P<secret>[A-Za-z0-9+/=._~:-]{6,})"
            ),
        ),
        (
            "authorization",
            ("bearer", "basic"),
            r"(?i)\b(?:bearer|basic)\s{1,4}(?P<secret>[A-Za-z0-9+/=._~-]{8,})",
        ),
        (
            "header",
            ("x-", "cookie"),
            (
                rf"(?i)\b(?:x-[a-z-]{{0,24}}?{_NAMED}[a-z-]{{0,12}}|(?:set-)?cookie)\s{{0,4}}:\s{{0,4}}"
                r"(?P<secret>[^\r\n\"']{4,})"
            ),
        ),
        (
            "password",
            _HINTS,
            rf"(?i){_NAMED}['\"]?\s{{0,4}}(?::=|=|:(?!//))\s{{0,4}}(?P<secret>{_VALUE})",
        ),
        ("password", _HINTS, rf"(?i)(?<![\w-]){_FLAGGED}\s{{1,4}}(?P<secret>(?!-){_VALUE})"),
        ("password", ("sshpass",), r"(?i)\bsshpass\s{1,4}-p\s{0,4}(?P<secret>\S+)"),
        (
            "password",
            ("mysql", "mariadb"),
            r"\b(?:mysql|mysqldump|mysqladmin|mariadb|mariadb-dump)\b[^|;&]{0,160}?\s-p(?P<secret>\S+)",
        ),
        ("password", ("redis-cli",), r"\bredis-cli\b[^|;&]{0,160}?\s-a\s{0,4}(?P<secret>\S+)"),
        (
            "password",
            ("curl", "wget"),
            r"\b(?:curl|wget)\b[^|;&]{0,160}?\s(?:-u|--user)[\s=]{0,4}[^\s:]{1,64}:(?P<secret>[^\s\"']+)",
        ),
    )
)
_ANY_HINT: Final = re.compile(
    "|".join(map(re.escape, dict.fromkeys(hint for _, hints, _ in _PATTERNS for hint in hints)))
)
"""One look at a text that has none of them, which is most, in place of twenty."""
_FLAG: Final = re.compile(rf"(?i){_FLAGGED}(?:[_-](?:id|key|value))?\Z")
_KEY: Final = re.compile(rf"(?i)(?:\w{{1,24}}[_.-]){{0,4}}(?:{_ANYWHERE}|{_AT_START})\Z")
_USER_FLAGS: Final = {"-u", "--user", "--proxy-user"}
_SHORT_PASSWORD: Final = {"mysql", "mysqldump", "mysqladmin", "mariadb", "mariadb-dump", "sshpass"}
_NEXT_PASSWORD: Final = {"sshpass": "-p", "redis-cli": "-a", "ldapsearch": "-w", "smbclient": "-U"}
_PLACEHOLDER: Final = re.compile(r"\[secret-(\d{1,6}):[a-z-]{1,20}\]")
_BEGUN: Final = "[secret-"
_MOST_SECRETS: Final = 256
_REMEMBERED: Final = 64
"""Characters of a key of which it is kept whether it names a secret: they are those of every event."""
_HARMLESS: Final = re.compile(
    r"(?i)\A['\"]?(?:\*+|x+|true|false|null|none|yes|no|\$\{?\w+\}?|/[\w./-]*)['\"]?\Z"
)


class Redactor:
    """The secrets of one question, by number."""

    def __init__(self) -> None:
        self._numbers: dict[str, str] = {}

    @property
    def secrets(self) -> dict[str, str]:
        """Placeholder → secret."""
        return {placeholder: secret for secret, placeholder in self._numbers.items()}

    def redacted(self, value: Any) -> Any:
        """Return a copy of any JSON value, bounded in size, in which secrets are placeholders."""
        if isinstance(value, str):
            return self._text(value)
        if isinstance(value, list):
            return self._list(value)
        if isinstance(value, dict):
            return {key: self._field(key, item) for key, item in value.items()}
        return value

    def _field(self, key: str, item: Any) -> Any:
        if isinstance(item, str) and _names_secret(key):
            return self._placeholder("password", item) if item else item
        return self.redacted(item)

    def _list(self, items: list[Any]) -> list[Any]:
        program = items[0].rsplit("/", 1)[-1] if items and isinstance(items[0], str) else ""
        kept: list[Any] = []
        before = ""
        for item in items:
            if isinstance(item, str):
                kept.append(self._argument(program, before, item))
                before = item
            else:
                kept.append(self.redacted(item))
                before = ""
        return kept

    def _argument(self, program: str, before: str, item: str) -> str:
        names_secret = _FLAG.match(before) is not None or before == _NEXT_PASSWORD.get(program)
        if names_secret and item and not item.startswith("--"):
            return self._placeholder("password", item)
        if before in _USER_FLAGS and ":" in item:
            user, _, password = item.partition(":")
            return f"{user}:{self._placeholder('password', password)}" if password else item
        if program in _SHORT_PASSWORD and item.startswith("-p") and len(item) > len("-p"):
            return f"-p{self._placeholder('password', item[2:])}"
        return self._text(item)

    def _text(self, text: str) -> str:
        low = text.lower()
        if not _ANY_HINT.search(low):
            return text
        for kind, hints, pattern in _PATTERNS:
            if any(hint in low for hint in hints):
                text = pattern.sub(partial(self._replaced, kind), text)
        return text

    def _replaced(self, kind: str, found: re.Match[str]) -> str:
        secret = found["secret"]
        if _BEGUN in secret or _HARMLESS.match(secret):
            return found[0]
        start, end = found.start("secret") - found.start(), found.end("secret") - found.start()
        return found[0][:start] + self._placeholder(kind, secret) + found[0][end:]

    def _placeholder(self, kind: str, secret: str) -> str:
        if _PLACEHOLDER.fullmatch(secret):
            return secret
        known = self._numbers.get(secret)
        if known is None:
            if len(self._numbers) >= _MOST_SECRETS:
                return f"[secret-0:{kind}]"
            known = self._numbers[secret] = f"[secret-{len(self._numbers) + 1}:{kind}]"
        return known


def _names_secret(key: str) -> bool:
    return _known_key(key) if len(key) <= _REMEMBERED else _KEY.match(key) is not None


@lru_cache(1024)
def _known_key(key: str) -> bool:
    return _KEY.match(key) is not None


def revealed(text: str, secrets: dict[str, str]) -> str:
    """Return a text with the secrets back in their places."""
    return _PLACEHOLDER.sub(lambda found: secrets.get(found[0], found[0]), text)
