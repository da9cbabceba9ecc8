# SPDX-License-Identifier: Apache-2.0
"""The answer that a model must give: its schema, and how what it said becomes a reply or a fault."""

import json
import re
from dataclasses import dataclass
from typing import Annotated, Any, Final, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from habitus.judging import JudgeReply, Verdict
from habitus.languages import Bilingual
from habitus.text import printable
from habitus_llm_gateway.providers import Style

Category = Literal[
    "cryptomining", "reverse-shell", "web-shell", "credential-access", "container-escape", "persistence",
    "reconnaissance", "lateral-movement", "exfiltration", "download-and-run", "defence-evasion",
    "destruction", "command-and-control", "policy-violation", "administration", "normal-operation", "other",
]  # fmt: skip
Action = Literal["block", "isolate", "investigate", "watch", "none"]

ADVICE: Final[dict[Action, Bilingual]] = {
    "block": Bilingual(en="Block this program or peer by a policy.", zh="用策略阻断该程序或对端。"),
    "isolate": Bilingual(en="Isolate the Pod and keep it for evidence.", zh="隔离该 Pod 并保留现场取证。"),
    "investigate": Bilingual(en="Look into the process and who started it.", zh="排查该进程及其启动来源。"),
    "watch": Bilingual(en="Watch whether it happens again.", zh="观察是否再次发生。"),
    "none": Bilingual(en="Nothing needs to be done.", zh="无需处理。"),
}
_LONGEST: Final = 600
_MOST_TEXT: Final = 65_536
_HAN: Final = re.compile(r"[\u4e00-\u9fff]")
_decoder: Final = json.JSONDecoder()
_LATIN: Final = re.compile(r"[A-Za-z]")


class AnswerFault(ValueError):
    """What the model said is no answer; the text tells it (and a person) what is wrong."""


class Answer(BaseModel):
    """What a model is asked for. The explanation comes first: it is what the verdict rests on."""

    model_config = ConfigDict(extra="forbid", strict=True)

    explanation_en: Annotated[str, Field(min_length=1, max_length=2000)]
    explanation_zh: Annotated[str, Field(min_length=1, max_length=2000)]
    verdict: Verdict
    confidence: Annotated[float, Field(ge=0, le=1)]
    category: Category
    technique: Annotated[str, Field(pattern=r"^(T\d{4}(\.\d{3})?)?$")]
    action: Action


# Written by hand: every provider takes this subset (no $ref, no bounds that strict modes refuse).
SCHEMA: Final[dict[str, Any]] = {
    "type": "object",
    "additionalProperties": False,
    "required": list(Answer.model_fields),
    "properties": {
        "explanation_en": {"type": "string", "description": "one or two sentences in English"},
        "explanation_zh": {"type": "string", "description": "the same in Chinese"},
        "verdict": {"type": "string", "enum": list(get_args(Verdict))},
        "confidence": {"type": "number", "description": "0 to 1"},
        "category": {"type": "string", "enum": list(get_args(Category))},
        "technique": {"type": "string", "description": "MITRE ATT&CK id such as T1496, or an empty text"},
        "action": {"type": "string", "enum": list(get_args(Action))},
    },
}


@dataclass(frozen=True)
class _Kind:
    zh: str
    technique: str = ""


