"""Every rule about who may import whom is kept by the code, and is shown to break when somebody breaks it."""

from __future__ import annotations

import ast
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[2]
ROOMS = ("app", "connectors")

OFFENCES = {
    "layers": {"app/store/offence.py": "import app.sync"},
    "pure-domain": {"app/domain/offence.py": "import structlog"},
    "leaf": {"connectors/offence.py": "import app.errors"},
    "catalogue": {"app/sync/offence.py": "import connectors.files"},
    "composition-root": {"app/web/offence.py": "import connectors.catalogue"},
    "sandbox": {"app/sync/offence.py": "import connectors.salesforce.sandbox"},
    "honest-judge": {"connectors/salesforce/sandbox/offence.py": "import connectors.http"},
    "independent-connectors": {"connectors/files/offence.py": "import connectors.salesforce"},
    "vendor-sdk": {"app/mapping/offence.py": "import simple_salesforce"},
    "extra-cdc": {"connectors/salesforce/offence.py": "import grpc"},
    "http": {"app/web/offence.py": "import httpx"},
    "sql": {"app/sync/offence.py": "import sqlalchemy"},
    "surfaces": {"app/intake/offence.py": "import fastapi"},
    "no-cycles": {"app/store/first.py": "import app.store.second", "app/store/second.py": "import app.store.first"},
}


def configured_contracts() -> list[str]:
    configuration = tomllib.loads((PROJECT / "pyproject.toml").read_text("utf-8"))
    return [contract["id"] for contract in configuration["tool"]["importlinter"]["contracts"]]


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    for room in ROOMS:
        shutil.copytree(PROJECT / room, tmp_path / room, ignore=shutil.ignore_patterns("__pycache__", "metadata"))
    shutil.copy(PROJECT / "pyproject.toml", tmp_path)
    return tmp_path


def lint(project: Path, *contracts: str) -> subprocess.CompletedProcess[str]:
    only = [argument for contract in contracts for argument in ("--contract", contract)]
    command = [Path(sys.executable).with_name("lint-imports"), "--no-cache", *only]
    return subprocess.run(command, cwd=project, capture_output=True, text=True, check=False)


def test_the_code_keeps_every_contract(copy: Path) -> None:
    result = lint(copy)

    assert result.returncode == 0, result.stdout


def test_every_contract_has_an_offence_that_breaks_it() -> None:
    assert sorted(OFFENCES) == sorted(configured_contracts())


@pytest.mark.parametrize("contract", OFFENCES)
def test_a_contract_breaks_when_its_rule_is_broken(copy: Path, contract: str) -> None:
    for path, statement in OFFENCES[contract].items():
        (copy / path).write_text(f"{statement}\n", encoding="utf-8")

    result = lint(copy, contract)

    assert result.returncode == 1, result.stdout
    assert "1 broken" in result.stdout


def test_every_connector_is_under_the_contracts_about_connectors() -> None:
    configuration = tomllib.loads((PROJECT / "pyproject.toml").read_text("utf-8"))
    contracts = {contract["id"]: contract for contract in configuration["tool"]["importlinter"]["contracts"]}
    connectors = {f"connectors.{folder.parent.name}" for folder in (PROJECT / "connectors").glob("*/__init__.py")}

    assert set(contracts["catalogue"]["protected_modules"]) == connectors
    assert set(contracts["independent-connectors"]["modules"]) == connectors


def imported_roots(path: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            names.add(node.module or "")
    return names


@pytest.mark.parametrize("path", sorted((PROJECT / "app" / "domain").glob("**/*.py")), ids=lambda path: path.stem)
def test_the_domain_needs_nothing_but_python(path: Path) -> None:
    foreign = {name for name in imported_roots(path) if not name.startswith("app.domain")}

    assert {name.split(".")[0] for name in foreign} <= sys.stdlib_module_names
