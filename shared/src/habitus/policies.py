# SPDX-License-Identifier: Apache-2.0
"""What an alert suggests: a ready object that can be applied with one command."""

from typing import Any, Literal

from pydantic import BaseModel

from habitus.languages import Bilingual


class SuggestedAction(BaseModel):
    """One action and the object that carries it out.

    Attributes:
        kind: what is done.
        title: the same for a person.
        policy: a complete Kubernetes object (or a policy entry where there is no Pod).
    """

    kind: Literal["isolate-pod", "stop-container", "review"]
    title: Bilingual
    policy: dict[str, Any] | None = None


def isolate_pod(namespace: str, pod: str, labels: dict[str, str]) -> SuggestedAction:
    """Return the advice to cut a Pod off: a NetworkPolicy that denies all its traffic."""
    return SuggestedAction(
        kind="isolate-pod",
        title=Bilingual(
            en=f"Isolate Pod {namespace}/{pod} from the network",
            zh=f"隔离 Pod {namespace}/{pod} 的网络",
        ),
        policy={
            "apiVersion": "networking.k8s.io/v1",
            "kind": "NetworkPolicy",
            "metadata": {"name": f"habitus-isolate-{pod}"[:253], "namespace": namespace},
            "spec": {
                "podSelector": {"matchLabels": labels},
                "policyTypes": ["Ingress", "Egress"],
                "ingress": [],
                "egress": [],
            },
        },
    )


def stop_container(container: str) -> SuggestedAction:
    """Return the advice for a container that belongs to no Pod."""
    return SuggestedAction(
        kind="stop-container",
        title=Bilingual(en=f"Stop container {container}", zh=f"停止容器 {container}"),
    )
