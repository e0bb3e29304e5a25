"""`db`: the schema of the database."""

from __future__ import annotations

import typer

from app.cli.invocation import AsJson, open_settings
from app.cli.output import say, say_json


def register(app: typer.Typer) -> None:
    db = typer.Typer(help="The database schema.", no_args_is_help=True)
    db.command("upgrade")(upgrade)
    db.command("current")(show_current)
    app.add_typer(db, name="db")


def upgrade(ctx: typer.Context) -> None:
    """Bring the schema up to this version. Safe to repeat and to run from several machines."""
    from app.store.database import open_database, upgrade_database

    database = open_database(open_settings(ctx, level="warning").database_url)
    try:
        say(f"the schema is at {upgrade_database(database)}")
    finally:
        database.close()


def show_current(ctx: typer.Context, as_json: AsJson = False) -> None:
    """Say which revision the schema has, and which one this version needs."""
    from app.store.database import current_revision, newest_revision, open_database

    database = open_database(open_settings(ctx, level="warning").database_url)
    try:
        current, newest = current_revision(database), newest_revision()
    finally:
        database.close()
    if as_json:
        say_json({"current": current, "newest": newest, "up_to_date": current == newest})
    elif current == newest:
        say(f"{current} (up to date)")
    else:
        say(f"{current or 'no schema yet'}; this version needs {newest}: advocacy db upgrade")