_CATEGORIES: Final[dict[Category, _Kind]] = {
    "cryptomining": _Kind("挖矿", "T1496"),
    "reverse-shell": _Kind("反弹 shell", "T1059"),
    "web-shell": _Kind("Web shell", "T1505.003"),
    "credential-access": _Kind("窃取凭据", "T1552"),
    "container-escape": _Kind("容器逃逸", "T1611"),
    "persistence": _Kind("持久化", "T1546"),
    "reconnaissance": _Kind("侦察", "T1046"),
    "lateral-movement": _Kind("横向移动", "T1021"),
    "exfiltration": _Kind("数据外传", "T1041"),
    "download-and-run": _Kind("下载并执行", "T1105"),
    "defence-evasion": _Kind("规避防御", "T1562"),
    "destruction": _Kind("破坏", "T1485"),
    "command-and-control": _Kind("命令与控制", "T1071"),
    "policy-violation": _Kind("违反策略"),
    "administration": _Kind("运维"),
    "normal-operation": _Kind("正常工作"),
    "other": _Kind("其他"),
}
_CALLS: Final[dict[Verdict, str]] = {
    "malicious": "语言模型判定为恶意",
    "suspicious": "语言模型判定为可疑",
    "benign": "语言模型判定为正常",
    "unsure": "语言模型无法判断",
}
_ACTIONS: Final[dict[Verdict, Action]] = {
    "malicious": "isolate",
    "suspicious": "investigate",
    "benign": "none",
    "unsure": "watch",
}


class ShortAnswer(BaseModel):
    """What a small model in this process decides; the rest of an answer follows from it by tables."""

    model_config = ConfigDict(extra="forbid", strict=True)

    verdict: Verdict
    confidence: Annotated[float, Field(ge=0, le=1)]
    category: Category
    explanation_en: Annotated[str, Field(min_length=1, max_length=2000)]

    def whole(self) -> Answer:
        """Return the answer with what was not asked for."""
        calls, kind = _CALLS[self.verdict], _CATEGORIES[self.category]
        return Answer(
            explanation_en=self.explanation_en,
            explanation_zh=f"{calls}，类别：{kind.zh}。（小模型只给出英文说明。）",
            verdict=self.verdict,
            confidence=self.confidence,
            category=self.category,
            technique=kind.technique if self.verdict in {"malicious", "suspicious"} else "",
            action=_ACTIONS[self.verdict],
        )


def parsed(text: str, style: Style = "full") -> Answer:
    """Return the answer in what a model said.

    Raises:
        AnswerFault: it holds no JSON object, or one that is no answer.
    """
    try:
        said = _object(text[:_MOST_TEXT])
        if style == "small":
            answer = ShortAnswer.model_validate_json(said).whole()
        else:
            answer = Answer.model_validate_json(said)
    except ValidationError as error:
        first = error.errors(include_input=False)[0]
        field = ".".join(str(part) for part in first["loc"]) or "body"
        raise AnswerFault(printable(f"{field}: {first['msg']}", 200)) from None
    if not _HAN.search(answer.explanation_zh):
        raise AnswerFault("explanation_zh: is not in Chinese")
    if not is_english(answer.explanation_en):
        raise AnswerFault("explanation_en: is not in English")
    return answer


def is_english(text: str) -> bool:
    """Tell whether at least half of a text's signs are Latin letters."""
    return len(_LATIN.findall(text)) * 2 >= len(text.replace(" ", ""))


def replied(answer: Answer) -> JudgeReply:
    """Return the answer as a reply whose texts are safe in a terminal and in a page."""
    return JudgeReply(
        verdict=answer.verdict,
        confidence=answer.confidence,
        category=answer.category,
        techniques=[answer.technique] if answer.technique else [],
        explanation=Bilingual(en=_shown(answer.explanation_en), zh=_shown(answer.explanation_zh)),
        action=answer.action,
        advice=ADVICE[answer.action],
    )


def _object(text: str) -> str:
    """Return the first JSON object of a text: models like to put words or a fence around it."""
    start = text.find("{")
    if start < 0:
        raise AnswerFault("body: no JSON object")
    try:
        _, end = _decoder.raw_decode(text, start)
    except (ValueError, RecursionError):
        raise AnswerFault("body: the JSON object does not end, or is malformed") from None
    return text[start:end]


def _shown(text: str) -> str:
    # Angle brackets go: a page that forgets to escape shall still run nothing.
    flat = " ".join(text.replace("<", "‹").replace(">", "›").split())
    return printable(flat, _LONGEST)
