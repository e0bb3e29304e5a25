"""`runs`: what past runs did, and what can still be done about them."""

from __future__ import annotations

import getpass
from typing import Annotated, Any

import typer

from app.cli.changes import diff_runs
from app.cli.invocation import LAST_NUMBER, MOST, AsJson, open_services
from app.cli.output import count, plain, say, say_json, say_table, show_progress
from app.cli.sync import EXIT_BY_STATUS, say_plan, say_report

RunId = Annotated[int, typer.Argument(min=1, max=LAST_NUMBER, metavar="RUN", help="The number of a run.")]


def register(app: typer.Typer) -> None:
    runs = typer.Typer(help="Past runs.", no_args_is_help=True)
    runs.command("list")(list_past)
    runs.command("show")(show_past)
    runs.command("diff")(diff_runs)
    runs.command("approve")(approve)
    runs.command("undo")(undo)
    runs.command("retry")(retry)
    app.add_typer(runs, name="runs")


def list_past(
    ctx: typer.Context,
    top: Annotated[int, typer.Option(min=1, max=MOST, help="How many, newest first.")] = 20,
    as_json: AsJson = False,
) -> None:
    """List runs, newest first."""
    from app.sync.answers import list_runs

    with open_services(ctx) as services:
        runs: Any = plain(list_runs(services, top))
    if as_json:
        say_json(runs)
        return
    columns = ("run_id", "status", "trigger", "started_at", "finished_at")
    say_table(columns, [[run.get(name) for name in columns] for run in runs], right=("run_id",))


def show_past(ctx: typer.Context, run: RunId, as_json: AsJson = False) -> None:
    """Show what one run did, or would have done."""
    from app.sync.answers import show_run

    with open_services(ctx) as services:
        report = show_run(services, run)
    if as_json:
        say_json(report.as_json())
        return
    say_report(report)
    if report.status == "held":
        say_plan(report)


def approve(
    ctx: typer.Context,
    run: RunId,
    who: Annotated[str, typer.Option(help="Who approves; default: the user logged in here.")] = "",
) -> None:
    """Release a run that a safety limit held. The next sync writes exactly that plan, if it still holds."""
    from app.sync.answers import approve_run

    with open_services(ctx) as services:
        approve_run(services, run, who or getpass.getuser())
    say(f"run {run} approved; write it with: advocacy sync")


def undo(
    ctx: typer.Context,
    run: RunId,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would be restored.")] = False,
    as_json: AsJson = False,
) -> None:
    """Restore what a run overwrote, wherever the CRM still shows our value."""
    from app.sync.answers import undo_run

    with open_services(ctx, crm=True) as services, show_progress() as progress:
        report = undo_run(services, run, send=not dry_run, progress=progress)
    if as_json:
        say_json(report.as_json())
    else:
        say_plan(report) if dry_run else say_report(report)
    raise typer.Exit(EXIT_BY_STATUS[report.status])


def retry(ctx: typer.Context, run: RunId, as_json: AsJson = False) -> None:
    """Mark what the CRM refused in a run, so that the next sync sends it again."""
    from app.sync.answers import retry_run

    with open_services(ctx) as services:
        marked = retry_run(services, run)
    say_json({"marked": marked}) if as_json else say(f"{count(marked, 'account')} marked for the next sync")
