# SPDX-License-Identifier: Apache-2.0
"""What an alert suggests can be applied as it stands: the form is Kubernetes' own, the deed is denied."""

import re
import shlex

import pytest
from scorer_making import POD, TS, anomaly, judged

from habitus.anomalies import Anomaly
from habitus.policies import SuggestedAction
from habitus_kubernetes import read_as_networkpolicy
from habitus_scorer.alerting import alert_of
from habitus_scorer.incidents import IncidentBook

NAME = re.compile(r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?")
LABEL_KEY = re.compile(
    r"([a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?"
)
LABEL_VALUE = re.compile(r"([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?")
DAY = 24 * 3600 * 10**9


def action(*anomalies: Anomaly) -> SuggestedAction:
    book = IncidentBook(3600)
    for one in anomalies:
        incident = book.fold(judged(one))
    return alert_of(incident, incident.best.anomaly, TS).action


def faults(document: dict) -> list[str]:
    """What networking.k8s.io/v1 would refuse (by its schema and its bounds), or what would not isolate."""
    metadata, spec = document["metadata"], document["spec"]
    labels = spec["podSelector"]["matchLabels"]
    checks = {
        "schema": read_as_networkpolicy(document) == document,
        "version": (document["apiVersion"], document["kind"]) == ("networking.k8s.io/v1", "NetworkPolicy"),
        "name": NAME.fullmatch(metadata["name"]) is not None,
        "namespace": NAME.fullmatch(metadata["namespace"]) is not None and len(metadata["namespace"]) <= 63,
        "types": spec["policyTypes"] == ["Ingress", "Egress"],
        "closed": spec["ingress"] == spec["egress"] == [],
        "some pods": bool(labels),
        "labels": all(
            LABEL_KEY.fullmatch(key) and LABEL_VALUE.fullmatch(value) for key, value in labels.items()
        ),
    }
    return [name for name, holds in checks.items() if not holds]


def in_pod(number: int, namespace: str = "shop", **parts) -> Anomaly:
    pod = {"name": f"web-{number}", "namespace": namespace, "uid": f"uid-{number}"}
    return anomaly(container={"id": f"{number:064x}", "pod": pod}, id=f"e{number}", **parts)


def test_one_pod_is_cut_off_by_a_policy_of_the_right_form():
    suggested = action(anomaly())
    assert suggested.kind == "isolate-pod"
    assert faults(suggested.policy) == []
    assert suggested.further == []
    assert suggested.prepare == [f"kubectl label pod -n shop web-0 habitus.io/isolate={POD['uid']}"]


def test_many_pods_share_one_label_and_each_namespace_has_its_policy():
    suggested = action(*(in_pod(number, "shop" if number % 2 else "stage") for number in range(6)))
    objects = suggested.objects
    assert [faults(one) for one in objects] == [[], []]
    assert {one["metadata"]["namespace"] for one in objects} == {"shop", "stage"}
    [label] = {tuple(one["spec"]["podSelector"]["matchLabels"].items()) for one in objects}
    for command, number in zip(suggested.prepare, range(6), strict=True):
        words = shlex.split(command)
        assert words[:3] == ["kubectl", "label", "pod"]
        assert words[-1] == "=".join(label[0])
        assert words[-2] == f"web-{number}"
    assert "6 Pods" in suggested.title.en


@pytest.mark.parametrize("name", ["a" * 253, "x." + "a" * 240, "web--0"])
def test_the_longest_names_give_a_policy_of_the_right_form(name: str):
    pod = {"name": name, "namespace": "shop", "uid": "u"}
    assert faults(action(anomaly(container={"pod": pod})).policy) == []


DENIED = [
    ({"exe": "/tmp/xmrig"}, ("exec", "/tmp/xmrig")),
    ({"class_": "file", "op": "create", "file": {"path": "/etc/cron.d/x"}}, ("open", "/etc/cron.d/x")),
    ({"class_": "file", "op": "rename", "file": {"path": "/a", "new_path": "/b"}}, ("open", "/b")),
    (
        {"class_": "network", "op": "connect", "network": {"remote_ip": "203.0.113.7", "remote_port": 4444}},
        ("connect", "203.0.113.7:4444"),
    ),
    ({"class_": "network", "op": "dns", "network": {"domain": "pool.example"}}, ("connect", "pool.example")),
    (
        {"class_": "network", "op": "connect", "network": {"path": "/run/docker.sock"}},
        ("connect", "/run/docker.sock"),
    ),
]


@pytest.mark.parametrize(("parts", "denied"), DENIED, ids=[denied[1] for _, denied in DENIED])
@pytest.mark.parametrize("container", [{}, {"pod": None}, {"pod": None, "name": "a b", "id": None}])
def test_what_was_done_is_denied_whatever_the_action(parts, denied, container):
    """Isolate, stop or review: the entry is there, for the container if it is known, and it ends."""
    [entry] = action(anomaly(container=container, **parts)).entries
    assert (entry.effect, entry.operation, entry.target) == ("deny", *denied)
    assert (entry.scope.image, entry.scope.container_id) == ("webapp:v1", container.get("id", "c" * 64))
    assert entry.expires == TS + DAY
    assert entry.reason.startswith("a-")
    assert entry.caution is None


def test_entries_of_a_spread_attack_are_for_the_image():
    assert {one.scope.container_id for one in action(in_pod(1), in_pod(2)).entries} == {None}


def test_denying_what_the_image_does_ordinarily_comes_with_a_caution():
    [entry] = action(anomaly(["java", "-x"], exe="/usr/bin/java", reason="unknown-argument")).entries
    assert "may break the service" in entry.caution.en
    assert entry.caution.zh


def test_entries_are_each_once_bounded_and_the_same_in_every_run():
    def made() -> list[str]:
        steps = [anomaly([f"./p{n}"], pid=41 + n, ppid=40 + n, id=f"e{n}") for n in range(20)]
        return [entry.id for entry in action(*steps, anomaly(["./p0"], pid=41, id="again")).entries]

    assert len(made()) == len(set(made())) == 8
    assert made() == made()


@pytest.mark.parametrize(
    "parts",
    [
        {"exe": "xmrig"},
        {"class_": "network", "op": "accept", "network": {"direction": "ingress", "local_port": 80}},
        {"class_": "file", "op": "mount", "file": {"path": "/x"}},
        {"class_": "network", "op": "connect", "network": {}},
    ],
)
def test_what_no_entry_can_say_gives_none(parts):
    assert action(anomaly(**parts)).entries == []
