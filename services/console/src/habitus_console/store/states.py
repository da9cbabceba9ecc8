# SPDX-License-Identifier: Apache-2.0
"""The states of an alert and what leads from one to another (docs/alerts.md); pure."""

from enum import StrEnum
from typing import Final


class Status(StrEnum):
    """Where an alert stands with the people who look after it."""

    OPEN = "open"
    ACKNOWLEDGED = "acknowledged"
    BENIGN = "benign"


class Act(StrEnum):
    """What happened to an alert: the first two by the scorer, the others by people."""

    RAISED = "raised"
    REVISED = "revised"
    ACKNOWLEDGE = "acknowledge"
    BENIGN = "benign"
    REOPEN = "reopen"


_AFTER: Final = {Act.ACKNOWLEDGE: Status.ACKNOWLEDGED, Act.BENIGN: Status.BENIGN, Act.REOPEN: Status.OPEN}


class Forbidden(ValueError):
    """An act that the alert's state does not allow; the text says what to do, in one line."""


def after(status: Status, act: Act) -> Status:
    """Return the status that `act` of a person leads to.

    Raises:
        Forbidden: a benign alert is acknowledged: its behaviour would stay known.
    """
    if status is Status.BENIGN and act is Act.ACKNOWLEDGE:
        raise Forbidden("it is benign, so its behaviour is known; reopen it first")
    return _AFTER[act]


def reopens(status: Status, seen: int, severity: int) -> bool:
    """Say whether a revision of rank `severity` opens an alert again that was settled at rank `seen`.

    What was called benign raises no more anomalies: a benign alert that grows in severity met something
    else, and a person is to look at it as at an acknowledged one.
    """
    return status is not Status.OPEN and severity > seen
