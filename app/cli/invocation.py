"""What every command shares: the global options, the settings they lead to, and the services built from them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from app.errors import ConfigError

if TYPE_CHECKING:
    from app.bootstrap import Services
    from app.config import Settings
    from app.store.database import Database

MOST = 1_000_000
"""As many lines as anybody can ask for."""
LAST_NUMBER = 2**31 - 1
"""The highest number that a run, a request or a delivery can have."""
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]
PolicyOption = Annotated[
    list[str] | None,
    typer.Option("--policy", metavar="KEY=VALUE", help="Override one key of the policy, this time only. Repeatable."),
]


@dataclass(frozen=True)
class Invocation:
    """The global options of one command line."""

    overrides: dict[str, Any] = field(default_factory=dict)
    verbose: bool = False


def read_assignments(assignments: Sequence[str]) -> dict[str, str]:
    """`["crm=files"]` as a dict. Raises ConfigError for what is no assignment."""
    pairs = [text.partition("=") for text in assignments]
    for name, sign, _ in pairs:
        if not sign:
            raise ConfigError(f"--set {name!r} needs the form NAME=VALUE")
    return {name.strip().lower().removeprefix("advocacy_"): value for name, _, value in pairs}


def open_settings(ctx: typer.Context, *, level: str | None = None) -> Settings:
    """The settings in force, with the logs already going where they say.

    `level`: the quietest level this command wants; a result on the terminal should not drown in progress lines.
    """
    from app.config import load_settings
    from app.logs import configure_logs

    invocation: Invocation = ctx.obj
    settings = load_settings(**invocation.overrides)
    chosen = "debug" if invocation.verbose else settings.log_level if "log_level" in settings.origins else level
    configure_logs(settings.log_format, chosen or settings.log_level)
    return settings


@contextmanager
def open_services(
    ctx: typer.Context, *, policy: Sequence[str] | None = None, crm: bool = False, level: str | None = "warning"
) -> Iterator[Services]:
    """The services of one command; closed behind it.

    `crm`: this command talks to the CRM, so a sandbox named in the settings has to run meanwhile.
    """
    from app.bootstrap import build_services

    settings = open_settings(ctx, level=level)
    with _sandbox(settings if crm else None) as connection:
        services = build_services(settings.model_copy(update=connection), policy_overrides=tuple(policy or ()))
        try:
            yield services
        finally:
            services.database.close()


@contextmanager
def open_database_only(ctx: typer.Context) -> Iterator[tuple[Database, Callable[[], datetime]]]:
    """The database and the clock, for commands that need neither mapping nor CRM."""
    from app.store.database import open_database, upgrade_database

    database = open_database(open_settings(ctx, level="warning").database_url)
    try:
        if database.is_sqlite:
            upgrade_database(database)
        yield database, lambda: datetime.now(UTC)
    finally:
        database.close()


@contextmanager
def _sandbox(settings: Settings | None) -> Iterator[dict[str, Any]]:
    """Run the sandbox org of the settings, if there is one, and yield the settings that lead to it."""
    if settings is None or settings.sandbox_state is None:
        yield {}
        return
    from app.demo.org import run_org

    with run_org(settings.sandbox_state) as connection:
        yield connection
