# SPDX-License-Identifier: Apache-2.0
"""Image references of all runtimes in one form."""

import pytest

from habitus_collector.discovery.references import digest_of, is_image_id, labels_of, pod_of

DIGEST = "sha256:" + "c" * 64


@pytest.mark.parametrize(
    ("reference", "is_id"),
    [(DIGEST, True), ("c" * 64, True), ("cccccccccccc", True), ("cafe:v1", False), ("webapp", False)],
)
def test_an_image_id_is_no_name(reference, is_id):
    assert is_image_id(reference) is is_id


def test_the_digest_is_the_one_of_the_same_repository():
    digests = ["mirror.local/webapp@sha256:" + "d" * 64, f"docker.io/library/webapp@{DIGEST}"]

    assert digest_of("webapp:v1", digests) == DIGEST
    assert digest_of("registry:5000/webapp", digests) is None
    assert digest_of("webapp:v1", []) is None


def test_a_pod_comes_from_the_kubelets_labels():
    labels = {"io.kubernetes.pod.name": "web-0", "io.kubernetes.pod.namespace": "shop"}

    assert pod_of(labels).name == "web-0"
    assert pod_of({"app": "web"}) is None


def test_labels_are_texts_within_bounds_and_the_kubelets_come_first():
    many = {f"l{n}": "x" for n in range(1000)} | {
        "io.kubernetes.pod.name": "web-0",
        "icon": "x" * 5000,
        "n": 7,
    }

    kept = labels_of(many)

    assert kept["io.kubernetes.pod.name"] == "web-0"
    assert len(kept) == 128
    assert not {"icon", "n"} & kept.keys()
