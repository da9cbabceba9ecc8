# SPDX-License-Identifier: Apache-2.0
"""The sink `syslog` over real sockets, and into a real rsyslogd."""

import asyncio
import contextlib
import socket
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from receivers import HOSTILE, UNPACKED, alert_of, certificate, free_port, running, services

from habitus.sinks import SinkFault
from habitus_scorer.sinks.syslog import SyslogSink
from habitus_testing import eventually

RSYSLOGD = UNPACKED / "usr/sbin/rsyslogd"


class Collected:
    """A TCP or TLS server that keeps what each connection sent."""

    def __init__(self) -> None:
        self.frames: list[bytes] = []
        self.port = 0

    async def take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, ssl.SSLError):
            self.frames.append(await reader.read())
        writer.close()


@contextlib.asynccontextmanager
async def listening(tls: ssl.SSLContext | None = None) -> AsyncIterator[Collected]:
    collected = Collected()
    server = await asyncio.start_server(collected.take, "127.0.0.1", 0, ssl=tls)
    collected.port = server.sockets[0].getsockname()[1]
    async with server:
        yield collected


@pytest.mark.parametrize("family", ["udp", "unix"])
async def test_a_datagram_holds_one_message(tmp_path: Path, family: str):
    address: object = ("127.0.0.1", 0)
    kind = socket.AF_INET
    if family == "unix":
        address, kind = str(tmp_path / "log"), socket.AF_UNIX
    with socket.socket(kind, socket.SOCK_DGRAM) as taken:
        taken.bind(address)
        taken.setblocking(False)
        target = f"udp://127.0.0.1:{taken.getsockname()[1]}" if family == "udp" else f"unix://{address}"
        sink = SyslogSink(services(address=target, hostname="scorer-0", facility="local4"))
        await sink.send(alert_of())
        loop = asyncio.get_running_loop()
        got = (await loop.sock_recv(taken, 65_000)).decode()
    assert got.startswith(
        "<162>1 2025-11-24T16:00:00.123Z scorer-0 habitus " if family == "udp" else "<162>Nov "
    )
    assert 'alert="a-0123456789abcdef"' in got
    assert "Test: a sample alert | sample (habitus-sample:v1) @ sample | /bin/true --sample | " in got


async def test_tcp_counts_octets_also_of_chinese():
    async with listening() as collected:
        sink = SyslogSink(services(address=f"tcp://127.0.0.1:{collected.port}", language="zh"))
        await sink.send(alert_of(HOSTILE["chinese"]))
    [frame] = collected.frames
    count, _, message = frame.partition(b" ")
    assert int(count) == len(message) <= 8192
    assert "测试：示例告警" in message.decode()


async def test_tls_holds_to_the_authority(tmp_path: Path):
    cert, key = certificate(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    async with listening(context) as collected:
        address = f"tls://localhost:{collected.port}"
        await SyslogSink(services(address=address, ca_file=cert)).send(alert_of())
        with pytest.raises(SinkFault, match="its certificate does not hold"):
            await SyslogSink(services(address=address)).send(alert_of())
        await eventually(lambda: any(collected.frames))
    assert b"Test: a sample alert" in b"".join(collected.frames)


@pytest.mark.parametrize(
    "address", ["tcp://127.0.0.1:{port}", "tls://127.0.0.1:{port}", "unix:///no/such/log"]
)
async def test_nobody_there_is_a_fault_that_may_pass(address: str):
    sink = SyslogSink(services(address=address.format(port=free_port())))
    with pytest.raises(SinkFault, match="cannot be reached") as fault:
        await sink.send(alert_of())
    assert not fault.value.lasting


async def test_a_receiver_that_dies_over_it_is_a_fault():
    """It resets the connection with the message unread: the alert is not lost in silence."""

    async def dies(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(0.1)
        raw = writer.get_extra_info("socket")
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        writer.close()

    server = await asyncio.start_server(dies, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(SinkFault, match="cannot be reached"):
            await SyslogSink(services(address=f"tcp://127.0.0.1:{port}")).send(alert_of())


CONFIGURATION = """\
global(workDirectory="{folder}" parser.escapeControlCharactersOnReceive="off" maxMessageSize="64k"
  defaultNetstreamDriverCAFile="{cert}" defaultNetstreamDriverCertFile="{cert}"
  defaultNetstreamDriverKeyFile="{key}")
module(load="imudp") module(load="imtcp") module(load="imuxsock" sysSock.use="off")
module(load="mmpstrucdata")
input(type="imudp" address="127.0.0.1" port="{udp}")
input(type="imtcp" address="127.0.0.1" port="{tcp}")
input(type="imtcp" address="127.0.0.1" port="{tls}" streamDriver.name="ossl" streamDriver.mode="1"
  streamDriver.authMode="anon")
input(type="imuxsock" socket="{folder}/log" createPath="on")
template(name="all" type="string"
  string="%protocol-version%\\t%syslogfacility-text%.%syslogseverity-text%\\t%hostname%\\t%app-name%\\t%msgid%\\t%$!alert%\\t%$!command%\\t%msg%\\n")
action(type="mmpstrucdata" jsonRoot="!sd")
set $!alert = $!sd!rfc5424-sd!habitus@32473!alert;
set $!command = $!sd!rfc5424-sd!habitus@32473!command;
action(type="omfile" file="{folder}/out" template="all")
"""


async def test_a_real_rsyslogd_reads_header_data_and_text(tmp_path: Path):
    """UDP, TCP, TLS and a socket like /dev/log; quotes and brackets in an argument come back as they were."""
    assert RSYSLOGD.exists(), "rsyslogd is missing: run `deploy/setup/bootstrap.sh tests`"
    cert, key = certificate(tmp_path)
    ports = {"udp": free_port(socket.SOCK_DGRAM), "tcp": free_port(), "tls": free_port()}
    (tmp_path / "conf").write_text(CONFIGURATION.format(folder=tmp_path, cert=cert, key=key, **ports))
    modules = next(UNPACKED.glob("usr/lib/*-linux-gnu/rsyslog"))
    command = [RSYSLOGD, "-n", "-f", tmp_path / "conf", "-i", tmp_path / "pid", "-M", modules]
    out, log = tmp_path / "out", tmp_path / "rsyslogd.log"
    addresses = [f"{scheme}://127.0.0.1:{port}" for scheme, port in ports.items()] + [
        f"unix://{tmp_path}/log"
    ]
    with running(command, log):
        await eventually((tmp_path / "log").exists, log.read_text)
        await eventually(lambda: not _refused(ports["tls"]), log.read_text)
        for number, address in enumerate(addresses):
            more = {"ca_file": cert} if address.startswith("tls") else {}
            alert = alert_of('a]b"c\\d | e', id=f"a-{number}")
            await SyslogSink(services(address=address, hostname="scorer-0", **more)).send(alert)
        await eventually(lambda: out.exists() and len(out.read_text().splitlines()) == 4, log.read_text)
    lines = sorted(line.split("\t") for line in out.read_text().splitlines())
    *network, local = sorted(lines, key=lambda line: line[0] != "1")
    assert [line[:6] for line in network] == [
        ["1", "authpriv.crit", "scorer-0", "habitus", "alert", f"a-{number}"] for number in range(3)
    ]
    assert {line[6] for line in network} == {'/tmp/a]b"c\\d | e a]b"c\\d | e'}
    assert all("Test: a sample alert" in line[7] for line in lines)
    assert local[3] == "habitus"
    assert 'alert="a-3"' in local[7]


def _refused(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) != 0
