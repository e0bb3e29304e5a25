"""`events types`: what a customer can do for us or against us, and what to record of it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from itertools import groupby
from typing import TYPE_CHECKING, Annotated, Any

import typer

from app.cli.invocation import AsJson
from app.cli.output import say, say_json, say_table, tell
from app.errors import ConfigError

if TYPE_CHECKING:
    from app.domain.attributes import Description
    from app.domain.event_types import EventType

COLUMNS = ("types", "attributes", "what must hold")


def list_types(
    code: Annotated[str, typer.Argument(metavar="[TYPE]", help="Only this one, with its attributes.")] = "",
    *,
    markdown: Annotated[
        bool, typer.Option("--markdown", help="All typed attributes, as the table of mappings/README.md.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """List the event types: what each is and how it can be worth something. Of one type: what to record with it."""
    from app.domain.event_types import EVENT_TYPES

    if markdown:
        for line in _tabulate():
            say(line)
        return
    if code:
        _show_type(code, as_json=as_json)
        return
    types = list(EVENT_TYPES.values())
    if as_json:
        say_json([{"title": kind.title, **asdict(kind)} for kind in types])
        return
    columns = ("type", "family", "basis", "rung", "role")
    say_table(columns, [(kind.code, kind.family, kind.basis, kind.rung, kind.role) for kind in types], right=("rung",))
    tell("what to record with one: advocacy events types TYPE")


def _show_type(code: str, *, as_json: bool) -> None:
    from app.domain.event_attributes import REQUIRED, describe_attributes

    kind = _find(code)
    described, needs, rules = describe_attributes(code), list(REQUIRED.get(code, ())), _rules(code)
    if as_json:
        listed = [{**asdict(one), "takes": one.takes} for one in described.attributes] if described else None
        told = {"required_columns": needs, "attributes": listed, "rules": rules}
        say_json({"title": kind.title, **asdict(kind), **told})
        return
    rung = f", rung {kind.rung}" if kind.rung else ""
    say(f"{kind.title}  ({kind.code}): family {kind.family}, worth as {kind.basis}, role {kind.role}{rung}")
    if needs:
        say(f"Needs the column {', '.join(needs)} too.")
    if described is None:
        say("No attribute is required; whatever is given is kept.")
    else:
        say()
        rows = [(one.name, "required" if one.is_required else "", one.takes) for one in described.attributes]
        say_table(("attribute", "", "takes"), rows)
    if rules:
        say()
        say("What must hold:")
    for rule in rules:
        say(f"- {rule}")


def _find(code: str) -> EventType:
    from app.domain.event_types import EVENT_TYPES
    from app.mapping.render import suggest

    if code in EVENT_TYPES:
        return EVENT_TYPES[code]
    raise ConfigError(
        f"there is no event type {code!r}; {suggest(code, EVENT_TYPES, listed=False)}".rstrip("; "),
        hint="list them with: advocacy events types; one of your own starts with x_",
    )


def _rules(code: str) -> list[str]:
    """What must hold between attributes, and between the days of an event."""
    from app.domain.event_attributes import describe_attributes
    from app.intake.event_fields import DAY_RULES

    described = describe_attributes(code)
    return [*(described.rules if described else ()), *([DAY_RULES[code]] if code in DAY_RULES else ())]


def _tabulate() -> Iterator[str]:
    """Markdown, one row for all types that take the same."""
    from app.domain.event_attributes import READERS, describe_attributes

    cells: dict[str, tuple[str, str]] = {}
    for code in READERS:
        described = describe_attributes(code)
        if described is not None:
            cells[code] = _tell(described), "; ".join(_rules(code))
    groups = groupby(sorted(cells, key=lambda code: (cells[code], code)), cells.__getitem__)
    rows: list[tuple[Any, ...]] = [(", ".join(f"`{code}`" for code in codes), *told) for told, codes in groups]
    yield f"| {' | '.join(COLUMNS)} |"
    yield f"| {' | '.join('---' for _ in COLUMNS)} |"
    for row in sorted(rows):
        yield f"| {' | '.join(row)} |".replace("|  |", "| |")


def _tell(described: Description) -> str:
    return "; ".join(
        f"`{one.name}` {one.takes}{' (required)' if one.is_required else ''}" for one in described.attributes
    )
