# SPDX-License-Identifier: Apache-2.0
"""Policies of other tools made of a profile: never tighter than it, and compiled where a compiler is here."""

import ctypes
import ctypes.util
import os
import re

import pytest
from pydantic import ValidationError

from habitus_console.enforcement import habits, kubearmor, network, seccomp, tetragon
from habitus_console.enforcement.habits import PolicyFault, Target
from habitus_kubernetes import read_as_networkpolicy

TARGET = Target("habitus-web", "shop", {"app": "web"})


def leaf(*programs):
    return {"programs": dict.fromkeys(programs, 1), "arguments": {}, "slots": {}}


def document(**changed):
    return {
        "habitus": "profile",
        "schema": "1.0",
        "image": "shop/web:v1",
        "state": "detect",
        "processes": {
            "": {"java": leaf("/usr/bin/java")},
            "java": {"sh": leaf("/bin/sh", "/opt/<number>/sh")},
        },
        "files": {"java": {"read": {"/etc/hosts": 2, "/app/app.jar": 1}, "write": {"/data/<any>.log": 9}}},
        "peers": {
            "java": {
                "egress tcp": {"10.0.0.0/24": {"/5432": 4}, "api.shop.svc": {"/8080": 2}},
                "egress dns": {"10.0.0.0/24": {"/53": 3}},
                "ingress tcp": {"private": {"/8080": 7, "/<high>": 1}},
                "egress unix": {"/run%2Fdb.sock": {"/-": 1}},
            }
        },
        **changed,
    }


def compiled(policy):
    """Have libseccomp build the filter, as a container runtime does."""
    library = ctypes.CDLL(ctypes.util.find_library("seccomp") or "libseccomp.so.2")
    library.seccomp_init.restype = ctypes.c_void_p
    library.seccomp_init.argtypes = [ctypes.c_uint32]
    library.seccomp_rule_add.argtypes = [ctypes.c_void_p, ctypes.c_uint32, ctypes.c_int, ctypes.c_uint]
    library.seccomp_export_bpf.argtypes = [ctypes.c_void_p, ctypes.c_int]
    actions = {"SCMP_ACT_ALLOW": 0x7FFF0000, "SCMP_ACT_LOG": 0x7FFC0000, "SCMP_ACT_ERRNO": 0x00050000}
    context = library.seccomp_init(actions[policy["defaultAction"]])
    for rule in policy["syscalls"]:
        for name in rule["names"]:
            number = library.seccomp_syscall_resolve_name(name.encode())
            assert number != -1, f"{name} is no system call"
            action = actions[rule["action"]] | rule.get("errnoRet", 0)
            assert library.seccomp_rule_add(context, action, number, 0) == 0, name
    reader, writer = os.pipe()
    assert library.seccomp_export_bpf(context, writer) == 0
    os.close(writer)
    with os.fdopen(reader, "rb") as program:
        return len(program.read()) // 8


def test_seccomp_logs_only_families_that_were_never_seen_and_allows_the_rest():
    """What was seen is never named; without --enforce nothing is refused."""
    policy = seccomp.policy(document(), enforce=False)
    [rule] = policy.document["syscalls"]
    assert policy.document["defaultAction"] == "SCMP_ACT_ALLOW"
    assert rule["action"] == "SCMP_ACT_LOG"
    assert {"unlink", "rename", "chmod"} <= set(rule["names"])
    assert not {"connect", "listen", "accept4", "openat", "execve"} & set(rule["names"])
    assert compiled(policy.document) > 10
    assert seccomp.policy(document(), enforce=True).document["syscalls"][0]["errnoRet"] == 1


def test_seccomp_says_nothing_of_a_class_that_showed_nothing_at_all():
    """Its sensor may have been off."""
    policy = seccomp.policy(document(peers={}), enforce=True)
    assert "connect" not in policy.document["syscalls"][0]["names"]
    with pytest.raises(PolicyFault, match="nothing to restrict"):
        seccomp.policy(document(peers={}, files={}), enforce=True)


def test_a_networkpolicy_opens_what_was_seen_and_says_where_it_is_looser():
    """A name cannot be expressed: its port is open to all, and that is said. DNS always works."""
    policy = network.policy(document(), TARGET)
    spec = policy.document["spec"]
    assert spec["podSelector"] == {"matchLabels": {"app": "web"}}
    assert spec["egress"][0] == {"ports": [{"protocol": "UDP", "port": 53}, {"protocol": "TCP", "port": 53}]}
    assert {"ports": [{"protocol": "TCP", "port": 8080}]} in spec["egress"]
    assert {
        "to": [{"ipBlock": {"cidr": "10.0.0.0/24"}}],
        "ports": [{"protocol": "TCP", "port": 5432}],
    } in spec["egress"]
    assert spec["ingress"] == [
        {"ports": [{"protocol": "TCP", "port": 8080}, {"protocol": "TCP", "port": 32768, "endPort": 65535}]}
    ]
    assert any("api.shop.svc 8080" in remark for remark in policy.remarks)


