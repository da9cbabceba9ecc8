# SPDX-License-Identifier: Apache-2.0
"""How to contain an incident: objects for Kubernetes, and entries that deny what was done."""

import re
from typing import Final

from habitus.events import Event, Pod
from habitus.images import image_key
from habitus.languages import Bilingual
from habitus.policies import (
    Operation,
    PolicyEntry,
    PolicyScope,
    SuggestedAction,
    denial,
    isolate_pod,
    isolation,
    stop_container,
)
from habitus.text import printable
from habitus_scorer.deeds import peer_of
from habitus_scorer.incident import Incident

ISOLATE_LABEL: Final = "habitus.io/isolate"
"""Events carry no Pod labels, and a label of the workload would cut off every replica. So the policy
selects this label, and `prepare` says how to set it on the Pods that the incident has reached."""

_PODS: Final = 50
_ENTRIES: Final = 8
_WEIGHS: Final = 40.0
_DAY_NS: Final = 24 * 3600 * 10**9
"""A suggested entry ends by itself a day after the alert."""

# Names as Kubernetes and the runtimes allow them: nothing else may stand in a command to copy.
_DNS_NAME: Final = re.compile(r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?")
_LABEL_VALUE: Final = re.compile(r"[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?")
_CONTAINER: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,127}")

_OPENS: Final = frozenset({"open", "read", "write", "create", "rename", "link", "unlink", "chmod", "load"})
_CALLS: Final = frozenset({"connect", "send", "dns"})
_KNOWN: Final = Bilingual(
    en="this image does the same ordinarily with other arguments or peers: denying it may break the service",
    zh="该镜像平时也会以其他参数或对端执行同类操作：拒绝后可能影响业务",
)


def action_of(incident: Incident, now: int) -> SuggestedAction:
    """Return how to contain it: isolate its Pods, else stop its container, else review; `now` in ns."""
    event = incident.best.anomaly.event
    entries = _entries(incident, now + _DAY_NS)
    pod = event.container.pod
    if pod and named(pod):
        return _isolating(incident, pod).model_copy(update={"entries": entries})
    name = event.container.name or (event.container.id or "")[:12]
    if len(incident.containers) == 1 and _CONTAINER.fullmatch(name):
        return stop_container(name).model_copy(update={"entries": entries})
    image = printable(image_key(event.container.image or "?", event.container.image_digest), 200)
    return SuggestedAction(
        kind="review",
        title=Bilingual(en=f"Review the containers of {image}", zh=f"核查镜像 {image} 的容器"),
        entries=entries,
    )


def named(pod: Pod) -> bool:
    """Say whether a Pod's names are such as Kubernetes allows."""
    names = (pod.namespace, pod.name)
    return all(_DNS_NAME.fullmatch(name or "") for name in names) and bool(_label_value(pod))


def _isolating(incident: Incident, best: Pod) -> SuggestedAction:
    pods = _pods(incident, best)
    if len(pods) == 1:
        value = _label_value(best)
        action = isolate_pod(best.namespace or "", best.name or "", {ISOLATE_LABEL: value})
        return action.model_copy(update={"prepare": [_label(best, value)]})
    # One label for all of them: one policy for each namespace.
    label = {ISOLATE_LABEL: incident.alert_id}
    objects = [
        isolation(namespace, incident.alert_id, label)
        for namespace in dict.fromkeys(pod.namespace or "" for pod in pods)
    ]
    return SuggestedAction(
        kind="isolate-pod",
        title=Bilingual(
            en=f"Isolate {len(pods)} Pods from the network, {best.namespace}/{best.name} first",
            zh=f"隔离 {len(pods)} 个 Pod 的网络，首先是 {best.namespace}/{best.name}",
        ),
        policy=objects[0],
        further=objects[1:],
        prepare=[_label(pod, incident.alert_id) for pod in pods],
    )


def _pods(incident: Incident, best: Pod) -> list[Pod]:
    pods = {(best.namespace, best.name): best}
    for seen in incident.containers.values():
        pod = seen.container.pod
        if pod and named(pod) and len(pods) < _PODS:
            pods.setdefault((pod.namespace, pod.name), pod)
    return list(pods.values())


def _label(pod: Pod, value: str) -> str:
    return f"kubectl label pod -n {pod.namespace} {pod.name} {ISOLATE_LABEL}={value}"


def _label_value(pod: Pod) -> str:
    for candidate in (pod.uid, pod.name):
        if candidate and _LABEL_VALUE.fullmatch(candidate):
            return candidate
    return ""


def _entries(incident: Incident, expires: int) -> list[PolicyEntry]:
    alone = len(incident.containers) == 1
    best = incident.best.anomaly
    # What weighs little may be an ordinary step beside the attack: nothing is to be denied for it.
    weighty = [kept for kept in incident.kept if kept.score >= _WEIGHS and kept.anomaly is not best]
    found: dict[str, PolicyEntry] = {}
    for anomaly in (best, *(kept.anomaly for kept in weighty)):
        denied = _denied(anomaly.event)
        if denied is None:
            continue
        scope = PolicyScope(
            image=anomaly.image_key, container_id=anomaly.event.container.id if alone else None
        )
        caution = None if anomaly.reason == "unknown-path" else _KNOWN
        entry = denial(*denied, scope, expires=expires, reason=incident.alert_id, caution=caution)
        found.setdefault(entry.id, entry)
        if len(found) == _ENTRIES:
            break
    return list(found.values())


def _denied(event: Event) -> tuple[Operation, str] | None:
    """Return what to deny so that the event can't happen again, None where no entry can say it."""
    if event.class_ == "process" and event.op == "exec" and event.process:
        exe = event.process.exe or ""
        return ("exec", exe) if exe.startswith("/") else None
    if event.class_ == "file" and event.file and event.op in _OPENS:
        path = event.file.new_path or event.file.path or ""
        return ("open", path) if path.startswith("/") else None
    if event.class_ == "network" and event.network and event.op in _CALLS:
        target = peer_of(event.network)
        return None if target.startswith("?") else ("connect", target)
    return None
