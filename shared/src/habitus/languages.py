# SPDX-License-Identifier: Apache-2.0
"""Texts that an operator reads, in English and Chinese."""

import os
from typing import Literal

from pydantic import BaseModel, ConfigDict

Language = Literal["en", "zh"]


class Bilingual(BaseModel):
    """One text in both languages."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    en: str
    zh: str

    def in_(self, language: Language) -> str:
        """Return the text in one language."""
        return self.zh if language == "zh" else self.en


def chosen_language(option: str | None, setting: str | None) -> Language:
    """Return the language to show: that of an option, else of a setting, else of the locale."""
    locale = os.environ.get("LC_ALL") or os.environ.get("LC_MESSAGES") or os.environ.get("LANG")
    return language_of(option or setting or locale)


def language_of(locale: str | None) -> Language:
    """Return the language that a POSIX locale such as `zh_CN.UTF-8` asks for."""
    return "zh" if (locale or "").lower().startswith("zh") else "en"
