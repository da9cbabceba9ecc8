# SPDX-License-Identifier: Apache-2.0
"""`habitus targets` against a real broker: what a person types, what the bucket then holds."""

import json
import subprocess
import sys

import pytest

from habitus import subjects
from habitus.targets import Targets
from habitus_console.target_sets import TargetSets

SHOP = {"namespace": "shop"}


@pytest.fixture
def targets(nats_server):
    def run(*arguments, text="", **changed):
        return subprocess.run(
            [sys.executable, "-m", "habitus_console", "targets", *arguments],
            input=text,
            env={**nats_server.environment, "LANG": "C.UTF-8", "COLUMNS": "120", **changed},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    return run


def shown(targets, *arguments):
    done = targets("show", "--json", *arguments)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_a_set_is_added_to_shown_and_cleared(targets):
    assert "no target set" in targets("show").stdout
    assert (
        targets("add", "--namespace", "shop").stdout
        == "now watched on all nodes: containers that meet any of its entries (1)\n"
    )
    done = targets("add", "--label", "app=web*", "--image", "webapp:*", "--json")
    assert json.loads(done.stdout) == {
        "key": "all",
        "targets": [SHOP, {"label": "app=web*", "image": "webapp:*"}],
    }

    table = targets("show").stdout
    assert "shop" in table
    assert "app=web*" in table
    assert targets("clear").returncode == 0
    assert shown(targets) == {}


def test_a_node_has_a_set_of_its_own(targets):
    targets("add", "--container", "db")
    done = targets("add", "--namespace", "shop", "--node", "n 1")

    assert "no collector of node n 1 has reported" in done.stderr
    assert shown(targets) == {"all": [{"container": "db"}], "n_1": [SHOP]}
    assert shown(targets, "--node", "n 1") == {"n_1": [SHOP]}
    assert shown(targets, "--node", "n2") == {"all": [{"container": "db"}]}
    targets("clear", "--node", "n 1")
    assert shown(targets, "--node", "n 1") == {"all": [{"container": "db"}]}


def test_a_set_is_replaced_from_a_file_or_standard_input(targets, tmp_path):
    file = tmp_path / "targets.json"
    file.write_text(json.dumps([SHOP]))

    assert targets("set", str(file)).returncode == 0
    assert shown(targets) == {"all": [SHOP]}
    assert "every container" in targets("set", "-", text="[]").stdout
    assert shown(targets) == {"all": []}
    assert "every container" in targets("show").stdout


@pytest.mark.parametrize(
    ("arguments", "text", "said"),
    [
        (("add",), "", "give at least one of --namespace, --label, --image, --container"),
        (("add", "--image", ""), "", "image: not a pattern"),
        (("set", "-"), "{", "-: no JSON"),
        (("set", "-"), '[{"nmespace": "x"}]', "entry 1: no key 'nmespace'"),
        (("set", "/nowhere.json"), "", "/nowhere.json: No such file"),
    ],
)
def test_what_cannot_be_is_refused_in_one_line_and_changes_nothing(targets, arguments, text, said):
    done = targets(*arguments, text=text)

    assert done.returncode == 2
    assert said in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert shown(targets) == {}


async def test_a_value_that_is_no_set_is_named_with_what_to_do(targets, bus):
    bucket = await bus.js.create_key_value(bucket=subjects.TARGETS)
    await bucket.put("n1", b"[7]")

    done = targets("show")

    assert done.returncode == 1
    assert "bucket TARGETS, key n1: entry 1: not an object" in done.stderr
    assert "habitus targets clear` --node n1" in done.stderr


async def test_two_that_add_at_once_lose_nothing(bus):
    sets = TargetSets(bus)
    await sets.add("all", SHOP)
    bucket = await bus.js.create_key_value(bucket=subjects.TARGETS)
    stale = await bucket.get("all")
    await sets.add("all", {"image": "db:*"})
    real, answers = sets._entry, [stale]

    async def entry(bucket, key):
        return answers.pop() if answers else await real(bucket, key)

    sets._entry = entry
    await sets.add("all", {"container": "web"})

    assert await sets.all() == {"all": Targets([SHOP, {"image": "db:*"}, {"container": "web"}])}


def test_it_speaks_chinese(targets):
    assert "没有目标集" in targets("show", "--lang", "zh").stdout
    assert "所有节点 现在监视" in targets("add", "--namespace", "shop", "--lang", "zh").stdout
    assert "命名空间" in targets("show", LANG="zh_CN.UTF-8").stdout


def test_without_a_broker_it_says_what_to_do(targets):
    done = targets("show", HABITUS_NATS_URL="nats://127.0.0.1:1", HABITUS_NATS_CONNECT_TIMEOUT_S="0.2")

    assert done.returncode == 1
    assert "no NATS at nats://127.0.0.1:1" in done.stderr
