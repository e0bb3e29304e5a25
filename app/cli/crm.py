"""`crm setup`: the fields that scores go to, and the rights to see and write them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from app.cli.invocation import AsJson, open_services
from app.cli.output import count, say, say_json, say_table
from app.errors import AppError, ConfigError

if TYPE_CHECKING:
    from connectors.contract import SetupStep

EXIT_CHANGES = 10
INCOMPLETE = "run advocacy crm setup again; when it stays so, deploy the package as an administrator"
DIFFERS = (
    "change the fields that differ in the CRM's set-up, or rename them there and run advocacy crm setup again; "
    "nothing that holds data is changed from here"
)


def register(app: typer.Typer) -> None:
    crm = typer.Typer(help="The CRM itself.", no_args_is_help=True)
    crm.command("setup")(set_up)
    # Alone in its group, a command would otherwise take the group's place.
    crm.callback()(lambda: None)
    app.add_typer(crm, name="crm")


def set_up(
    ctx: typer.Context,
    check: Annotated[
        bool, typer.Option("--check", help="Only try it; nothing is changed. Exit code 10: not complete.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    user: Annotated[
        str, typer.Option("--user", metavar="USERNAME", help="Who gets the rights, if not the connecting user.")
    ] = "",
    viewer: Annotated[
        list[str] | None,
        typer.Option("--viewer", metavar="USERNAME", help="Who may see the values. Repeatable."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Create our fields and permission sets, as far as missing."""
    with open_services(ctx, crm=True) as services:
        connector = services.connect()
        try:
            if not connector.capabilities.setup:
                raise ConfigError(f"{services.settings.crm} needs no setup, or it cannot be done from here")
            steps = connector.plan_setup(user=user, viewers=viewer or ())
            missing = [step for step in steps if not step.present]
            wanted = [step for step in missing if not step.differs]
            if wanted and not check and not yes:
                _ask(wanted)
            if missing:
                steps = connector.apply_setup(check_only=check, user=user, viewers=viewer or ())
        finally:
            connector.close()
    _say_steps(steps, missing, check=check, as_json=as_json)
    if missing and check:
        raise typer.Exit(EXIT_CHANGES)
    left = [step.name for step in steps if not step.present]
    if left:
        raise AppError(
            f"the set-up is not complete: {', '.join(left)}",
            hint=DIFFERS if any(step.differs for step in steps) else INCOMPLETE,
        )


def _ask(missing: Sequence[SetupStep]) -> None:
    import sys

    if not sys.stdin.isatty():
        raise ConfigError("nobody is here to confirm", hint="advocacy crm setup --yes, or --check to try it")
    say_table(("kind", "name", "note"), [(step.kind, step.name, step.note) for step in missing])
    typer.confirm(f"Create {count(len(missing), 'component')} in the CRM?", abort=True, err=True)


def _say_steps(steps: Sequence[SetupStep], missing: Sequence[SetupStep], *, check: bool, as_json: bool) -> None:
    if as_json:
        left = sum(not step.present for step in steps)
        say_json({"complete": not left, "missing": left, "steps": steps})
        return
    before = {(step.kind, step.name): step for step in missing}
    rows = [
        (step.kind, step.name, _state(step, before.get((step.kind, step.name)), check=check), step.note)
        for step in steps
    ]
    say_table(("kind", "name", "state", "note"), rows)
    if not missing:
        say("Everything is in place.")


def _state(step: SetupStep, missing: SetupStep | None, *, check: bool) -> str:
    """`step`: as it is now. `missing`: as it was before, unless it was there already."""
    if missing is None and step.present:
        return "there"
    if step.differs:
        return "differs"
    verb = "repaired" if missing is not None and missing.partial else "created"
    if check:
        return f"would be {verb}"
    return verb if step.present else "missing"
