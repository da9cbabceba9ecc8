# SPDX-License-Identifier: Apache-2.0
"""A private PostgreSQL server in a temporary folder, on a socket of its own: nothing of the system's."""

import os
import pwd
import secrets
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import create_engine, text

from habitus_testing import until

_USER = "nobody"  # the server refuses root
_SETTINGS = ("listen_addresses=", "fsync=off", "shared_buffers=16MB", "max_connections=40")


class Postgres:
    """A running server. `database()` gives the URL of a new, empty database."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._server: subprocess.Popen[bytes] | None = None
        self._data = folder / "data"

    def start(self) -> None:
        command = [str(_binary("postgres")), "-D", str(self._data), "-k", str(self._folder)]
        for setting in _SETTINGS:
            command += ["-c", setting]
        log = self._folder / "log"
        with log.open("ab") as out:
            self._server = subprocess.Popen(_as_user(command), stdout=out, stderr=out, cwd=self._folder)
        until(lambda: self._answers(log), log.read_text)

    def stop(self) -> None:
        if self._server is not None:
            self._server.send_signal(signal.SIGINT)  # a fast shutdown, whoever is connected
            self._server.wait(20)
            self._server = None

    def prepare(self) -> None:
        command = [
            str(_binary("initdb")),
            "-D",
            str(self._data),
            "-U",
            "habitus",
            "-A",
            "trust",
            "-E",
            "UTF8",
        ]
        done = subprocess.run(
            _as_user([*command, "--no-sync", "--locale=C.UTF-8"]),
            capture_output=True, text=True, check=False, cwd=self._folder,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr

    def database(self) -> str:
        name = f"t{secrets.token_hex(6)}"
        engine = create_engine(self._url("postgres"), isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            connection.execute(text(f"CREATE DATABASE {name}"))
        engine.dispose()
        return self._url(name)

    def _url(self, name: str) -> str:
        return f"postgresql+psycopg://habitus@/{name}?host={self._folder}"

    def _answers(self, log: Path) -> bool:
        assert self._server is not None
        assert self._server.poll() is None, log.read_text()
        try:
            psycopg.connect(host=str(self._folder), user="habitus", dbname="postgres").close()
        except psycopg.OperationalError:  # no socket yet, or still starting up
            return False
        return True


@contextmanager
def postgres() -> Iterator[Postgres]:
    """Give a server, or skip the test and say what is missing."""
    if _binary("initdb") is None:
        pytest.skip("PostgreSQL is missing; deploy/setup/bootstrap.sh tests installs it")
    # Not below pytest's own folder, which only its user may enter.
    with tempfile.TemporaryDirectory(prefix="habitus-pg-", ignore_cleanup_errors=True) as name:
        if os.geteuid() == 0:
            user = pwd.getpwnam(_USER)
            os.chown(name, user.pw_uid, user.pw_gid)
        server = Postgres(Path(name))
        server.prepare()
        server.start()
        try:
            yield server
        finally:
            server.stop()


def _binary(name: str) -> Path | None:
    """Debian keeps the server's programs out of PATH, in a folder of their version."""
    found = shutil.which(name)
    if found:
        return Path(found)
    return next(iter(sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"), reverse=True)), None)


def _as_user(command: list[str]) -> list[str]:
    if os.geteuid() != 0:
        return command
    group = str(pwd.getpwnam(_USER).pw_gid)
    return ["setpriv", f"--reuid={_USER}", f"--regid={group}", "--clear-groups", "--", *command]
