"""What is installed is complete, pinned, and needs nothing that only a developer has."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
import tomllib
import venv
import zipfile
from functools import cache
from importlib.metadata import Distribution, PackageNotFoundError, distribution, packages_distributions
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

# The wheel is built once, by one worker.
pytestmark = pytest.mark.xdist_group("wheel")

PROJECT = Path(__file__).resolve().parents[2]
PYPROJECT: dict[str, Any] = tomllib.loads((PROJECT / "pyproject.toml").read_text("utf-8"))
EXTRAS: dict[str, list[str]] = PYPROJECT["project"]["optional-dependencies"]
DIRECT = [*PYPROJECT["project"]["dependencies"], *(line for lines in EXTRAS.values() for line in lines)]
THIRD_PARTY = [Requirement(line) for line in DIRECT if not line.startswith(PYPROJECT["project"]["name"])]
SHIPPED_OUTSIDE = {"app.mapping.shipped", "app.store.migrations", "app.store.migrations.versions"}
COMES_WITH = {"pydantic_core": "pydantic"}
"""Modules of a distribution that another one pins to an exact version and documents as its own."""
GENERATED = {"__pycache__", ".mypy_cache", ".ruff_cache"}


@cache
def pins() -> dict[str, tuple[str, int]]:
    """Name -> exact version and number of hashes, as constraints.txt has them."""
    text = (PROJECT / "constraints.txt").read_text("utf-8")
    entries = re.findall(
        r"^([\w.\-]+)(?:\[\S+\])?==(\S+).*?\\\n((?:    --hash=sha256:[0-9a-f]{64}.*\n)+)", text, re.MULTILINE
    )
    return {canonicalize_name(name): (version, hashes.count("--hash")) for name, version, hashes in entries}


def closure(requirements: list[Requirement]) -> dict[str, Distribution]:
    """Every installed distribution that `requirements` need here, their own requirements included."""
    found: dict[str, Distribution] = {}
    waiting = [(requirement, "") for requirement in requirements]
    while waiting:
        requirement, extra = waiting.pop()
        if requirement.marker and not requirement.marker.evaluate({"extra": extra}):
            continue
        name = canonicalize_name(requirement.name)
        known = name in found
        found.setdefault(name, distribution(name))
        wanted = requirement.extras if known else {"", *requirement.extras}
        waiting += [(Requirement(line), extra) for line in found[name].requires or [] for extra in sorted(wanted)]
    return found


def test_what_is_asked_for_with_an_extra_is_pinned_with_it() -> None:
    """Without it pip looks for the newest version of `name[extra]` and, as that one is not pinned, installs nothing."""
    text = (PROJECT / "constraints.txt").read_text("utf-8")
    pinned = dict(re.findall(r"^([\w.\-]+)\[(\S+)\]==", text, re.MULTILINE))

    assert {name: pinned.get(name) for name in ("coverage", "psycopg", "pyjwt")} == {
        "coverage": "toml",
        "psycopg": "binary",
        "pyjwt": "crypto",
    }


@pytest.mark.parametrize("requirement", THIRD_PARTY, ids=lambda requirement: requirement.name)
def test_every_dependency_is_pinned_within_its_bounds(requirement: Requirement) -> None:
    version, hashes = pins()[canonicalize_name(requirement.name)]

    assert requirement.specifier.contains(version)
    assert hashes >= 1


def test_everything_the_dependencies_need_is_pinned_too() -> None:
    assert closure(THIRD_PARTY).keys() <= pins().keys()


def test_the_build_tool_is_pinned_because_installing_looks_nowhere_else() -> None:
    assert "setuptools" in pins()


def test_the_constraints_name_no_address_and_nothing_unpinned() -> None:
    lines = (PROJECT / "constraints.txt").read_text("utf-8").splitlines()
    strange = [
        line for line in lines if line and not re.match(r"#|[\w.\-]+(\[\S+\])?==\S+.*\\$|    --hash=sha256:", line)
    ]

    assert strange == []
    assert "://" not in "\n".join(lines)


@pytest.mark.parametrize("requirement", THIRD_PARTY, ids=lambda requirement: requirement.name)
def test_every_dependency_is_bounded_below_and_above(requirement: Requirement) -> None:
    operators = {specifier.operator for specifier in requirement.specifier}

    assert ">=" in operators
    # These two only carry data and declarations, dated by year: newer is always right.
    assert "<" in operators or requirement.name in {"tzdata", "types-requests"}


def test_every_library_that_the_code_imports_is_a_declared_dependency() -> None:
    declared = {canonicalize_name(requirement.name) for requirement in THIRD_PARTY}
    owners = packages_distributions()
    imported = {
        name for room in ("app", "connectors") for path in (PROJECT / room).rglob("*.py") for name in roots(path)
    }
    foreign = imported - sys.stdlib_module_names - {"app", "connectors"}

    undeclared = {
        name
        for name in foreign
        if COMES_WITH.get(name) not in declared
        and not declared & {canonicalize_name(owner) for owner in owners.get(name, [])}
    }

    assert undeclared == set()


def roots(path: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            names.update(alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level:
            names.add((node.module or "").split(".")[0])
    return names


def test_every_folder_with_code_is_in_the_wheel() -> None:
    listed = set(PYPROJECT["tool"]["setuptools"]["packages"]) - SHIPPED_OUTSIDE
    folders = {
        path.parent.relative_to(PROJECT) for room in ("app", "connectors") for path in (PROJECT / room).rglob("*.py")
    }

    assert listed == {".".join(folder.parts) for folder in folders}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The built package. setuptools leaves its own folders beside the source, so a copy is built."""
    source = tmp_path_factory.mktemp("source")
    out = tmp_path_factory.mktemp("wheel")
    copy_tracked_folders(source)
    command = ["pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "--no-index", "--wheel-dir", out, source]
    subprocess.run([sys.executable, "-m", *command], check=True, capture_output=True, cwd=source)
    return next(out.glob("*.whl"))


def copy_tracked_folders(target: Path) -> None:
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        (target / name).write_bytes((PROJECT / name).read_bytes())
    for room in ("app", "connectors", "alembic", "mappings"):
        for path in (PROJECT / room).rglob("*"):
            if path.is_file() and not GENERATED & set(path.parts):
                copy = target / path.relative_to(PROJECT)
                copy.parent.mkdir(parents=True, exist_ok=True)
                copy.write_bytes(path.read_bytes())


def test_the_wheel_holds_every_file_of_the_rooms(wheel: Path) -> None:
    moved = {"alembic": Path("app/store/migrations"), "mappings": Path("app/mapping/shipped")}
    inside = {Path(name) for name in zipfile.ZipFile(wheel).namelist()}
    expected = set()
    for room in ("app", "connectors", "alembic", "mappings"):
        for path in (PROJECT / room).rglob("*"):
            if path.is_file() and not GENERATED & set(path.parts) and path.name != "README.md":
                expected.add(moved.get(room, Path(room)) / path.relative_to(PROJECT / room))

    assert expected - inside == set()


@pytest.fixture(scope="module")
def bare_environment(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A virtual environment with the wheel and the runtime dependencies alone, linked from the one we run in."""
    home = tmp_path_factory.mktemp("bare")
    venv.create(home, with_pip=False)
    site = next(home.glob("lib/python*/site-packages"))
    zipfile.ZipFile(wheel).extractall(site)
    for found in closure([Requirement(line) for line in PYPROJECT["project"]["dependencies"]]).values():
        link_files(found, site)
    return home / "bin" / "python"


def link_files(found: Distribution, site: Path) -> None:
    names = {file.parts[0] for file in found.files or [] if file.parts[0] != ".."}
    for name in names - {"__pycache__"}:
        target = site / name
        if not target.exists():
            target.symlink_to(Path(str(found.locate_file(name))).resolve())


def run_outside(python: Path, folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    plain = {"PATH": os.environ["PATH"], "HOME": str(folder), "LANG": "C"}
    command = [python, "-m", "app", *arguments]
    return subprocess.run(command, cwd=folder, env=plain, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    "arguments",
    [["--help"], ["version"], ["mapping", "check"], ["db", "upgrade"]],
    ids=" ".join,
)
def test_the_wheel_works_outside_a_checkout_with_its_own_dependencies_alone(
    bare_environment: Path, tmp_path: Path, arguments: list[str]
) -> None:
    result = run_outside(bare_environment, tmp_path, *arguments)

    assert result.returncode == 0, result.stderr


@pytest.mark.parametrize("tool", ["pytest", "hypothesis", "psycopg", "mypy"])
def test_the_environment_of_that_proof_really_lacks_what_is_not_a_runtime_dependency(
    bare_environment: Path, tmp_path: Path, tool: str
) -> None:
    result = subprocess.run([bare_environment, "-c", f"import {tool}"], cwd=tmp_path, capture_output=True, check=False)

    assert b"ModuleNotFoundError" in result.stderr


def test_a_missing_distribution_would_be_noticed() -> None:
    with pytest.raises(PackageNotFoundError):
        closure([Requirement("surely-not-installed-anywhere")])
