# SPDX-License-Identifier: Apache-2.0
"""A profile as a document on its way between the console and the profiler that owns it: JSON, compressed."""

import base64
import binascii
import json
import zlib
from typing import Any, Final

LARGEST: Final = 64 << 20
"""Bytes of JSON that are unpacked at most."""


def packed(document: dict[str, Any]) -> str:
    """Return a document as text that travels in a request or reply."""
    return base64.b64encode(zlib.compress(json.dumps(document).encode())).decode()


def unpacked(text: str) -> dict[str, Any]:
    """Return the document that `packed` made.

    Raises:
        ValueError: it is none, or too large.
    """
    try:
        unpacking = zlib.decompressobj()
        data = unpacking.decompress(base64.b64decode(text, validate=True), LARGEST)
        if unpacking.unconsumed_tail:
            raise ValueError(f"more than {LARGEST >> 20} MiB")
        document = json.loads(data)
    except (zlib.error, binascii.Error, json.JSONDecodeError, RecursionError, UnicodeDecodeError) as error:
        raise ValueError(f"not a packed document: {error}") from None
    if not isinstance(document, dict):
        raise ValueError("not a mapping")  # noqa: TRY004  # one kind of fault for whoever sends it
    return document
