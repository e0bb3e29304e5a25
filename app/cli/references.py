"""`references`: who can be asked for a reference, asking, what became of it, and how the programme stands."""

from __future__ import annotations

import getpass
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from app.cli.accounts import read_date
from app.cli.invocation import LAST_NUMBER, MOST, AsJson, open_services
from app.cli.output import count, say, say_json, say_table, tell
from app.errors import ConfigError

if TYPE_CHECKING:
    from app.domain.reference_events import Grade
    from app.domain.requests import Step
    from app.sync.reference_requests import RequestView

EXCLUDED = 20
Number = Annotated[int, typer.Argument(min=1, max=LAST_NUMBER, metavar="ID", help="The number of the request.")]
Reason = Annotated[str | None, typer.Option(help="Why, for the record.")]
On = Annotated[str | None, typer.Option("--on", metavar="DATE", help="The day it happened; default: today.")]
Override = Annotated[
    str | None, typer.Option(metavar="REASON", help="Why the cap and the cooldown shall not hold this time.")
]
Deal = Annotated[str, typer.Option("--for", metavar="OPPORTUNITY", help="Id, name, or a part of the name.")]
Scope = Annotated[str, typer.Option(help="What the customer has to have consented to; or 8a to 8h.")]


def register(app: typer.Typer) -> None:
    group = typer.Typer(help="References: whom to ask for a deal, and what became of it.", no_args_is_help=True)
    group.command("find")(find)
    group.command("request")(request)
    group.command("approve")(approve)
    group.command("decline")(decline)
    group.command("schedule")(schedule)
    group.command("complete")(complete)
    group.command("confirm")(confirm)
    group.command("cancel")(cancel)
    group.command("list")(list_all)
    group.command("show")(show)
    group.command("programme")(show_whole)
    app.add_typer(group, name="references")


def _words(help_text: str) -> Any:
    return typer.Option(help=f"{help_text} Repeatable.")


def find(
    ctx: typer.Context,
    opportunity: Deal,
    *,
    scope: Scope = "basic",
    industry: Annotated[list[str] | None, _words("Industry.")] = None,
    product: Annotated[list[str] | None, _words("Product.")] = None,
    role: Annotated[list[str] | None, _words("Role of whom to speak with.")] = None,
    size: Annotated[list[str] | None, _words("micro, small, medium, large, giant, or a number of employees.")] = None,
    region: Annotated[list[str] | None, _words("Region.")] = None,
    language: Annotated[list[str] | None, _words("Language.")] = None,
    use_case: Annotated[list[str] | None, _words("Use case.")] = None,
    top: Annotated[int, typer.Option(min=1, max=MOST, help="How many.")] = 5,
    everybody: Annotated[bool, typer.Option("--all", help="All who can be asked, and all who cannot.")] = False,
    as_json: AsJson = False,
) -> None:
    """Say whom to ask, why, and why not the others.

    What the CRM knows of the deal and the prospect is asked for by itself; an option replaces it.
    """
    from app.domain.matching import Facet
    from app.sync.references import find_references

    wanted = {
        Facet.INDUSTRY: industry, Facet.PRODUCT: product, Facet.ROLE: role, Facet.SIZE: size, Facet.REGION: region,
        Facet.LANGUAGE: language, Facet.USE_CASE: use_case,
    }  # fmt: skip
    with open_services(ctx) as services:
        given = {facet: words for facet, words in wanted.items() if words}
        view = find_references(services, opportunity, scope, given, None if everybody else top).as_json()
    say_json(view) if as_json else _say_found(view)


def _say_found(view: dict[str, Any]) -> None:
    prospect = view["prospect_name"] or view["prospect"] or "nobody yet"
    say(f"{view['opportunity_name'] or view['opportunity']}: {prospect} may buy; scope {view['scope']}")
    wanted = "; ".join(
        f"{facet.replace('_', ' ')} {', '.join(words)}{' (from the CRM)' if facet in view['from_crm'] else ''}"
        for facet, words in view["wanted"].items()
    )
    say(f"asked for: {wanted or 'nothing in particular'}")
    for match in view["matches"]:
        say()
        contacts = f", ask {', '.join(match['contacts'])}" if match["contacts"] else ""
        say(f"{match['place']}. {match['name'] or match['account']}  ({match['account']}){contacts}")
        for reason in match["reasons"]:
            say(f"   {reason}")
        if match["behind"]:
            say(f"   after the one before it, because it {match['behind']}")
    if view["possible"] > len(view["matches"]):
        say()
        tell(f"... and {view['possible'] - len(view['matches']):,} more; --top shows them")
    if not view["matches"]:
        say()
        say("nobody can be asked today")
    if view["excluded"]:
        say()
        _say_excluded(view["excluded"], view["impossible"])


