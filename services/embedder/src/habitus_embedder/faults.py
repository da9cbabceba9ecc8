# SPDX-License-Identifier: Apache-2.0
"""Why a request gets no vectors; each face says it in its own form."""

from habitus.text import printable


class EmbedFault(Exception):
    """A request that failed; the text is one printable line for the caller."""

    retry_after_ms = 0
    outcome = "failed"
    """as the metrics name it"""


class Refused(EmbedFault):
    """The request itself is wrong: the same one will fail again."""

    outcome = "refused"


class UnknownModel(Refused):
    """The request names a model that is not served here."""


class Overloaded(EmbedFault):
    """Too many texts wait. `retry_after_ms` is when they may be done, in milliseconds."""

    outcome = "overloaded"

    def __init__(self, retry_after_ms: int) -> None:
        super().__init__(f"overloaded: retry after {retry_after_ms} ms")
        self.retry_after_ms = retry_after_ms


class Away(EmbedFault):
    """The server that the model stands for does not answer. `retry_after_ms`: when to try again."""

    outcome = "away"

    def __init__(self, text: str, retry_after_ms: int) -> None:
        super().__init__(printable(text, 300))
        self.retry_after_ms = retry_after_ms


class TooLate(EmbedFault):
    """The request's deadline passed before its vectors were ready."""

    outcome = "too_late"


class ModelFailed(EmbedFault):
    """The model raised or answered in a wrong shape."""
