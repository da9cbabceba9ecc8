# SPDX-License-Identifier: Apache-2.0
"""A network namespace with nothing but loopback, and in it a name server and a TCP server.

`python -m habitus_loopback ADDRESS` answers every question of type A with ADDRESS, on 127.0.0.1:53,
listens on ADDRESS:8080, and says `ready`. No packet can leave the namespace.
"""

import ctypes
import fcntl
import os
import socket
import struct
import subprocess
import sys
import threading
from pathlib import Path

CLONE_NEWNET = 0x40000000
TIME_TO_LIVE = 5
_SIOCSIFFLAGS = 0x8914
_UP = 0x1 | 0x40
libc = ctypes.CDLL(None, use_errno=True)


class Namespace:
    """The namespace while it lives; `enter` is for a process that was just forked."""

    def __init__(self, address):
        environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parent)}
        command = [sys.executable, "-m", "habitus_loopback", address]
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


def answer_to(query, address):
    """Return the answer: one address for type A, none for others."""
    end = query.index(b"\0", 12) + 5
    (kind,) = struct.unpack_from(">H", query, end - 4)
    packed = socket.inet_aton(address)
    record = b"\xc0\x0c" + struct.pack(">HHIH", 1, 1, TIME_TO_LIVE, len(packed)) + packed
    found = kind == 1
    header = query[:2] + struct.pack(">HHHHH", 0x8180, 1, int(found), 0, 0)
    return header + query[12:end] + (record if found else b"")


def _serve(address):
    name_server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    name_server.bind(("127.0.0.1", 53))
    listener = socket.create_server((address, 8080))
    threading.Thread(target=lambda: [listener.accept() for _ in iter(int, 1)], daemon=True).start()
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    while True:
        query, peer = name_server.recvfrom(2048)
        name_server.sendto(answer_to(query, address), peer)


def _raise_loopback():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as handle:
        fcntl.ioctl(handle, _SIOCSIFFLAGS, struct.pack("16sH14x", b"lo", _UP))


if __name__ == "__main__":
    assert not libc.unshare(CLONE_NEWNET)
    _raise_loopback()
    _serve(sys.argv[1])