@pytest.mark.parametrize("peers", [None, {"java": {"ingress tcp": {"private": {"/8080": 7, "/<high>": 1}}}}])
def test_a_networkpolicy_is_one_by_kubernetes_own_schema(peers):
    """Every key is known there and every value is of its type; a key that is not would be dropped."""
    policy = network.policy(document(peers=peers) if peers else document(), TARGET).document
    assert read_as_networkpolicy(policy) == policy
    policy["spec"]["ingres"] = []
    assert read_as_networkpolicy(policy) != policy
    del policy["spec"]["podSelector"]
    with pytest.raises(ValidationError, match="podSelector"):
        read_as_networkpolicy(policy)


def test_a_networkpolicy_leaves_open_what_was_never_seen():
    """No traffic in one direction: that direction is no part of the policy; none at all: no policy."""
    peers = {"java": {"ingress tcp": {"private": {"/8080": 7}}}}
    policy = network.policy(document(peers=peers), TARGET)
    assert policy.document["spec"]["policyTypes"] == ["Ingress"]
    assert "egress" not in policy.document["spec"]
    assert "egress was never seen and is left open" in policy.remarks
    with pytest.raises(PolicyFault, match="cut everything off"):
        network.policy(document(peers={}), TARGET)


def test_kubearmor_watches_folders_from_which_nothing_ran_and_secrets_never_read():
    """It audits; what the workload does is never part of it."""
    policy = kubearmor.policy(document(), TARGET, enforce=False).document
    assert policy["spec"]["action"] == "Audit"
    assert {"dir": "/tmp/", "recursive": True} in policy["spec"]["process"]["matchDirectories"]
    assert {"path": "/etc/shadow"} in policy["spec"]["file"]["matchPaths"]
    used = document(
        processes={"": {"x": leaf("/tmp/x")}}, files={"x": {"read": {"/etc/shadow": 1, "/run/secrets/a": 1}}}
    )
    spec = kubearmor.policy(used, TARGET, enforce=True).document["spec"]
    assert spec["action"] == "Block"
    assert {"dir": "/tmp/", "recursive": True} not in spec["process"]["matchDirectories"]
    assert spec["file"]["matchPaths"] == [{"path": "/etc/gshadow"}]
    assert spec["file"]["matchDirectories"] == [{"dir": "/var/run/secrets/", "recursive": True}]


def test_tetragon_reports_programs_that_are_not_in_the_profile():
    """A path that varies cannot be compared, which is said; nothing is ever stopped."""
    policy = tetragon.policy(document(), TARGET)
    [hook] = policy.document["spec"]["kprobes"]
    assert hook["selectors"][0]["matchArgs"][0]["values"] == ["/bin/sh", "/usr/bin/java"]
    assert "matchActions" not in hook["selectors"][0]
    assert any("/opt/<number>/sh" in remark for remark in policy.remarks)
    with pytest.raises(PolicyFault, match="no program was seen"):
        tetragon.policy(document(processes={}), TARGET)


def test_kubearmor_and_tetragon_take_the_values_that_are_written():
    """Folders end in a slash and paths do not; argument types and operators are those of their CRDs.

    The bounds: KubeArmorPolicy security.kubearmor.com/v1, TracingPolicyNamespaced cilium.io/v1alpha1.
    """
    spec = kubearmor.policy(document(), TARGET, enforce=True).document["spec"]
    watched = [spec["process"], spec["file"]]
    assert all(re.fullmatch(r"/|/.*/", one["dir"]) for part in watched for one in part["matchDirectories"])
    assert all(re.fullmatch(r"/+.*[^/]", one["path"]) for one in spec["file"]["matchPaths"])
    assert 1 <= spec["severity"] <= 10
    [hook] = tetragon.policy(document(), TARGET).document["spec"]["kprobes"]
    assert hook["args"] == [{"index": 0, "type": "linux_binprm"}]
    assert hook["selectors"][0]["matchArgs"][0]["operator"] in {"Equal", "NotEqual", "Prefix", "NotPrefix"}


@pytest.mark.parametrize(
    "make",
    [
        lambda one, _: seccomp.policy(one, enforce=False),
        network.policy,
        lambda one, target: kubearmor.policy(one, target, enforce=False),
        tetragon.policy,
    ],
)
def test_no_policy_is_made_of_half_a_profile_nor_for_every_pod(make):
    with pytest.raises(PolicyFault, match="still learns"):
        make(document(state="learn"), TARGET)
    if make(document(), TARGET).document.get("kind"):
        with pytest.raises(PolicyFault, match="--selector"):
            make(document(), Target("a", "b", {}))


def test_names_are_those_that_kubernetes_takes():
    assert habits.name_of("registry.example/shop/Web_App:v1.2@sha256:ab") == "habitus-web-app-v1-2"
    assert len(habits.name_of("x" * 300)) <= 63
