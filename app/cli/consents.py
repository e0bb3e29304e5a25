"""`permissions`, and the part of `assess` about them: what a customer lets us do with its name."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Literal, get_args

import typer

from app.cli.accounts import AsOf, read_date
from app.cli.invocation import AsJson, open_services
from app.cli.output import say, say_json, say_table, tell
from app.cli.recording import Account, Contact, EventId, Note, On, Until, record_event
from app.errors import HeldError

if TYPE_CHECKING:
    from app.bootstrap import Services

ScopeName = Literal[
    "basic",
    "nda_only",
    "linkedin",
    "web_release",
    "press_release",
    "other_public_document",
    "joint_press_release",
    "logo",
    "8a",
    "8b",
    "8c",
    "8d",
    "8e",
    "8f",
    "8g",
    "8h",
]
Scopes = Annotated[
    list[str],
    typer.Option(
        "--scope",
        metavar="SCOPE",
        help=f"What it is for: {', '.join(get_args(ScopeName)[:8])}; or 8a to 8h. Repeatable.",
    ),
]
OneAccount = Annotated[str | None, typer.Argument(help="Only of this account; default: of all.")]


def register(app: typer.Typer) -> None:
    permissions = typer.Typer(help="What customers let us do with their names.", no_args_is_help=True)
    permissions.command("list")(list_held)
    permissions.command("promised")(list_promises)
    permissions.command("check")(check_use)
    app.add_typer(permissions, name="permissions")


def register_assessments(assess: typer.Typer) -> None:
    assess.command("permission")(assess_permission)
    assess.command("revoke")(assess_revocation)
    assess.command("promise")(assess_promise)
    assess.command("use")(assess_use)
    assess.command("left")(assess_departure)


def _codes(scopes: Sequence[str] | None) -> list[str]:
    """`8h` is the logo."""
    from app.domain.reference_scopes import BY_SUB_LEVEL

    return [BY_SUB_LEVEL[scope].value if scope in BY_SUB_LEVEL else scope for scope in scopes or ()]


def assess_permission(
    ctx: typer.Context,
    account: Account,
    *,
    scopes: Scopes,
    granted_by: Annotated[str, typer.Option(help="Who gave it.")] = "",
    contact: Contact = "",
    document: Annotated[str, typer.Option(help="Where it is written down: an address, or some words.")] = "",
    start: Annotated[
        str, typer.Option("--from", metavar="DATE", help="Its first day; default: the day it was given.")
    ] = "",
    until: Until = "",
    on: On = "",
    note: Note = "",
    event_id: EventId = "",
    as_json: AsJson = False,
) -> None:
    """Record a consent. The latest one of a person for a scope counts."""
    attributes = {"scopes": _codes(scopes), "granted_by": granted_by, "document": document, "note": note}
    columns = {"contact": contact, "valid_from": start, "valid_to": until}
    record_event(
        ctx, "permission_granted", account, attributes, columns=columns, on=on, event_id=event_id, as_json=as_json
    )


def assess_revocation(
    ctx: typer.Context,
    account: Account,
    *,
    scopes: Annotated[
        list[str] | None,
        typer.Option("--scope", metavar="SCOPE", help="What is taken back; default: everything. Repeatable."),
    ] = None,
    contact: Contact = "",
    start: Annotated[
        str, typer.Option("--from", metavar="DATE", help="The first day without it; default: that day.")
    ] = "",
    on: On = "",
    note: Note = "",
    event_id: EventId = "",
    as_json: AsJson = False,
) -> None:
    """Record that consents were taken back: a person's, or without a contact all of the account's."""
    attributes = {"scopes": _codes(scopes), "note": note}
    columns = {"contact": contact, "valid_from": start}
    record_event(
        ctx, "permission_revoked", account, attributes, columns=columns, on=on, event_id=event_id, as_json=as_json
    )


def assess_promise(
    ctx: typer.Context,
    account: Account,
    *,
    scopes: Scopes,
    opportunity: Annotated[str, typer.Option(help="The deal in which it was promised: an opportunity id.")],
    due_on: Annotated[str, typer.Option("--due", metavar="DATE", help="Default: the policy's number of days.")] = "",
    on: On = "",
    note: Note = "",
    event_id: EventId = "",
    as_json: AsJson = False,
) -> None:
    """Record a permission that was promised in a deal, as a term like the price."""
    from app.sync.consents import doubt_deal

    def warn(services: Services, account_id: str) -> None:
        if doubt := doubt_deal(services, opportunity, account_id):
            tell(f"recorded all the same: {doubt}")

    attributes = {"scopes": _codes(scopes), "due_on": due_on, "note": note}
    record_event(
        ctx, "permission_promised", account, attributes,
        columns={"opportunity": opportunity}, on=on, event_id=event_id, as_json=as_json, after=warn,
    )  # fmt: skip


def assess_use(
    ctx: typer.Context,
    account: Account,
    *,
    scope: Annotated[ScopeName, typer.Option(help="What it was, 8a to 8h in that order.")],
    where: Annotated[str, typer.Option(help="The page, the slide, the call.")] = "",
    contact: Contact = "",
    opportunity: Annotated[str, typer.Option(help="The deal it helped: an opportunity id.")] = "",
    on: On = "",
    note: Note = "",
    event_id: EventId = "",
    as_json: AsJson = False,
) -> None:
    """Log a use of a customer's name. Where no consent covers it, it is logged all the same, and you are told."""
    from app.domain.reference_scopes import ReferenceScope
    from app.sync.consents import check_permission, doubt_deal

    (code,) = _codes([scope])

    def warn(services: Services, account_id: str) -> None:
        day = read_date(on or None)
        verdict = check_permission(services, account_id, ReferenceScope(code), on=day, contact=contact or None)
        if not verdict.is_allowed:
            tell(f"no consent covers this use: {verdict.reason}")
        if opportunity and (doubt := doubt_deal(services, opportunity)):
            tell(f"recorded all the same: {doubt}")

    attributes = {"scopes": [code], "where": where, "note": note}
    columns = {"contact": contact, "opportunity": opportunity}
    record_event(
        ctx, "permission_used", account, attributes,
        columns=columns, on=on, event_id=event_id, as_json=as_json, after=warn,
    )  # fmt: skip


