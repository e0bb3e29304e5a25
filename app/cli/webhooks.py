"""`webhooks`: what was delivered, what failed, and the secret senders sign with."""

from __future__ import annotations

import base64
import secrets
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from app.cli.invocation import LAST_NUMBER, MOST, AsJson, open_database_only
from app.cli.output import say, say_json, say_table, tell
from app.errors import ConfigError

if TYPE_CHECKING:
    from app.store.inbox import Delivery


def register(app: typer.Typer) -> None:
    webhooks = typer.Typer(help="Webhook deliveries.", no_args_is_help=True)
    webhooks.command("list")(list_all)
    webhooks.command("dead")(list_dead)
    webhooks.command("replay")(replay)
    webhooks.command("secret")(make_secret)
    app.add_typer(webhooks, name="webhooks")


def list_all(
    ctx: typer.Context,
    status: Annotated[Literal["stored", "done", "dead"] | None, typer.Option(help="Only of this status.")] = None,
    top: Annotated[int, typer.Option(min=1, max=MOST)] = 50,
    as_json: AsJson = False,
) -> None:
    """List deliveries, newest first."""
    from app.store.inbox import list_deliveries

    with open_database_only(ctx) as (database, _now):
        _say_deliveries(list_deliveries(database, status=status, limit=top), as_json=as_json)


def list_dead(
    ctx: typer.Context, top: Annotated[int, typer.Option(min=1, max=MOST)] = 50, as_json: AsJson = False
) -> None:
    """List deliveries that were given up."""
    list_all(ctx, status="dead", top=top, as_json=as_json)


def _say_deliveries(deliveries: list[Delivery], *, as_json: bool) -> None:
    if as_json:
        say_json(deliveries)
        return
    columns = ("id", "source", "sender's id", "status", "attempts", "received", "error")
    rows = [
        (entry.delivery_id, entry.source, entry.sender_id, entry.status, entry.attempts, entry.received_at, entry.error)
        for entry in deliveries
    ]
    say_table(columns, rows, right=("id", "attempts"))


def replay(
    ctx: typer.Context,
    delivery: Annotated[int | None, typer.Argument(min=1, max=LAST_NUMBER, help="The id of one delivery.")] = None,
    dead: Annotated[bool, typer.Option("--dead", help="All that were given up.")] = False,
) -> None:
    """Put deliveries back into the queue. What they already caused is not caused twice."""
    from app.store.inbox import list_deliveries, replay_delivery

    if (delivery is None) != dead:
        raise ConfigError("name one delivery, or all dead ones with --dead")
    with open_database_only(ctx) as (database, now):
        wanted = (
            [entry.delivery_id for entry in list_deliveries(database, status="dead", limit=100_000)] if dead else []
        )
        wanted += [delivery] if delivery is not None else []
        done = [number for number in wanted if replay_delivery(database, number, now=now())]
    if delivery is not None and not done:
        raise ConfigError(f"no delivery {delivery}", hint="advocacy webhooks list")
    say(f"{len(done)} put back; a running `advocacy serve` or `advocacy worker` takes them up")


def make_secret() -> None:
    """Make a signing secret for ADVOCACY_WEBHOOK_SECRETS. The sender gets the same."""
    say("whsec_" + base64.b64encode(secrets.token_bytes(32)).decode())
    tell("To change secrets without losing deliveries, put the new one before the old: whsec_new,whsec_old")
