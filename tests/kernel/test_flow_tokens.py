# SPDX-License-Identifier: Apache-2.0
"""Two flows have one token only where the profiler gives one verdict on both.

The addresses are all local to a network namespace that nothing can leave.
"""

import itertools
import subprocess

import pytest

from habitus_flows import judge
from habitus_loopback import run
from habitus_profiler import habits

pytestmark = pytest.mark.kernel

TEXT4 = """
    127.0.0.1 127.8.8.8 10.0.0.7 10.0.0.8 10.0.1.7 11.0.0.1 172.15.255.1 172.16.0.1 172.31.0.1 172.32.0.1
    192.167.1.1 192.168.1.1 192.169.1.1 100.63.1.1 100.64.1.1 100.127.1.1 100.128.1.1 169.253.1.1 169.254.1.1
    169.254.169.254 169.255.1.1 8.8.8.8 8.8.4.4 203.0.113.1 203.0.113.2 0.0.0.9 0.0.1.1
"""
TEXT6 = """
    ::1 ::2 ::3 fd00::1 fd00::2 fd00:0:0:1::1 fbff::1 fe00::1 2001:db8::1 2001:db8::2 2001:db8:0:1::1
"""
IP4, IP6 = TEXT4.split(), TEXT6.split()

CONNECT = """
import socket
for address, port in {flows!r}:
    s = socket.socket(socket.AF_INET6 if ':' in address else socket.AF_INET)
    s.setblocking(False)
    s.connect_ex((address, port))
    s.close()"""

ACCEPT = """
import socket
for port in {ports!r}:
    with socket.create_server(('::', port), family=socket.AF_INET6, dualstack_ipv6=True) as server:
        for address in {addresses!r}:
            c = socket.socket(socket.AF_INET6 if ':' in address else socket.AF_INET)
            try: c.bind((address, 0))
            except OSError: continue
            c.connect(('2001:db8::99' if ':' in address else '10.0.0.99', port))
            server.accept()[0].close()
            c.close()"""


def everything_is_local(namespace):
    def ip(*words):
        subprocess.run(["ip", *words, "dev", "lo"], check=True, preexec_fn=namespace.enter)

    ip("route", "add", "local", "0.0.0.0/0")
    ip("-6", "route", "add", "local", "::/0")


def compare(events):
    """Every pair: equal tokens mean equal habits; return the tokens by habit."""
    assert all(event.token for event in events)
    for one, other in itertools.combinations(events, 2):
        if one.token == other.token:
            assert habits.network_path(one) == habits.network_path(other)
    by_habit = {}
    for event in events:
        by_habit.setdefault(habits.network_path(event), set()).add(event.token)
    return by_habit


async def test_what_goes_out(watching, namespace):
    everything_is_local(namespace)
    recorder, container = await watching()
    await judge(recorder, container, 1)
    flows = [(address, port) for address in (*IP4, *IP6) for port in (443, 50000, 50001)]

    assert run(container, CONNECT.format(flows=flows), before=namespace.enter) == 0

    events = await recorder.of(container, "connect", len(flows) - 10)
    told = {(event.network.remote_ip, event.network.remote_port) for event in events}
    assert {"127.8.8.8", "169.254.169.254", "fd00::1", "2001:db8::2"} <= {address for address, _ in told}
    by_habit = compare(events)
    assert len(by_habit) < len(told)  # neighbours are one


async def test_what_comes_in(watching, namespace):
    everything_is_local(namespace)
    recorder, container = await watching()
    await judge(recorder, container, 1)
    addresses, ports = [*IP4, *IP6], [8000, 40000, 50000]

    assert run(container, ACCEPT.format(addresses=addresses, ports=ports), before=namespace.enter) == 0

    accepts = await recorder.of(container, "accept", 30)
    classes = {"loopback", "link-local", "private", "public"}
    by_habit = compare([*accepts, *await recorder.of(container, "listen")])
    assert {path[2] for path in by_habit} == {*classes, "-"}
    assert {path[3] for path in by_habit} == {"8000", habits.HIGH}
    assert all(len(tokens) == 1 for tokens in by_habit.values())  # each habit has one, however many clients
