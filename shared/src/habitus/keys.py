# SPDX-License-Identifier: Apache-2.0
"""Reads a key, a token or an address that is a secret: out of a file, or of an environment variable."""

import os
from pathlib import Path

from pydantic import SecretStr

from habitus.plugins import PluginFault
from habitus.text import printable


def read_key(whose: str, file: Path | None, variable: str | None) -> SecretStr | None:
    """Return the secret of `file`, else of the environment's `variable`, else None.

    Raises:
        PluginFault: the file cannot be read, or holds no single printable ASCII word. It says whose
            secret was meant and never what was read.
    """
    if file is not None:
        try:
            text = file.read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            why = os.strerror(error.errno or 0) if isinstance(error, OSError) else "not UTF-8"
            raise PluginFault(f"{whose}: key file {file}: {why}") from None
        return _checked(whose, text, f"key file {file}")
    text = os.environ.get(variable, "").strip() if variable else ""
    return _checked(whose, text, f"environment variable {variable}") if text else None


def _checked(whose: str, text: str, origin: str) -> SecretStr:
    if not text or not text.isascii() or printable(text) != text or " " in text:
        raise PluginFault(f"{whose}: {printable(origin)} holds no key")
    return SecretStr(text)
