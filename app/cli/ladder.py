"""`ladder`: how far one customer has come, what proves it, and what to do next."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from app.cli.accounts import AsOf, read_date
from app.cli.invocation import AsJson, open_services
from app.cli.output import one_line, say, say_json, say_table
from app.cli.recording import Account

if TYPE_CHECKING:
    from app.sync.ladder import Ladder


def register(app: typer.Typer) -> None:
    app.command("ladder")(show)


def show(ctx: typer.Context, account: Account, as_of: AsOf = None, as_json: AsJson = False) -> None:
    """Show a customer or prospect on the commitment ladder: eleven rungs, gaps, permissions, what to do next."""
    from app.sync.answers import find_account
    from app.sync.ladder import show_ladder

    with open_services(ctx) as services:
        found = find_account(services, account)
        ladder = show_ladder(services, found.id, as_of=read_date(as_of))
    say_json(ladder.as_json()) if as_json else _say_ladder(ladder)


def _say_ladder(ladder: Ladder) -> None:
    from app.domain.commitment import rung_of

    commitment = ladder.commitment
    say(f"{one_line(ladder.account_name or ladder.account)}  ({ladder.account})")
    where = (
        f"rung {commitment.level}, {rung_of(commitment.level).title}" if commitment.level else "not on the ladder yet"
    )
    say(f"{commitment.side.replace('_', ' ')}: {where}")
    say()
    _say_rungs(ladder)
    say()
    say("next:")
    for one in ladder.advice:
        say(f"  {one.rung:>2} {rung_of(one.rung).title}: {one.text}")
    _say_permissions(ladder)


def _say_rungs(ladder: Ladder) -> None:
    from app.domain.commitment import LICENCE

    rows: list[tuple[object, ...]] = []
    for one in reversed(ladder.rungs):
        if one.rung.number == LICENCE:
            rows.append(("", "--- a customer from here on ---", "", "", "", ""))
        proof = one.proof
        lasts = proof.until or "lasts" if proof else ""
        rows.append((one.rung.number, one.rung.title, _STATES[one.state], proof and proof.since, lasts, one.because))
    say_table(("rung", "name", "", "since", "until", "because"), rows, right=("rung",))


_STATES = {"proven": "yes", "lapsed": "lapsed", "open": ""}


def _say_permissions(ladder: Ladder) -> None:
    held = [one for one in ladder.permissions.consents if one.holds_on(ladder.as_of)]
    say()
    if held:
        say("it lets us:")
        rows = [
            (one.scope.sub_level, one.scope.value, one.granted_by, one.contact, one.start, one.end or "lasts")
            for one in held
        ]
        say_table(("level", "scope", "granted by", "contact", "since", "until"), rows)
    else:
        say("it lets us do nothing with its name yet")
    for promise in ladder.promised:
        say(f"promised {promise.scope} in {promise.opportunity}: {promise.state}, due {promise.due_on}")
    for use, verdict in ladder.uncovered:
        say(f"used {use.scope} on {use.used_on} without a consent: {one_line(verdict.reason)}")
