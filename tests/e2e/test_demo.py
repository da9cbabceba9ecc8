# SPDX-License-Identifier: Apache-2.0
import json
import os
import shutil
from pathlib import Path

import pytest

from habitus.alerts import Alert

NEEDED = ["containerd", "runc", "busybox", "bash-static"]


@pytest.mark.kernel
@pytest.mark.containers
def test_the_mining_story_holds_on_real_containers(habitus, tmp_path):
    """Ordinary work raises nothing, each disguised miner exactly one complete alert."""
    missing = [name for name in NEEDED if shutil.which(name) is None]
    if os.geteuid() != 0 or missing or not Path("/sys/kernel/btf/vmlinux").exists():
        pytest.skip(f"needs root, BTF and containers; missing here: {missing or 'root or BTF'}")
    figures = tmp_path / "figures.json"
    done = habitus("demo", "--json", "--figures", figures)
    assert done.returncode == 0, done.stdout + done.stderr
    told = json.loads(done.stdout)
    assert [step["held"] for step in told["steps"]] == [True] * 4
    alerts = [Alert.model_validate(one) for one in told["alerts"]]
    assert [(one.who.name, one.title.zh) for one in alerts] == [
        ("xmrig", "高危：容器挖矿行为检测"),
        ("java", "高危：容器挖矿行为检测"),
    ]
    for one in alerts:
        assert one.action.policy["kind"] == "NetworkPolicy"
        assert one.where.pod == "web-0"
        assert one.engines["rule"].points >= 32
        assert one.engines["cluster"].points == 20  # one replica of three
    assert json.loads(figures.read_text())["exec_to_alert_p99_ms"] > 0
    assert not list(Path("/var/tmp").glob("habitus-demo-*"))


@pytest.mark.containers
def test_without_root_the_demo_says_so(habitus, monkeypatch):
    if os.geteuid() != 0:
        done = habitus("demo")
        assert "root" in done.stderr
    else:
        # Root without a compiler and containerd on its path is told what to install.
        done = habitus("demo", PATH="/nonexistent")
        assert "apt-get install" in done.stderr
    assert done.returncode == 1
    assert len(done.stderr.strip().splitlines()) == 1
