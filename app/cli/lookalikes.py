"""`lookalikes`: prospects in the open funnel that resemble customers who need us."""

from __future__ import annotations

from typing import Annotated

import typer

from app.cli.invocation import MOST, AsJson, open_services
from app.cli.output import count, money, say_json, say_table, tell


def register(app: typer.Typer) -> None:
    app.command("lookalikes")(show_lookalikes)


def show_lookalikes(
    ctx: typer.Context,
    account: Annotated[
        str | None, typer.Argument(help="Only like this one: id, name, or part of it. Default: all who need us.")
    ] = None,
    least: Annotated[
        int | None,
        typer.Option(min=1, max=8, help="So many kinds of things in common at least; default: as the policy says."),
    ] = None,
    top: Annotated[int, typer.Option(min=1, max=MOST, help="How many, the closest first.")] = 20,
    as_json: AsJson = False,
) -> None:
    """Find prospects like the customers who could not live without us, and say what they share."""
    from app.sync.answers import find_account
    from app.sync.lookalikes import list_lookalikes

    with open_services(ctx) as services:
        chosen = find_account(services, account).id if account else None
        listed = list_lookalikes(services, chosen, least=least, top=top)
    if not listed.needs_us:
        tell("this account is not known to need us: its lookalikes are shown all the same")
    if as_json:
        say_json([one.as_json() for one in listed.found])
        return
    rows = [
        (one.name or one.account, one.resembles_name or one.resembles, "; ".join(one.reasons), money(one.pipeline))
        for one in listed.found
    ]
    say_table(("prospect", "resembles", "because", "pipeline"), rows, right=("pipeline",))
    if not listed.found:
        tell(_why_none(listed.ideals, listed.least))


def _why_none(ideals: int, least: int) -> str:
    if not ideals:
        return "no customer is known to need us yet; ask one a day: advocacy calls today"
    none = f"no prospect with an open deal shares enough with {count(ideals, 'customer')}"
    return f"{none}; --least {least - 1} asks for less" if least > 1 else none
