# SPDX-License-Identifier: Apache-2.0
"""The evidence bundle: what one revision of an alert was decided by, enough to retell and repeat it."""

import gzip
import json
import zlib
from io import BytesIO
from typing import Any, Final

import msgspec
from pydantic import BaseModel, ConfigDict, ValidationError

from habitus.alerts import SCHEMA, Alert
from habitus.anomalies import Anomaly

_MOST_BYTES: Final = 32 << 20
"""A bundle unpacks to less; what unpacks to more is none."""


class EvidenceFault(ValueError):
    """What was given is no evidence bundle; the text says why, in one line."""


class Term(BaseModel):
    """What one engine gave for one anomaly."""

    points: float = 0.0
    max_points: float
    abstained: bool = False


class JudgedAnomaly(BaseModel):
    """One anomaly whole (event, trie path, nearest neighbours), and what it was given."""

    model_config = ConfigDict(ser_json_inf_nan="constants")

    anomaly: dict[str, Any]
    score: float
    terms: dict[str, Term]

    @classmethod
    def of(cls, anomaly: Anomaly, score: float, terms: dict[str, Term]) -> "JudgedAnomaly":
        """Take an anomaly as it came on the wire."""
        record: dict[str, Any] = msgspec.to_builtins(anomaly)
        record["event"].pop("token", None)
        return cls(anomaly=record, score=score, terms=terms)

    def as_anomaly(self) -> Anomaly:
        """Return the anomaly itself.

        Raises:
            EvidenceFault: it was changed, or is of another schema.
        """
        try:
            return msgspec.convert(self.anomaly, Anomaly)
        except (msgspec.ValidationError, ValueError) as error:
            raise EvidenceFault(f"an anomaly of the bundle cannot be read: {error}") from None


class Evidence(BaseModel):
    """The bundle of one alert.

    Attributes:
        made: nanoseconds since the epoch; `habitus`: the version of the scorer.
        alert: the revision that it is of, without its events: those are in `anomalies`.
        alert_at: total from which a person was told.
        decisive: id of the anomaly that speaks for the alert.
        anomalies: the decisive one first, then the others that the incident keeps, oldest first.
        records: by engine, what stood behind its points for the decisive anomaly: versions of rules, the
            language model's question and answer (secrets redacted before they left).
    """

    model_config = ConfigDict(extra="ignore", ser_json_inf_nan="constants")

    schema_version: str = SCHEMA
    made: int
    habitus: str
    alert: Alert
    alert_at: float
    decisive: str
    anomalies: list[JudgedAnomaly]
    records: dict[str, dict[str, Any]] = {}

    def pack(self) -> bytes:
        """Return the bundle as compressed JSON."""
        return gzip.compress(self.model_dump_json().encode(), compresslevel=1, mtime=0)

    @classmethod
    def unpack(cls, data: bytes) -> "Evidence":
        """Read a bundle, compressed or plain JSON.

        Raises:
            EvidenceFault: it is none, or of another major version.
        """
        try:
            evidence = cls.model_validate_json(_plain(data))
        except ValidationError as error:
            first = error.errors()[0]
            place = ".".join(map(str, first["loc"])) or "the text"
            raise EvidenceFault(f"no evidence bundle: {place}: {first['msg']}") from None
        except (OSError, EOFError, zlib.error) as error:
            raise EvidenceFault(f"no evidence bundle: {error}") from None
        if evidence.schema_version.split(".")[0] != SCHEMA.split(".")[0]:
            raise EvidenceFault(
                f"the bundle has schema version {evidence.schema_version!r}; this is {SCHEMA}"
            )
        return evidence

    def as_json(self) -> str:
        """Return the bundle as JSON that a person can read; all in ASCII, for a terminal shows it too."""
        return json.dumps(self.model_dump(mode="json"), indent=2)


def _plain(data: bytes) -> bytes:
    if not data.startswith(b"\x1f\x8b"):
        return data
    with gzip.open(BytesIO(data)) as file:
        plain = file.read(_MOST_BYTES + 1)
    if len(plain) > _MOST_BYTES:
        raise EvidenceFault(f"no evidence bundle: it unpacks to more than {_MOST_BYTES >> 20} MiB")
    return plain
