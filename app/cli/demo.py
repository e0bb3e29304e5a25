"""`demo`: the whole job against an org in a box, from nothing to a table in a few seconds."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import typer

from app.cli.accounts import say_accounts
from app.cli.invocation import AsJson
from app.cli.output import say, say_json, show_progress, tell

if TYPE_CHECKING:
    from app.bootstrap import Services
    from app.config import Settings
    from app.sync.report import Progress, RunReport

SHOWN_ACCOUNTS = 10


def register(app: typer.Typer) -> None:
    app.command("demo")(run_demo)


def run_demo(as_json: AsJson = False) -> None:
    """Run the whole job on made-up data.

    A made-up CRM, a real run, and the table a salesperson would start the day with. Needs no account and no settings.
    Keeps its files in the working folder (advocacy-demo*), and may be repeated.
    """
    from app.config import load_settings
    from app.demo.profile import ORG_FILE, list_demo_settings, save_profile
    from app.logs import configure_logs

    configure_logs(level="warning")
    settings = load_settings(**list_demo_settings())
    started = time.monotonic()
    with show_progress() as progress:
        progress("org", 0, 1)
        if not ORG_FILE.exists():
            _make_org()
        progress("org", 1, 1)
        save_profile()
        report, added, views = _run(settings, progress)
    if as_json:
        say_json({"run": report.as_json(), "events_added": added, "accounts": views})
        return
    _say_result(report, added, views, time.monotonic() - started)


def _make_org() -> None:
    from app.demo.data import build_world
    from app.demo.org import build_org
    from app.demo.profile import ORG_FILE
    from connectors.salesforce.sandbox import save_org

    save_org(build_org(build_world()), ORG_FILE)


def _run(settings: Settings, progress: Progress) -> tuple[RunReport, int, list[dict[str, Any]]]:
    from app.bootstrap import build_services
    from app.demo.org import run_org
    from app.demo.profile import ORG_FILE
    from app.sync.answers import list_accounts
    from app.sync.run import run_sync

    with run_org(ORG_FILE) as connection:
        services = build_services(settings.model_copy(update=connection))
        try:
            added = _add_events(services)
            report = run_sync(services, trigger="demo", progress=progress)
            views = [view.as_json() for view in list_accounts(services, top=SHOWN_ACCOUNTS)]
        finally:
            services.database.close()
    return report, added, views


def _add_events(services: Services) -> int:
    from app.demo.data import build_world
    from app.demo.org import build_events
    from app.intake.event_fields import read_event
    from app.intake.import_events import import_events

    reader = services.event_reader()
    events = [read_event(dict(row), reader) for row in build_events(build_world())]
    return import_events(services.database, events, now=services.now(), policy=services.mapping.policy).added


def _say_result(report: RunReport, added: int, views: list[dict[str, Any]], seconds: float) -> None:
    counts = report.counts
    say(
        f"Read {counts.get('pulled', 0):,} records from a made-up CRM, took in {added:,} advocacy events, "
        f"wrote {counts.get('written', 0):,} accounts back: "
        f"{report.calls:,} API calls, {seconds:.1f} s, {report.status}."
    )
    say()
    say_accounts(views)
    say("Customer B bought less than Customer A, but brought in more: call B first.")
    say()
    say("Now try:")
    for command in ('explain "Customer B"', "triage --hours 6", "plan", "serve"):
        say(f"  advocacy {_find_flag()}{command}")
    tell()
    tell("The demo keeps its files here, as advocacy-demo*; delete them whenever you like.")


def _find_flag() -> str:
    """`--demo ` where settings of something real would otherwise take over."""
    from app.config import DEMO_PROFILE, find_settings_file

    found = find_settings_file()
    return "" if found is not None and found.name == DEMO_PROFILE else "--demo "
