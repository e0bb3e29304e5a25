"""The documents name only commands, options, settings, make targets and files that exist."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command

from app.cli import build_app
from app.config import PREFIX, SECRETS, Settings

PROJECT = Path(__file__).resolve().parents[2]
DOCUMENTS = [
    PROJECT / "README.md",
    PROJECT / "app" / "README.md",
    PROJECT / "CHANGELOG.md",
    *sorted((PROJECT / ".github").glob("*.md")),
    *sorted(PROJECT.glob("mappings/*.md")),
    *sorted(PROJECT.glob("connectors/**/*.md")),
]
STEERING_TESTS = {
    "ADVOCACY_TEST_POSTGRES_URL",
    "ADVOCACY_TEST_ALLOW_SKIP",
    "ADVOCACY_SHARED_DATA",
    "ADVOCACY_TRACEBACK",
}

FENCE = re.compile(r"^```[^\n]*\n(.*?)^```", re.MULTILINE | re.DOTALL)
INLINE = re.compile(r"`([^`\n]+)`")
LINK = re.compile(r"\]\((?!https?://|#|mailto:)([^)#\s]+)")


def names(document: Path) -> str:
    return str(document.relative_to(PROJECT))


def commands_in(text: str) -> Iterator[str]:
    """Every `advocacy ...` in code, without prompt, comment or pipe."""
    prose = FENCE.sub("", text)
    lines = [line for block in FENCE.findall(text) for line in block.splitlines()]
    for line in [*lines, *INLINE.findall(prose)]:
        if found := re.match(r"(?:\$ )?(?:\w+=\S+ )*(?:\.venv/bin/)?(advocacy(?: .*)?)$", line.strip()):
            yield re.split(r"\s{2,}|\s[|>#&]|\s+·", found[1])[0]


@cache
def command_line() -> Any:
    return get_command(build_app())


def problem_with(line: str) -> str | None:
    command: Any = command_line()
    options = known_options(command)
    for word in shlex.split(line)[1:]:
        if word.startswith("-") and word != "-":
            if word.split("=")[0] not in options:
                return f"{line!r}: {command.name} has no option {word}"
        elif children := getattr(command, "commands", None):
            if word not in children:
                return f"{line!r}: there is no command {word!r}"
            command = children[word]
            options = options | known_options(command)
    return None


def known_options(command: Any) -> frozenset[str]:
    given = {text for parameter in command.params for text in (*parameter.opts, *parameter.secondary_opts)}
    return frozenset(given | {"--help", "-h"})


@pytest.mark.parametrize("document", DOCUMENTS, ids=names)
def test_a_document_names_only_real_commands_and_options(document: Path) -> None:
    problems = [problem for line in commands_in(document.read_text("utf-8")) if (problem := problem_with(line))]

    assert problems == []


@pytest.mark.parametrize("line", ["advocacy conquer", "advocacy sync --backwards", "advocacy db destroy"])
def test_an_invented_command_would_be_noticed(line: str) -> None:
    assert problem_with(line) is not None


def test_commands_are_found_where_people_write_them() -> None:
    text = (
        "Run `advocacy plan` or\n```\n$ advocacy sync --full   # all\nADVOCACY_CRM=files advocacy doctor | less\n```\n"
    )

    assert list(commands_in(text)) == ["advocacy sync --full", "advocacy doctor", "advocacy plan"]


def settings_names() -> set[str]:
    fields = set(Settings.model_fields) - {"origins"}
    return {f"{PREFIX}{name.upper()}" for name in fields}


@pytest.mark.parametrize("document", DOCUMENTS, ids=names)
def test_a_document_names_only_real_settings(document: Path) -> None:
    named = set(re.findall(r"\bADVOCACY_[A-Z][A-Z_]*[A-Z]\b", document.read_text("utf-8")))

    assert named - settings_names() - STEERING_TESTS == set()


def test_the_readme_explains_every_setting() -> None:
    text = (PROJECT / "README.md").read_text("utf-8")
    files_of_secrets = {f"{PREFIX}{name.upper()}_FILE" for name in SECRETS}

    missing = {name for name in settings_names() - files_of_secrets if not re.search(rf"\b{name}\b", text)}

    assert missing == set()


@pytest.mark.parametrize("document", DOCUMENTS, ids=names)
def test_a_document_names_only_real_make_targets(document: Path) -> None:
    targets = set(re.findall(r"^([a-z]+):", (PROJECT / "Makefile").read_text("utf-8"), re.MULTILINE))
    text = document.read_text("utf-8")
    code = "\n".join([*FENCE.findall(text), *INLINE.findall(FENCE.sub("", text))])

    assert set(re.findall(r"^\s*make ([a-z]+)", code, re.MULTILINE)) <= targets


@pytest.mark.parametrize("document", DOCUMENTS, ids=names)
def test_a_document_names_only_real_addresses_of_the_service(document: Path) -> None:
    named = re.findall(
        r"`(?:GET |POST )?(/(?:webhooks|v1|healthz|readyz|metrics)[\w/{}]*)`", document.read_text("utf-8")
    )
    served = {
        path.removeprefix("/v1") for path in re.findall(r'"(/[\w/{}]*)"', web_sources().replace(":path}", "}"))
    } | {"/v1"}

    assert {path.removeprefix("/v1") for path in named} - served == set()


def web_sources() -> str:
    return "\n".join(path.read_text("utf-8") for path in (PROJECT / "app" / "web").glob("*.py"))


@pytest.mark.parametrize("document", DOCUMENTS, ids=names)
def test_a_link_leads_to_a_file(document: Path) -> None:
    text = FENCE.sub("", document.read_text("utf-8"))

    assert [target for target in LINK.findall(text) if not (document.parent / target).exists()] == []


PRINTED = re.compile(r"^<!-- prints: (advocacy .*?) -->\n```text\n(.*?)^```", re.MULTILINE | re.DOTALL)
VOLATILE = re.compile(r"\d+\.\d s\b|\b[0-9A-Za-z]{18}\b|policy [0-9a-f]{12}")


def steady(text: str) -> list[str]:
    """The lines of an output without what differs from run to run: durations, ids, versions."""
    return [" ".join(VOLATILE.sub("~", line).split()) for line in text.strip().splitlines()]


README = PROJECT / "README.md"
WRITTEN = re.compile(r"^<!-- file: (\S+) -->\n```csv\n(.*?)^```", re.MULTILINE | re.DOTALL)
PRINTED_WITH_FILES = re.compile(
    r"^<!-- prints with these files: (advocacy .*?) -->\n```text\n(.*?)^```", re.MULTILINE | re.DOTALL
)


def run_in(folder: Path, line: str, **settings: str) -> str:
    environment = {"PATH": os.environ["PATH"], "HOME": str(folder), "LANG": "C.UTF-8", **settings}
    command = [sys.executable, "-m", "app", *shlex.split(line)[1:]]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=True).stdout


def test_the_readme_shows_what_the_commands_really_print(tmp_path: Path) -> None:
    shown = PRINTED.findall(README.read_text("utf-8"))

    printed = [(line, steady(run_in(tmp_path, line))) for line, _ in shown]

    assert next(line for line, _ in shown) == "advocacy demo"
    assert printed == [(line, steady(text)) for line, text in shown]


def test_the_example_files_of_the_readme_give_what_it_shows(tmp_path: Path) -> None:
    text = README.read_text("utf-8")
    for name, content in WRITTEN.findall(text):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(content, encoding="utf-8")
    [(line, shown)] = PRINTED_WITH_FILES.findall(text)

    for earlier in ("advocacy events import referrals.csv", "advocacy sync"):
        run_in(tmp_path, earlier, ADVOCACY_CRM="files", ADVOCACY_FILES_DIR="export")
    printed = run_in(tmp_path, line, ADVOCACY_CRM="files", ADVOCACY_FILES_DIR="export")

    assert steady(printed) == steady(shown)
