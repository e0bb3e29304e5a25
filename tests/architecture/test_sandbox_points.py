"""Each point in which the sandbox has to be like a real org has tests of its own, and the table of them is true."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[2]
TABLE = PROJECT / "connectors" / "salesforce" / "sandbox" / "README.md"
TESTS = PROJECT / "tests" / "unit" / "sandbox"
ROW = re.compile(r"^\| (\d+) \| (.+) \| (.+) \|$", re.MULTILINE)


def points() -> dict[int, list[str]]:
    """Number -> the tests, as `file::name`."""
    return {int(number): re.findall(r"`([^`]+)`", tests) for number, _, tests in ROW.findall(TABLE.read_text("utf-8"))}


@cache
def functions_of(file: str) -> dict[str, ast.FunctionDef]:
    tree = ast.parse((TESTS / file).read_text("utf-8"))
    return {node.name: node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}


def test_none_of_the_16_is_left_out() -> None:
    assert list(points()) == list(range(1, 17))
    assert [number for number, tests in points().items() if not tests] == []


@pytest.mark.parametrize("test", [test for tests in points().values() for test in tests])
def test_every_test_of_the_table_exists_and_runs(test: str) -> None:
    file, _, name = test.partition("::")
    assert name in functions_of(file)
    marks = [ast.unparse(mark) for mark in functions_of(file)[name].decorator_list]
    assert not [mark for mark in marks if mark.startswith(("pytest.mark.skip", "pytest.mark.xfail"))]
