"""`assess`: record what people know of a customer, one sentence a command. Here: how far it has come, what it values.

The other commands of the group lie in `consents.py` (permissions) and in `observations.py`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from app.cli.accounts import AsOf, read_date
from app.cli.invocation import AsJson, open_services
from app.cli.output import say, say_json, say_table, tell
from app.cli.recording import Account, EventId, Note, On, RatedBy, Until, record_event
from app.errors import ConfigError

if TYPE_CHECKING:
    from app.bootstrap import Services
    from app.domain.model import Policy
    from app.sync.assessments import AssessmentHistory
    from app.sync.relationships import MatrixView


def register(app: typer.Typer) -> None:
    from app.cli import consents, observations

    assess = typer.Typer(
        help="Record what people know of a customer. Repeating a command on the same day changes nothing.",
        no_args_is_help=True,
    )
    assess.command("list")(list_recorded)
    assess.command("commitment")(assess_commitment)
    assess.command("offer")(assess_offer)
    assess.command("person")(assess_person)
    assess.command("recognition")(assess_recognition)
    assess.command("recognitions")(list_recognitions)
    assess.command("matrix")(show_levels)
    consents.register_assessments(assess)
    observations.register_assessments(assess)
    app.add_typer(assess, name="assess")


# --- how far it has come, what it values -----------------------------------------------------------------------------

Step = Literal["attention", "needs", "project_data", "evaluation", "pilot", "roadmap", "annual_licence"]
_STEPS: Mapping[Step, str] = {
    "attention": "attention_given",
    "needs": "needs_shared",
    "project_data": "project_data_shared",
    "evaluation": "evaluation_effort",
    "pilot": "pilot_purchased",
    "roadmap": "roadmap_shared",
    "annual_licence": "annual_license_signed",
}


def assess_commitment(
    ctx: typer.Context,
    account: Account,
    step: Annotated[Step, typer.Argument(help="The rung that this proves.")],
    *,
    seats: Annotated[int | None, typer.Option(help="Of a pilot: how many seats.")] = None,
    months: Annotated[int | None, typer.Option(help="Of a pilot or a licence: for how many months.")] = None,
    mutual_nda: Annotated[
        bool | None, typer.Option("--mutual-nda/--no-mutual-nda", help="Of a roadmap: whether the NDA binds both.")
    ] = None,
    until: Until = "",
    on: On = "",
    note: Note = "",
    event_id: EventId = "",
    as_json: AsJson = False,
) -> None:
    """Record a step up the commitment ladder: rungs 1 to 7, for prospects and customers alike."""
    attributes = {"seats": seats, "months": months, "mutual_nda": mutual_nda, "note": note}
    record_event(
        ctx, _STEPS[step], account, attributes,
        columns={"valid_to": until}, on=on, event_id=event_id, as_json=as_json,
    )  # fmt: skip


def assess_offer(
    ctx: typer.Context,
    account: Account,
    *,
    basis: Annotated[
        Literal["hope", "price", "features", "value_added", "tco"], typer.Option(help="Why the customer buys from us.")
    ],
    pays_premium: Annotated[bool, typer.Option("--pays-premium", help="Pays more for the extra services.")] = False,
    calls_first: Annotated[bool, typer.Option("--calls-first", help="Always calls us first ...")] = False,
    last_chance: Annotated[
        bool, typer.Option("--last-chance", help="... and gives us the last chance to bid.")
    ] = False,
    level: Annotated[int | None, typer.Option(help="0 to 4, checked against what is ticked; may be left out.")] = None,
    rated_by: RatedBy = "",
    on: On = "",
    note: Note = "",
    event_id: EventId = "",
    as_json: AsJson = False,
) -> None:
    """Rate how much a customer values the offer: 0 hope, 1 price, 2 features, 3 value added, 4 total cost of ownership.

    The level follows from what is ticked. 3 and 4 take their basis and a signal: a premium, or the first call and the
    last chance to bid.
    """
    attributes = {
        "basis": basis,
        "pays_premium": pays_premium or None,
        "calls_first": calls_first or None,
        "last_chance": last_chance or None,
        "level": level,
        "rated_by": rated_by,
        "note": note,
    }

    def explain(services: Services, _account: str) -> None:
        from app.domain.relationship_events import level_of, read_offer_rating

        given = {name: value for name, value in attributes.items() if value not in (None, "")}
        rules = services.mapping.policy.relationship
        reached = level_of(read_offer_rating(given, rules), rules)
        wanted = _MEANT.get(basis, reached)
        if reached < wanted:
            signal = "a signal: --pays-premium, or --calls-first together with --last-chance"
            tell(f"recorded as level {reached}: {wanted} takes {signal}")

    record_event(
        ctx, "offer_rating", account, attributes,
        on=on, event_id=event_id, as_json=as_json, settle=_check_offer, after=explain,
    )  # fmt: skip


_MEANT: Mapping[str, int] = {"value_added": 3, "tco": 4}
"""The level that somebody who names this basis has in mind."""


def _check_offer(attributes: dict[str, object], policy: Policy) -> dict[str, object]:
    """The level has done its service when it was checked: which one follows from the ticks is policy."""
    from app.domain.relationship_events import read_offer_rating

    read_offer_rating(attributes, policy.relationship)
    return {name: value for name, value in attributes.items() if name != "level"}


def assess_person(
    ctx: typer.Context,
    account: Account,
    *,
    rep: Annotated[str, typer.Option(help="Whom the customer deals with: a user id of the CRM, or a name.")],
    ticks: Annotated[
        list[str] | None, typer.Option("--tick", metavar="TICK", help="What is so in the customer's eyes. Repeatable.")
    ] = None,
    level: Annotated[int | None, typer.Option(help="0 to 4; default: the highest that is fully ticked.")] = None,
    rated_by: RatedBy = "",
    on: On = "",
    note: Note = "",
    event_id: EventId = "",
    as_json: AsJson = False,
) -> None:
    """Rate how much a customer values one of our people: 0 visitor, 1 messenger, 2 asset, 3 consultant, 4 resource.

    4 takes executive_credibility, innovative_solutions and proven_financial_impact; 3 understands_business; 2
    product_knowledge and keeps_up_to_date; 1 passes_prices.
    """
    ticked: dict[str, object] = dict.fromkeys(ticks or (), True)
    attributes = {"rep": rep, "level": level, "rated_by": rated_by, "note": note, **ticked}
    record_event(ctx, "personal_rating", account, attributes, on=on, event_id=event_id, as_json=as_json)


def assess_recognition(
    ctx: typer.Context,
    account: Account,
    *,
    rep: Annotated[str, typer.Option(help="Who was given it.")] = "",
    item: Annotated[str, typer.Option(help="What it was.")] = "bobble-head",
    on: On = "",
    note: Note = "",
    event_id: EventId = "",
    as_json: AsJson = False,
) -> None:
    """Record a token of esteem, such as a bobble-head of your own."""
    attributes = {"item": item, "rep": rep, "note": note}
    record_event(ctx, "recognition_received", account, attributes, on=on, event_id=event_id, as_json=as_json)


# --- what was recorded -----------------------------------------------------------------------------------------------


def list_recorded(ctx: typer.Context, account: Account, as_of: AsOf = None, as_json: AsJson = False) -> None:
    """List what was recorded about a customer, with its age, and where it stands on both scales."""
    from app.sync.answers import find_account
    from app.sync.assessments import list_assessments

    with open_services(ctx) as services:
        found = find_account(services, account)
        history = list_assessments(services, found.id, as_of=read_date(as_of))
    if as_json:
        say_json(history.as_json())
        return
    _say_history(history)


def _say_history(history: AssessmentHistory) -> None:
    shown = history.as_json()
    say(f"{history.account_name or history.account}  ({history.account})")
    say(f"offer: {_scale(shown['offer'])}")
    for one in shown["personal"]["by_rep"]:
        say(f"{one['rep']}: {_scale(one)}")
    if history.place is not None:
        say(history.place.talking_point)
    if not history.assessments:
        tell("nothing was recorded yet; begin with: advocacy assess --help")
        return
    say()
    rows = [
        (one.event.occurred_on, one.event.type, one.says, f"{one.age_days} days", _standing(one.counts, one.is_stale))
        for one in history.assessments
    ]
    say_table(("date", "type", "says", "age", "counts"), rows, right=("age",))


def list_recognitions(ctx: typer.Context, as_of: AsOf = None, as_json: AsJson = False) -> None:
    """Count the customers that gave each of our people a token of esteem, each customer once."""
    from app.sync.relationships import count_clients

    with open_services(ctx) as services:
        shown = count_clients(services, as_of=read_date(as_of)).as_json()
    if as_json:
        say_json(shown)
    elif not shown["received"]:
        tell("nobody received any yet; record one with: advocacy assess recognition")
    else:
        say_table(("rep", "customers"), [(one["rep"], one["clients"]) for one in shown["reps"]], right=("customers",))
        tell(f"{shown['received']} received in all, up to {shown['as_of']}")


def show_levels(
    ctx: typer.Context,
    offer: Annotated[int | None, typer.Option(min=0, max=4, help="Name the customers of one cell: its row ...")] = None,
    person: Annotated[int | None, typer.Option(min=0, max=4, help="... and its column.")] = None,
    rep: Annotated[str | None, typer.Option(metavar="ID", help="Only customers of this owner in the CRM.")] = None,
    as_json: AsJson = False,
) -> None:
    """Count customers by what our offer (rows) and our people (columns) are worth to them, as of the last run."""
    from app.sync.relationships import show_matrix

    if (offer is None) != (person is None):
        raise ConfigError("a cell has a row and a column", hint="give both --offer and --person, or neither")
    cell = None if offer is None or person is None else (offer, person)
    with open_services(ctx) as services:
        view = show_matrix(services, cell, rep=rep)
    if as_json:
        say_json(view.as_json())
        return
    _say_matrix(view)


def _say_matrix(view: MatrixView) -> None:
    shown = view.as_json()
    people = [f"{number} {title}" for number, title in enumerate(shown["personal_levels"])]
    rows = [
        (f"{number} {shown['offer_levels'][number]}", *shown["matrix"][number], shown["only_offer"][number])
        for number in reversed(range(len(shown["offer_levels"])))
    ]
    rows.append(("not rated", *shown["only_personal"], ""))
    say_table(("offer", *people, "not rated"), rows, right=(*people, "not rated"))
    if view.cell is not None:
        say()
        say(view.talking_point)
        say_table(("customer", "id", "rep"), [(one.name, one.id, one.rep) for one in view.accounts])
    if view.computed is not None:
        tell(f"{view.computed}")


def _scale(shown: Mapping[str, Any]) -> str:
    if shown["level"] is None:
        return "not rated" + (f" since {shown['rated_on']}; rate it again" if shown["rated_on"] else " yet")
    levels = ["-" if point["level"] is None else str(point["level"]) for point in shown["history"]]
    trend = f" (so far: {' > '.join(levels)})" if len(levels) > 1 else ""
    stale = "; stale, rate it again" if shown["is_stale"] else ""
    return f"{shown['level']} {shown['title']}, rated {shown['rated_on']}{trend}{stale}"


def _standing(counts: bool | None, is_stale: bool | None) -> str:
    if counts is None:
        return "stale, ask again" if is_stale else ""
    return "replaced or too old" if not counts else "yes, stale" if is_stale else "yes"
