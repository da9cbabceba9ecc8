# SPDX-License-Identifier: Apache-2.0
"""Alembic runs this: the migrations go over the connection, and the transaction, of `database.migrate`."""

from alembic import context

from habitus_console.store.schema import METADATA

context.configure(connection=context.config.attributes["connection"], target_metadata=METADATA)
context.run_migrations()
