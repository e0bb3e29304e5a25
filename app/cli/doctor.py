"""`doctor` and `init`: is everything in place, and putting it there."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from app.cli.invocation import AsJson, open_services, open_settings
from app.cli.output import say, say_json, say_table
from app.errors import AppError, ConfigError, MappingError, UnreachableCrmError
from connectors.contract import Finding

if TYPE_CHECKING:
    from app.bootstrap import Services
    from app.config import Settings

TEMPLATE = """\
# Settings of advocacy-sync. Environment variables ADVOCACY_... and a .env file override what stands here;
# `advocacy config show --origin` says what is in force and why. Secrets are best given as files (..._file).

crm = "{crm}"
database_url = "sqlite:///advocacy.db"      # or postgresql://user@host/advocacy
schedule = "0 2 * * * UTC"                  # cron and time zone, or "off"

[salesforce]
# login_url = "https://yourcompany.my.salesforce.com"
# client_id = ""
# username = ""
# private_key_file = "salesforce.pem"
"""


def register(app: typer.Typer) -> None:
    app.command("init")(init)
    app.command("doctor")(examine)


def init(
    crm: Annotated[str, typer.Option(help="Which CRM.")] = "salesforce",
    force: Annotated[bool, typer.Option("--force", help="Overwrite what is there.")] = False,
) -> None:
    """Write a settings file and a mapping to start from."""
    from app.config import default_mapping_path

    shipped = default_mapping_path(crm)
    if not shipped.is_file():
        raise ConfigError(f"no mapping is shipped for {crm!r}")
    mapping = Path("mappings") / f"{crm}.yaml"
    texts = {Path("advocacy.toml"): TEMPLATE.format(crm=crm), mapping: shipped.read_text("utf-8")}
    for path, text in texts.items():
        if path.exists() and not force:
            say(f"{path} is there already; left alone")
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
        say(f"{path} written")
    say("Next: fill in the login, then run: advocacy doctor --live")


def examine(
    ctx: typer.Context,
    live: Annotated[
        bool, typer.Option("--live", help="Also log in to the CRM and compare the mapping with it.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Find what would keep a run from working."""
    findings: list[Finding] = []
    code = 0
    try:
        for finding in _examine(ctx, live=live):
            findings.append(finding)  # noqa: PERF402  what was found before a failure is told as well
    except AppError as error:
        findings += _as_findings(error)
        code = error.exit_code
    if not code and any(finding.level == "error" for finding in findings):
        code = ConfigError.exit_code
    _say_findings(findings, as_json=as_json)
    raise typer.Exit(code)


def _examine(ctx: typer.Context, *, live: bool) -> Iterator[Finding]:
    yield from _examine_settings(open_settings(ctx, level="error"))
    with open_services(ctx, crm=live, level="error") as services:
        yield from _examine_services(services)
        if not live:
            yield _examine_login(services)
        else:
            from app.cli.live import examine_crm

            yield from examine_crm(services)


def _as_findings(error: AppError) -> list[Finding]:
    if isinstance(error, MappingError):
        from app.cli.live import finding_of

        return list(map(finding_of, error.problems))
    subject = "crm" if isinstance(error, UnreachableCrmError) else "settings"
    return [Finding("error", subject, error.message, error.hint or "correct it, then run this again")]


def _examine_settings(settings: Settings) -> Iterator[Finding]:
    from app.config import SECRETS

    yield Finding("ok", "settings", f"{len(settings.origins)} given, all of them usable")
    if settings.today:
        yield Finding("warning", "today", f"every day is taken for {settings.today}", "unset ADVOCACY_TODAY")
    if not settings.webhook_secrets:
        yield Finding("warning", "webhooks", "no signing secret: every delivery is refused", "advocacy webhooks secret")
    for name in SECRETS:
        path: Path | None = getattr(settings, f"{name}_file")
        if path is not None and path.stat().st_mode & 0o077:
            yield Finding("warning", "secrets", f"{path} can be read by others on this machine", f"chmod 600 {path}")


def _examine_services(services: Services) -> Iterator[Finding]:
    from app.store.database import check_revision, newest_revision

    check_revision(services.database)
    kind = "SQLite" if services.database.is_sqlite else "PostgreSQL"
    yield Finding("ok", "database", f"{kind}, schema {newest_revision()}")
    mapping = services.mapping
    yield Finding("ok", "mapping", f"{mapping.path}, policy {mapping.policy_version}")


def _examine_login(services: Services) -> Finding:
    """Whether enough is configured to connect; nobody is talked to."""
    if services.settings.sandbox_state is not None:
        return Finding("ok", "crm", f"a sandbox org of its own, kept in {services.settings.sandbox_state}")
    crm = services.settings.crm
    try:
        services.connect().close()
    except ConfigError as error:
        return Finding("error", "crm", f"{crm} cannot be reached as configured: {error.message}", error.hint)
    return Finding("ok", "crm", f"{crm}: everything is set that connecting needs", "advocacy doctor --live")


def _say_findings(findings: list[Finding], *, as_json: bool) -> None:
    if as_json:
        say_json(findings)
        return
    say_table(("", "about", "finding", "what to do"), [(f.level, f.subject, f.message, f.action) for f in findings])
