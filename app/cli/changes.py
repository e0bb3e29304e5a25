"""`why` and `runs diff`: what moved a number between two runs."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import TYPE_CHECKING, Annotated

import typer

from app.cli.invocation import LAST_NUMBER, MOST, AsJson, open_services
from app.cli.output import Link, count, money, say, say_json, say_table

if TYPE_CHECKING:
    from app.sync.why import ChangeExplanation, ChangePart, RunMark, RunsDiff

FirstRun = Annotated[int, typer.Argument(min=1, max=LAST_NUMBER, metavar="A", help="The number of the earlier run.")]
SecondRun = Annotated[int, typer.Argument(min=1, max=LAST_NUMBER, metavar="B", help="The number of the later run.")]
BESIDE = ("given", "network", "influence", "touched")
"""Measures that are shown only where they moved."""


def register(app: typer.Typer) -> None:
    app.command("why")(explain_since)


def explain_since(
    ctx: typer.Context,
    account: Annotated[str, typer.Argument(help="Id, name, or a part of the name that only one account has.")],
    since: Annotated[str, typer.Option("--since", metavar="DATE|RUN", help="A day, or the number of a run.")],
    as_json: AsJson = False,
) -> None:
    """Say why a customer's value changed: what was won, lost, refunded, referred, merged, converted, restated."""
    from app.sync.answers import find_account
    from app.sync.why import explain_change, read_since

    start = read_since(since)
    with open_services(ctx) as services:
        explanation = explain_change(services, find_account(services, account).id, start)
    say_json(explanation.as_json()) if as_json else _say_change(explanation)


def diff_runs(
    ctx: typer.Context,
    first: FirstRun,
    second: SecondRun,
    top: Annotated[int, typer.Option(min=1, max=MOST, help="How many accounts to list; --json lists all.")] = 20,
    as_json: AsJson = False,
) -> None:
    """Compare two runs: which accounts moved, how far, and why."""
    from app.sync.why import diff_runs as compare_runs

    with open_services(ctx) as services:
        diff = compare_runs(services, first, second)
    say_json(diff.as_json()) if as_json else _say_diff(diff, top)


def _say_change(explanation: ChangeExplanation) -> None:
    say(f"{explanation.name or explanation.id}  ({explanation.id})")
    _say_runs(explanation.since, explanation.until, explanation.policy)
    for name in ("total", "direct", "referred"):
        _say_move(name, explanation.before, explanation.after, explanation.currency)
    say()
    if not explanation.parts:
        say("nothing moved in between")
        return
    columns = ("cause", "total", "own", "referred", "beside the total", "opportunity", "because of")
    say_table(columns, [_row(part) for part in explanation.parts], right=("total", "own", "referred"))
    _say_meanings({part.cause: part.meaning for part in explanation.parts})


def _row(part: ChangePart) -> tuple[object, ...]:
    amounts = part.amounts
    beside = ", ".join(f"{name} {signed(amounts[name])}" for name in BESIDE if amounts[name])
    event = part.event_title or part.event
    reason = f"{event} of {part.occurred_on}" if part.occurred_on else event
    reason = f"{reason}, {part.decision}" if part.decision else reason
    deal = Link(part.opportunity_name or part.opportunity or "", part.opportunity_url)
    return part.cause, *(signed(amounts[m]) for m in ("total", "direct", "referred")), beside, deal, reason


def _say_meanings(meanings: Mapping[str, str]) -> None:
    say()
    for cause, meaning in meanings.items():
        say(f"{cause}: {meaning}")


def _say_runs(since: RunMark, until: RunMark, policy: tuple[str, ...]) -> None:
    say(f"from run {since.run_id} of {since.as_of} to run {until.run_id} of {until.as_of}")
    for line in policy:
        say(f"policy {line}")


def _say_move(name: str, before: Mapping[str, Decimal], after: Mapping[str, Decimal], currency: str) -> None:
    moved = after[name] - before[name]
    if before[name] or after[name]:
        say(f"{name} {money(before[name])} -> {money(after[name], currency)}{f' ({signed(moved)})' if moved else ''}")


def signed(amount: Decimal) -> str:
    """`+10,000`, `-0.50`; nothing for zero."""
    return "" if not amount else f"{'+' if amount > 0 else ''}{money(amount)}"


def _say_diff(diff: RunsDiff, top: int) -> None:
    _say_runs(diff.since, diff.until, diff.policy)
    for name in ("direct", "referred", "conserved"):
        _say_move(name, diff.before, diff.after, diff.currency)
    say()
    if not diff.accounts:
        say("nothing moved in between")
        return
    measures = ("direct", "referred", "conserved")
    rows = [(one.cause, f"{one.accounts:,}", *(signed(one.amounts[m]) for m in measures)) for one in diff.causes]
    say_table(("cause", "accounts", "own", "referred", "conserved"), rows, right=("accounts", "own", *measures))
    say()
    shown = diff.accounts[:top]
    moved = [
        (one.name or one.id, *(signed(one.change[m]) for m in ("total", "direct", "referred")), ", ".join(one.causes))
        for one in shown
    ]
    say_table(("account", "total", "own", "referred", "causes"), moved, right=("total", "own", "referred"))
    if len(diff.accounts) > top:
        say(f"and {count(len(diff.accounts) - top, 'account')} more: --top, or --json for all")
    _say_meanings({one.cause: one.meaning for one in diff.causes})
