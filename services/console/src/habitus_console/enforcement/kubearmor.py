# SPDX-License-Identifier: Apache-2.0
"""A KubeArmorPolicy: programs in writable folders where none ever ran, and secrets that were never read.

It names what is watched, not what is allowed: an `Allow` policy would leave everything else to the
cluster's default posture, which may be to block.
"""

from typing import Any, Final

from habitus_console.enforcement import habits
from habitus_console.enforcement.habits import Policy, PolicyFault, Target

_WRITABLE: Final = ("/tmp/", "/var/tmp/", "/dev/shm/", "/run/")  # noqa: S108 - folders that are watched
_SECRETS: Final = ("/etc/shadow", "/etc/gshadow")
_TOKENS: Final = ("/var/run/secrets/", "/run/secrets/")
_SEVERITY: Final = 5


def policy(document: dict[str, Any], target: Target, *, enforce: bool) -> Policy:
    """Return the policy: it audits, or with `enforce` blocks.

    Raises:
        PolicyFault: the profile still learns, or leaves nothing to watch, or `target` has no labels.
    """
    habits.settled(document)
    programs = habits.programs(document)
    folders = [each for each in _WRITABLE if not any(path.startswith(each) for path in programs)]
    used = {path for _, path in habits.files(document)}
    # No habit on files at all: the sensor may have been off.
    secrets = [path for path in _SECRETS if used and path not in used]
    tokens = [each for each in _TOKENS if used and not any(path.startswith(each) for path in used)]
    spec: dict[str, Any] = {"severity": _SEVERITY, "selector": {"matchLabels": target.labels}}
    if folders:
        spec["process"] = {"matchDirectories": [{"dir": each, "recursive": True} for each in folders]}
    if secrets or tokens:
        lists = {
            "matchPaths": [{"path": path} for path in secrets],
            "matchDirectories": [{"dir": each, "recursive": True} for each in tokens],
        }
        spec["file"] = {key: each for key, each in lists.items() if each}
    if not folders and not secrets and not tokens:
        raise PolicyFault(
            "programs ran from every writable folder and every secret was read: nothing to watch"
        )
    spec["action"] = "Block" if enforce else "Audit"
    return Policy(
        {
            "apiVersion": "security.kubearmor.com/v1",
            "kind": "KubeArmorPolicy",
            "metadata": habits.metadata(target),
            "spec": spec,
        },
        ["arguments, network peers and other files of the profile are not in it"],
    )
