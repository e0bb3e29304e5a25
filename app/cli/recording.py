"""Recording one advocacy event by hand: what the commands of `assess` share."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Annotated, Any

import typer

from app.cli.invocation import open_services
from app.cli.output import say, say_json
from app.errors import ConfigError

if TYPE_CHECKING:
    from app.bootstrap import Services
    from app.domain.model import Policy

Account = Annotated[str, typer.Argument(help="Id, name, or a part of the name that only one account has.")]
On = Annotated[
    str,
    typer.Option(
        "--on", metavar="DATE", help="The day it happened, or the instant: 2026-03-31T14:05:00Z; default: today."
    ),
]
Note = Annotated[str, typer.Option(help="A line for people.")]
RatedBy = Annotated[str, typer.Option("--by", help="Whose rating it is; each rater's latest one counts.")]
Contact = Annotated[str, typer.Option(help="The person: a contact id.")]
Until = Annotated[str, typer.Option(metavar="DATE", help="The first day on which it no longer holds.")]
EventId = Annotated[str, typer.Option("--id", help="An identity of your own; default: from the content and the day.")]
Columns = Mapping[str, Any]


def record_event(
    ctx: typer.Context,
    event_type: str,
    account: str,
    attributes: Mapping[str, object],
    *,
    columns: Columns | None = None,
    on: str = "",
    event_id: str = "",
    as_json: bool = False,
    settle: Callable[[dict[str, object], Policy], dict[str, object]] | None = None,
    after: Callable[[Services, str], None] | None = None,
) -> None:
    """Store one event, and say so. What is empty or None counts as not given.

    `settle`: what to store of the attributes under the policy in force; raises ValueError with what is wrong.
    `after`: called with the account's id when the event is stored.
    """
    from app.intake.assessments import record
    from app.intake.event_fields import RejectedEventError
    from app.sync.answers import find_account
    from app.sync.assessments import describe_recorded

    with open_services(ctx) as services:
        found = find_account(services, account)
        given = {name: value for name, value in attributes.items() if value not in ("", None, [])}
        raw: dict[str, Any] = {
            **{name: value for name, value in (columns or {}).items() if value not in ("", None)},
            "type": event_type,
            "account": found.id,
        }
        if on:
            raw["occurred_at" if "T" in on else "occurred_on"] = on
        try:
            raw["attributes"] = settle(given, services.mapping.policy) if settle else given
            recorded = record(
                services.database,
                raw,
                services.event_reader(),
                today=services.today,
                now=services.now(),
                policy=services.mapping.policy,
                event_id=event_id or None,
            )
        except RejectedEventError as error:
            raise ConfigError("\n".join(str(problem) for problem in error.problems)) from None
        except ValueError as error:
            raise ConfigError(str(error)) from None
        says = describe_recorded(services, recorded.event)
        if after is not None:
            after(services, found.id)
    if as_json:
        event = recorded.event
        say_json(
            {
                "account": found.id,
                "type": event_type,
                "source_system": event.source_system,
                "source_event_id": event.source_event_id,
                "occurred_on": event.occurred_on,
                "added": recorded.is_new,
                "says": says,
            }
        )
        return
    say(f"{'recorded' if recorded.is_new else 'known already'}: {found.name or found.id}: {says}")
