# SPDX-License-Identifier: Apache-2.0
"""What varied while it was learned varies on; what was always the same does not."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from habitus_profiler.slots import Slot, SlotBook

AKIN = [
    # kind, learned, asked
    ("path", ["/etc/vector/a.yaml"], "/etc/vector/d.yaml"),
    ("path", ["/tmp", "/etc/a.conf", "/home"], "/data"),
    ("remote", ["a.shop.example"], "b.shop.example"),
    ("path", ["/run/uwsgi/a.sock", "/run/uwsgi/b.sock", "/run/uwsgi/c.sock"], "/run/uwsgi/d.sock"),
    ("path", ["/srv/a/*.py", "/srv/b/*.py", "/srv/c/*.py"], "/srv/d/*.py"),
    ("path", ["/srv"], "/srv/d"),
    ("path", ["/reports"], "/reports/*.xml"),
    ("path", ["/data"], "/backup"),
    ("path", ["/data"], "/var/lib/app"),
    ("path", ["/srv/sql/*.sql"], "/opt/jobs/*.sql"),
    ("path", ["/etc/tls/a/tls.key", "/etc/tls/b/tls.key", "/etc/tls/c/tls.key"], "/etc/tls/d/tls.key"),
    ("path", ["/etc/tls/a/tls.crt", "/etc/tls/b/tls.crt", "/etc/tls/c/tls.crt"], "/etc/tls/d/ca.crt"),
    ("command", ["orders-sync", "mail-sync"], "billing-sync"),
    ("command", ["curl"], "wget"),
    ("load", ["/app/a-<version>.jar", "/app/b-<version>.jar", "/app/c.jar"], "/app/d-<version>.jar"),
    ("load", ["shop.jobs.mail"], "shop.jobs.audit"),
    ("remote", ["redis-<number>.redis.shop.svc"], "redis.shop.svc"),
    ("remote", ["orders.shop.svc"], "carts.shop.svc"),
    ("remote", ["a.shop.example", "b.shop.example"], "c.shop.example"),
    ("remote", ["shop-orders", "shop-mail", "shop-media"], "shop-carts"),
    ("command", ["orders.sh", "mail.sh"], "billing.sh"),
    ("package", ["a", "b", "c"], "d"),
    ("scheme", ["http"], "https"),
    ("operator", ["&&"], "||"),
]
ALIEN = [
    ("path", ["/etc/cron.d/a.conf", "/etc/cron.d/b.conf", "/etc/cron.d/c.conf"], "/etc/cron.d/d.conf"),
    ("path", ["/etc/a.conf", "/etc/b.conf", "/etc/c.conf"], "/etc/d.conf"),
    ("path", ["/etc/tls/a.key", "/etc/tls/b.key", "/etc/tls/c.key"], "/etc/tls/d.key"),
    ("path", ["/run/a.sock", "/run/b.sock", "/run/c.sock"], "/run/docker.sock"),
    ("path", ["/tmp/a/*.py", "/tmp/b/*.py", "/tmp/c/*.py"], "/tmp/d/*.py"),
    ("path", ["/srv/a/*.py", "/srv/b/*.py", "/srv/c/*.py"], "/srv/uploads/*.py"),
    ("path", ["/srv/a/*.py", "/srv/b/*.py", "/srv/c/*.py"], "/srv/.d/*.py"),
    ("path", ["/var/a", "/var/b", "/var/c"], "/var/www"),
    ("path", ["/usr/bin/a.py", "/usr/bin/b.py", "/usr/bin/c.py"], "/usr/bin/d.py"),
    ("path", ["/data"], "/data/public"),
    ("path", ["/data", "/backup"], "/host"),
    ("path", ["/data", "/backup"], "/"),
    ("path", ["/data", "/backup"], "/var/www"),
    ("path", ["/data", "/backup"], "/home"),
    ("path", ["/data", "/backup"], "/tmp"),
    ("path", ["/data", "/backup"], "/opt/jobs/*.sql"),
    ("path", ["/tmp", "/etc/a.conf", "/home"], "/var/www"),
    ("path", ["/srv/sql/*.sql"], "/srv/imports/*.sql"),
    ("path", ["/app/*.js"], "/lib2/*.js"),
    ("path", ["/etc/tls/a/tls.key", "/etc/tls/b/tls.key", "/etc/tls/c/tls.key"], "/etc/tls/d/root.key"),
    ("load", ["shop.jobs.mail", "shop.jobs.audit"], "http.server"),
    ("load", ["/tmp/a.jar", "/tmp/b.jar", "/tmp/c.jar"], "/tmp/d.jar"),
    ("remote", ["a.shop.example"], "b.other.example"),
    ("remote", ["a.mongodb.net", "b.mongodb.net"], "c.mongodb.net"),
    ("remote", ["a.github.io", "b.github.io", "c.github.io"], "d.github.io"),
    ("command", ["orders.sh"], "billing.sh"),
    ("command", ["tar", "gzip", "find"], "nc"),
    ("scheme", ["https"], "http"),
    ("operator", ["&&", ";"], "|"),
    ("tree", ["minio"], "play"),
    ("who", ["app"], "postgres"),
]


def book_of(kind, values):
    return SlotBook((kind, value) for value in values)


@pytest.mark.parametrize(("kind", "learned", "asked"), AKIN)
def test_another_value_of_what_varied_is_known(kind, learned, asked):
    """Files of one folder, folders of one place, hosts of one owner, modules of one application."""
    assert book_of(kind, learned).knows(Slot(kind, asked))


@pytest.mark.parametrize(("kind", "learned", "asked"), ALIEN)
def test_what_gives_power_or_is_strange_stays_news_whatever_varied(kind, learned, asked):
    """Too few, scratch and hidden places, keys, cron, uploads, strangers' domains."""
    assert not book_of(kind, learned).knows(Slot(kind, asked))


values = st.lists(
    st.sampled_from(sorted({value for _, learned, asked in AKIN + ALIEN for value in (*learned, asked)}))
    | st.text("ab./-*:<>", max_size=12),
    max_size=8,
)
kinds = st.sampled_from(sorted({kind for kind, *_ in AKIN + ALIEN}))


@given(kinds, values, st.text("ab./-*:", max_size=12), st.randoms(use_true_random=False))
def test_what_is_akin_depends_on_no_order_and_what_was_learned_is_known(kind, learned, asked, random):
    """Only the set of values counts; more of them never make less known."""
    shuffled = list(learned)
    random.shuffle(shuffled)
    book, other = book_of(kind, learned), book_of(kind, [*shuffled, *shuffled])
    assert book.records() == other.records()
    assert book.knows(Slot(kind, asked)) is other.knows(Slot(kind, asked))
    assert all(book.knows(Slot(kind, value)) for value in learned)
