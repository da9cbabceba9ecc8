# SPDX-License-Identifier: Apache-2.0
"""Finds text in the data that speaks to the model, and makes the clean twin without it.

No list of words stops an injection; the fence and the check of the answer are the defence. This
finds the cases in which the answer must be checked against a twin: the same event with the spoken
part taken out. Both languages, also base64 and hex, also through zero-width characters and
look-alike letters (NFKC).
"""

import base64
import binascii
import re
import unicodedata
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, Final

REMOVED: Final = "[text removed]"

_SPEAKS: Final = re.compile(
    r"""(?xi)
    \b(ignore|disregard|forget|override|bypass|discard|skip)\b.{0,40}\b(previous|prior|above|earlier|all|
        any|your|
        the|these|preceding|system)\b.{0,40}\b(instruction|prompt|rule|order|message|context|direction|
        guideline|
        polic|text|command)
    | \b(system|developer|assistant|user|human)\s*(prompt|message|override|note|instruction|turn|
        mode)\b\s*[:=\]-]
    | (^|[\s"'|>\]/_])(system|assistant|developer|human|user)\s*:\s
    | <\|?\s*/?\s*(im_start|im_end|system|assistant|user|end|eot_id|start_header_id|endoftext|begin_of_text)\b
    | </?\s*(start_of_turn|end_of_turn|s|system|instructions?|data|event|untrusted)\s*>
    | \[/?\s*(INST|SYS|SYSTEM)\s*\] | <<\s*/?SYS\s*>> | \#{2,}\s*(instruction|system|response|assistant)
    | \b(you\s+are|act\s+as|pretend|role-?play|behave|imagine)\b.{0,60}\b(now|no\s+longer|assistant|model|
        analyst|
        judge|as\s+if|that|a|an|the)\b
    | \b(classif\w+|mark|label|report|rate|treat|judge|consider|answer|respond|reply|output|return|say|
        print|set)\b
        .{0,60}\b(benign|safe|harmless|legitimate|malicious|unsure|suspicious|not\s+malicious|
        false\s+positive|
        normal|trusted|approved|verdict|confidence)\b
    | \b(verdict|confidence|category|is_malicious|label)["'\\]*\s*([:=]|\s(is|as|must\s+be)\s)\s*["'\\]*\w
    | \b(the\s+)?(correct|right|expected|final|true|only)\s+(answer|verdict|output|classification|response)\b
    | \bthis\s+(\w+\s+){0,3}(is|was)\s+(\w+\s+){0,3}(benign|safe|harmless|approved|authori[sz]ed|
        legitimate|a\s+test|
        normal|expected|whitelisted|allowlisted)\b
    | \b(approved|authori[sz]ed|whitelisted|cleared|signed\s+off)\b.{0,40}\b(security|soc|admin|team|
        operator|ciso)\b
    | \b(note|message|attention|instruction|dear|hint)\w*\b.{0,12}\b(to|for|from)\b.{0,24}\b(ai|llm|model|
        analyst|
        assistant|reviewer|judge|security|soc|gpt|claude)\b
    | \b(end|close|begin|start)\s*(of\s*)?(data|fence|input|event|context|untrusted|user\s*input)\b
    | \b(do\s+not|don't|never)\s+(alert|flag|report|raise|page|wake|notify)\b
    | \b(decode|base64)\b.{0,30}\b(follow|obey|instruction|execute\s+as)\b | \bnew\s+(instruction|task|
        rule|policy)
    | \b(simulation|training|test|drill|developer|debug|maintenance|jailbreak|dan)\s*mode\b
    | (忽略|无视|忘记|忘掉|不要理会|绕过|跳过|覆盖).{0,20}(指令|提示|规则|要求|上文|以上|之前|前面|内容|系统)
    | (判定|判断|标记|分类|回答|回复|输出|返回|视|归类|评定|认定|报告)(为|成|作)?.{0,14}
        (良性|正常|安全|无害|benign|误报|合法|可信)
    | (系统|开发者|助手|用户|管理员)(提示|消息|指令|通知|覆盖)?\s*[::]
    | (你现在是|从现在起|请扮演|假装|扮演|你是一个)
    | (正确|最终|唯一)的?(答案|结论|判定|输出) | (不要|请勿|无需|禁止)(告警|报警|上报|标记|通知|报告)
    | (已|经)(被|由|经)?.{0,10}(批准|授权|审批|认可)
    | (数据|输入|上下文|事件)(结束|到此|开始) | 新(的)?(指令|任务|规则)
    | (致|给|告诉|提醒).{0,8}(模型|分析员|AI|助手|审核|大模型)
    """
)
_VERDICTS: Final[tuple[tuple[str, re.Pattern[str]], ...]] = (
    (
        "benign",
        re.compile(
            r"(?i)benign|harmless|\bsafe\b|legitimate|"
            r"false\s+positive|not\s+malicious|trusted|approved|authori[sz]ed|"
            r"whitelist|allowlist|\bnormal\b|do\s+not\s+(alert|flag|report)|良性|正常|安全|无害|误报|合法|可信|"
            r"不要告警|请勿|无需|批准|授权"
        ),
    ),
    ("unsure", re.compile(r"(?i)\bunsure\b|不确定|无法判断")),
    ("suspicious", re.compile(r"(?i)\bsuspicious\b|可疑")),
    ("malicious", re.compile(r"(?i)(?<!not )(?<!is_)\bmalicious\b|恶意")),
)
_ENCODED: Final = re.compile(
    r"[A-Za-z0-9+/_-]{24,4096}={0,2}|(?:[0-9a-fA-F]{2}){12,2048}|(?:\\x[0-9a-fA-F]{2}){6,2048}"
)
_LONGEST: Final = 65_536
_REMEMBERED_LENGTH: Final = 256
_SHARED_WORDS: Final = 6
_SHARED_CHARACTERS: Final = 12


