"""The tree speaks of itself alone and keeps to its own layout."""

from __future__ import annotations

import re
import subprocess
from functools import cache
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[2]

# Put together from parts, so that this file does not contain what it forbids.
MACHINE_PATH = re.compile(r"(?<![\w.\-*/])/" + r"(?:work|farm|root|home/\w+|Users/\w+)" + "/")
REGISTRIES = ("pypi" + "[.]org", "python" + "hosted[.]org", "registry[.]" + "npmjs", "deb[.]" + "debian")
REGISTRY_HOST = re.compile("|".join(REGISTRIES))
FOREIGN_LOCKS = ["uv" + ".lock", "py" + "lock.toml", "poetry" + ".lock"]


@cache
def tracked_files() -> tuple[Path, ...]:
    """Every file of the project: what git tracks or would track; in an unpacked archive, everything."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        check=False,
    )
    names = listed.stdout.split("\0") if listed.returncode == 0 else [str(p) for p in PROJECT.rglob("*")]
    return tuple(path for name in names if name and (path := PROJECT / name).is_file())


@cache
def texts() -> dict[Path, str]:
    found = {}
    for path in tracked_files():
        try:
            found[path.relative_to(PROJECT)] = path.read_text("utf-8")
        except UnicodeDecodeError:
            continue
    return found


def lines_with(pattern: re.Pattern[str]) -> list[str]:
    return [
        f"{path}:{number}: {line.strip()}"
        for path, text in texts().items()
        for number, line in enumerate(text.splitlines(), 1)
        if pattern.search(line)
    ]


def test_no_file_names_a_path_of_one_machine() -> None:
    assert lines_with(MACHINE_PATH) == []


def test_no_file_names_the_host_of_a_package_registry() -> None:
    assert lines_with(REGISTRY_HOST) == []


@pytest.mark.parametrize("name", FOREIGN_LOCKS)
def test_constraints_are_the_only_lock(name: str) -> None:
    assert not (PROJECT / name).exists()


def test_alembic_is_not_a_package_because_it_would_shadow_the_library() -> None:
    assert list((PROJECT / "alembic").rglob("__init__.py")) == []


def test_tests_are_not_packages() -> None:
    assert list((PROJECT / "tests").rglob("__init__.py")) == []


def test_every_room_at_the_top_is_one_of_the_design() -> None:
    rooms = {path.relative_to(PROJECT).parts[0] for path in tracked_files()}

    assert rooms <= {
        ".ci",
        ".dockerignore",
        ".github",
        ".gitignore",
        "CHANGELOG.md",
        "Dockerfile",
        "LICENSE",
        "Makefile",
        "README.md",
        "alembic",
        "alembic.ini",
        "app",
        "connectors",
        "constraints.txt",
        "mappings",
        "pyproject.toml",
        "tests",
    }


@pytest.mark.parametrize("text", ["/" + "work/main/app", "open('/" + "root/x')", " /" + "home/ann/x"])
def test_a_machine_path_would_be_found(text: str) -> None:
    assert MACHINE_PATH.search(text)
