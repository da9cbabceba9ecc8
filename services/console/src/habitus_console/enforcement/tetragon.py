# SPDX-License-Identifier: Apache-2.0
"""A Tetragon TracingPolicyNamespaced that reports programs that a profile does not know."""

from typing import Any, Final

from habitus_console.enforcement import habits
from habitus_console.enforcement.habits import Policy, PolicyFault, Target

_MOST: Final = 250


def policy(document: dict[str, Any], target: Target) -> Policy:
    """Return the policy.

    Raises:
        PolicyFault: the profile still learns or saw no program, or `target` has no labels.
    """
    habits.settled(document)
    programs = sorted(habits.programs(document))
    plain = [path for path in programs if path.startswith("/") and "<" not in path]
    if not plain:
        raise PolicyFault("no program was seen: a policy from nothing would report everything")
    if len(plain) > _MOST:
        raise PolicyFault(
            f"{len(plain)} programs are more than the {_MOST} that such a policy should compare"
        )
    remarks = [
        "it reports and never stops anything; arguments, files and peers are not in it",
        "before kernel 5.3 Tetragon compares no programs, so that all are reported",
    ]
    if len(plain) < len(programs):
        remarks.append(
            "reported though known, because their paths vary: " + ", ".join(sorted({*programs} - {*plain}))
        )
    hook = {
        "call": "security_bprm_check",
        "syscall": False,
        "args": [{"index": 0, "type": "linux_binprm"}],
        "selectors": [{"matchArgs": [{"index": 0, "operator": "NotEqual", "values": plain}]}],
    }
    return Policy(
        {
            "apiVersion": "cilium.io/v1alpha1",
            "kind": "TracingPolicyNamespaced",
            "metadata": habits.metadata(target),
            "spec": {"podSelector": {"matchLabels": target.labels}, "kprobes": [hook]},
        },
        remarks,
    )
