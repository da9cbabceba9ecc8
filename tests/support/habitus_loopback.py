# SPDX-License-Identifier: Apache-2.0
"""A network namespace with nothing but loopback, and in it a name server and a TCP server.

`python -m habitus_loopback ADDRESS …` answers every question of type A or AAAA with the ADDRESS of that
kind, if there is one, on 127.0.0.1:53 (by TCP, too) and [::1]:53. It listens on each ADDRESS at 8080,
and says `ready`. No packet can leave the namespace.
"""

import contextlib
import ctypes
import fcntl
import os
import select
import socket
import struct
import subprocess
import sys
import threading
from pathlib import Path

CLONE_NEWNET = 0x40000000
TIME_TO_LIVE = 5
_FAMILIES = {1: socket.AF_INET, 28: socket.AF_INET6}
_SIOCSIFFLAGS = 0x8914
_UP = 0x1 | 0x40
libc = ctypes.CDLL(None, use_errno=True)


class Namespace:
    """The namespace while it lives; `enter` is for a process that was just forked."""

    def __init__(self, *addresses):
        environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parent)}
        command = [sys.executable, "-m", "habitus_loopback", *addresses]
        self._server = subprocess.Popen(command, stdout=subprocess.PIPE, env=environment)
        assert self._server.stdout.readline() == b"ready\n"
        self._handle = os.open(f"/proc/{self._server.pid}/ns/net", os.O_RDONLY)

    def enter(self):
        if libc.setns(self._handle, CLONE_NEWNET):
            os._exit(125)

    def close(self):
        os.close(self._handle)
        self._server.kill()
        self._server.wait()
        self._server.stdout.close()


def run(container, code, **options):
    """Run Python in the container; what follows is what it must have done."""
    _, status = container.run([sys.executable.encode(), b"-I", b"-S", b"-c", code.encode()], **options)
    return status


def parts(event):
    network = event.network
    return network.direction, network.protocol, network.remote_ip, network.remote_port


def question_of(name, number=7, kind=1):
    """Return a query for `name`."""
    labels = b"".join(bytes([len(label)]) + label for label in name.encode().split(b"."))
    return struct.pack(">HHHHHH", number, 0x0100, 1, 0, 0, 0) + labels + b"\0" + struct.pack(">HH", kind, 1)


def answer_to(query, *addresses):
    """Return the answer: the one address of the type that is asked for, or none."""
    end = query.index(b"\0", 12) + 5
    (kind,) = struct.unpack_from(">H", query, end - 4)
    of_kind = {28 if ":" in address else 1: address for address in addresses}
    found = kind in of_kind
    packed = socket.inet_pton(_FAMILIES[kind], of_kind[kind]) if found else b""
    record = b"\xc0\x0c" + struct.pack(">HHIH", kind, 1, TIME_TO_LIVE, len(packed)) + packed
    header = query[:2] + struct.pack(">HHHHH", 0x8180, 1, int(found), 0, 0)
    return header + query[12:end] + (record if found else b"")


def _serve(addresses):
    name_servers = [_name_server(socket.AF_INET, "127.0.0.1"), _name_server(socket.AF_INET6, "::1")]
    listeners = [
        socket.create_server((address, 8080), family=socket.AF_INET6 if ":" in address else socket.AF_INET)
        for address in addresses
    ]
    for listener in listeners:
        threading.Thread(target=_accept, args=(listener,), daemon=True).start()
    threading.Thread(target=_answer_over_tcp, args=(addresses,), daemon=True).start()
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    while True:
        readable, _, _ = select.select(name_servers, [], [])
        for name_server in readable:
            query, peer = name_server.recvfrom(2048)
            with contextlib.suppress(ValueError, struct.error):  # hostile ones get no answer
                name_server.sendto(answer_to(query, *addresses), peer)


def _name_server(family, address):
    made = socket.socket(family, socket.SOCK_DGRAM)
    made.bind((address, 53))
    return made


def _answer_over_tcp(addresses):
    listener = socket.create_server(("127.0.0.1", 53))
    while True:
        connection, _ = listener.accept()
        with connection, contextlib.suppress(ValueError, struct.error):
            answer = answer_to(connection.recv(2048)[2:], *addresses)
            connection.sendall(struct.pack(">H", len(answer)) + answer)


def _accept(listener):
    while True:
        listener.accept()


def _raise_loopback():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as handle:
        fcntl.ioctl(handle, _SIOCSIFFLAGS, struct.pack("16sH14x", b"lo", _UP))


if __name__ == "__main__":
    assert not libc.unshare(CLONE_NEWNET)
    _raise_loopback()
    _serve(sys.argv[1:])
