"""Migrations run on the connection the application hands over, or on ADVOCACY_DATABASE_URL when called by hand."""

from __future__ import annotations

import os

import sqlalchemy as sa
from alembic import context

from app.store.database import open_database
from app.store.tables import metadata


def run(connection: sa.Connection) -> None:
    context.configure(
        connection=connection,
        target_metadata=metadata,
        render_as_batch=connection.dialect.name == "sqlite",
        transactional_ddl=True,
        compare_type=True,
    )
    context.run_migrations()


given = context.config.attributes.get("connection")
if given is not None:
    run(given)
else:
    with open_database(os.environ.get("ADVOCACY_DATABASE_URL", "sqlite:///advocacy.db")).begin() as opened:
        run(opened)
