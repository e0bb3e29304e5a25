"""`sandbox`: a local Salesforce org over HTTP, to try things without an org."""

from __future__ import annotations

import signal
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from app.cli.invocation import AsJson
from app.cli.output import say, say_json
from app.errors import ConfigError

if TYPE_CHECKING:
    from connectors.salesforce.sandbox import Sandbox


def register(app: typer.Typer) -> None:
    app.command("sandbox")(run_sandbox)


def run_sandbox(
    port: Annotated[int, typer.Option(min=0, max=65_535, help="0 takes a free one.")] = 8080,
    token: Annotated[str, typer.Option(help="A fixed access token, beside the login flows.")] = "",
    data: Annotated[Path | None, typer.Option(metavar="DIR", help="CSV exports to load: Account.csv, ...")] = None,
    state: Annotated[Path | None, typer.Option(metavar="FILE", help="Keep the org here between starts.")] = None,
    currencies: Annotated[bool, typer.Option("--currencies", help="A new org has several currencies.")] = False,
    persons: Annotated[bool, typer.Option("--person-accounts", help="A new org has person accounts.")] = False,
    as_json: AsJson = False,
) -> None:
    """Run a local org that speaks the Salesforce APIs."""
    from connectors.salesforce.sandbox import serve

    if data is not None and not data.is_dir():
        raise ConfigError(f"{data} is not a folder")
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda _number, _frame: stop.set())
    profile = {"multi_currency": currencies, "person_accounts": persons}
    try:
        serve(
            port,
            token,
            data,
            state,
            ready=lambda sandbox: _introduce(sandbox, as_json=as_json),
            wait=stop.wait,
            **profile,
        )
    except OSError as error:
        raise ConfigError(f"cannot serve on port {port}: {error.strerror}", hint="choose another with --port") from None


def _introduce(sandbox: Sandbox, *, as_json: bool) -> None:
    known = sandbox.credentials
    if as_json:
        say_json({"url": sandbox.url, "token": known.token, "client_id": known.client_id,
                  "client_secret": known.client_secret, "username": known.username})  # fmt: skip
    else:
        say(f"A Salesforce org listens on {sandbox.url}; stop it with Ctrl-C.")
        say("To sync with it, set:")
        say(f"  ADVOCACY_SALESFORCE_LOGIN_URL={sandbox.url}")
        say(f"  ADVOCACY_SALESFORCE_CLIENT_ID={known.client_id}")
        say(f"  ADVOCACY_SALESFORCE_CLIENT_SECRET={known.client_secret}")
        if known.token:
            say("or the fixed token:")
            say(f"  ADVOCACY_SALESFORCE_INSTANCE_URL={sandbox.url}")
            say(f"  ADVOCACY_SALESFORCE_ACCESS_TOKEN={known.token}")
    sys.stdout.flush()
