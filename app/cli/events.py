"""`events`: take advocacy events in, list them, give them out again."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from app.cli.event_types import list_types
from app.cli.invocation import MOST, AsJson, open_services
from app.cli.output import count, say, say_json, say_table, tell
from app.errors import AppError, ConfigError

if TYPE_CHECKING:
    from app.bootstrap import Services
    from app.intake.event_fields import Reader
    from app.intake.event_files import FileRow
    from app.intake.import_events import ImportReport
    from app.store.events import Conflict, StoredEvent

EXIT_REJECTED = 3
SHOWN_REJECTIONS = 20


def register(app: typer.Typer) -> None:
    events = typer.Typer(help="Advocacy events: what customers did for us.", no_args_is_help=True)
    events.command("add")(add_event)
    events.command("import")(import_file)
    events.command("list")(list_stored)
    events.command("verify")(verify)
    events.command("reject")(reject)
    events.command("expire")(expire)
    events.command("export")(export_events)
    events.command("types")(list_types)
    app.add_typer(events, name="events")


def import_file(
    ctx: typer.Context,
    file: Annotated[Path, typer.Argument(help="CSV or JSON Lines; - reads from standard input.")],
    source: Annotated[str | None, typer.Option(help="source_system of rows that name none.")] = None,
    file_format: Annotated[
        Literal["csv", "jsonl"] | None, typer.Option("--format", help="Default: by the file's name, then its content.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Import events from a file. Safe to repeat: an event that is known already changes nothing but its status.

    A known event that comes with another status moves on to it: from claimed to verified, from there to rejected or
    expired, never back. Back leads `advocacy events verify`.

    Columns: source_system, source_event_id, type, occurred_on or occurred_at, account, contact, opportunity,
    referred_account, referred_contact, referred_domain, status, share_percent, weight, reference_share, amount,
    currency, valid_from, valid_to, polarity, title, url, attributes. Rows that cannot be taken are listed with their
    line, all others are imported (exit code 3).
    """
    from app.intake.import_events import import_events

    with open_services(ctx) as services:
        rows = _read_rows(file, services.event_reader(source), file_format)
        report = import_events(services.database, rows, now=services.now(), policy=services.mapping.policy)
    _tell_import(report, as_json=as_json)
    if not report.is_clean:
        raise typer.Exit(EXIT_REJECTED)


def _read_rows(file: Path, reader: Reader, file_format: Literal["csv", "jsonl"] | None) -> Iterator[FileRow]:
    from app.intake.event_files import guess_format, read_event_file, read_event_text

    if str(file) != "-":
        return read_event_file(file, reader, file_format)
    content = sys.stdin.buffer.read()
    return read_event_text(content, reader, file_format or guess_format("-", content))


def _tell_import(report: ImportReport, *, as_json: bool) -> None:
    if as_json:
        say_json(report)
        return
    moved_on = f", {report.moved_on:,} with a new status" if report.moved_on else ""
    say(f"{report.added:,} added, {report.duplicate:,} known already, {len(report.rejected):,} rejected{moved_on}")
    for row in report.rejected[:SHOWN_REJECTIONS]:
        tell(f"line {row.line}: {row.reason}")
    if len(report.rejected) > SHOWN_REJECTIONS:
        tell(f"... and {len(report.rejected) - SHOWN_REJECTIONS:,} more; --json lists them all")
    for conflict in report.conflicts[:SHOWN_REJECTIONS]:
        tell(f"{conflict.source_system} {conflict.source_event_id}: {_say_conflict(conflict)}")


def _say_conflict(conflict: Conflict) -> str:
    if conflict.differing == ("status",):
        return "would take a status back, which only a person may: advocacy events verify, reject or expire"
    return f"known with another {', '.join(conflict.differing)}; the first one stands"