def _say_excluded(excluded: Sequence[dict[str, Any]], number: int) -> None:
    rows = [
        (one["name"] or one["account"], "; ".join(reason["reason"] for reason in one["reasons"]), one["available_from"])
        for one in excluded[:EXCLUDED]
    ]
    say_table(("not asked", "why not", "from"), rows)
    if number > EXCLUDED:
        tell(f"... and {number - EXCLUDED:,} more; --all --json lists them all")


def request(
    ctx: typer.Context,
    account: Annotated[str, typer.Argument(help="Id, name, or a part of the name that only one account has.")],
    opportunity: Deal,
    *,
    scope: Scope = "basic",
    kind: Annotated[str | None, typer.Option(help="Such as reference_call or site_visit.")] = None,
    contact: Annotated[str | None, typer.Option(help="The person to ask.")] = None,
    needed_by: Annotated[str | None, typer.Option(metavar="DATE")] = None,
    expected: Annotated[str | None, typer.Option(help="How it should go: very_negative to very_positive.")] = None,
    override: Override = None,
    as_json: AsJson = False,
) -> None:
    """Ask the programme for one customer. Nobody asks the customer yet: that is what `approve` says."""
    from app.sync.reference_asks import Ask, request_reference

    with open_services(ctx) as services:
        ask = Ask(
            account, opportunity, scope, kind, contact, read_date(needed_by), _grade(expected), override,
        )  # fmt: skip
        view = request_reference(services, ask, getpass.getuser())
    _say_request(view, as_json=as_json)


def approve(
    ctx: typer.Context, number: Number, *, reason: Reason = None, override: Override = None, as_json: AsJson = False
) -> None:
    """The programme agrees, and the customer is asked: this goes into its ledger of asks."""
    from app.domain.requests import Step

    _step(ctx, number, Step.APPROVE, {"reason": reason, "override": override}, as_json=as_json)


def decline(
    ctx: typer.Context, number: Number, *, reason: Reason = None, on: On = None, as_json: AsJson = False
) -> None:
    """The programme says no, or, once it was asked, the customer does."""
    from app.domain.requests import Step

    _step(ctx, number, Step.DECLINE, {"reason": reason, "on": read_date(on)}, as_json=as_json)


def schedule(
    ctx: typer.Context,
    number: Number,
    *,
    day: Annotated[str | None, typer.Option("--for", metavar="DATE", help="When it will take place.")] = None,
    on: On = None,
    as_json: AsJson = False,
) -> None:
    """The customer said yes."""
    from app.domain.requests import Step

    _step(ctx, number, Step.SCHEDULE, {"scheduled_for": read_date(day), "on": read_date(on)}, as_json=as_json)


def complete(
    ctx: typer.Context,
    number: Number,
    *,
    expected: Annotated[str | None, typer.Option(help="How it should have gone.")] = None,
    actual: Annotated[str | None, typer.Option(help="How it went: very_negative to very_positive.")] = None,
    minutes: Annotated[int | None, typer.Option(min=0, help="What it took the customer.")] = None,
    signal: Annotated[list[str] | None, typer.Option(help="A marker of what was seen. Repeatable.")] = None,
    bought: Annotated[bool | None, typer.Option("--bought/--not-bought", help="Default: what the deal says.")] = None,
    on: On = None,
    as_json: AsJson = False,
) -> None:
    """It took place. It counts for the deal, its use is logged, and how it went is kept."""
    from app.domain.requests import Step

    told = {
        "expected": _grade(expected), "actual": _grade(actual), "minutes": minutes, "signals": tuple(signal or ()),
        "prospect_bought": bought, "on": read_date(on),
    }  # fmt: skip
    _step(ctx, number, Step.COMPLETE, told, as_json=as_json)


def confirm(ctx: typer.Context, number: Number, *, reason: Reason = None, as_json: AsJson = False) -> None:
    """Sales says that it took place as told."""
    from app.domain.requests import Step

    _step(ctx, number, Step.CONFIRM, {"reason": reason}, as_json=as_json)


def cancel(
    ctx: typer.Context,
    number: Number,
    *,
    reason: Reason = None,
    no_reply: Annotated[bool, typer.Option("--no-reply", help="The customer never answered.")] = False,
    as_json: AsJson = False,
) -> None:
    """It will not take place."""
    from app.domain.requests import Step

    _step(ctx, number, Step.CANCEL, {"reason": reason, "no_reply": no_reply}, as_json=as_json)


def _step(ctx: typer.Context, number: int, step: Step, told: dict[str, Any], *, as_json: bool) -> None:
    from app.sync.reference_steps import Report, take_step

    with open_services(ctx) as services:
        view = take_step(services, number, step, Report(**told), getpass.getuser())
    _say_request(view, as_json=as_json)


def _grade(text: str | None) -> Grade | None:
    from app.domain.reference_events import Grade

    try:
        return Grade(text.strip().lower().replace(" ", "_")) if text else None
    except ValueError:
        raise ConfigError(f"there is no grade {text!r}", hint=f"the grades are {', '.join(Grade)}") from None