def speaking(value: Any) -> list[str]:
    """Return the texts in a JSON value, keys included, that speak to a model; decoded ones as decoded."""
    return [spoken for text in _texts(value) for spoken in _heard(text)]


def clean_twin(value: Any) -> Any:
    """Return a copy of a JSON value in which every text that speaks is replaced by `REMOVED`."""
    if isinstance(value, str):
        return _cleaned(value)
    if isinstance(value, list):
        return [clean_twin(item) for item in value]
    if isinstance(value, dict):
        return {_cleaned(str(key)): clean_twin(item) for key, item in value.items()}
    return value


def wanted(spoken: list[str]) -> set[str]:
    """Return the verdicts that texts ask for."""
    texts = [*spoken, *(_joined(text) for text in spoken)]
    return {verdict for verdict, pattern in _VERDICTS for text in texts if pattern.search(text)}


def echoes(answer: str, spoken: list[str]) -> bool:
    """Tell whether an explanation repeats six words, or twelve Chinese characters, of what was spoken."""
    said = _words(answer)
    runs = {tuple(said[at : at + _SHARED_WORDS]) for at in range(len(said) - _SHARED_WORDS + 1)}
    for text in spoken:
        words = _words(text)
        if any(tuple(words[at : at + _SHARED_WORDS]) in runs for at in range(len(words) - _SHARED_WORDS + 1)):
            return True
        for run in re.findall(r"[\u4e00-\u9fff]{12,}", text):
            starts = range(len(run) - _SHARED_CHARACTERS + 1)
            if any(run[at : at + _SHARED_CHARACTERS] in answer for at in starts):
                return True
    return False


def _words(text: str) -> list[str]:
    return re.findall(r"\w+", text.lower())


def _texts(value: Any) -> list[str]:
    found: list[str] = []
    _gather(value, found)
    return found


def _gather(value: Any, found: list[str]) -> None:
    if isinstance(value, str):
        found.append(value)
    elif isinstance(value, list):
        # An order may be spread over arguments: they are read together as well.
        parts = [item for item in value if isinstance(item, str)]
        if len(parts) > 1:
            found.append(" ".join(parts))
        for item in value:
            _gather(item, found)
    elif isinstance(value, dict):
        for key, item in value.items():
            found.append(str(key))
            _gather(item, found)


def _plain(text: str) -> str:
    """Return a text as a model may read it: without what is invisible, look-alikes as letters."""
    text = unicodedata.normalize("NFKC", text[:_LONGEST]).translate(_ALIKE)
    text = "".join(
        chr(ord(one) - 0xE0000) if 0xE0020 <= ord(one) < 0xE007F else one  # noqa: PLR2004  # tag letters
        for one in text
    )
    text = "".join(
        one for one in text if unicodedata.category(one) not in {"Cf", "Cc", "Mn"} or one.isspace()
    )
    # Paths and DNS names cannot hold blanks: words come joined by other signs.
    return text.translate(str.maketrans("\t\n\r", "   "))


