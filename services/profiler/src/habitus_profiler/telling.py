# SPDX-License-Identifier: Apache-2.0
"""Words that name what is secret or privileged, or give power away: news wherever they first stand."""

import re
from functools import lru_cache
from typing import Final

from habitus_profiler.paths import is_program
from habitus_profiler.words import words

_WHOLE: Final = words(
    """
    .aws .dockercfg .git-credentials .gnupg .kube .my.cnf .netrc .pgpass .ssh authorized_keys cluster-admin
    delete destroy downgrade erase flush id_ed25519 id_rsa kube-public kube-system proxy publish purge remove
    rm rmdir share system:masters terminate uninstall wipe
    """
)
_PARTS: Final = words(
    """
    adduser admin administrator administrators admins allauthenticatedusers allusers anonymous attach authid
    backdoor chpasswd clusterrolebinding cookie credential credentials dbconsole dbshell disable drop eval
    exec execute flushall flushdb fresh grant htaccess htpasswd iam impersonate keychain keylogger keystore
    kubeconfig locked masters miner passwd password passwords portforward priv privileged privileges privkey
    privs ransom replicaof revoke root secret secrets serviceaccount serviceaccounts shadow shell shutdown
    slaveof sudoers superadmin superuser sysdba sysop sysoper tinker token tokens truncate unseal useradd
    usermod vault wallet wheel
    """
)
_STARTS: Final = (
    "disable", "decommission", "deleteall", "removeall", "dropdb", "rmpool", "createsuper", "createuser",
)  # fmt: skip
_GIVES: Final = re.compile(
    r"(?:add|create|set|change|update|new)[-_](?:\w{1,20}[-_])?"
    r"(?:user|role|account|permission|key|member|policy)s?(?![a-z])|(?:send|run|exec|invoke)[-_]command"
    r"|remote[-_](?:console|shell|command)|port-forward|host_?(?:pid|ipc|network|path|users)(?![a-z])|%pipe%|create_?and_?promote|serviceprincipalname|unicodepwd|ms-?(?:mcs-admpwd|ds-managedpassword)"
    r"|useraccountcontrol:[\d.]+:=(?:4194304|524288)|load[-_]?module|\$(?:where|function|accumulator)\b"
    r"|(?:tcp|udp|openssl|sctp)[46]?-listen(?=:\d+(?!.*bind=))"  # who may connect
    r"|(?<=[\w\]>]):(?:237[5-69]|2380|4243|6443|1025[05])(?![\w:.])"  # who speaks to Docker, etcd, Kubernetes
    r"|(?<=actuator/)(?:heapdump|env|shutdown|jolokia|logfile|configprops)|(?<=/)_security(?![a-z])|(?:delete|destroy|drop|remove|truncate)_(?:all|tables?|database)(?![a-z])"
    r"|(?:system|mysql|pg_catalog)\.\w{0,20}(?:user|role|auth|shadow)\w{0,20}",
    re.IGNORECASE,
)
_PAIR: Final = re.compile(
    r"(?:user|role|account|policy|member|permission|grant)s? (?:add|create|set|update|attach|new)"
    r"|(?:config|acl) (?:set|dump|view)|module (?:un)?load|script load|member (?:add|remove)"
    r"|(?:add|create|set|update|new) (?:\w*user|\w*role|role\w+|account|policy|permission|member)s?\Z"
    r"|(?:account|access|api|signing|ssh) keys?\Z|keys? list\Z"
    r"|(?:db[:.]?)?migrat(?:e|ions?) (?:down|drop|fresh|reset|redo|purge)"
    r"|(?:auth|token|apikey|key) (?:create|new|add|issue)"
    r"|(?:delete|remove|rm|drop|clean|clear|flush|erase|prune|reset) (?:everything|-{0,2}all|--force)\Z"
    r"|--(?:network|net|pid|ipc|uts|userns|cgroupns) host\Z"
)
_VERBS: Final = frozenset({"eval", "exec", "execute", "attach"})
_FOLDERS: Final = frozenset({"share", "proxy", "publish", "remove", "delete"})
"""Acts, but not as the names of folders."""
_FILE: Final = re.compile(r"\A/.*/[^/]*\.(?:csv|html?|jsonl?|log|md|parquet|pdf|png|svg|tsv|txt)\Z")
_SPLIT: Final = re.compile(r"[^A-Za-z]+|(?<=[a-z])(?=[A-Z])")
_ENTRIES: Final = re.compile(r"[:,=/](?!masters)")
_LONGEST: Final = 4096
_LONGEST_PAIR: Final = 40


@lru_cache(maxsize=8192)
def telling(word: str) -> tuple[str, ...]:
    """Return the telling words in an argument, in lower case."""
    word = word[:_LONGEST]
    if word.lower().startswith("wal_checkpoint("):
        return ()  # of SQLite's log, what is in its database already
    whole = tuple(part for part in _ENTRIES.split(word) if part in _WHOLE)
    if whole and word[0] == "/":
        whole = tuple(part for part in whole if part not in _FOLDERS)
    if whole:
        return whole
    parts = map(str.lower, _SPLIT.split(word))
    found = [part for part in parts if part in _PARTS or part.startswith(_STARTS)]
    if found and (is_program(word) or _FILE.search(word)):
        found = [part for part in found if part not in _VERBS]  # `eval.py` evaluates, and is a path by itself
    found += [match[0].lower() for match in _GIVES.finditer(word)]
    return tuple(dict.fromkeys(found))


def gives(first: str, second: str) -> str | None:
    """Return two arguments that stand together where they give power away (`user add`), else None."""
    pair = f"{first} {second}"
    return pair if len(pair) <= _LONGEST_PAIR and _PAIR.match(pair) else None
