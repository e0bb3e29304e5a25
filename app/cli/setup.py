"""`version`, `errors`, `config show`: what is installed and how it is set up."""

from __future__ import annotations

import difflib
from typing import Annotated

import typer

from app.cli.invocation import AsJson, open_settings
from app.cli.output import say, say_json, say_table
from app.errors import ConfigError


def register(app: typer.Typer) -> None:
    config = typer.Typer(help="The settings in force.", no_args_is_help=True)
    config.command("show")(show_config)
    app.add_typer(config, name="config")
    app.command("version")(show_version)
    app.command("errors")(show_error)


def show_version(as_json: AsJson = False) -> None:
    """Print the version."""
    from importlib.metadata import version

    number = version("advocacy-sync")
    if as_json:
        say_json({"version": number})
    else:
        say(f"advocacy-sync {number}")


def show_error(
    code: Annotated[str | None, typer.Argument(help="A code from a message; without it, all are listed.")] = None,
    as_json: AsJson = False,
) -> None:
    """Explain a code: what it means and what to do."""
    from app.cli.explanations import explain_code, list_codes

    if code is None:
        rows = list_codes()
        say_json(dict(rows)) if as_json else say_table(("code", "meaning"), rows)
        return
    explanation = explain_code(code)
    if explanation is None:
        close = difflib.get_close_matches(code.upper(), [known.upper() for known, _ in list_codes()], n=1)
        hint = f"did you mean {close[0]}?" if close else "they are listed by: advocacy errors"
        raise ConfigError(f"no such code: {code}", hint=hint)
    if as_json:
        say_json({"code": code, "meaning": explanation.meaning, "action": explanation.action})
        return
    say(explanation.meaning)
    say(explanation.action)


def show_config(
    ctx: typer.Context,
    origin: Annotated[bool, typer.Option("--origin", help="Also say where each value came from.")] = False,
    as_json: AsJson = False,
) -> None:
    """Print every setting; secrets are masked."""
    from app.config import describe_settings

    rows = describe_settings(open_settings(ctx))
    if as_json:
        say_json([{"name": name, "value": value, "origin": source} for name, value, source in rows])
    elif origin:
        say_table(("setting", "value", "origin"), rows)
    else:
        say_table(("setting", "value"), [row[:2] for row in rows])
