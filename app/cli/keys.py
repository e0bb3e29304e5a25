"""`keys`: who may use the HTTP interface."""

from __future__ import annotations

import getpass
from typing import Annotated

import typer

from app.cli.invocation import AsJson, open_database_only
from app.cli.output import say, say_json, say_table, tell
from app.errors import ConfigError


def register(app: typer.Typer) -> None:
    keys = typer.Typer(help="API keys of the HTTP interface.", no_args_is_help=True)
    keys.command("add")(add_key)
    keys.command("list")(list_all)
    keys.command("revoke")(revoke)
    app.add_typer(keys, name="keys")


def add_key(
    ctx: typer.Context,
    name: Annotated[str, typer.Argument(help="Who or what uses it.")],
    scopes: Annotated[
        list[str] | None,
        typer.Option("--scope", help="read, events:write, calendar or admin. Repeatable; default: read."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Make a key. Its secret is printed once and kept nowhere."""
    from app.store.keys import SCOPES, save_key

    wanted = [part for text in scopes or ["read"] for part in text.replace(",", " ").split()]
    unknown = [scope for scope in wanted if scope not in SCOPES]
    if unknown:
        raise ConfigError(f"no such scope: {', '.join(unknown)}", hint=f"the scopes are: {', '.join(SCOPES)}")
    with open_database_only(ctx) as (database, now):
        key, secret = save_key(database, name=name, scopes=wanted, now=now(), who=getpass.getuser())
    if as_json:
        say_json({"key_id": key.key_id, "name": key.name, "scopes": key.scopes, "secret": secret})
        return
    say(secret)
    tell(f"key {key.key_id} for {name}, may: {', '.join(key.scopes)}. Keep it now: it is shown only once.")


def list_all(ctx: typer.Context, as_json: AsJson = False) -> None:
    """List keys; their secrets are not known to anybody."""
    from app.store.keys import list_keys

    with open_database_only(ctx) as (database, _now):
        keys = list_keys(database)
    if as_json:
        say_json(keys)
        return
    rows = [(key.key_id, key.name, ", ".join(key.scopes), key.created_at, key.revoked_at) for key in keys]
    say_table(("key", "name", "scopes", "added", "revoked"), rows)


def revoke(ctx: typer.Context, key_id: Annotated[str, typer.Argument(metavar="KEY")]) -> None:
    """Stop a key from working, at once."""
    from app.store.keys import revoke_key

    with open_database_only(ctx) as (database, now):
        if not revoke_key(database, key_id, now=now(), who=getpass.getuser()):
            raise ConfigError(f"no working key {key_id}", hint="advocacy keys list")
    say(f"{key_id} revoked")
