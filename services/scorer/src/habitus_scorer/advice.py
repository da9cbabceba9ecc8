# SPDX-License-Identifier: Apache-2.0
"""The words of an alert where no rule has any, and the way to its suggested action."""

from typing import Final

from habitus.anomalies import Anomaly, Reason
from habitus.events import EventClass
from habitus.languages import Bilingual
from habitus.policies import SuggestedAction

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


def advice_of(written: Bilingual | None, action: SuggestedAction, alert_id: str) -> Bilingual:
    """Return the rule's advice, else the general one, followed by the command where one is ready."""
    advice = written or _REVIEW
    if not action.prepare:
        return advice
    if len(action.prepare) > 1:
        show = f"habitus explain {alert_id} --action"
        return Bilingual(
            en=f"{advice.en} To isolate the Pods: `{show}` prints the label commands and the NetworkPolicy.",
            zh=f"{advice.zh} 隔离这些 Pod：`{show}` 会输出打标签命令和 NetworkPolicy。",
        )
    [command] = action.prepare
    return Bilingual(
        en=f"{advice.en} To isolate the Pod: run `{command}`, then apply the NetworkPolicy of this alert.",
        zh=f"{advice.zh} 隔离该 Pod：先执行 `{command}`，再应用本告警附带的 NetworkPolicy。",
    )
