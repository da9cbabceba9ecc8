# SPDX-License-Identifier: Apache-2.0
"""Requests and gateways for the tests."""

from pathlib import Path
from typing import Any

from gateway_wire import KEY, Wire

from habitus.judging import JudgeRequest
from habitus.llm_settings import LlmSettings, ProviderSettings
from habitus_llm_gateway.gateway import Gateway


def request(*argv: str, **fields: Any) -> JudgeRequest:
    """Return the question on an exec; the fields replace those of the request."""
    process = {"pid": 41, "ppid": 1, "exe": "/tmp/java", "name": "java", "parent": "bash"}
    event = {
        "ts": 1764000000000000000,
        "node": "n1",
        "class": "process",
        "op": "exec",
        "container": {"id": "c" * 64, "name": "web", "image": "webapp:v1", "pod": {"name": "web-0"}},
        "process": process | {"argv": list(argv or ("./java", "-o", "pool.example:3333"))},
    }
    whole = {
        "image": "webapp:v1",
        "reason": "unknown-path",
        "profile": "webapp:v1",
        "revision": 3,
        "event": event,
        "usual": ["java -jar app.jar"],
    }
    return JudgeRequest(**whole | fields)


def settings_for(wire: Wire, folder: Path, kind: str = "openai", **fields: Any) -> LlmSettings:
    """Return settings that name `wire` as the one provider; `own` are its table's keys."""
    key_file = folder / "key"
    key_file.write_text(f"{KEY}\n")
    suffix = "/v1" if kind not in {"anthropic", "gemini", "azure-openai"} else ""
    table = {
        "model": "m",
        "base_url": wire.address + suffix,
        "key_file": key_file,
        "timeout_s": 30,
        "usd_in": 1,
        "usd_out": 10,
    }
    own = ProviderSettings(**table | fields.pop("own", {}))
    return LlmSettings(**{"provider": kind, "providers": {kind: own}} | fields)


def opened(settings: LlmSettings) -> Gateway:
    """Return the gateway of `settings` that does not pause between attempts."""
    gateway = Gateway.opened(settings)
    gateway.pauses = []

    async def pause(seconds: float) -> None:
        gateway.pauses.append(seconds)

    gateway.chain._pause = pause
    return gateway
