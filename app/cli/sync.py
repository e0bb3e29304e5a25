"""`plan`, `apply`, `sync`: the job itself, as far as writing or only up to it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from app.cli.invocation import AsJson, PolicyOption, open_services
from app.cli.output import count, money, one_line, say, say_json, say_table, show_progress, tell
from app.errors import AppError, ConfigError

if TYPE_CHECKING:
    from app.sync.run import PlannedUpdate, RunReport

EXIT_BY_STATUS = {"ok": 0, "failed": 1, "partial": 3, "held": 4}
EXIT_CHANGES = 10
SHOWN_UPDATES = 20
SHOWN_FIELDS = 4


def register(app: typer.Typer) -> None:
    app.command("plan")(plan_updates)
    app.command("apply")(apply_plan)
    app.command("sync")(sync)


def sync(
    ctx: typer.Context,
    full: Annotated[bool, typer.Option("--full", help="Read everything again, not only what changed.")] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Stop before anything is written; the same as plan.")
    ] = False,
    policy: PolicyOption = None,
    as_json: AsJson = False,
) -> None:
    """Read, value, and write back what changed."""
    from app.sync.run import run_sync

    with open_services(ctx, policy=policy, crm=True) as services, show_progress() as progress:
        report = run_sync(services, full=full, send=not dry_run, trigger="cli", progress=progress)
    say_json(report.as_json()) if as_json else say_report(report)
    raise typer.Exit(EXIT_BY_STATUS[report.status])


def plan_updates(
    ctx: typer.Context,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="FILE", help="Keep the plan, for `advocacy apply FILE`.")
    ] = None,
    exit_code: Annotated[bool, typer.Option("--exit-code", help="Exit with 10 when there are changes.")] = False,
    policy: PolicyOption = None,
    as_json: AsJson = False,
) -> None:
    """Show what a sync would write, and write nothing."""
    from app.sync.run import run_sync

    with open_services(ctx, policy=policy, crm=True) as services, show_progress() as progress:
        report = run_sync(services, send=False, trigger="cli", progress=progress)
    if out is not None:
        out.write_text(json.dumps(report.as_json(), ensure_ascii=False, indent=2) + "\n", "utf-8")
        tell(f"plan written to {out}; send it with: advocacy apply {out}")
    say_json(report.as_json()) if as_json else say_plan(report)
    if exit_code and count_changes(report):
        raise typer.Exit(EXIT_CHANGES)
    raise typer.Exit(EXIT_BY_STATUS[report.status] if report.status == "failed" else 0)


def apply_plan(
    ctx: typer.Context,
    file: Annotated[Path | None, typer.Argument(help="A plan from `advocacy plan --out`.")] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    as_json: AsJson = False,
) -> None:
    """Write a plan.

    The one in the file if it still holds, otherwise a new one after showing it.
    """
    from app.sync.run import run_sync

    kept = _read_plan(file) if file else None
    with open_services(ctx, crm=True) as services, show_progress() as progress:
        plan = run_sync(services, send=False, trigger="cli", progress=progress)
        if kept is not None:
            _check_same(kept, plan)
        elif not yes:
            _ask(plan)
        report = run_sync(services, send=True, trigger="cli", progress=progress)
    say_json(report.as_json()) if as_json else say_report(report)
    raise typer.Exit(EXIT_BY_STATUS[report.status])


def _read_plan(file: Path) -> Any:
    try:
        return json.loads(file.read_text("utf-8"))
    except (OSError, ValueError):
        raise ConfigError(f"{file} is not a plan", hint="make one with: advocacy plan --out FILE") from None


def _check_same(kept: Any, plan: RunReport) -> None:
    """Raise unless the kept plan is what would be written now."""
    if not isinstance(kept, dict) or kept.get("plan_digest") != plan.plan_digest:
        raise AppError(
            "the plan no longer holds: data, mapping or policy changed since it was made",
            hint="look at a new one: advocacy plan --out FILE",
        )


def _ask(plan: RunReport) -> None:
    import sys

    say_plan(plan)
    if not count_changes(plan):
        return
    if not sys.stdin.isatty():
        raise ConfigError("nobody is here to confirm", hint="advocacy apply --yes, or: advocacy apply FILE")
    typer.confirm(f"Write {count(count_changes(plan), 'account')}?", abort=True, err=True)


def count_changes(report: RunReport) -> int:
    """Accounts that the plan would write."""
    return report.counts.get("update", 0) + report.counts.get("clear", 0)


def say_plan(report: RunReport) -> None:
    """The plan for people: the verdict, the numbers, the biggest movers."""
    changes = count_changes(report)
    if not changes:
        say("Nothing to write: the CRM shows what it should.")
    else:
        say(f"{count(changes, 'account')} to write, {report.counts.get('unchanged', 0):,} unchanged.")
        _say_updates(report.updates)
    _say_rest(report, ("invalid", "drifted", "skipped"))
    for note in report.notes:
        say(one_line(note))
    for left_out in report.left_out:
        where, _, names = left_out.partition(": ")
        missing = count(len(names.split(", ")), "field") if names else ""
        tell(f"left out, because this CRM does not have it: {where}{', ' + missing if missing else ''}; see --json")
    if not report.guard.allowed:
        say("Held by a safety limit; a sync would stop before writing:")
        for reason in report.guard.reasons:
            say(f"  {reason}")


def _say_updates(updates: tuple[PlannedUpdate, ...]) -> None:
    """One line an account, the biggest movers first: its total before and after, and what else changes."""
    rows = []
    for update in updates[:SHOWN_UPDATES]:
        changes = {change.measure: change for change in update.changes}
        total = changes.pop("total", None)
        before, after = (_show(total.before), _show(total.after)) if total else ("", "")
        named = sorted(changes, key=_place)[:SHOWN_FIELDS]
        more = [f"{len(changes) - SHOWN_FIELDS} more"] if len(changes) > SHOWN_FIELDS else []
        rows.append((update.name or update.account_id, before, after, ", ".join(named + more)))
    say_table(("account", "total before", "after", "also changes"), rows, right=("total before", "after"))
    if len(updates) > SHOWN_UPDATES:
        say(f"... and more: --json lists the {len(updates)} biggest movers with every value.")


def _place(measure: str) -> tuple[bool, int]:
    """In the order of the reference; what moves by itself every day comes last."""
    from app.mapping.measures import MEASURES

    if measure not in MEASURES:
        return True, len(MEASURES)
    return MEASURES[measure].companion, list(MEASURES).index(measure)


def _show(value: str | None) -> str:
    """A number with separators, a text cut to one line, `-` for an empty field."""
    if value is None:
        return "-"
    try:
        return money(value)
    except ArithmeticError:
        return one_line(value)[:60]


def _say_rest(report: RunReport, names: tuple[str, ...]) -> None:
    rest = [f"{report.counts[name]:,} {name}" for name in names if report.counts.get(name)]
    if rest:
        say(", ".join(rest))


def say_report(report: RunReport) -> None:
    """The outcome of a run for people."""
    counts = report.counts
    say(f"Run {report.run_id}: {report.status}")
    say(
        f"  {counts.get('pulled', 0):,} records read, {counts.get('written', 0):,} accounts written, "
        f"{counts.get('unchanged', 0):,} unchanged; {report.calls:,} API calls, {report.seconds:.1f} s"
    )
    for reason in report.guard.reasons:
        say(f"  held: {reason}")
    if report.status == "held":
        say(f"  nothing was written. Look at it with `advocacy runs show {report.run_id}`, "
            f"then `advocacy runs approve {report.run_id}`.")  # fmt: skip
    for refused in report.rejected[:SHOWN_UPDATES]:
        say(f"  refused: {one_line(refused.name or refused.account_id)}: {one_line(refused.message)} ({refused.code})")
    _say_rest(report, ("rejected", "gone", "unknown", "invalid", "drifted", "skipped"))
    for code, number in sorted(report.issues.items()):
        say(f"  issue {code}: {number:,} (advocacy errors {code})")
    left_out = [f"left out, because this CRM does not have it: {name}" for name in report.left_out]
    for line in (*report.proof, *report.notes, *left_out):
        say(f"  {one_line(line)}")
