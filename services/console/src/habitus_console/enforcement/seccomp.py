# SPDX-License-Identifier: Apache-2.0
"""An OCI seccomp profile: whole families of system calls whose work was never seen are logged or refused.

A profile records what processes do, not the system calls that they do it by. A list of allowed calls
cannot be made of it without breaking the workload, so everything is allowed but these families. What a
class of events never showed at all says nothing: its sensor may have been off.
"""

from typing import Any, Final

from habitus_console.enforcement import habits
from habitus_console.enforcement.habits import Policy, PolicyFault

_ARCHITECTURES: Final = [
    "SCMP_ARCH_X86_64",
    "SCMP_ARCH_X86",
    "SCMP_ARCH_X32",
    "SCMP_ARCH_AARCH64",
    "SCMP_ARCH_ARM",
]
_EPERM: Final = 1
_FILE_FAMILIES: Final = {
    "create-delete": (
        "unlink", "unlinkat", "rmdir", "rename", "renameat", "renameat2", "link", "linkat", "symlink",
        "symlinkat", "mkdir", "mkdirat", "mknod", "mknodat", "mount", "umount2", "move_mount", "pivot_root",
    ),
    "metadata": (
        "chmod", "fchmod", "fchmodat", "chown", "fchown", "lchown", "fchownat", "setxattr", "lsetxattr",
        "fsetxattr",
    ),
}  # fmt: skip
_NETWORK_FAMILIES: Final = {
    "ingress": ("listen", "accept", "accept4"),
    "egress": ("connect",),
}


def policy(document: dict[str, Any], *, enforce: bool) -> Policy:
    """Return the profile; with `enforce` the families are refused with EPERM instead of logged.

    Raises:
        PolicyFault: the profile still learns, or leaves no family to name.
    """
    habits.settled(document)
    groups = {group for group, _ in habits.files(document)}
    ways = {flow.way for flow in habits.flows(document)}
    unseen = [family for family in _FILE_FAMILIES if groups and family not in groups]
    unseen += [family for family in _NETWORK_FAMILIES if ways and family not in ways]
    if not unseen:
        raise PolicyFault("every family of operations was seen, or its sensor was off: nothing to restrict")
    calls = [name for family in unseen for name in {**_FILE_FAMILIES, **_NETWORK_FAMILIES}[family]]
    rule: dict[str, Any] = {"names": calls, "action": "SCMP_ACT_LOG"}
    if enforce:
        rule |= {"action": "SCMP_ACT_ERRNO", "errnoRet": _EPERM}
    remarks = [
        f"{'refused' if enforce else 'logged'}, because never seen: {', '.join(unseen)}",
        "everything else is allowed: a profile does not record system calls",
        "it replaces the runtime's own default profile: where you have one, add its rules to this",
        "io_uring can do the same work without these calls",
    ]
    return Policy(
        {"defaultAction": "SCMP_ACT_ALLOW", "architectures": _ARCHITECTURES, "syscalls": [rule]}, remarks
    )
