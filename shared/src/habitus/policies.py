# SPDX-License-Identifier: Apache-2.0
"""What an alert suggests: ready objects, each of which can be applied with one command."""

from hashlib import blake2b
from typing import Any, Literal

from pydantic import BaseModel

from habitus.languages import Bilingual

Operation = Literal["exec", "open", "connect"]


class PolicyScope(BaseModel):
    """Whom a policy entry is for: one container of an image, or with `container_id` absent all of them."""

    image: str
    container_id: str | None = None


class PolicyEntry(BaseModel):
    """One thing that is denied or allowed, for a while.

    Attributes:
        id: deterministic: the same entry suggested twice is one.
        target: of `exec` and `open` an absolute path as the container sees it; of `connect` a name or
            address with port (`198.51.100.7:4444`), or the path of a Unix socket. Observed text.
        expires: nanoseconds since the epoch.
        reason: id of the alert that suggests it.
        caution: what applying it may break.
    """

    id: str
    effect: Literal["deny", "allow"]
    operation: Operation
    target: str
    scope: PolicyScope
    expires: int
    reason: str
    caution: Bilingual | None = None


class SuggestedAction(BaseModel):
    """One action and the objects that carry it out.

    Attributes:
        kind: what is done.
        title: the same for a person.
        policy: a complete Kubernetes object; None where there is no Pod.
        further: the same for the other namespaces that an incident has reached.
        prepare: commands to run before the objects are applied.
        entries: policy entries that deny what was done; the first is of what speaks for the alert.
    """

    kind: Literal["isolate-pod", "stop-container", "review"]
    title: Bilingual
    policy: dict[str, Any] | None = None
    further: list[dict[str, Any]] = []
    prepare: list[str] = []
    entries: list[PolicyEntry] = []

    @property
    def objects(self) -> list[dict[str, Any]]:
        """Every Kubernetes object."""
        return [*([self.policy] if self.policy else []), *self.further]


def isolate_pod(namespace: str, pod: str, labels: dict[str, str]) -> SuggestedAction:
    """Return the advice to cut a Pod off: a NetworkPolicy that denies all its traffic."""
    return SuggestedAction(
        kind="isolate-pod",
        title=Bilingual(
            en=f"Isolate Pod {namespace}/{pod} from the network",
            zh=f"隔离 Pod {namespace}/{pod} 的网络",
        ),
        policy=isolation(namespace, pod, labels),
    )


def isolation(namespace: str, name: str, labels: dict[str, str]) -> dict[str, Any]:
    """Return a NetworkPolicy that denies all traffic of the Pods that carry `labels`."""
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": f"habitus-isolate-{name}"[:253].rstrip("-."), "namespace": namespace},
        "spec": {
            "podSelector": {"matchLabels": labels},
            "policyTypes": ["Ingress", "Egress"],
            "ingress": [],
            "egress": [],
        },
    }


def stop_container(container: str) -> SuggestedAction:
    """Return the advice for a container that belongs to no Pod."""
    return SuggestedAction(
        kind="stop-container",
        title=Bilingual(en=f"Stop container {container}", zh=f"停止容器 {container}"),
    )


def denial(
    operation: Operation,
    target: str,
    scope: PolicyScope,
    *,
    expires: int,
    reason: str,
    caution: Bilingual | None = None,
) -> PolicyEntry:
    """Return an entry that denies one operation on one target."""
    parts = "\0".join(("deny", operation, target, scope.image, scope.container_id or ""))
    number = blake2b(parts.encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()
    return PolicyEntry(
        id=f"p-{number}", effect="deny", operation=operation, target=target, scope=scope,
        expires=expires, reason=reason, caution=caution,
    )  # fmt: skip
