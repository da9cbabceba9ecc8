# SPDX-License-Identifier: Apache-2.0
"""What a profile must not learn: the request/reply of `habitus.guard`, profiler → scorer.

The profiler asks for what is new while it learns; the scorer's rules answer. See docs/learning.md.
"""

import msgspec

from habitus.anomalies import Anomaly
from habitus.wire import Message


class GuardRequest(Message):
    """What is about to be learned, each as the anomaly that it would be."""

    anomalies: list[Anomaly]


class GuardReply(Message):
    """For each anomaly the id of the high-confidence rule that hits it, empty where none does.

    `error` is one line when the request failed; then `rules` is empty.
    """

    rules: list[str] = msgspec.field(default_factory=list)
    error: str | None = None
