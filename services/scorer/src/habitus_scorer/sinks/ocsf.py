# SPDX-License-Identifier: Apache-2.0
"""OCSF Detection Findings (class 2004) of schema 1.6.0, to an address or to a file of JSON Lines."""

import json
from pathlib import PurePosixPath
from typing import Any, Final

from habitus import __version__
from habitus.alerts import Alert, Severity
from habitus.languages import Bilingual, Language
from habitus.plugins import PluginFault
from habitus.sinks import SinkServices
from habitus.text import safe_json
from habitus_scorer.sinks.file import FileSettings, Lines
from habitus_scorer.sinks.http import HttpSettings, Poster
from habitus_scorer.sinks.text import delivery_id, link_of, shown, words_of

SCHEMA: Final = "1.6.0"
_CLASS: Final = 2004
_CATEGORY: Final = 2
_CREATE, _UPDATE = 1, 2
_NEW: Final = 1
_CLASS_NAME: Final = "Detection Finding"
_BEHAVIOURAL: Final = 2
_REGULAR_FILE: Final = 1
_SEVERITIES: Final = {severity: number for number, severity in enumerate(Severity, 1)}
_RISKS: Final = {severity: number for number, severity in enumerate(Severity)}
_TEXT: Final = 4096
_EVIDENCE: Final = 8
_FOOT: Final = Bilingual(en="departure from the image's habits", zh="偏离镜像的行为习惯")


class _OcsfHttp(HttpSettings):
    link: str | None = None


class _OcsfFile(FileSettings):
    link: str | None = None


class OcsfSink:
    """Posts findings where its table has an address, writes them where it has a path."""

    def __init__(self, services: SinkServices) -> None:
        self._language = services.language
        self._poster: Poster | None = None
        self._lines: Lines | None = None
        addressed = [key for key in ("url", "url_file", "url_env") if key in services.settings]
        if addressed and "path" in services.settings:
            raise PluginFault(
                f"setting scorer.sink.{services.name}.path: give it or {addressed[0]}, not both"
            )
        if addressed:
            posted = services.checked(_OcsfHttp)
            self._link, self._poster = posted.link, Poster(services, posted)
        else:
            written = services.checked(_OcsfFile)
            whose = f"setting scorer.sink.{services.name}.path"
            self._link, self._lines = written.link, Lines(whose, written)

    async def send(self, alert: Alert) -> None:
        """Deliver one revision: the first creates the finding, a later one updates it."""
        finding = safe_json(json.dumps(finding_of(alert, self._language, link_of(self._link, alert))))
        if self._poster:
            await self._poster.post(finding.encode(), {"Idempotency-Key": delivery_id(alert)})
        if self._lines:
            await self._lines.append(finding)

    async def close(self) -> None:
        """Close the connections."""
        if self._poster:
            await self._poster.close()


def finding_of(alert: Alert, language: Language, link: str = "") -> dict[str, Any]:
    """Return the finding; times are milliseconds since the epoch."""
    words = words_of(alert, language)
    activity = _CREATE if alert.revision == 1 else _UPDATE
    return {
        "activity_id": activity,
        "category_uid": _CATEGORY,
        "class_uid": _CLASS,
        "class_name": _CLASS_NAME,
        "type_uid": 100 * _CLASS + activity,
        "time": alert.raised // 10**6,
        "severity_id": _SEVERITIES[alert.severity],
        "severity": str(alert.severity),
        "status_id": _NEW,
        "is_alert": True,
        "risk_score": round(alert.score),
        "risk_level_id": _RISKS[alert.severity],
        "message": shown(f"{words.title} · {words.place}", _TEXT),
        "metadata": {
            "version": SCHEMA,
            "uid": delivery_id(alert),
            "product": {"name": "Habitus", "vendor_name": "Habitus", "version": __version__},
        },
        "finding_info": _info(alert, language, link),
        "resources": [_resource(alert)],
        "evidences": [_evidence(event) for event in alert.events[:_EVIDENCE]],
        "remediation": {"desc": words.advice or words.action},
        "unmapped": {"score_by_engine": {name: one.points for name, one in alert.engines.items()}},
    }


def _info(alert: Alert, language: Language, link: str) -> dict[str, Any]:
    words = words_of(alert, language)
    info = {
        "uid": alert.id,
        "title": words.title,
        "desc": "\n".join([words.explanation, *words.why]).strip() or _FOOT.in_(language),
        "first_seen_time": alert.first_seen // 10**6,
        "modified_time": alert.raised // 10**6,
        "analytic": {"name": "Habitus", "type_id": _BEHAVIOURAL},
        "related_events_count": len(alert.events) + alert.omitted,
        "attacks": [{"technique": {"uid": shown(name, 40)}} for name in alert.techniques],
    }
    return info | ({"src_url": link} if link else {})


def _resource(alert: Alert) -> dict[str, Any]:
    where = alert.where
    name = where.pod or where.container or where.image
    uid = where.pod_uid or where.container_id or where.image
    labels = [f"{key}={value}" for key, value in words_of(alert, "en").labels.items()]
    resource = {"type": "Pod" if where.pod else "Container", "name": name, "uid": uid}
    if where.namespace:
        resource["namespace"] = where.namespace
    return {key: shown(value, 255) for key, value in resource.items()} | {"labels": labels}


def _evidence(event: dict[str, Any]) -> dict[str, Any]:
    evidence: dict[str, Any] = {
        "name": shown(f"{event.get('class')} {event.get('op')}", 80),
        "container": _container(event.get("container") or {}),
    }
    process, file, network = (event.get(part) or {} for part in ("process", "file", "network"))
    if process:
        evidence["process"] = _process(process)
    if file.get("path"):
        evidence["file"] = _file(str(file["path"]))
    remote = {"ip": network.get("remote_ip"), "port": network.get("remote_port")}
    remote["hostname"] = network.get("domain")
    if remote["ip"] or remote["hostname"]:
        evidence["dst_endpoint"] = {
            key: shown(value, 255) if isinstance(value, str) else value
            for key, value in remote.items()
            if value
        }
    if not (process or "file" in evidence or "dst_endpoint" in evidence):
        evidence["data"] = {"class": str(event.get("class")), "op": str(event.get("op"))}
    return evidence


def _container(container: dict[str, Any]) -> dict[str, Any]:
    named = {"uid": container.get("id"), "name": container.get("name")}
    named["pod_uuid"] = (container.get("pod") or {}).get("uid")
    image = container.get("image")
    found = {key: shown(value, 255) for key, value in named.items() if value} or {"name": "?"}
    return found | ({"image": {"uid": shown(image, 500)}} if image else {})


def _process(process: dict[str, Any]) -> dict[str, Any]:
    argv = " ".join(map(str, process.get("argv") or ()))
    told: dict[str, Any] = {
        "pid": process.get("pid"),
        "name": shown(process.get("name") or "?", 255),
        "cmd_line": shown(argv, _TEXT),
        "working_directory": shown(process.get("cwd") or "", _TEXT),
    }
    if process.get("exe"):
        told["file"] = _file(str(process["exe"]))
    if process.get("uid") is not None:
        told["user"] = {"uid": str(process["uid"])}
    if process.get("parent"):
        told["parent_process"] = {"name": shown(process["parent"], 255), "pid": process.get("ppid") or 0}
    found = {key: value for key, value in told.items() if value not in (None, "")}
    return found if "pid" in found else found | {"uid": "?"}


def _file(path: str) -> dict[str, Any]:
    name = PurePosixPath(path).name or path
    return {"name": shown(name, 255), "path": shown(path, _TEXT), "type_id": _REGULAR_FILE}
