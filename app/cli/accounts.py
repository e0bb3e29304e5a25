"""`accounts`, `explain`, `portfolio`: what customers are worth, and why."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from fractions import Fraction
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from app.cli.invocation import MOST, AsJson, PolicyOption, open_services
from app.cli.output import Link, money, say, say_json, say_table, tell
from app.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from app.sync.answers import ExplainedLine, Explanation
    from app.sync.restated import PolicyChange, Restated
    from app.sync.standing import StandingView

SortKey = Literal["total", "direct", "referred", "conserved", "network", "influence", "pipeline", "name"]
AsOf = Annotated[
    str | None, typer.Option("--as-of", metavar="DATE", help="Compute for that day, with what is known today.")
]


def register(app: typer.Typer) -> None:
    app.command("accounts")(show_accounts)
    app.command("explain")(explain)
    app.command("portfolio")(show_portfolio)


def show_accounts(
    ctx: typer.Context,
    top: Annotated[
        int | None, typer.Option(min=1, max=MOST, help="How many; default 20 on a terminal, all with --json.")
    ] = None,
    sort: Annotated[SortKey, typer.Option(help="Highest first.")] = "total",
    as_of: AsOf = None,
    include_all: Annotated[
        bool, typer.Option("--all", help="Also accounts that are worth nothing, or merged in a circle.")
    ] = False,
    policy: PolicyOption = None,
    as_json: AsJson = False,
) -> None:
    """List customers by what they are really worth."""
    from app.sync.answers import list_accounts
    from app.sync.restated import find_policy_change

    with open_services(ctx, policy=policy) as services:
        limit = top or (None if as_json else 20)
        day = read_date(as_of)
        views = [v.as_json() for v in list_accounts(services, top=limit, sort=sort, as_of=day, include_all=include_all)]
        change = None if as_json or day else find_policy_change(services)
    if as_json:
        say_json(views)
        return
    say_accounts(views)
    if change:
        say(tell_change(change))
    if not views:
        tell("no account has a value yet; run: advocacy sync")


def say_accounts(views: list[dict[str, Any]]) -> None:
    """The triage table."""
    columns = ("rank", "account", "total", "own", "referred", "pipeline", "issues")
    rows = [
        (
            view["rank"],
            view["name"] or view["id"],
            money(view["total"], view["currency"]),
            money(view["direct"]),
            money(view["referred"]),
            money(view["pipeline"]),
            ", ".join(view["issues"]),
        )
        for view in views
    ]
    say_table(columns, rows, right=("rank", "total", "own", "referred", "pipeline"))


def read_date(text: str | None) -> date | None:
    """`2026-03-31` as a date. Raises ConfigError."""
    from app.domain.days import FIRST_DAY, LAST_DAY

    if text is None:
        return None
    try:
        day = datetime.strptime(text, "%Y-%m-%d").date()  # noqa: DTZ007 - a date has no zone
    except ValueError:
        raise ConfigError(f"{text!r} is not a date like 2026-03-31") from None
    if not FIRST_DAY <= day <= LAST_DAY:
        raise ConfigError(f"{text} is too far away: days from {FIRST_DAY} to {LAST_DAY} can be asked about")
    return day


def explain(
    ctx: typer.Context,
    account: Annotated[str, typer.Argument(help="Id, name, or a part of the name that only one account has.")],
    as_of: AsOf = None,
    policy: PolicyOption = None,
    as_json: AsJson = False,
) -> None:
    """Say line by line why a customer is worth that."""
    from app.sync.answers import explain_account, find_account

    with open_services(ctx, policy=policy) as services:
        found = find_account(services, account)
        explanation = explain_account(services, found.as_json()["id"], as_of=read_date(as_of))
    say_json(explanation.as_json()) if as_json else _say_explanation(explanation)


def _say_explanation(explanation: Explanation) -> None:
    view = explanation.account.as_json()
    say(f"{view['name'] or view['id']}  ({view['id']})")
    say(explanation.sentence)
    if explanation.lines:
        say()
        _say_lines(explanation.lines, view["currency"])
    totals = [f"{name} {money(view[name])}" for name in ("direct", "referred", "total") if Decimal(str(view[name]))]
    say(f"{', '.join(totals) or 'worth nothing yet'} {view['currency']}; policy {explanation.policy_version}")
    if explanation.restated:
        say(tell_restated(explanation.restated))
    _say_beside(view, explanation)
    for code in view["issues"]:
        say(f"issue {code} (advocacy errors {code})")


def _say_lines(lines: Sequence[ExplainedLine], currency: str) -> None:
    """One row a line; what it was converted from only where something was."""
    from app.domain.explain import share_text

    rows = [
        {
            "measure": line.measure,
            "amount": money(line.amount, currency),
            "opportunity": Link(line.opportunity_name or line.opportunity, line.opportunity_url),
            "because of": line.event_title or line.event,
            "date": line.dated_on,
            "share": share_text(Fraction(line.share)),
            "converted from": _converted_from(line, currency),
            "named": _named(line),
            "rule": line.rule,
        }
        for line in lines
    ]
    columns = [name for name in rows[0] if name != "converted from" or any(row[name] for row in rows)]
    say_table(columns, [[row[name] for name in columns] for row in rows], right=("amount",))


def _converted_from(line: ExplainedLine, currency: str) -> str:
    """`800 EUR at 0.8 for 1 USD since 2025-06-15`: what the opportunity or the correction is worth in its own."""
    if line.rate is None:
        return ""
    own = money(line.own_amount, line.currency or "")
    return f"{own} at {line.rate} for 1 {currency}" + (f" since {line.rate_on}" if line.rate_on else "")


def _named(line: ExplainedLine) -> str:
    """What a referral named of the deal: the evidence behind the credit."""
    from app.domain.model import Measure, Tier

    return Tier(line.tier).name.lower() if line.measure == Measure.REFERRED and line.tier else ""


def tell_change(change: PolicyChange) -> str:
    """One line below many numbers: that they had been reported otherwise, and where to look."""
    if change.since_run is None:
        return f"not reported yet: {_reported(change)}"
    return f"restated: {_reported(change)}; see advocacy runs diff {change.reported.run_id} {change.since_run}"


def tell_restated(restated: Restated) -> str:
    """`restated by the policy: total +10; run 1 of 2026-10-01 reported a total of 90 under policy 1a659392948c`."""
    from app.cli.changes import signed

    moved = ", ".join(f"{measure} {signed(amount)}" for measure, amount in restated.change.items())
    what = f"a total of {money(restated.before['total'])} "
    verb = "to be restated" if restated.by.since_run is None else "restated"
    return f"{verb} by the policy: {moved}; {_reported(restated.by, what)}"


def _reported(change: PolicyChange, what: str = "") -> str:
    run = change.reported
    told = f"run {run.run_id} of {run.as_of} reported {what}under policy {run.policy_version}"
    return f"{told} ({'; '.join(change.policy)})" if change.policy else told


def _say_beside(view: dict[str, Any], explanation: Explanation) -> None:
    """What is not money, as far as there is any of it."""
    for facts in (_standing(view), _activity(view)):
        if facts:
            say(", ".join(facts))
    if explanation.activity:
        say()
        _say_points(explanation)
    if explanation.standing:
        say()
        _say_standing(explanation.standing)


def _say_standing(standing: StandingView) -> None:
    rows = [(card.title, card.value, card.detail) for card in standing.cards]
    say_table(("how it stands", "", ""), rows)
    say()
    say_table(("what to do", ""), [(one.about, one.text) for one in standing.to_do])


def _say_points(explanation: Explanation) -> None:
    from app.domain.engagement import cut_points
    from app.domain.explain import percent_text

    columns = ("points", "because of", "date", "base", "left")
    rows = [
        (cut_points(one.points), one.title, one.occurred_on, one.base, percent_text(Fraction(one.left)))
        for one in explanation.activity
    ]
    say_table(columns, rows, right=("points", "base", "left"))


def _standing(view: dict[str, Any]) -> list[str]:
    facts = []
    if view["quadrant"]:
        facts.append(f"quadrant {view['quadrant']}")
    if view["percentile"] is not None:
        facts.append(f"worth more than {view['percentile']} % of the other customers")
    if Decimal(view["revenue_at_risk"]):
        facts.append(f"revenue at risk {money(view['revenue_at_risk'], view['currency'])}")
    return facts


def _activity(view: dict[str, Any]) -> list[str]:
    facts = []
    if Decimal(view["points"]):
        band = f" ({view['points_band']})" if view["points_band"] else ""
        facts.append(f"{view['points']} points{band}")
    if view["is_detractor"]:
        facts.append("a detractor")
    if view["participation_days"]:
        today = ", today too" if view["is_participant"] else ""
        facts.append(f"{view['participation_days']} days of participation{today}")
    return facts


def show_portfolio(ctx: typer.Context, as_json: AsJson = False) -> None:
    """Sum all customers without counting anything twice."""
    from app.sync.answers import portfolio
    from app.sync.restated import find_policy_change

    with open_services(ctx) as services:
        whole = portfolio(services)
        change = find_policy_change(services)
    if as_json:
        say_json(whole)
        return
    rows = [
        (name, money(getattr(whole, name), whole.currency)) for name in ("direct", "referred", "overlap", "conserved")
    ]
    say_table(("measure", "amount"), [*rows, ("accounts", f"{whole.accounts:,}")], right=("amount",))
    if change and change.since_run is None:
        say(
            f"of run {change.reported.run_id}; the policy has changed since, and the next run follows it: advocacy sync"
        )
    elif change:
        say(tell_change(change))
