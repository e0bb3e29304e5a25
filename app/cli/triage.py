"""`triage`: how a day begins. Who needs us first, what spend alone would overlook, and how far the hours get."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Annotated

import typer

from app.cli.invocation import AsJson, open_services
from app.cli.output import count, money, say, say_json, say_table, tell
from app.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from app.domain.triage import Capacity, Place
    from app.sync.triage import DayView

SHOWN_FLIPS = 10
SHOWN_CONTRADICTIONS = 5


def register(app: typer.Typer) -> None:
    app.command("triage")(show_day)


def show_day(
    ctx: typer.Context,
    hours: Annotated[
        str | None, typer.Option(metavar="N", help="How many hours there are to give; draws the line.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Say who needs us first today.

    What is urgent, most severe first, then by what the customer is worth, then by how long it waits; beside it the
    place by spend alone. Then what does not go together, and what to do about it.
    """
    from app.sync.triage import open_day

    with open_services(ctx) as services:
        day = open_day(services, hours=read_hours(hours))
    if as_json:
        say_json(day.as_json())
        return
    if day.triage.places:
        _say_urgent(day)
    else:
        _say_quiet(day)
    _say_contradictions(day)


def read_hours(text: str | None) -> Decimal | None:
    """`6` or `6.5`. Raises ConfigError."""
    try:
        return None if text is None else Decimal(text)
    except InvalidOperation:
        raise ConfigError(f"{text!r} is not a number of hours like 6 or 6.5") from None


def _say_urgent(day: DayView) -> None:
    from app.domain.triage import tell_hours
    from app.sync.triage import title_of

    view = day.triage
    columns = ["place", "by spend", "customer", "what", "severity", "waiting", "hours", "total", "own"]
    if view.by_total:
        columns.append("done")
    rows = []
    for place in view.places:
        item, account = place.item, day.accounts[place.item.account_id]
        row = [
            place.by_total,
            place.by_spend,
            account.name or account.id,
            title_of(item.type, item.title),
            item.severity.value,
            count(item.waiting_days, "day"),
            tell_hours(item.hours),
            money(account.money["total"], day.currency),
            money(account.money["direct"]),
        ]
        rows.append([*row, _tell_done(place)] if view.by_total else row)
    say_table(columns, rows, right=("place", "by spend", "waiting", "hours", "total", "own"))
    if view.by_total and view.by_spend:
        say()
        _say_capacity(day, view.by_total, view.by_spend)
    if day.flips:
        say()
        for sentence in day.flips[:SHOWN_FLIPS]:
            say(f"{sentence}.")
        if len(day.flips) > SHOWN_FLIPS:
            tell(f"and {len(day.flips) - SHOWN_FLIPS:,} more pairs; --json has them all")


def _tell_done(place: Place) -> str:
    if place.is_done_by_total:
        return "yes" if place.is_done_by_spend else "yes, not by spend"
    return "no, but by spend" if place.is_done_by_spend else "no"


def _say_capacity(day: DayView, by_total: Capacity, by_spend: Capacity) -> None:
    from app.domain.triage import tell_hours

    listed = len(day.triage.places)
    say(
        f"{tell_hours(by_total.hours)} hours are enough for {by_total.done} of {count(listed, 'item')} by total value"
        f" ({tell_hours(by_total.used)} used), for {by_spend.done} by spend."
    )
    saved, given_up = (_names(day, places) for places in (day.triage.saved, day.triage.given_up))
    if saved:
        waits = f"; by spend {given_up} would have been served instead" if given_up else ""
        say(f"Served because total value decides: {saved}{waits}.")


def _names(day: DayView, places: Sequence[Place]) -> str:
    accounts = dict.fromkeys(place.item.account_id for place in places)
    return ", ".join(day.accounts[id_].name or id_ for id_ in accounts)


def _say_quiet(day: DayView) -> None:
    say("Nothing is urgent.")
    if not day.customers:
        tell("no account has a value yet; run: advocacy sync")
        return
    say("Look after these first:")
    say()
    rows = [
        (
            view.rank,
            view.name or view.id,
            money(view.money["total"], view.currency),
            money(view.money["direct"]),
            money(view.money["referred"]),
            view.beside.get("quadrant"),
        )
        for view in day.customers
    ]
    say_table(
        ("rank", "account", "total", "own", "referred", "quadrant"), rows, right=("rank", "total", "own", "referred")
    )


def _say_contradictions(day: DayView) -> None:
    if not day.contradictions:
        return
    say()
    say("Does not go together:")
    for one in day.contradictions[:SHOWN_CONTRADICTIONS]:
        for advice in one.advice:
            say(f"  {one.account.name or one.account.id}: {advice.title}. {advice.action}")
    if len(day.contradictions) > SHOWN_CONTRADICTIONS:
        tell(f"and {len(day.contradictions) - SHOWN_CONTRADICTIONS:,} more; --json has them")
