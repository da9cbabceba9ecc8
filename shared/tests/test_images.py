# SPDX-License-Identifier: Apache-2.0
import pytest

from habitus.images import PARTITIONS, familiar, image_key, partition_of


@pytest.mark.parametrize(
    ("image", "digest", "key"),
    [
        ("webapp:v1", None, "webapp:v1"),
        ("webapp", None, "webapp:latest"),
        ("webapp:v1", "sha256:ab", "webapp@sha256:ab"),
        ("webapp:v1@sha256:ab", None, "webapp@sha256:ab"),
        ("registry:5000/shop/web", None, "registry:5000/shop/web:latest"),
        ("registry:5000/shop/web:v2", None, "registry:5000/shop/web:v2"),
        ("docker.io/library/nginx:1.29", None, "nginx:1.29"),
        ("docker.io/bitnami/redis:8", None, "bitnami/redis:8"),
        ("sha256:0123", None, "sha256:0123"),
        ("sha256:0123", "sha256:ff", "sha256:0123"),
    ],
)
def test_the_key_names_repository_and_digest_or_tag(image, digest, key):
    assert image_key(image, digest) == key


def test_partitions_are_stable_and_spread():
    assert partition_of("webapp:v1") == partition_of("webapp:v1")
    # A pinned value: a change would send a known image to another partition's owner.
    assert partition_of("webapp:v1") == 5
    assert {partition_of(f"image-{number}:v1") for number in range(1000)} == set(range(PARTITIONS))


@pytest.mark.parametrize(
    ("written", "short"),
    [
        ("docker.io/library/webapp:v1", "webapp:v1"),
        ("docker.io/acme/pay:v1", "acme/pay:v1"),
        ("localhost/webapp:v1", "localhost/webapp:v1"),
        ("registry:5000/library/webapp", "registry:5000/library/webapp"),
        ("webapp:v1", "webapp:v1"),
        ("index.example.com/webapp:v1", "index.example.com/webapp:v1"),
    ],
)
def test_references_lose_only_the_default_registry(written, short):
    assert familiar(written) == short
