# SPDX-License-Identifier: Apache-2.0
"""Flows of containers for the tests: servers, clients, questions to DNS, and verdicts on them."""

import asyncio
import contextlib
import os
import socket
import time

from habitus.events import Container
from habitus_collector.discovery import Identity
from habitus_loopback import question_of, run


def kernel_of(recorder):
    return recorder.loader._sensors


async def judge(recorder, container, revision):
    """Name the container's image and put a revision of its profile in force; return the profile's number."""
    watch, cgroup = recorder.loader._watch, container.folder.stat().st_ino
    deadline = time.monotonic() + 5
    while not (watched := watch.of(cgroup)) or not watched.container:  # no runtime knows it: that comes first
        assert time.monotonic() < deadline, "the container was not seen"
        await asyncio.sleep(0.005)
    watch.name(container.id, Identity(Container(id=container.id, image="webapp:v1")))
    assert watched.profile
    kernel_of(recorder).revise(watched.profile, revision)
    return watched.profile


def know(recorder, events, revision):
    for event in events:
        assert event.token
        kernel_of(recorder).know(event.token, revision)


def connect_to(port, host="127.0.0.1"):
    return f"import socket; socket.create_connection(({host!r}, {port})).close()"


def listener(host="127.0.0.1", family=socket.AF_INET):
    return contextlib.closing(socket.create_server((host, 0), family=family))


async def serving(container, code):
    """Run a server in the container; return its end to wait for, and its port."""
    ready, go = os.pipe()
    os.set_inheritable(go, True)
    before = (
        "import os, socket; s = socket.create_server(('127.0.0.1', 0))\n"
        f"os.write({go}, b'%d' % s.getsockname()[1])\n"
    )
    running = asyncio.create_task(asyncio.to_thread(run, container, before + code))
    port = int(await asyncio.to_thread(os.read, ready, 16))
    os.close(ready)
    os.close(go)
    return running, port


ASK = """
import socket
s = socket.socket({family}, socket.SOCK_DGRAM); s.settimeout(5)
s.sendto({question!r}, ({server!r}, 53)); s.recv(512)
try: socket.create_connection(({address!r}, 8080))
except OSError: pass"""


def ask(name, address="127.9.9.9", server="127.0.0.1", kind=1, number=7):
    family = "socket.AF_INET6" if ":" in server else "socket.AF_INET"
    question = question_of(name, number, kind)
    return ASK.format(family=family, question=question, server=server, address=address)
