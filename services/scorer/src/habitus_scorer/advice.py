# SPDX-License-Identifier: Apache-2.0
"""What a person can do: the suggested action, and the words where no rule has any."""

import re
from typing import Final

from habitus.anomalies import Anomaly, Reason
from habitus.events import Event, EventClass, Pod
from habitus.images import image_key
from habitus.languages import Bilingual
from habitus.policies import SuggestedAction, isolate_pod, stop_container
from habitus.text import printable

ISOLATE_LABEL: Final = "habitus.io/isolate"
"""Events carry no Pod labels, and a label of the workload would cut off every replica. So the
policy selects this label, and the advice says how to set it on the one Pod."""

# Names as Kubernetes and the runtimes allow them: nothing else may stand in a command to copy.
_DNS_NAME: Final = re.compile(r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?")
_LABEL_VALUE: Final = re.compile(r"[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?")
_CONTAINER: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,127}")

_TITLES: Final[dict[tuple[EventClass, Reason], Bilingual]] = {
    ("process", "unknown-path"): Bilingual(
        en="process never seen in this image", zh="镜像中从未出现过的进程"
    ),
    ("process", "unknown-argument"): Bilingual(
        en="known process with unknown arguments", zh="已知进程使用了未知参数"
    ),
    ("process", "novel-slot"): Bilingual(
        en="known process with a new security-relevant argument", zh="已知进程出现了新的安全敏感参数"
    ),
    ("file", "unknown-path"): Bilingual(
        en="file access never seen in this image", zh="镜像中从未出现过的文件访问"
    ),
    ("cpu", "usage-jump"): Bilingual(
        en="far more processor use than was ever usual", zh="处理器使用量远超以往"
    ),
    ("network", "unknown-path"): Bilingual(
        en="network activity never seen in this image", zh="镜像中从未出现过的网络行为"
    ),
    ("network", "new-remote"): Bilingual(
        en="known kind of connection to a new remote", zh="已知类型的连接指向了新的远端"
    ),
}
_REVIEW: Final = Bilingual(
    en="Look at the process, its lineage and its arguments. If the work is legitimate, let the profile "
    "learn it; if not, contain it.",
    zh="请核查该进程、进程链及其参数。若属正常业务，可让画像学习该行为；否则应立即处置。",
)


def title_of(anomaly: Anomaly) -> Bilingual:
    """Return what to call an anomaly that no finding names."""
    known = _TITLES.get((anomaly.event.class_, anomaly.reason))
    return known or _TITLES.get((anomaly.event.class_, "unknown-path"), _TITLES["cpu", "usage-jump"])


def action_of(event: Event) -> SuggestedAction:
    """Return how to contain the event's container: isolate its Pod, else stop it, else review."""
    container = event.container
    pod = container.pod
    if pod and _named(pod):
        return isolate_pod(pod.namespace or "", pod.name or "", {ISOLATE_LABEL: _label_value(pod)})
    name = container.name or (container.id or "")[:12]
    if _CONTAINER.fullmatch(name):
        return stop_container(name)
    image = printable(image_key(container.image or "?", container.image_digest), 200)
    return SuggestedAction(
        kind="review",
        title=Bilingual(en=f"Review the containers of {image}", zh=f"核查镜像 {image} 的容器"),
    )


def advice_of(written: Bilingual | None, event: Event) -> Bilingual:
    """Return the rule's advice, else the general one, followed by the command where one is ready."""
    advice = written or _REVIEW
    pod = event.container.pod
    if not (pod and _named(pod)):
        return advice
    command = f"kubectl label pod -n {pod.namespace} {pod.name} {ISOLATE_LABEL}={_label_value(pod)}"
    return Bilingual(
        en=f"{advice.en} To isolate the Pod: run `{command}`, then apply the NetworkPolicy of this alert.",
        zh=f"{advice.zh} 隔离该 Pod：先执行 `{command}`，再应用本告警附带的 NetworkPolicy。",
    )


def _named(pod: Pod) -> bool:
    names = (pod.namespace, pod.name)
    return all(_DNS_NAME.fullmatch(name or "") for name in names) and bool(_label_value(pod))


def _label_value(pod: Pod) -> str:
    for candidate in (pod.uid, pod.name):
        if candidate and _LABEL_VALUE.fullmatch(candidate):
            return candidate
    return ""
