# SPDX-License-Identifier: Apache-2.0
"""The whole alert as JSON to one address, signed where a secret is set."""

import hashlib
import hmac
import time
from pathlib import Path

from pydantic import Field

from habitus.alerts import Alert
from habitus.keys import read_key
from habitus.plugins import PluginFault
from habitus.sinks import SinkServices
from habitus.text import safe_json
from habitus_scorer.sinks.http import HttpSettings, Poster
from habitus_scorer.sinks.text import delivery_id


class WebhookSettings(HttpSettings):
    """As every HTTP sink, and the secret that signs."""

    secret_file: Path | None = Field(default=None, description="file with the secret that signs the body")
    secret_env: str | None = Field(default=None, description="environment variable with that secret")


class WebhookSink:
    """Posts alerts; see docs/sinks.md for the headers."""

    def __init__(self, services: SinkServices) -> None:
        settings = services.checked(WebhookSettings)
        whose = f"setting scorer.sink.{services.name}"
        secret = read_key(f"{whose}.secret_file", settings.secret_file, settings.secret_env)
        if secret is None and settings.secret_env:
            raise PluginFault(f"{whose}.secret_env: environment variable {settings.secret_env} is not set")
        self._secret = secret
        self._poster = Poster(services, settings)

    async def send(self, alert: Alert) -> None:
        """Post one revision."""
        body = safe_json(alert.model_dump_json()).encode()
        headers = {"Idempotency-Key": delivery_id(alert)}
        if self._secret is not None:
            key = self._secret.get_secret_value()
            headers["X-Habitus-Signature"] = signature(key, int(time.time()), body)
        await self._poster.post(body, headers)

    async def close(self) -> None:
        """Close the connections."""
        await self._poster.close()


def signature(secret: str, moment: int, body: bytes) -> str:
    """Return `t=<moment>,v1=<hex>`: HMAC-SHA256 of `<moment>.<body>`, so that an old body proves nothing."""
    signed = hmac.new(secret.encode(), f"{moment}.".encode() + body, hashlib.sha256)
    return f"t={moment},v1={signed.hexdigest()}"
