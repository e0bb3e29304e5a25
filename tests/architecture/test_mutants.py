"""What MUTANTS.md counts and names is there, and who reads it learns whether the counts are of today's text."""

from __future__ import annotations

import ast
import hashlib
import re
import tomllib
from collections import Counter
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[2]
TEXT = (PROJECT / "tests/MUTANTS.md").read_text("utf-8")
CONFIGURED = tomllib.loads((PROJECT / "pyproject.toml").read_text("utf-8"))["tool"]["mutmut"]["only_mutate"]

COUNTS = {
    path: (digits, *map(int, counts.split("|")))
    for path, digits, counts in re.findall(
        r"^\| `(app/domain/\w+\.py)` \| ([0-9a-f]{8}) \|([ \d|]+)\|$", TEXT, re.MULTILINE
    )
}
"""Module -> first digits of the SHA-256 of its text; mutants made, killed, without end, surviving."""
EXPLAINED = [
    (module, function, int(times or 1))
    for where in re.findall(r"^\| (`\w+\.[^|]*) \|[^|]*\|[^|]*\|$", TEXT, re.MULTILINE)
    for module, function, times in re.findall(r"`(\w+)\.([\w.]+)`(?: (\d+))?", where)
]


def test_the_modules_that_are_counted_are_those_that_make_mutants_changes():
    assert sorted(COUNTS) == sorted(CONFIGURED)


def test_the_counts_of_every_module_add_up():
    wrong = {path: (made, *rest) for path, (_, made, *rest) in COUNTS.items() if made != sum(rest)}

    assert wrong == {}


def test_as_many_mutants_are_explained_as_survived():
    explained = Counter()
    for module, _, times in EXPLAINED:
        explained[f"app/domain/{module}.py"] += times

    assert explained == {path: counts[-1] for path, counts in COUNTS.items() if counts[-1]}


def test_every_function_that_is_explained_is_there():
    missing = [(module, name) for module, name, _ in EXPLAINED if name not in functions(module)]

    assert missing == []


@pytest.mark.parametrize("path", sorted(COUNTS))
def test_the_counts_are_of_the_text_that_is_there(path):
    if hashlib.sha256((PROJECT / path).read_bytes()).hexdigest()[:8] != COUNTS[path][0]:
        # A note, no failure: not every edit of a function has to wait for its mutants.
        pytest.skip(f"{path} has changed since its mutants were counted: `make mutants`, then tests/MUTANTS.md")


def functions(module: str) -> set[str]:
    tree = ast.parse((PROJECT / f"app/domain/{module}.py").read_text("utf-8"))
    classes = [one for one in tree.body if isinstance(one, ast.ClassDef)]
    return {one.name for one in tree.body if isinstance(one, ast.FunctionDef)} | {
        f"{owner.name}.{one.name}" for owner in classes for one in owner.body if isinstance(one, ast.FunctionDef)
    }
