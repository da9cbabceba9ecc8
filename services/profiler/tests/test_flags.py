# SPDX-License-Identifier: Apache-2.0
"""What a flag that was never seen could do, by its value and by its name."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from habitus_profiler.flags import is_mild
from habitus_profiler.grades import graded
from habitus_profiler.telling import gives, telling
from habitus_profiler.tokens import typed

MILD = [
    # flag, value (empty: none)
    ("--vacuum", ""),
    ("--no-audit", ""),
    ("--ignore-scripts", ""),
    ("--enable-source-maps", ""),
    ("--tls", ""),
    ("--verify", "full"),
    ("--config.reload.interval", "23s"),
    ("--workers", "4"),
    ("--key-type", "ecdsa"),
    ("--environment", "staging"),
    ("--labels", "env=prod"),
    ("--output-format", "json"),
    ("-XX:+ExitOnOutOfMemoryError", ""),
    ("-detailed", ""),
    ("-t", "30"),
    ("-w", "json"),
    ("--filter", "name = x"),
    # what a place behind a flag is, the place itself tells
    ("--endpoint", "http://203.0.113.9/"),
    ("--path.logs", "/var/log/app"),
    ("--output", "/data/out"),
    ("--prefix", "orders-"),
    ("-aH", "/data/"),
    ("-X", ""),
    ("-p", "8080"),
]
HARMFUL = [
    ("--insecure", ""),
    ("--no-verify-ssl", ""),
    ("--ssl", "off"),
    ("--auth.type", "none"),
    ("--web.enable-admin-api", ""),
    ("--unsafe-allow-remove-all", ""),
    ("-Dcom.sun.jndi.ldap.object.trustURLCodebase", "true"),
    ("--inspect", "9229"),
    ("--uid", "0"),
    ("--plugin", "evil"),
    ("--user", "backup"),
    ("--password", ""),
    ("--export-secret-keys", ""),
    ("--pythonpath", "/dev/shm"),
    ("--template", "/tmp/t"),
    ("--plugin-dir", "/data/plugins"),
    ("--module-path", "/data/m"),
    ("--config", "http://conf.shop.svc/"),
    ("--ServerApp.token=", "off"),
    ("--serverstransport.insecureskipverify", "true"),
    ("-rm", ""),
    ("-k", ""),
    ("--include", "*"),
    ("-lvnp", "4444"),
    ("-A", ""),
    ("-e", "id"),
    ("disable_functions=", "off"),
    ("StrictHostKeyChecking=", "no"),
]


def mild(flag, value):
    return is_mild(flag, graded(typed(value), value) if value else "none")


@pytest.mark.parametrize(("flag", "value"), MILD)
def test_a_flag_that_can_do_no_harm_by_itself_is_mild(flag, value):
    """No value, an amount, a format or a plain word, and a name that tells of nothing."""
    assert mild(flag, value)


@pytest.mark.parametrize(("flag", "value"), HARMFUL)
def test_a_flag_that_opens_loads_reaches_or_switches_off_is_not(flag, value):
    """By its name, or by a value that is a place, a host, code or a person."""
    assert not mild(flag, value)


@given(st.text(max_size=40), st.text(max_size=40))
def test_grading_is_total(flag, value):
    """Whatever an attacker writes gets a grade, and the same one each time."""
    assert mild(flag, value) is mild(flag, value)
    assert telling(value) == telling(value)
    assert gives(flag, value) == gives(flag, value)


@pytest.mark.parametrize(
    ("word", "found"),
    [
        ("secret/shop/db", ("secret",)),
        ("Rails.application.credentials.to_yaml", ("credentials",)),
        ("set_user_tags", ("set_user",)),
        ("create-access-key", ("create-access-key",)),
        ("kube-system", ("kube-system",)),
        ("system.users", ("system.users",)),
        ("orders", ()),
        ("rooted", ()),
    ],
)
def test_words_tell_by_their_parts(word, found):
    """A part is enough, a piece of a part is not."""
    assert telling(word) == found


def test_two_words_tell_together():
    """`user add` gives power away; each alone does not."""
    assert gives("user", "add") == "user add"
    assert gives("add", "orders") is None
