# SPDX-License-Identifier: Apache-2.0
"""Alembic's migrations of the alert store: one file a change, applied at start and never edited after."""

import logging
from pathlib import Path
from typing import Final

from sqlalchemy import Connection, inspect, text

HEAD: Final = "0001"
"""The newest of `versions`."""


class OtherTables(RuntimeError):
    """The tables are not of this Habitus and cannot be brought up to date; the text says why."""


def upgrade(connection: Connection) -> None:
    """Apply what this database lacks, in the caller's transaction.

    Raises:
        OtherTables: they are of a newer Habitus.
    """
    if _revision(connection) == HEAD:
        return
    # Alembic takes 11 MB, and there is hardly ever something to do.
    from alembic import command  # noqa: PLC0415
    from alembic.config import Config  # noqa: PLC0415
    from alembic.util import CommandError  # noqa: PLC0415

    logging.getLogger("alembic").setLevel(logging.WARNING)
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    config.attributes["connection"] = connection
    try:
        command.upgrade(config, "head")
    except CommandError as error:
        raise OtherTables(str(error)) from None


def _revision(connection: Connection) -> str | None:
    if not inspect(connection).has_table("alembic_version"):
        return None
    found: str | None = connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
    return found
