# SPDX-License-Identifier: Apache-2.0
"""What a small shop does all day: six images in their replicas. The same habits every day."""

from collections.abc import Callable

from habitus_bench.tape import Tape, Unit

DAY_S = 86_400
_STEP_S = 600
_READ_S = 240


def units(api: str = "shop/api:v1") -> list[Unit]:
    """Return the containers of a day; `api` is the image of the workload that is released."""
    replicas = {
        "shop/web:v7": ("web", 6), api: ("api", 8), "shop/db:16": ("db", 2), "shop/thumbs:v3": ("thumbs", 5),
        "shop/batch:v2": ("batch", 1), "shop/runner:v9": ("runner", 2),
    }  # fmt: skip
    suffix = api.rpartition(":")[2] if api != "shop/api:v1" else ""
    return [
        Unit(image, f"{name}{suffix if image == api else ''}-{number}", number)
        for image, (name, count) in replicas.items()
        for number in range(count)
    ]


def live(tape: Tape, unit: Unit, begin: float, end: float) -> None:
    """Tell the ordinary work of one unit between two seconds of the day; a habit's first call starts it."""
    habit = _HABITS[unit.image.split("/")[1].split(":")[0]]
    start = begin + tape.random.uniform(0, 60)
    habit(tape, unit, start)
    for reading in range(int(start) + 1, int(end), _READ_S):
        tape.used(unit, reading, tape.random.uniform(0.05, 0.2))
    at = start + 60
    while at < end:
        habit(tape, unit, at)
        at += _STEP_S * tape.random.uniform(0.8, 1.2)


def _web(tape: Tape, unit: Unit, at: float) -> None:
    if unit.first is None:
        first = tape.run(unit, at, ["nginx", "-g", "daemon off;"], exe="/usr/sbin/nginx")
        for path in ("/etc/nginx/nginx.conf", "/etc/nginx/mime.types", "/etc/nginx/conf.d/shop.conf"):
            tape.file(unit, at + 0.1, first, "open", path, "read")
        return
    first = unit.first
    for _ in range(3):
        client = f"10.244.{tape.random.randrange(8)}.{tape.random.randrange(2, 250)}"
        tape.accepted(unit, at, first, client, 8080)
        page = tape.random.randrange(12)
        tape.file(unit, at + 0.01, first, "open", f"/usr/share/nginx/html/page-{page}.html", "read")
    tape.flow(unit, at + 0.02, first, "api.shop.svc", 8000)
    tape.file(unit, at + 0.03, first, "open", "/var/log/nginx/access.log", "write")


def _api(tape: Tape, unit: Unit, at: float) -> None:
    argv = ["python3", "-m", "gunicorn", "-b", "0.0.0.0:8000", "shop.api:app"]
    if unit.first is None:
        first = tape.run(unit, at, argv, exe="/usr/bin/python3.12")
        for name in ("api", "models", "orders", "cart", "users"):
            tape.file(unit, at + 0.1, first, "open", f"/app/shop/{name}.py", "read")
        return
    first = unit.first
    tape.accepted(unit, at, first, f"10.244.{tape.random.randrange(8)}.7", 8000)
    tape.flow(unit, at + 0.01, first, "db.shop.svc", 5432)
    tape.flow(unit, at + 0.02, first, "cache.shop.svc", 6379)
    name = f"/tmp/upload-{tape.random.getrandbits(48):012x}"
    tape.file(unit, at + 0.03, first, "create", name)
    tape.file(unit, at + 0.04, first, "unlink", name)


def _db(tape: Tape, unit: Unit, at: float) -> None:
    if unit.first is None:
        tape.run(
            unit,
            at,
            ["postgres", "-D", "/var/lib/postgresql/data"],
            exe="/usr/lib/postgresql/16/bin/postgres",
        )
        return
    first = unit.first
    tape.accepted(unit, at, first, f"10.244.{tape.random.randrange(8)}.7", 5432)
    number = tape.random.randrange(16_384, 99_999)
    tape.file(unit, at + 0.01, first, "open", f"/var/lib/postgresql/data/base/5/{number}", "read", "write")
    if tape.random.random() < 0.1:  # the nightly and hourly copies
        shell = tape.run(
            unit, at + 1, ["sh", "-c", "pg_dump shop | gzip > /backup/shop.sql.gz"], exe="/bin/sh"
        )
        tape.run(unit, at + 1.1, ["pg_dump", "shop"], shell)
        tape.run(unit, at + 1.2, ["gzip"], shell)
        tape.file(unit, at + 1.3, shell, "create", "/backup/shop.sql.gz")


def _thumbs(tape: Tape, unit: Unit, at: float) -> None:
    if unit.first is None:
        tape.run(unit, at, ["node", "/app/thumbs.js"])
        return
    first = unit.first
    number = tape.random.randrange(10**6)
    width = tape.random.choice((64, 128, 256))
    argv = ["convert", f"/data/in/{number}.jpg", "-resize", f"{width}x{width}", f"/data/out/{number}.webp"]
    made = tape.run(unit, at, argv, first)
    tape.file(unit, at + 0.1, made, "open", f"/data/in/{number}.jpg", "read")
    tape.file(unit, at + 0.2, made, "create", f"/data/out/{number}.webp")
    tape.flow(unit, at + 0.3, first, "store.shop.svc", 9000)


def _batch(tape: Tape, unit: Unit, at: float) -> None:
    if unit.first is None:
        tape.run(unit, at, ["cron", "-f"], exe="/usr/sbin/cron")
        return
    day = f"2026-11-{tape.random.randrange(1, 29):02d}"
    shell = tape.run(unit, at, ["/bin/sh", "-c", f"/app/report --day {day}"])
    report = tape.run(unit, at + 0.1, ["/app/report", "--day", day], shell)
    tape.flow(unit, at + 0.2, report, "db.shop.svc", 5432)
    tape.file(unit, at + 0.3, report, "create", f"/srv/reports/{day}.csv")
    posted = tape.run(
        unit, at + 0.4, ["curl", "-fsS", "http://mail.shop.svc/send", "-d", f"day={day}"], shell
    )
    tape.flow(unit, at + 0.5, posted, "mail.shop.svc", 80)


def _runner(tape: Tape, unit: Unit, at: float) -> None:
    if unit.first is None:
        tape.run(unit, at, ["/opt/runner/agent", "--once=false"])
        return
    job = f"/work/job-{tape.random.getrandbits(32):08x}"
    shell = tape.run(unit, at, ["bash", "-e", f"{job}/step.sh"], exe="/bin/bash")
    git = tape.run(
        unit, at + 0.1, ["git", "clone", "--depth=1", "https://git.shop.svc/shop/web.git", job], shell
    )
    tape.flow(unit, at + 0.2, git, "git.shop.svc", 443)
    tape.run(unit, at + 0.3, ["make", "-C", job, "test"], shell)
    built = tape.run(unit, at + 0.4, ["npm", "ci"], shell)
    tape.flow(unit, at + 0.5, built, "npm.shop.svc", 443)


_HABITS: dict[str, Callable[[Tape, Unit, float], None]] = {
    "web": _web, "api": _api, "db": _db, "thumbs": _thumbs, "batch": _batch, "runner": _runner,
}  # fmt: skip
