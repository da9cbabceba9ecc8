# SPDX-License-Identifier: Apache-2.0
"""The words of `habitus explain` and `habitus replay --evidence`, in English and Chinese."""

from typing import Final

from habitus.anomalies import Reason
from habitus.languages import Bilingual

W: Final = {
    "happened": Bilingual(en="What happened", zh="发生了什么"),
    "usual": Bilingual(en="What is usual here", zh="平时的行为"),
    "failed": Bilingual(en="Which step failed", zh="哪一步不符合画像"),
    "engines": Bilingual(en="What each engine gave, and why", zh="各引擎的评分及理由"),
    "total": Bilingual(en="What the total is made of", zh="总分的构成"),
    "incident": Bilingual(en="The incident", zh="事件经过"),
    "do": Bilingual(en="What to do", zh="如何处置"),
    "in_pod": Bilingual(
        en="in Pod {namespace}/{pod}, container {container}, image {image}",
        zh="位于 Pod {namespace}/{pod}，容器 {container}，镜像 {image}",
    ),
    "in_container": Bilingual(
        en="in container {container} of image {image} on node {node}",
        zh="位于节点 {node} 的容器 {container}，镜像 {image}",
    ),
    "lineage": Bilingual(
        en="by the process {lineage} (pid {pid}, uid {uid})", zh="进程链 {lineage}（pid {pid}，uid {uid}）"
    ),
    "ran": Bilingual(en="command line: {command} (program {exe})", zh="命令行：{command}（程序 {exe}）"),
    "at": Bilingual(
        en="first seen {first}, told {raised}; {latency} from the kernel to the alert",
        zh="首次出现 {first}，告警时间 {raised}；从内核到告警 {latency}",
    ),
    "nothing_usual": Bilingual(en="the profile knows nothing of the like", zh="画像中没有任何类似的行为"),
    "looked": Bilingual(en="looked for: {path}", zh="查找路径：{path}"),
    "detail": Bilingual(en="found: {detail}", zh="结果：{detail}"),
    "threshold": Bilingual(
        en="a cosine of {threshold:.2f} or more means the same (model {model}); the nearest known:",
        zh="余弦相似度达到 {threshold:.2f} 即视为相同（模型 {model}）；最相近的已知行为：",
    ),
    "near": Bilingual(en="  {cosine:.4f}  {text}", zh="  {cosine:.4f}  {text}"),
    "profile": Bilingual(
        en="profile {key}, revision {revision}, confidence {confidence:.2f}",
        zh="画像 {key}，版本 {revision}，置信度 {confidence:.2f}",
    ),
    "gave": Bilingual(
        en="{engine}: {points:g} of {most:g} points{note}", zh="{engine}：{points:g} / {most:g} 分{note}"
    ),
    "abstained": Bilingual(
        en="{engine}: abstained ({note}); neither its points nor its maximum count",
        zh="{engine}：弃权（{note}）；其分数和上限均不计入",
    ),
    "versions": Bilingual(en="rules as they stood: {versions}", zh="当时的规则版本：{versions}"),
    "model": Bilingual(
        en="asked: {provider} {model}, prompt {prompt}; it said {verdict}, confidence {confidence}",
        zh="询问模型：{provider} {model}，提示词 {prompt}；结论 {verdict}，置信度 {confidence}",
    ),
    "answer": Bilingual(en="its answer: {answer}", zh="模型回答：{answer}"),
    "question": Bilingual(
        en="its question ({characters} characters, secrets redacted): see --json",
        zh="所提问题（{characters} 个字符，敏感信息已脱敏）：见 --json",
    ),
    "sum": Bilingual(
        en="{terms} of {possible} possible points → {score:g} of 100",
        zh="{terms}，可能的总分 {possible} → {score:g} / 100",
    ),
    "alert_at": Bilingual(en="a person is told from {alert_at:g} on", zh="达到 {alert_at:g} 分即告警"),
    "not_critical": Bilingual(
        en="critical needs a finding of that level; a high total alone may mean that few engines voted",
        zh="“严重”需要同级别的发现；仅有高分可能只说明参与评分的引擎较少",
    ),
    "counts": Bilingual(
        en="departures: {departures}, different deeds: {deeds}, containers: {containers}; "
        "revision {revision}",
        zh="偏离 {departures} 次，不同行为 {deeds} 种，容器 {containers} 个；第 {revision} 版",
    ),
    "more": Bilingual(en="… and {more} more", zh="…… 另有 {more} 条"),
    "containers": Bilingual(en="containers", zh="容器"),
    "files": Bilingual(en="files", zh="文件"),
    "peers": Bilingual(en="peers", zh="对端"),
    "apply": Bilingual(
        en="ready object: habitus explain {id} --action | kubectl apply -f -",
        zh="可直接应用：habitus explain {id} --action | kubectl apply -f -",
    ),
    "entry": Bilingual(
        en="policy entry {id}: deny {operation} of {target} for {scope} until {until}",
        zh="策略条目 {id}：在 {until} 之前拒绝 {scope} 对 {target} 的 {operation}",
    ),
    "alone": Bilingual(
        en="no evidence is kept of this alert: retold from the alert alone",
        zh="该告警没有保存证据：仅根据告警本身说明",
    ),
    "no_action": Bilingual(
        en="this alert suggests nothing that can be applied", zh="该告警没有可直接应用的处置"
    ),
    "then": Bilingual(en="then", zh="当时"),
    "now": Bilingual(en="now", zh="现在"),
    "how": Bilingual(en="how", zh="方式"),
    "engine": Bilingual(en="engine", zh="引擎"),
    "same": Bilingual(en="same", zh="一致"),
    "sum_of": Bilingual(en="total", zh="总分"),
    "severity": Bilingual(en="severity", zh="级别"),
    "equal": Bilingual(en="the same decision: every point is equal", zh="决策一致：各项得分均相同"),
    "unequal": Bilingual(en="NOT the same decision", zh="决策不一致"),
    "changed": Bilingual(en="rules that changed since: {rules}", zh="此后有变化的规则：{rules}"),
    "told": Bilingual(en="a person is told: then {then}, now {now}", zh="是否告警：当时 {then}，现在 {now}"),
    "yes": Bilingual(en="yes", zh="是"),
    "no": Bilingual(en="no", zh="否"),
}
HOW: Final = {
    "judged": Bilingual(en="judged again", zh="重新评判"),
    "recorded": Bilingual(en="as recorded", zh="沿用记录"),
    "asked": Bilingual(en="asked anew", zh="重新询问"),
    "left out": Bilingual(en="not configured", zh="未配置"),
}
ENGINES: Final = {
    "profile": Bilingual(en="the profile itself", zh="画像"),
    "rule": Bilingual(en="rules", zh="规则"),
    "cluster": Bilingual(en="comparison with the replicas", zh="副本对比"),
    "llm": Bilingual(en="language model", zh="语言模型"),
    "losses": Bilingual(en="lost events", zh="事件丢失"),
}
REASONS: Final[dict[Reason, Bilingual]] = {
    "unknown-path": Bilingual(
        en="the path is not in the profile: this was never seen under this parent",
        zh="画像中没有这条路径：在该父节点下从未出现过",
    ),
    "new-remote": Bilingual(
        en="the kind of connection is known, this remote is not", zh="连接类型已知，但该远端未知"
    ),
    "unknown-argument": Bilingual(
        en="the program is known, its arguments mean something else than any known ones",
        zh="程序已知，但参数与所有已知参数含义不同",
    ),
    "novel-slot": Bilingual(
        en="the program is known; something in its arguments on which security turns is new, "
        "however alike the rest",
        zh="程序已知；参数中有影响安全的新内容，无论其余部分多么相似",
    ),
    "blind-interval": Bilingual(
        en="events were lost: what happened in this time was not seen in full",
        zh="事件丢失：该时段未被完整观测",
    ),
    "usage-jump": Bilingual(en="far more processor use than was ever usual", zh="处理器使用量远超以往"),
}
SEVERITIES: Final = Bilingual(
    en="severity: {severity} (critical from 90, high from 70, medium from 40, low from 20)",
    zh="级别：{severity}（严重 ≥ 90，高危 ≥ 70，中危 ≥ 40，低危 ≥ 20）",
)
