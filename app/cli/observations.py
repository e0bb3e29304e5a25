"""The part of `assess` about references, care and trouble: what a customer can tell, how it fares, what is wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

import typer

from app.cli.accounts import read_date
from app.cli.invocation import AsJson, open_services
from app.cli.recording import Account, Contact, EventId, Note, On, RatedBy, record_event

if TYPE_CHECKING:
    from app.domain.triage import Item

Level = Annotated[int | None, typer.Option(help="0 to 4; left out: unknown.")]
Texts = list[str] | None
Grade = Literal["very_negative", "negative", "neutral", "positive", "very_positive"]


def register_assessments(assess: typer.Typer) -> None:
    assess.command("traits")(assess_traits)
    assess.command("profile")(assess_profile)
    assess.command("outcome")(assess_outcome)
    assess.command("rest")(assess_rest)
    assess.command("opt-out")(assess_opt_out)
    assess.command("care")(assess_care)
    assess.command("usage")(assess_usage)
    assess.command("metric")(assess_metric)
    assess.command("value")(assess_value)
    assess.command("problem")(assess_problem)
    assess.command("close")(assess_closing)
    assess.command("roles")(assess_roles)


# --- as a reference --------------------------------------------------------------------------------------------------


def assess_traits(
    ctx: typer.Context,
    account: Account,
    *,
    brand: Level = None,
    target_vertical: Level = None,
    quantified_results: Level = None,
    articulate: Level = None,
    passionate: Level = None,
    willing_variety: Level = None,
    rated_by: RatedBy = "",
    on: On = "",
    note: Note = "",
    event_id: EventId = "",
    as_json: AsJson = False,
) -> None:
    """Rate the six traits of a reference: known, in a target industry, with numbers, clear, keen, willing."""
    attributes = {
        "brand": brand,
        "target_vertical": target_vertical,
        "quantified_results": quantified_results,
        "articulate": articulate,
        "passionate": passionate,
        "willing_variety": willing_variety,
        "rated_by": rated_by,
        "note": note,
    }
    record_event(ctx, "reference_traits", account, attributes, on=on, event_id=event_id, as_json=as_json)


def assess_profile(
    ctx: typer.Context,
    account: Account,
    *,
    industry: Annotated[str, typer.Option(help="Its industry.")] = "",
    products: Annotated[Texts, typer.Option("--product", metavar="TEXT", help="What it uses. Repeatable.")] = None,
    roles: Annotated[
        Texts, typer.Option("--role", metavar="ROLE", help="Whom it can speak to: roles of people. Repeatable.")
    ] = None,
    size: Annotated[int | None, typer.Option(help="How many employees.")] = None,
    regions: Annotated[
        Texts, typer.Option("--region", metavar="REGION", help="Where it is at home. Repeatable.")
    ] = None,
    languages: Annotated[
        Texts, typer.Option("--language", metavar="LANGUAGE", help="In which languages it can talk. Repeatable.")
    ] = None,
    use_cases: Annotated[
        Texts, typer.Option("--use-case", metavar="TEXT", help="What it uses the product for. Repeatable.")
    ] = None,
    on: On = "",
    note: Note = "",
    event_id: EventId = "",
    as_json: AsJson = False,
) -> None:
    """Record what a customer can speak about, so that references fit.

    A profile replaces the earlier one as a whole: say everything again.
    """
    attributes = {
        "industry": industry,
        "products": products,
        "roles": roles,
        "size": size,
        "regions": regions,
        "languages": languages,
        "use_cases": use_cases,
        "note": note,
    }
    record_event(ctx, "reference_profile", account, attributes, on=on, event_id=event_id, as_json=as_json)


def assess_outcome(
    ctx: typer.Context,
    account: Account,
    *,
    actual: Annotated[Grade | None, typer.Option(help="How it went.")] = None,
    expected: Annotated[Grade | None, typer.Option(help="How it was expected to go.")] = None,
    signals: Annotated[
        Texts, typer.Option("--signal", metavar="SIGNAL", help="What was remarkable, as codes. Repeatable.")
    ] = None,
    minutes: Annotated[int | None, typer.Option(help="How long it took the customer.")] = None,
    bought: Annotated[bool | None, typer.Option("--bought/--not-bought", help="What the prospect did.")] = None,
    opportunity: Annotated[str, typer.Option(help="The deal it was for: an opportunity id.")] = "",
    request: Annotated[str, typer.Option(help="The reference request it answers.")] = "",
    on: On = "",
    note: Note = "",
    event_id: EventId = "",
    as_json: AsJson = False,
) -> None:
    """Record how a reference went."""
    attributes = {
        "actual_grade": actual,
        "expected_grade": expected,
        "signals": signals,
        "minutes": minutes,
        "prospect_bought": bought,
        "request": request,
        "note": note,
    }
    record_event(
        ctx, "reference_outcome", account, attributes,
        columns={"opportunity": opportunity}, on=on, event_id=event_id, as_json=as_json,
    )  # fmt: skip


def assess_rest(
    ctx: typer.Context,
    account: Account,
    *,
    until: Annotated[str, typer.Option(metavar="DATE", help="The first day on which it may be asked again.")],
    on: On = "",
    note: Note = "",
    event_id: EventId = "",
    as_json: AsJson = False,
) -> None:
    """Let a reference rest: it is not asked until that day."""
    record_event(
        ctx, "resting", account, {"note": note},
        columns={"valid_to": until}, on=on, event_id=event_id, as_json=as_json,
    )  # fmt: skip


def assess_opt_out(
    ctx: typer.Context,
    account: Account,
    *,
    on: On = "",
    note: Note = "",
    event_id: EventId = "",
    as_json: AsJson = False,
) -> None:
    """Record that a customer does not want to be asked any more."""
    record_event(ctx, "opted_out", account, {"note": note}, on=on, event_id=event_id, as_json=as_json)


# --- how it fares ----------------------------------------------------------------------------------------------------


def assess_care(
    ctx: typer.Context,
    account: Account,
    *,
    bucket: Annotated[
        Literal["need_you", "ok", "who_are_you"], typer.Option(help="Could not live without us, it's ok, who are you?")
    ],
    verbatim: Annotated[str, typer.Option(help="The answer, word for word.")] = "",
    reasons: Annotated[Texts, typer.Option("--reason", metavar="REASON", help="Why, in a word. Repeatable.")] = None,
    caller: Annotated[str, typer.Option(help="Who called.")] = "",
    contact: Contact = "",
    win_win: Annotated[
        bool | None,
        typer.Option("--win-win/--no-win-win", help="For who_are_you: recruit again, or assume it gone by next year."),
    ] = None,
    on: On = "",
    event_id: EventId = "",
    as_json: AsJson = False,
) -> None:
    """Record the answer to "why do you care about us?"."""
    attributes = {"bucket": bucket, "verbatim": verbatim, "reasons": reasons, "caller": caller, "win_win": win_win}
    record_event(
        ctx, "care_answer", account, attributes,
        columns={"contact": contact}, on=on, event_id=event_id, as_json=as_json,
    )  # fmt: skip


def assess_usage(
    ctx: typer.Context,
    account: Account,
    *,
    percent: Annotated[int | None, typer.Option(help="Usage in percent of its own baseline.")] = None,
    sponsor: Annotated[
        bool | None, typer.Option("--sponsor/--no-sponsor", help="Whether somebody stands up for us.")
    ] = None,
    asked_to_cut: Annotated[bool | None, typer.Option("--asked-to-cut", help="Asked to pay for less.")] = None,
    alternatives: Annotated[bool | None, typer.Option("--alternatives", help="Looks at alternatives.")] = None,
    on: On = "",
    event_id: EventId = "",
    as_json: AsJson = False,
) -> None:
    """Record how much a customer uses what it bought."""
    attributes = {
        "usage_percent": percent,
        "sponsor": sponsor,
        "asked_to_cut": asked_to_cut,
        "considers_alternatives": alternatives,
    }
    record_event(ctx, "usage_report", account, attributes, on=on, event_id=event_id, as_json=as_json)


def assess_metric(
    ctx: typer.Context,
    account: Account,
    *,
    owner: Annotated[Literal["customer", "champion"], typer.Option(help="Whose success it measures.")],
    kind: Annotated[str, typer.Option(help="Such as revenue, profit, roi; your own start with x_.")],
    name: Annotated[str, typer.Option(help="What exactly is measured.")] = "",
    unit: Annotated[str, typer.Option(help="In which unit.")] = "",
    baseline: Annotated[str, typer.Option(help="Before us.")] = "",
    target: Annotated[str, typer.Option(help="What was agreed to be reached.")] = "",
    actual: Annotated[str, typer.Option(help="What is reached today.")] = "",
    agreed_on: Annotated[str, typer.Option(metavar="DATE", help="When the customer agreed to it.")] = "",
    on: On = "",
    event_id: EventId = "",
    as_json: AsJson = False,
) -> None:
    """Record the customer's or the champion's own measure of success; what we do for them is none."""
    attributes = {
        "owner": owner,
        "kind": kind,
        "name": name,
        "unit": unit,
        "baseline": baseline,
        "target": target,
        "actual": actual,
        "agreed_on": agreed_on,
    }
    record_event(ctx, "success_metric", account, attributes, on=on, event_id=event_id, as_json=as_json)


def assess_value(
    ctx: typer.Context,
    account: Account,
    state: Annotated[Literal["stopped", "recovered"], typer.Argument(help="Whether the customer still gets value.")],
    *,
    on: On = "",
    note: Note = "",
    event_id: EventId = "",
    as_json: AsJson = False,
) -> None:
    """Record that the value has stopped while the contract runs on, or that things are well again."""
    event_type = "value_stopped" if state == "stopped" else "recovered"
    record_event(ctx, event_type, account, {"note": note}, on=on, event_id=event_id, as_json=as_json)


# --- what is wrong, and what it is to us -----------------------------------------------------------------------------


def assess_problem(
    ctx: typer.Context,
    account: Account,
    kind: Annotated[Literal["escalation", "complaint", "churn_signal"], typer.Argument(help="What it is.")],
    *,
    title: Annotated[str, typer.Option(help="What it is about.")] = "",
    severity: Annotated[
        Literal["critical", "high", "normal", "low"] | None, typer.Option(help="Default: by what it is.")
    ] = None,
    hours: Annotated[str, typer.Option(help="Work that it will take.")] = "",
    closed: Annotated[
        str,
        typer.Option(metavar="DATE", help="The day it was closed: ends the open one of this title, else a closed one."),
    ] = "",
    on: On = "",
    event_id: EventId = "",
    as_json: AsJson = False,
) -> None:
    """Record trouble: it stays open in the triage until it is closed, or things are well again.

    With --closed and the title it was recorded with, the open one is closed; where none is, a closed one is recorded.
    """
    from app.sync.answers import find_account
    from app.sync.triage import match_problem

    day = read_date(closed or None)
    if day is not None:
        with open_services(ctx) as services:
            item = match_problem(
                services, find_account(services, account).id, kind, title.strip(), day, read_date(on or None)
            )
        if item is not None:
            _close(ctx, item, closed, "", event_id, as_json=as_json)
            return
    attributes = {"severity": severity, "hours": hours}
    columns = {"title": title, "valid_to": closed}
    record_event(ctx, kind, account, attributes, columns=columns, on=on, event_id=event_id, as_json=as_json)


def assess_closing(
    ctx: typer.Context,
    event: Annotated[str, typer.Argument(help="The id of the item, as `advocacy triage --json` shows it.")],
    *,
    on: On = "",
    note: Note = "",
    event_id: EventId = "",
    as_json: AsJson = False,
) -> None:
    """Close one open item of the triage: an escalation, a complaint, a sign of leaving."""
    from app.sync.triage import find_problem

    with open_services(ctx) as services:
        item = find_problem(services, event, read_date(on or None))
    _close(ctx, item, on, note, event_id, as_json=as_json)


def _close(ctx: typer.Context, item: Item, on: str, note: str, event_id: str, *, as_json: bool) -> None:
    record_event(
        ctx, "problem_closed", item.account_id, {"event": item.id, "note": note},
        columns={"polarity": "neutral", "title": item.title}, on=on, event_id=event_id, as_json=as_json,
    )  # fmt: skip


def assess_roles(
    ctx: typer.Context,
    account: Account,
    *,
    add: Annotated[
        Texts, typer.Option(metavar="ROLE", help="A role it has, whatever its events say. Repeatable.")
    ] = None,
    remove: Annotated[Texts, typer.Option(metavar="ROLE", help="A role it does not have. Repeatable.")] = None,
    on: On = "",
    note: Note = "",
    event_id: EventId = "",
    as_json: AsJson = False,
) -> None:
    """Correct what a customer is to us: buyer, advocate, innovator and so on."""
    attributes = {"add": add, "remove": remove, "note": note}
    record_event(ctx, "roles_set", account, attributes, on=on, event_id=event_id, as_json=as_json)