def _say_request(view: RequestView, *, as_json: bool) -> None:
    shown = view.as_json()
    if as_json:
        say_json(shown)
        return
    who = shown["account_name"] or shown["account"]
    say(f"request {shown['id']} is {shown['state']}: {who} for {shown['opportunity_name'] or shown['opportunity']}")
    if shown["no_consent"]:
        say(f"it may not take place: {shown['no_consent']}")
    if shown["next_steps"]:
        tell(f"next: {', '.join(shown['next_steps'])}")


def list_all(
    ctx: typer.Context,
    state: Annotated[str | None, typer.Option(help="Only in this state.")] = None,
    opportunity: Annotated[str | None, typer.Option("--for", help="Only for this opportunity.")] = None,
    top: Annotated[int, typer.Option(min=1, max=MOST, help="How many, newest first.")] = 50,
    as_json: AsJson = False,
) -> None:
    """List requests, newest first."""
    from app.domain.requests import State
    from app.sync.reference_requests import list_requests

    if state is not None and state not in list(State):
        raise ConfigError(f"there is no state {state!r}", hint=f"the states are {', '.join(State)}")
    with open_services(ctx) as services:
        wanted = State(state) if state else None
        views = [v.as_json() for v in list_requests(services, state=wanted, opportunity=opportunity, top=top)]
    if as_json:
        say_json(views)
        return
    columns = ("id", "state", "customer", "opportunity", "scope", "kind", "asked by", "needed by", "on", "no consent")
    say_table(
        columns,
        [
            (
                one["id"], one["state"], one["account_name"] or one["account"],
                one["opportunity_name"] or one["opportunity"], one["scope"], one["kind"], one["requested_by"],
                one["needed_by"], one["scheduled_for"], one["no_consent"],
            )
            for one in views
        ],
        right=("id",),
    )  # fmt: skip
    if not views:
        tell("no requests; find somebody to ask with: advocacy references find --for OPPORTUNITY")


def show(ctx: typer.Context, number: Number, as_json: AsJson = False) -> None:
    """Show one request with every step it took."""
    from app.sync.reference_requests import show_request

    with open_services(ctx) as services:
        view = show_request(services, number)
    _say_request(view, as_json=as_json)
    if not as_json:
        steps = view.as_json()["steps"]
        told = ["; ".join(f"{name} {_plain(value)}" for name, value in step["detail"].items()) for step in steps]
        rows = [(step["on"], step["state"], step["who"], text) for step, text in zip(steps, told, strict=True)]
        say_table(("on", "state", "who", "what was said"), rows)


def _plain(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def show_whole(
    ctx: typer.Context,
    top: Annotated[int, typer.Option(min=1, max=MOST, help="How many customers.")] = 20,
    as_json: AsJson = False,
) -> None:
    """Show how strong the programme is, how it stands to its goal, and how much each reference is used."""
    from app.sync.programme import show_programme

    with open_services(ctx) as services:
        view = show_programme(services).as_json()
    say_json(view) if as_json else _say_programme(view, top)


_STRENGTHS = {
    "strong": "enough of them are",
    "unproven": "too few are known to be; rate the others",
    "weak": "fundamentally weak, too few are",
    "empty": "there is nobody yet",
}


def _tell_state(state: str) -> str:
    return "never consented to calls" if state == "none" else state.replace("_", " ")


def _say_programme(view: dict[str, Any], top: int) -> None:
    low, high = view["full_strength_low"], view["full_strength_high"]
    span = low if low == high else f"{low} to {high}"
    say(
        f"{count(view['references'], 'reference')}, {view['high_impact']} of them high impact:"
        f" {_STRENGTHS[view['strength']]}. Together worth {span} of full quality."
    )
    goal = f" of {view['goal']} wanted" if view["goal"] is not None else ""
    for quarter in view["quarters"]:
        reading = quarter["reading"].replace("_", " ") if view["goal"] is not None else ""
        new = f"{quarter['new']} new{goal}, {quarter['high_impact']} high impact"
        say(f"{quarter['quarter']}: {new}{'; ' + reading if reading else ''}")
    states = ", ".join(f"{number} {_tell_state(state)}" for state, number in view["states"].items())
    say(f"today: {states or 'nobody'}; {view['utilisation_percent']} % of the asks that the caps allow are used")
    say()
    columns = ("customer", "quality", "high impact", "record", "asks", "given", "balance", "state", "from")
    rows = [
        (
            one["name"] or one["account"],
            f"{one['quality_low']} to {one['quality_high']}",
            "yes" if one["is_high_impact"] else "",
            one["record"].replace("_", " "),
            f"{one['asks_used']} of {one['asks_cap']}",
            one["uses"],
            one["balance"],
            _tell_state(one["state"]),
            one["available_from"],
        )
        for one in view["customers"][:top]
    ]
    say_table(columns, rows, right=("given", "balance"))