def add_event(
    ctx: typer.Context,
    event_type: Annotated[str, typer.Argument(metavar="TYPE", help="Such as referral or reference_call.")],
    *,
    account: Annotated[str, typer.Option(help="Who did it: an account id.")] = "",
    occurred_on: Annotated[str, typer.Option("--on", metavar="DATE", help="Default: today.")] = "",
    opportunity: Annotated[str, typer.Option(help="The opportunity it is about.")] = "",
    referred_account: Annotated[str, typer.Option(help="The account that was referred.")] = "",
    referred_contact: Annotated[str, typer.Option(help="The contact that was referred.")] = "",
    referred_domain: Annotated[str, typer.Option(help="The domain of the company that was referred.")] = "",
    share_percent: Annotated[str, typer.Option(help="Explicit share of the opportunity.")] = "",
    title: Annotated[str, typer.Option(help="A line for people.")] = "",
    source_event_id: Annotated[str, typer.Option("--id", help="Makes repeating this command safe.")] = "",
    fields: Annotated[
        list[str] | None, typer.Option("--field", metavar="COLUMN=VALUE", help="Any other column. Repeatable.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Add one event by hand."""
    from uuid import uuid4

    from app.cli.invocation import read_assignments
    from app.intake.event_fields import RejectedEventError, read_event
    from app.store.events import save_events

    with open_services(ctx) as services:
        raw: dict[str, Any] = {
            "source_event_id": source_event_id or uuid4().hex,
            "type": event_type,
            "account": account,
            "occurred_on": occurred_on or services.today.isoformat(),
            "opportunity": opportunity,
            "referred_account": referred_account,
            "referred_contact": referred_contact,
            "referred_domain": referred_domain,
            "share_percent": share_percent,
            "title": title,
        } | read_assignments(fields or [])
        try:
            event = read_event(raw, services.event_reader("cli"))
        except RejectedEventError as error:
            raise ConfigError("\n".join(str(problem) for problem in error.problems)) from None
        report = save_events(services.database, [event], now=services.now(), policy=services.mapping.policy)
    if report.conflicts:
        raise AppError(f"event {event.source_event_id}: {_say_conflict(report.conflicts[0])}")
    result = {"source_system": event.source_system, "source_event_id": event.source_event_id, "added": report.added}
    say_json(result) if as_json else say(f"{'added' if report.added else 'known already'}: {event.source_event_id}")


def list_stored(
    ctx: typer.Context,
    account: Annotated[str | None, typer.Option(help="Only of or about this account.")] = None,
    event_type: Annotated[str | None, typer.Option("--type", help="Only of this type.")] = None,
    status: Annotated[
        Literal["claimed", "verified", "rejected", "expired"] | None, typer.Option(help="Only with this status.")
    ] = None,
    top: Annotated[int, typer.Option(min=1, max=MOST, help="How many, newest first.")] = 50,
    as_json: AsJson = False,
) -> None:
    """List events, newest first."""
    from app.sync.recorded import list_recorded

    with open_services(ctx) as services:
        events = list_recorded(services, account=account or None, event_type=event_type, status=status, limit=top)
    if as_json:
        say_json([show_event(stored) for stored in events])
        return
    columns = ("date", "type", "account", "about", "status", "title", "id")
    say_table(columns, [_to_cells(stored) for stored in events])
    if not events:
        tell("no events yet; import some with: advocacy events import FILE")


def _to_cells(stored: StoredEvent) -> tuple[object, ...]:
    event = stored.event
    about = event.opportunity or event.referred_account or event.referred_contact or event.referred_domain
    return (event.occurred_on, event.type, event.account, about, event.status, event.title, stored.event_id)


EventIds = Annotated[
    list[str], typer.Argument(metavar="ID...", help="As in `advocacy events list`, or the source's own id.")
]
Reason = Annotated[str | None, typer.Option(help="Why; `advocacy why` shows it.")]
Who = Annotated[str, typer.Option(help="Who decides; default: the user logged in here.")]


def verify(ctx: typer.Context, ids: EventIds, reason: Reason = None, who: Who = "", as_json: AsJson = False) -> None:
    """Let events count: a claimed referral earns from the next run on."""
    _decide(ctx, ids, "verified", reason, who, as_json=as_json)


def reject(ctx: typer.Context, ids: EventIds, reason: Reason = None, who: Who = "", as_json: AsJson = False) -> None:
    """Let events count for nothing. What they earned goes with the next run, and stays in the history."""
    _decide(ctx, ids, "rejected", reason, who, as_json=as_json)


def expire(ctx: typer.Context, ids: EventIds, reason: Reason = None, who: Who = "", as_json: AsJson = False) -> None:
    """Let events count for nothing any more, because their time is over."""
    _decide(ctx, ids, "expired", reason, who, as_json=as_json)


def _decide(ctx: typer.Context, names: list[str], status: str, reason: str | None, who: str, *, as_json: bool) -> None:
    import getpass

    from app.domain.model import ReferralStatus
    from app.intake.event_fields import read_reason
    from app.store.statuses import decide_statuses

    try:
        why = read_reason(reason)
        decider = read_reason(who) or getpass.getuser()
    except ValueError as error:
        raise ConfigError(f"the reason or the name {error}") from None
    with open_services(ctx) as services:
        ids = [_find_event(services, name) for name in names]
        changes = decide_statuses(
            services.database, ids, ReferralStatus(status), who=decider, now=services.now(), reason=why
        )
    if as_json:
        say_json(changes)
        return
    was = {change.event_id: change.was for change in changes}
    for event_id in dict.fromkeys(ids):
        say(f"{event_id}: {was[event_id]} -> {status}" if event_id in was else f"{event_id}: {status} already")
    if changes:
        tell("the next run counts it: advocacy sync")


def _find_event(services: Services, name: str) -> str:
    from app.store.statuses import find_event_ids

    found = find_event_ids(services.database, name)
    if not found:
        raise ConfigError(f"no event has the id {name}", hint="list them with: advocacy events list")
    if len(found) > 1:
        raise ConfigError(f"more than one source has an event {name}", hint=f"name one of: {', '.join(found)}")
    return found[0]


def show_event(stored: StoredEvent) -> dict[str, Any]:
    """The event under its column names, as an import would take it again; absent values are left out."""
    from app.intake.event_fields import COLUMNS

    values = {name: getattr(stored.event, name) for name in COLUMNS}
    return {name: value for name, value in values.items() if value not in (None, "", {})}


def export_events(
    ctx: typer.Context,
    out: Annotated[Path | None, typer.Option("--out", help="A file; default: standard output.")] = None,
    file_format: Annotated[Literal["csv", "jsonl"], typer.Option("--format")] = "jsonl",
) -> None:
    """Write every event, in a form that `events import` takes."""
    from app.store.events import stream_events

    with open_services(ctx) as services:
        events = stream_events(services.database)
        if out is None:
            written = _write_events(sys.stdout, events, file_format)
        else:
            with out.open("w", encoding="utf-8", newline="") as stream:
                written = _write_events(stream, events, file_format)
    tell(f"{count(written, 'event')} written")


def _write_events(stream: Any, events: Iterator[StoredEvent], file_format: str) -> int:
    from app.cli.output import plain
    from app.intake.event_fields import COLUMNS

    writer = csv.DictWriter(stream, COLUMNS) if file_format == "csv" else None
    if writer:
        writer.writeheader()
    written = 0
    for stored in events:
        values: Any = plain(show_event(stored))
        if writer:
            if "attributes" in values:
                values["attributes"] = json.dumps(values["attributes"], ensure_ascii=False)
            writer.writerow(values)
        else:
            stream.write(json.dumps(values, ensure_ascii=False) + "\n")
        written += 1
    return written
