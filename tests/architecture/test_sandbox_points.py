"""Each point in which the sandbox has to be like a real org, and each step of its judges, has tests of its own.

The tables that say which are true.
"""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[2]
TABLE = PROJECT / "connectors" / "salesforce" / "sandbox" / "README.md"
TESTS = PROJECT / "tests" / "unit" / "sandbox"
JUDGES = PROJECT / "tests" / "judges"
ROW = re.compile(r"^\| (\d+) \| (.+) \| (.+) \|$", re.MULTILINE)


def points() -> dict[int, list[str]]:
    """Number -> the tests, as `file::name`."""
    return {int(number): re.findall(r"`([^`]+)`", tests) for number, _, tests in ROW.findall(TABLE.read_text("utf-8"))}


def judged() -> list[str]:
    """The tests that the table of the judges names."""
    return re.findall(r"`(test_\w+\.py::\w+)`", (JUDGES / "README.md").read_text("utf-8"))


@cache
def functions_of(file: Path) -> dict[str, ast.FunctionDef]:
    tree = ast.parse(file.read_text("utf-8"))
    return {node.name: node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}


def test_none_of_the_16_is_left_out() -> None:
    assert list(points()) == list(range(1, 17))
    assert [number for number, tests in points().items() if not tests] == []


def test_every_judge_has_steps() -> None:
    assert {name.partition("::")[0] for name in judged()} == {file.name for file in JUDGES.glob("test_*.py")}


@pytest.mark.parametrize(
    ("folder", "test"),
    [(TESTS, test) for tests in points().values() for test in tests] + [(JUDGES, test) for test in judged()],
    ids=lambda value: value if isinstance(value, str) else value.name,
)
def test_every_test_of_the_tables_exists_and_runs(folder: Path, test: str) -> None:
    file, _, name = test.partition("::")
    assert name in functions_of(folder / file)
    marks = [ast.unparse(mark) for mark in functions_of(folder / file)[name].decorator_list]
    assert not [mark for mark in marks if mark.startswith(("pytest.mark.skip", "pytest.mark.xfail"))]
