# SPDX-License-Identifier: Apache-2.0
"""`openai`: vectors from another server that speaks OpenAI's embeddings API, as TEI, infinity and vLLM do.

Texts leave this machine for where `embedder.url` points. What the server refuses as too many or too long
is halved, so that a text that is too long for it is cut and not refused for ever.
"""

import urllib.error
import urllib.request
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPException
from pathlib import Path
from typing import Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from habitus.settings import EmbedderSettings
from habitus_embedder.faults import Away, EmbedFault, ModelFailed, Overloaded
from habitus_embedder.models.faults import ModelFault
from habitus_embedder.models.pooling import cut

Rows = NDArray[np.float32]

# TEI's own limit of one request; others take more.
_REQUEST: Final = 32
_AT_ONCE: Final = 4
_WAIT_S: Final = 30.0
_MOST_BYTES: Final = 64 << 20
# Bad request, too large, unprocessable: what a server says of too many texts or one too long.
_TOO_MUCH: Final = frozenset({400, 413, 422})
_BUSY: Final = 429
_SHORTEST: Final = 16
_RETRY_MS: Final = 1000
# As of an unknown model in a folder.
_THRESHOLD: Final = 0.80
_MAX_LENGTH: Final = 8192


class _Row(msgspec.Struct):
    index: int
    embedding: list[float]


class _Answer(msgspec.Struct):
    data: list[_Row]


class _TooMuch(Exception):
    """The server refuses this request for what is in it."""


class ServerModel:
    """Implements `habitus.embedding.EmbeddingModel`; a feature is the text itself.

    Vectors are not shared under a fingerprint: which model stands behind a name is the server's affair.
    """

    light = False
    fingerprint = ""
    licence = "unknown: see the server's own page"
    # In characters, like the length of a feature.
    batch_tokens = 1 << 18

    def __init__(self, settings: EmbedderSettings) -> None:
        if settings.url is None:
            raise ModelFault("embedder.url: openai needs the address of a server, e.g. http://tei:8080/v1")
        if settings.served_name is None:
            raise ModelFault("embedder.served_name: name the model as the server at embedder.url knows it")
        self.name = settings.served_name
        self.threshold = _THRESHOLD if settings.threshold is None else settings.threshold
        self.max_length = settings.max_length or _MAX_LENGTH
        self._address = f"{settings.url.rstrip('/')}/embeddings"
        self._headers = {"Content-Type": "application/json"} | _authorisation(settings.key_file)
        self._asked = {"dimensions": settings.dimension} if settings.dimension else {}
        self._threads = ThreadPoolExecutor(_AT_ONCE, "embed-server")
        try:
            self.dimension = self.smallest = self._rows(["habitus"]).shape[1]
        except EmbedFault as fault:
            raise ModelFault(f"embedder.url: {fault}") from None

    def count(self, texts: Sequence[str]) -> int:
        """Count words: the server's tokens of each text are not told."""
        return sum(len(text.split()) for text in texts)

    def encode_pre(self, texts: list[str]) -> list[str]:
        """Make texts that JSON can carry; an empty one, which servers refuse, is a blank."""
        return [text.encode("utf-8", "replace").decode("utf-8") or " " for text in texts]

    def encode_core(self, features: Sequence[str]) -> Rows:
        """Ask the server, a few requests at once: → float32 [texts, dimension].

        Raises:
            Away: the server does not answer as it should.
            Overloaded: it says so.
            ModelFailed: its answer is no vectors.
        """
        parts = [list(features[at : at + _REQUEST]) for at in range(0, len(features), _REQUEST)]
        return np.concatenate(list(self._threads.map(self._rows, parts)))

    def encode_post(self, outputs: Rows) -> Rows:
        """Normalise: servers differ in whether they do."""
        return cut(outputs, outputs.shape[1])

    def _rows(self, texts: list[str]) -> Rows:
        try:
            return self._asked_once(texts)
        except _TooMuch as fault:
            if len(texts) > 1:
                middle = len(texts) // 2
                return np.concatenate([self._rows(texts[:middle]), self._rows(texts[middle:])])
            if len(texts[0]) < 2 * _SHORTEST:
                raise Away(f"{self._address} refuses a short text: {fault}", _RETRY_MS) from None
            return self._rows([texts[0][: len(texts[0]) // 2]])

    def _asked_once(self, texts: list[str]) -> Rows:
        body = {"model": self.name, "input": texts, "encoding_format": "float"} | self._asked
        # The scheme is checked with the settings.
        request = urllib.request.Request(self._address, msgspec.json.encode(body), self._headers)  # noqa: S310
        try:
            with urllib.request.urlopen(request, timeout=_WAIT_S) as answer:  # noqa: S310
                data = answer.read(_MOST_BYTES)
        except urllib.error.HTTPError as error:
            raise self._refusal(error) from None
        except (OSError, HTTPException) as error:
            raise Away(f"{self._address}: {getattr(error, 'reason', error)}", _RETRY_MS) from None
        return self._read(data, len(texts))

    def _refusal(self, error: urllib.error.HTTPError) -> Exception:
        with error:
            if error.code in _TOO_MUCH:
                return _TooMuch(f"status {error.code}")
            if error.code == _BUSY:
                return Overloaded(_retry_ms(error.headers.get("Retry-After")))
            return Away(f"{self._address} answers with status {error.code}", _RETRY_MS)

    def _read(self, data: bytes, count: int) -> Rows:
        try:
            rows = sorted(msgspec.json.decode(data, type=_Answer).data, key=lambda row: row.index)
            vectors = np.array([row.embedding for row in rows], np.float32)
        except (msgspec.MsgspecError, ValueError, UnicodeDecodeError):
            raise ModelFailed(f"{self._address}: its answer is not OpenAI's form of embeddings") from None
        if vectors.ndim != 2 or len(vectors) != count or not vectors.size:  # noqa: PLR2004
            raise ModelFailed(f"{self._address}: vectors of shape {vectors.shape} for {count} texts")
        return vectors


def served(settings: EmbedderSettings) -> ServerModel:
    """Any server of OpenAI's embeddings API; asked once at the start for its dimension."""
    return ServerModel(settings)


def _retry_ms(said: str | None) -> int:
    """Read `Retry-After` in seconds; a date, or nothing, is a second."""
    return min(int(said) * 1000, 60_000) if said and said.isdecimal() else _RETRY_MS


def _authorisation(file: Path | None) -> dict[str, str]:
    if file is None:
        return {}
    try:
        key = file.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ModelFault(f"embedder.key_file {file}: {type(error).__name__}") from None
    if not key.isprintable():
        raise ModelFault(f"embedder.key_file {file}: more than one line")
    return {"Authorization": f"Bearer {key}"}
