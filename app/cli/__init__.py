"""The command line `advocacy`. One module per group of commands; a command imports what it needs when it runs.

Exit codes: 0 done, 1 failed and safe to run again, 2 usage, configuration or mapping, 3 finished with rejected
records, 4 held by a safety limit, 5 no CRM, 6 another run is inside, 10 a plan with changes, 130 interrupted.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from types import FrameType
from typing import TYPE_CHECKING, Annotated, Any, NoReturn, TextIO

import typer

from app.cli.invocation import Invocation, read_assignments
from app.cli.output import tell, tell_error
from app.errors import AppError
from connectors.errors import ConnectorError

if TYPE_CHECKING:
    from collections.abc import Sequence

EXIT_INTERRUPTED = 130


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run one command line and exit with its code."""
    _use_utf8(sys.stdout)
    _use_utf8(sys.stderr)
    if threading.current_thread() is threading.main_thread():
        # A deployment stops us like a person does: the run records its end and gives the lease back.
        signal.signal(signal.SIGTERM, _interrupt)
    try:
        build_app()(args=None if arguments is None else list(arguments), prog_name="advocacy")
    except AppError as error:
        tell_error(error)
        sys.exit(error.exit_code)
    except ConnectorError as error:
        from app.sync.failures import as_app_error

        failure = as_app_error(error)
        tell_error(failure)
        sys.exit(failure.exit_code)
    except KeyboardInterrupt:
        sys.exit(EXIT_INTERRUPTED)
    except Exception as error:  # noqa: BLE001 - the top of every command
        _tell_unexpected(error)
        sys.exit(1)
    sys.exit(0)


def _interrupt(_number: int, _frame: FrameType | None) -> NoReturn:
    raise KeyboardInterrupt


def _use_utf8(stream: TextIO) -> None:
    """Names of customers are in every alphabet, whatever the locale says."""
    reconfigure = getattr(stream, "reconfigure", None)
    if reconfigure is not None:
        reconfigure(encoding="utf-8", errors="backslashreplace")


def _tell_unexpected(error: Exception) -> None:
    if os.environ.get("ADVOCACY_TRACEBACK"):
        import traceback

        tell("".join(traceback.format_exception(error)))
    # Only the first line: database drivers go on with the statement and its values, which are about customers.
    first_line = str(error).partition("\n")[0][:300]
    tell(f"error: unexpected {type(error).__name__}: {first_line}")
    tell("  = this is a bug; ADVOCACY_TRACEBACK=1 shows where. The command is safe to run again.")


def build_app() -> typer.Typer:
    """All commands, each from its own module."""
    from app.cli import (
        accounts,
        assess,
        calls,
        changes,
        consents,
        crm,
        database,
        demo,
        doctor,
        events,
        keys,
        ladder,
        lookalikes,
        mapping,
        references,
        runs,
        sandbox,
        serve,
        setup,
        sync,
        triage,
        webhooks,
    )

    app = typer.Typer(
        name="advocacy",
        help="What is a customer really worth? Own revenue plus referred revenue, explained, and back in the CRM.",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback()(_read_global_options)
    for module in (
        demo,
        doctor,
        sync,
        accounts,
        triage,
        changes,
        ladder,
        assess,
        consents,
        calls,
        lookalikes,
        mapping,
        events,
        references,
        runs,
        webhooks,
        crm,
        serve,
        sandbox,
        database,
        keys,
        setup,
    ):
        module.register(app)
    return app


def _read_global_options(
    ctx: typer.Context,
    config: Annotated[str | None, typer.Option("--config", metavar="FILE", help="Settings file.")] = None,
    assignments: Annotated[
        list[str] | None, typer.Option("--set", metavar="NAME=VALUE", help="Any setting, this time only. Repeatable.")
    ] = None,
    demo: Annotated[
        bool, typer.Option("--demo", help="Work on the data of `advocacy demo`, whatever is set up.")
    ] = False,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Log everything.")] = False,
) -> None:
    overrides: dict[str, Any] = {"config_file": config}
    if demo:
        from app.demo.profile import list_demo_settings

        overrides |= list_demo_settings()
    ctx.obj = Invocation(overrides | read_assignments(assignments or []), verbose)
