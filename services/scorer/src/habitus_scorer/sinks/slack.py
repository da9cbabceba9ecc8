# SPDX-License-Identifier: Apache-2.0
"""Slack's incoming-webhook format: a message of blocks. Mattermost and others read the same.

Observed text stands in code spans, which know no markup, with `&`, `<` and `>` as entities, so that it
can neither mention anybody nor make a link; `verbatim` keeps bare addresses from becoming links.
"""

import json
from collections.abc import Iterator
from typing import Any, Final

from pydantic import Field

from habitus.alerts import Alert, Severity
from habitus.languages import Bilingual, Language
from habitus.sinks import SinkServices
from habitus_scorer.sinks.http import HttpSettings, Poster
from habitus_scorer.sinks.text import Words, delivery_id, link_of, shown, words_of

_SIGN: Final = {
    Severity.INFO: ":information_source:",
    Severity.LOW: ":large_blue_circle:",
    Severity.MEDIUM: ":large_yellow_circle:",
    Severity.HIGH: ":large_orange_circle:",
    Severity.CRITICAL: ":red_circle:",
}
_WORDS: Final = {
    "place": Bilingual(en="Where", zh="位置"),
    "command": Bilingual(en="Process", zh="进程"),
    "lineage": Bilingual(en="Lineage", zh="进程链"),
    "why": Bilingual(en="Why", zh="原因"),
    "more": Bilingual(en="{count} more departures", zh="另有 {count} 处偏离"),
    "advice": Bilingual(en="Advice", zh="建议"),
    "explanation": Bilingual(en="Explanation", zh="解释"),
    "foot": Bilingual(
        en="score {score:g} of 100 · {techniques} · alert {id}, revision {revision}",
        zh="评分 {score:g}/100 · {techniques} · 告警 {id}，修订 {revision}",
    ),
    "link": Bilingual(en="open", zh="打开"),
}
# An entity has five characters, and a section may have 3 000.
_SPAN: Final = 550


class SlackSettings(HttpSettings):
    """As every HTTP sink; the address is a secret, so prefer `url_file` or `url_env`."""

    link: str | None = Field(default=None, description="address of an alert's page; {id} is replaced")


class SlackSink:
    """Posts messages."""

    def __init__(self, services: SinkServices) -> None:
        settings = services.checked(SlackSettings)
        self._link, self._language = settings.link, services.language
        self._poster = Poster(services, settings)

    async def send(self, alert: Alert) -> None:
        """Post one revision."""
        message = message_of(alert, self._language, link_of(self._link, alert))
        await self._poster.post(json.dumps(message).encode(), {"Idempotency-Key": delivery_id(alert)})

    async def close(self) -> None:
        """Close the connections."""
        await self._poster.close()


def message_of(alert: Alert, language: Language, link: str = "") -> dict[str, Any]:
    """Return the message: `text` for notifications, `blocks` for the channel."""
    words = words_of(alert, language)
    head = {"type": "header", "text": {"type": "plain_text", "text": _escaped(words.title, 140)}}
    body = [_section(text) for text in _sections(words, language)]
    foot = {"type": "context", "elements": [_markup(_foot(alert, language, link))]}
    return {
        "text": _escaped(f"{words.title} · {words.place}", 400),
        "unfurl_links": False,
        "unfurl_media": False,
        "blocks": [head, *body, foot],
    }


def _sections(words: Words, language: Language) -> Iterator[str]:
    for name, text in (("place", words.place), ("command", words.command), ("lineage", words.lineage)):
        if text:
            yield f"{_name(name, language)} {_code(text)}"
    why = [_code(one, 180) for one in words.why]
    if words.more:
        why.append(_WORDS["more"].in_(language).format(count=words.more))
    if why:
        yield "\n".join([_name("why", language), *why])
    for name, text in (("explanation", words.explanation), ("advice", words.advice)):
        if text:
            yield f"{_name(name, language)} {_code(text)}"


def _foot(alert: Alert, language: Language, link: str) -> str:
    techniques = ", ".join(shown(name, 20) for name in alert.techniques[:8]) or "–"
    parts = {"score": alert.score, "techniques": techniques, "id": alert.id, "revision": alert.revision}
    text = f"{_SIGN[alert.severity]} {_escaped(_WORDS['foot'].in_(language).format(**parts), 500)}"
    return f"{text} · <{link}|{_WORDS['link'].in_(language)}>" if link else text


def _name(word: str, language: Language) -> str:
    return f"*{_WORDS[word].in_(language)}*"


def _section(text: str) -> dict[str, Any]:
    return {"type": "section", "text": _markup(text)}


def _markup(text: str) -> dict[str, Any]:
    return {"type": "mrkdwn", "text": text, "verbatim": True}


def _code(text: str, most: int = _SPAN) -> str:
    # A code span ends at a backtick, and nothing inside it escapes one.
    return f"`{_escaped(text.replace('`', 'ˋ'), most)}`"


def _escaped(text: str, most: int) -> str:
    return shown(text, most).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
