"""Each of the 25 failures of the field has tests of its own, and each of those a guard that it fails without.

That they fail is seen with `python tests/fixtures/field_failures.py`; here is checked that the table is true to the tree.
"""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

import pytest
from field_failures import FAILURES, Guard

PROJECT = Path(__file__).resolve().parents[2]
GUARDS = [
    pytest.param(guard, id=f"{number}-{at}")
    for number, failure in FAILURES.items()
    for at, guard in enumerate(failure.guards, 1)
]


@cache
def functions_of(path: str) -> dict[str, ast.FunctionDef]:
    tree = ast.parse((PROJECT / path).read_text("utf-8"))
    return {node.name: node for node in tree.body if isinstance(node, ast.FunctionDef)}


def test_none_of_the_25_is_left_out() -> None:
    assert list(FAILURES) == list(range(1, 26))
    assert [number for number, failure in FAILURES.items() if not failure.tests] == []


@pytest.mark.parametrize("guard", GUARDS)
def test_every_test_of_the_table_exists_and_runs(guard: Guard) -> None:
    for test in guard.tests:
        path, _, name = test.partition("::")
        assert name in functions_of(path)
        marks = [ast.unparse(mark) for mark in functions_of(path)[name].decorator_list]
        assert not [mark for mark in marks if mark.startswith(("pytest.mark.skip", "pytest.mark.xfail"))]


@pytest.mark.parametrize("guard", GUARDS)
def test_every_guard_of_the_table_stands_where_it_says(guard: Guard) -> None:
    assert (PROJECT / guard.file).read_text("utf-8").count(guard.piece) == 1
    assert guard.broken != guard.piece
