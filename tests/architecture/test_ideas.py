"""Every idea behind the measures has its code, its test, its field and its way in, as `app/domain/README.md` says."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import typer

from app.cli import build_app
from app.domain.event_types import EVENT_TYPES
from app.mapping.measures import MEASURES
from app.store.standing_rows import MEASURES as HUMAN

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "app" / "domain" / "README.md").read_text(encoding="utf-8")
ROWS = [[cell.strip() for cell in line.strip("|").split("|")] for line in README.splitlines() if line.startswith("| S")]
TESTS = {
    name
    for file in (ROOT / "tests").rglob("test_*.py")
    for name in re.findall(r"^\s*def (test_s\d_\d\d_\w+)", file.read_text(encoding="utf-8"), re.MULTILINE)
}
IDEAS = {0: 23, 1: 12, 2: 12, 3: 12, 4: 14}


def test_no_idea_is_left_out() -> None:
    assert [row[0] for row in ROWS] == [f"S{part}-{n:02}" for part, count in IDEAS.items() for n in range(1, count + 1)]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0])
def test_an_idea_has_code_a_test_a_field_and_a_way_in(row: list[str]) -> None:
    id_, _, module, measure, recorded = row
    code = id_.lower().replace("-", "_")

    assert (ROOT / "app" / "domain" / module.strip("`")).is_file()
    assert any(name.startswith(f"test_{code}_") or f"_and_{code}_" in name for name in TESTS)
    assert measure == "—" or all(is_shown(one) for one in re.findall(r"`([^`]+)`", measure) or [measure])
    named = [word for word in re.findall(r"`(\w+)`", recorded) if "_" in word or word in EVENT_TYPES]
    assert all(word in EVENT_TYPES for word in named), named


def is_shown(place: str) -> bool:
    """Whether a place is a measure that can be written back, or a command that exists."""
    app, *words = place.split()
    if not words:
        return place in MEASURES
    command: Any = typer.main.get_command(build_app())
    for word in words:
        command = getattr(command, "commands", {}).get(word)
    return app == "advocacy" and command is not None


def test_what_is_neither_a_measure_nor_a_command_is_no_place() -> None:
    assert is_shown("total")
    assert is_shown("advocacy references find")
    assert not is_shown("worth")
    assert not is_shown("advocacy references lose")
    assert not is_shown("something references find")


def test_no_human_measure_is_left_out() -> None:
    """Whatever is stored of a customer beside its money is said to be of an idea, or to belong to one that is."""
    assert {measure for measure in HUMAN if f"`{measure}`" not in README} == set()


def test_no_module_is_left_out() -> None:
    modules = {file.name for file in (ROOT / "app" / "domain").glob("*.py")} - {"__init__.py", "model.py", "rows.py"}

    assert modules <= set(re.findall(r"`(\w+\.py)`", README))
