# SPDX-License-Identifier: Apache-2.0
"""Syslog: RFC 5424 over UDP (RFC 5426), TCP with octet counting (RFC 6587) and TLS (RFC 5425), or /dev/log.

Alerts are few, so each TCP or TLS message has a connection of its own, which is closed in both
directions before the alert counts as sent: a receiver that has died shows as a fault and not as silence.
"""

import asyncio
import contextlib
import os
import socket
import ssl
from pathlib import Path
from typing import Final, Literal
from urllib.parse import urlsplit

from pydantic import Field

from habitus.alerts import Alert
from habitus.plugins import PluginFault
from habitus.sections import Section
from habitus.sinks import SinkFault, SinkServices
from habitus_scorer.sinks.http import tls_context
from habitus_scorer.sinks.syslog_format import FACILITIES, Sender, local_line, rfc5424

_PORTS: Final = {"udp": 514, "tcp": 601, "tls": 6514}
_UDP_BYTES: Final = 2048
_STREAM_BYTES: Final = 8192
_GOODBYE_S: Final = 2.0

Facility = Literal[
    "user", "daemon", "auth", "syslog", "authpriv",
    "local0", "local1", "local2", "local3", "local4", "local5", "local6", "local7",
]  # fmt: skip


class SyslogSettings(Section):
    """Where the receiver is and what the messages say of us."""

    address: str = Field(description="udp://, tcp:// or tls://host[:port], or unix:///dev/log")
    facility: Facility = Field(default="authpriv", description="of every message")
    hostname: str | None = Field(default=None, description="of the sender; None: this host's")
    max_bytes: int | None = Field(
        default=None, ge=480, le=65_000, description="of a message; None: 2048 by UDP, else 8192"
    )
    ca_file: Path | None = Field(default=None, description="PEM of the authorities to trust, for tls://")
    cert_file: Path | None = Field(default=None, description="PEM of our own certificate and its key")


class SyslogSink:
    """Sends one message an alert."""

    def __init__(self, services: SinkServices) -> None:
        settings = services.checked(SyslogSettings)
        whose = f"setting scorer.sink.{services.name}"
        self._scheme, self._host, self._port = _target(f"{whose}.address", settings.address)
        self._tls: ssl.SSLContext | None = None
        if self._scheme == "tls":
            self._tls = tls_context(whose, settings.ca_file, settings.cert_file)
        usual = _UDP_BYTES if self._scheme == "udp" else _STREAM_BYTES
        self._most = settings.max_bytes or usual
        host = settings.hostname or os.uname().nodename
        self._sender = Sender(FACILITIES[settings.facility], host, os.getpid(), services.language)

    async def send(self, alert: Alert) -> None:
        """Send one revision.

        Raises:
            SinkFault: nobody takes it there. UDP itself never says so.
        """
        try:
            if self._scheme == "unix":
                await self._datagram(socket.AF_UNIX, self._host, local_line(alert, self._sender, self._most))
            elif self._scheme == "udp":
                message = rfc5424(alert, self._sender, self._most)
                await self._datagram(*await self._resolved(), message)
            else:
                message = rfc5424(alert, self._sender, self._most)
                await self._streamed(b"%d %s" % (len(message), message))
        except ssl.SSLCertVerificationError as error:
            raise SinkFault(f"its certificate does not hold: {error.verify_message}") from None
        except OSError as error:
            raise SinkFault(f"cannot be reached: {error.strerror or type(error).__name__}") from None

    async def _resolved(self) -> tuple[socket.AddressFamily, object]:
        loop = asyncio.get_running_loop()
        found = await loop.getaddrinfo(self._host, self._port, type=socket.SOCK_DGRAM)
        return found[0][0], found[0][4]

    async def _datagram(self, family: socket.AddressFamily, address: object, message: bytes) -> None:
        loop = asyncio.get_running_loop()
        with socket.socket(family, socket.SOCK_DGRAM) as out:
            out.setblocking(False)
            await loop.sock_connect(out, address)  # type: ignore[arg-type]  # its form follows the family
            await loop.sock_sendall(out, message)

    async def _streamed(self, frame: bytes) -> None:
        name = self._host if self._tls else None
        reader, writer = await asyncio.open_connection(
            self._host, self._port, ssl=self._tls, server_hostname=name
        )
        try:
            writer.write(frame)
            await writer.drain()
            if writer.can_write_eof():
                writer.write_eof()
                # The receiver closes when it has read all; one that has died resets the connection.
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(reader.read(), _GOODBYE_S)
        finally:
            writer.close()
        with contextlib.suppress(TimeoutError, ssl.SSLError):
            await asyncio.wait_for(writer.wait_closed(), _GOODBYE_S)


def _target(key: str, address: str) -> tuple[str, str, int]:
    try:
        parts = urlsplit(address)
        port = parts.port
    except ValueError:
        parts, port = urlsplit(""), None
    if parts.scheme == "unix" and parts.path.startswith("/"):
        return "unix", parts.path, 0
    if parts.scheme in _PORTS and parts.hostname and parts.path in {"", "/"}:
        return parts.scheme, parts.hostname, port or _PORTS[parts.scheme]
    raise PluginFault(f"{key}: give udp://, tcp:// or tls://host[:port], or unix:///dev/log")