def assess_departure(
    ctx: typer.Context,
    account: Account,
    *,
    contact: Annotated[str, typer.Option(help="Who left: a contact id.")],
    on: On = "",
    note: Note = "",
    event_id: EventId = "",
    as_json: AsJson = False,
) -> None:
    """Record that a person has left: what it allowed for itself (8a to 8d) ends."""
    record_event(
        ctx, "contact_left", account, {"note": note},
        columns={"contact": contact}, on=on, event_id=event_id, as_json=as_json,
    )  # fmt: skip


def list_held(
    ctx: typer.Context,
    account: OneAccount = None,
    *,
    scope: Annotated[ScopeName | None, typer.Option(help="Only for this use.")] = None,
    include_ended: Annotated[
        bool, typer.Option("--all", help="Also consents that have ended, or begin later.")
    ] = False,
    as_of: AsOf = None,
    as_json: AsJson = False,
) -> None:
    """List consents: for what, by whom, until when."""
    from app.domain.reference_scopes import ReferenceScope
    from app.sync.answers import find_account
    from app.sync.consents import list_consents

    wanted = ReferenceScope(_codes([scope])[0]) if scope else None
    with open_services(ctx) as services:
        id_ = find_account(services, account).id if account else None
        views = list_consents(services, id_, scope=wanted, include_ended=include_ended, as_of=read_date(as_of))
    shown = [view.as_json() for view in sorted(views, key=lambda view: view.account_name.casefold())]
    if as_json:
        say_json(shown)
        return
    columns = ("account", "level", "scope", "granted by", "contact", "since", "until", "document", "")
    say_table(
        columns,
        [
            (
                one["account_name"] or one["account"],
                one["level"],
                one["scope"],
                one["granted_by"],
                one["contact"],
                one["since"],
                one["until"],
                one["document"],
                "" if one["holds"] else one["ending"] or "not yet",
            )
            for one in shown
        ],
    )
    if not shown:
        tell("no consent holds; record one with: advocacy assess permission ACCOUNT --scope basic")


def list_promises(ctx: typer.Context, account: OneAccount = None, as_of: AsOf = None, as_json: AsJson = False) -> None:
    """List what was promised in deals against what was delivered: overdue first."""
    from app.sync.answers import find_account
    from app.sync.consents import list_promised

    with open_services(ctx) as services:
        id_ = find_account(services, account).id if account else None
        shown = [view.as_json() for view in list_promised(services, id_, read_date(as_of))]
    if as_json:
        say_json(shown)
        return
    columns = ("state", "due", "account", "level", "scope", "deal", "promised", "granted", "delivered")
    say_table(
        columns,
        [
            (
                one["state"],
                one["due_on"],
                one["account_name"] or one["account"],
                one["level"],
                one["scope"],
                one["opportunity_name"] or one["opportunity"],
                one["promised_on"],
                one["granted_on"],
                one["delivered_on"],
            )
            for one in shown
        ],
    )
    if not shown:
        tell("nothing was promised; record it with: advocacy assess promise ACCOUNT --scope logo --opportunity ID")


def check_use(
    ctx: typer.Context,
    account: Account,
    scope: Annotated[ScopeName, typer.Argument(help="What it is for, 8a to 8h in that order.")],
    *,
    contact: Contact = "",
    on: Annotated[str, typer.Option("--on", metavar="DATE", help="Default: today.")] = "",
    as_json: AsJson = False,
) -> None:
    """Ask before a use: exit code 0 when a consent covers it, 4 when none does."""
    from app.domain.reference_scopes import ReferenceScope
    from app.sync.answers import find_account
    from app.sync.consents import check_permission

    with open_services(ctx) as services:
        found = find_account(services, account)
        code = ReferenceScope(_codes([scope])[0])
        verdict = check_permission(services, found.id, code, on=read_date(on or None), contact=contact or None)
    if as_json:
        say_json({"account": found.id, "scope": code, "is_allowed": verdict.is_allowed, "reason": verdict.reason})
    elif verdict.is_allowed:
        say(f"{found.name or found.id}: {verdict.reason}")
    if not verdict.is_allowed:
        raise HeldError(
            f"{found.name or found.id} may not be used: {verdict.reason}", hint="ask for the permission first"
        )