def _joined(text: str) -> str:
    """Return a text with blanks where a path, a name or a shell must use other signs."""
    return _CAMEL.sub(" ", re.sub(r"(?:%20|\$\{IFS\}|\$IFS|[_.+%/-])+", " ", text))


def _may_speak(text: str) -> bool:
    """Tell by single words, cheaply, whether the long pattern is worth its time."""
    words = set(_WORD.findall(_CAMEL.sub(" ", text).lower()))
    if not words.isdisjoint(_TRIGGERS) or _MARKED.search(text):
        return True
    return any(word.translate(_ROT13) in _TRIGGERS or word[::-1] in _TRIGGERS for word in words)


def _heard(text: str) -> Sequence[str]:
    # Names of fields, images and usual lines come with every question.
    return _remembered(text) if len(text) <= _REMEMBERED_LENGTH else _spoken(text)


@lru_cache(maxsize=4096)
def _remembered(text: str) -> tuple[str, ...]:
    return tuple(_spoken(text))


def _spoken(text: str) -> list[str]:
    plain = text if text.isascii() and text.isprintable() else _plain(text)
    if not _may_speak(plain) and not _ENCODED.search(plain):
        return []
    found = [one for one in (plain, _joined(plain)) if _SPEAKS.search(one)][:1]
    for match in _ENCODED.finditer(plain):
        inner = _decoded(match[0])
        if inner and _SPEAKS.search(_plain(inner)):
            found.append(inner)
    turned = plain.translate(_ROT13)
    if not found and _SPEAKS.search(turned):
        found.append(turned)
    if not found and _SPEAKS.search(plain[::-1]):
        found.append(plain[::-1])
    return found


# Cyrillic and Greek letters that look Latin.
_ALIKE: Final = str.maketrans("аеорсухіјѕԁһкмтвнΑΒΕΖΗΙΚΜΝΟΡΤΥΧο", "aeopcyxijsdhkmtbhABEZHIKMNOPTYXo")
_WORD: Final = re.compile(r"[a-z]{2,24}")
_CAMEL: Final = re.compile(r"(?<=[a-z])(?=[A-Z])")
_MARKED: Final = re.compile(r"[\u4e00-\u9fff]|<[|/<s]|\[/?\s?[IS]|\[/?\s?[is][ny]|#{2}")
_TRIGGERS: Final = frozenset((
    "ignore", "disregard", "forget", "override", "bypass", "discard", "skip", "system", "developer",
    "assistant", "user", "human", "you", "act", "pretend", "play", "behave", "imagine", "classify",
    "classified", "classifying", "classification", "mark", "label", "report", "rate", "treat", "judge",
    "consider", "answer", "respond", "reply", "output", "return", "say", "print", "set", "verdict",
    "confidence", "category", "malicious", "correct", "right", "expected", "final", "true", "only",
    "this", "approved", "authorized", "authorised", "whitelisted", "cleared", "signed", "note",
    "message", "attention", "instruction", "instructions", "dear", "hint", "end", "close", "begin",
    "start", "not", "don", "never", "decode", "base", "new", "simulation", "training", "test", "drill",
    "debug", "maintenance", "jailbreak", "dan", "eot", "roleplay", "im", "event", "data", "untrusted",
    "instruct", "is", "was",
))  # fmt: skip
_ROT13: Final = str.maketrans(
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz",
    "NOPQRSTUVWXYZABCDEFGHIJKLMnopqrstuvwxyzabcdefghijklm",
)


def _cleaned(text: str) -> str:
    return REMOVED if _heard(text) else text


def _decoded(text: str) -> str | None:
    try:
        if "\\x" in text:
            raw = bytes.fromhex(text.replace("\\x", ""))
        elif re.fullmatch(r"[0-9a-fA-F]+", text):
            raw = bytes.fromhex(text)
        else:
            body = text.rstrip("=").replace("-", "+").replace("_", "/")
            raw = base64.b64decode(body + "=" * (-len(body) % 4))
        return raw.decode("utf-8")
    except (ValueError, binascii.Error):
        return None
