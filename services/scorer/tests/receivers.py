# SPDX-License-Identifier: Apache-2.0
"""Real receivers of alerts for tests: an HTTP server that answers as told, sockets, unpacked programs."""

import contextlib
import json
import os
import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from habitus.alerts import Alert
from habitus.sinks import SinkServices
from habitus_scorer.sinks_face import sample

UNPACKED = Path(__file__).parents[3] / ".tools/receivers"
NOW = 1_764_000_000_123_456_789
HOSTILE = {
    "newline": "a\nb\r\nFrom: x",
    "escape": "\x1b]0;owned\x07\x1b[2J",
    "bidi": "\u202egnp.exe\u2066",
    "mention": "<!channel> <@U123> <https://evil.example|click>",
    "markup": "*bold* _it_ ~no~ `code` ```block``` > quote & <b>",
    "separators": 'a|b]"c\\d="e" [x@1 y="z"]',
    "bytes": "caf\\xff\\xfe",
    "line separators": "a\u2028b\u2029c\u0085d",
    "json": '"},{"x":"',
    "huge": "A" * (1 << 20),
    "chinese": "挖矿程序，" * 400,
    "emoji": "😀" * 3000,
}


@dataclass(frozen=True)
class Asked:
    """One request that the server got."""

    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Receiver:
    """An HTTP server of the loopback; answers are (status, headers), the last one for ever."""

    answers: list[tuple[int, dict[str, str]]] = field(default_factory=lambda: [(200, {})])
    said: bytes = b"ok"
    asked: list[Asked] = field(default_factory=list)
    port: int = 0
    scheme: str = "http"

    @property
    def url(self) -> str:
        return f"{self.scheme}://127.0.0.1:{self.port}"

    def take(self, asked: Asked) -> tuple[int, dict[str, str]]:
        self.asked.append(asked)
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


@contextlib.contextmanager
def receiving(tls: ssl.SSLContext | None = None) -> Iterator[Receiver]:
    """Serve until the block ends."""
    receiver = Receiver(scheme="https" if tls else "http")

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            asked = Asked(self.path, {key.lower(): value for key, value in self.headers.items()}, body)
            status, headers = receiver.take(asked)
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(receiver.said)))
            self.end_headers()
            self.wfile.write(receiver.said)

        def log_message(self, *_args: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    if tls:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    server.daemon_threads = True
    receiver.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield receiver
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def services(name: str = "out", language: Any = "en", **settings: Any) -> SinkServices:
    return SinkServices(name, language, settings)


def alert_of(hostile: str = "", **changes: Any) -> Alert:
    """Return an alert whose observed texts all are, or hold, `hostile`."""
    made = sample(NOW)
    made.id = changes.pop("id", "a-0123456789abcdef")
    if hostile:
        made.who = made.who.model_copy(
            update={
                "name": hostile,
                "exe": f"/tmp/{hostile}",
                "argv": ["x", hostile],
                "lineage": [hostile] * 3,
            }
        )
        names = dict.fromkeys(("node", "namespace", "pod", "container", "image"), hostile)
        made.where = made.where.model_copy(update=names)
        made.departures[0] = made.departures[0].model_copy(update={"detail": hostile})
        made.events[0]["process"]["argv"] = ["x", hostile]
        made.events[0]["process"]["exe"] = f"/tmp/{hostile}"
        made.events[0]["container"] |= {"name": hostile, "image": hostile}
        made.events[0]["file"] = {"path": f"/etc/{hostile}"}
        made.events[0]["network"] = {"domain": hostile, "remote_port": 443}
    return made.model_copy(update=changes)


def certificate(folder: Path) -> tuple[Path, Path]:
    """Make a key and a certificate for 127.0.0.1 and localhost; return (certificate, key)."""
    cert, key = folder / "cert.pem", folder / "key.pem"
    subprocess.run(
        [
            "openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
            "-keyout", key, "-out", cert, "-days", "2", "-subj", "/CN=localhost",
            "-addext", "subjectAltName=IP:127.0.0.1,DNS:localhost",
        ],
        check=True,
        capture_output=True,
    )  # fmt: skip
    return cert, key


def free_port(kind: socket.SocketKind = socket.SOCK_STREAM) -> int:
    with socket.socket(socket.AF_INET, kind) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def running(command: list[Any], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Run a program out of the unpacked packages."""
    libraries = ":".join(map(str, UNPACKED.glob("usr/lib/*-linux-gnu")))
    with log.open("wb") as out:
        child = subprocess.Popen(
            command, stdout=out, stderr=out, env=os.environ | {"LD_LIBRARY_PATH": libraries}
        )
    try:
        yield child
    finally:
        child.terminate()
        child.wait(10)
