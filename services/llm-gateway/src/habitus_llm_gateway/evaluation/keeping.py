# SPDX-License-Identifier: Apache-2.0
"""Keeps the answers of an evaluation as JSON Lines, so that one that was broken off goes on."""

import json
from hashlib import blake2b
from pathlib import Path

from pydantic import ValidationError

from habitus.judging import JudgeReply, JudgeRequest


class Kept:
    """Answers by question, model and prompt.

    Args:
        path: None keeps nothing. A line that cannot be read, such as the last of a run that was
            killed, is left out: its question is asked again.
        about: what an answer depends on besides the question: the model, the prompt's version.
    """

    def __init__(self, path: Path | None, *about: str) -> None:
        self._path = path
        self._about = about
        self._replies = dict(self._read(path)) if path and path.exists() else {}
        if path:
            path.parent.mkdir(parents=True, exist_ok=True)

    def get(self, question: JudgeRequest) -> JudgeReply | None:
        """Return the answer that is kept."""
        return self._replies.get(self._key(question))

    def add(self, question: JudgeRequest, reply: JudgeReply) -> None:
        """Keep an answer; an abstention is none."""
        key = self._key(question)
        if self._path is None or reply.abstained or key in self._replies:
            return
        self._replies[key] = reply
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps({"key": key, "reply": reply.model_dump()}, ensure_ascii=False) + "\n")

    def _key(self, question: JudgeRequest) -> str:
        whole = "\0".join((*self._about, question.model_dump_json()))
        return blake2b(whole.encode(), digest_size=16).hexdigest()

    @staticmethod
    def _read(path: Path) -> list[tuple[str, JudgeReply]]:
        found = []
        for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
            try:
                kept = json.loads(line)
                found.append((kept["key"], JudgeReply.model_validate(kept["reply"])))
            except (ValueError, KeyError, TypeError, ValidationError):
                continue
        return found
