# SPDX-License-Identifier: Apache-2.0
"""Target sets: which container they choose, and what is said of a set that is none."""

import pytest

from habitus.events import Container, Pod
from habitus.targets import TargetFault, Targets

DIGEST = "sha256:" + "d" * 64
WEB = Container(
    id="a1" * 32, name="web", image="registry:5000/shop/webapp:v1", image_digest=DIGEST,
    pod=Pod(name="web-0", namespace="shop"),
)  # fmt: skip
LABELS = {"app": "web", "app.kubernetes.io/part-of": "shop", "note": "a=b"}


@pytest.mark.parametrize(
    "entry",
    [
        {"namespace": "shop"},
        {"namespace": "sh*"},
        {"label": "app"},
        {"label": "app=w?b"},
        {"label": "app.kubernetes.io/*=shop"},
        {"label": "note=a=b"},
        {"image": "*/webapp:*"},
        {"image": f"registry:5000/shop/webapp@{DIGEST}"},
        {"container": "web"},
        {"container": "a1a1a1*"},
        {"namespace": "shop", "label": "app=web", "image": "registry*", "container": "w*"},
    ],
)
def test_a_container_that_meets_all_keys_of_an_entry_is_chosen(entry):
    assert Targets([entry]).choose(WEB, LABELS)
    assert Targets([{"namespace": "other"}, entry]).choose(WEB, LABELS)


@pytest.mark.parametrize(
    "entry",
    [
        {"namespace": "Shop"},
        {"label": "tier"},
        {"label": "app=we"},
        {"image": "webapp"},
        {"container": "a1"},
        {"namespace": "shop", "label": "app=db"},
    ],
)
def test_one_key_that_is_not_met_is_enough_for_no(entry):
    assert not Targets([entry]).choose(WEB, LABELS)


def test_an_empty_set_chooses_everything():
    assert Targets().choose(Container(id="b2" * 32), {})


def test_a_container_without_a_pod_is_in_no_namespace():
    assert not Targets([{"namespace": "*"}]).choose(Container(id="b2" * 32, name="web"), {})


def test_a_set_is_read_and_written_as_json():
    targets = Targets.read(b'[{"label": "app=web"}]')

    assert targets == Targets([{"label": "app=web"}])
    assert Targets.read(targets.write()) == targets


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (b"[", "no JSON: "),
        (b"\xff", "no JSON: "),
        (b"[" * 100_000, "no JSON: "),
        (b'{"namespace": "shop"}', "not a list of entries"),
        (b'"shop"', "not a list of entries"),
        (b'["shop"]', "entry 1: not an object"),
        (b'[{"namespace": "a"}, {}]', "entry 2: empty"),
        (b'[{"nmespace": "a"}]', "entry 1: no key 'nmespace'; there are namespace, label, image, container"),
        (b'[{"image": 5}]', "entry 1: image: not a pattern"),
        (b'[{"image": ""}]', "entry 1: image: not a pattern"),
        (b"[" + b",".join([b'{"image": "a"}'] * 1001) + b"]", "1001 entries, at most 1000"),
    ],
)
def test_a_set_that_is_none_is_refused_in_one_line(text, said):
    with pytest.raises(TargetFault) as fault:
        Targets.read(text)

    assert said in str(fault.value)
    assert "\n" not in str(fault.value)
