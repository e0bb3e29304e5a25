"""Every command line that cannot be meant ends with code 2, an explanation on stderr and nothing on stdout."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog

from app.cli import main
from app.errors import AppError, HeldError, LeaseHeldError, UnreachableCrmError
from connectors.errors import CredentialsError, SchemaError, UnreachableError

A = "001000000000001AAA"
HUGE = "9" * 20


@pytest.fixture(autouse=True)
def own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    monkeypatch.chdir(tmp_path)
    yield
    root.handlers[:] = before
    root.setLevel(level)
    structlog.reset_defaults()


def run(*arguments: str) -> int:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    code = ended.value.code
    assert isinstance(code, int)
    return code


@pytest.mark.parametrize(
    "arguments",
    [
        ["nonsense"],
        ["sync", "--nonsense"],
        ["errors", "NOPE"],
        ["accounts", "--as-of", "yesterday"],
        ["accounts", "--sort", "luck"],
        ["--set", "nonsense", "version", "--json", "--set"],
        ["--set", "schedule=never", "accounts"],
        ["--config", "absent.toml", "accounts"],
        ["mapping", "check", "absent.yaml"],
        ["explain", "Nobody"],
        ["triage", "--hours", "many"],
        ["triage", "--hours", "-1"],
        ["triage", "--hours", "NaN"],
        ["runs", "show", "77"],
        ["webhooks", "replay", "77"],
        ["keys", "add", "x", "--scope", "everything"],
        ["events", "import", "absent.csv"],
        ["events", "add", "folow", "--account", A],
        ["events", "verify", "nobody/1"],
        ["events", "reject", "nobody/1", "--reason", "a\x00b"],
        ["events", "expire"],
        ["events", "list", "--status", "great"],
        ["apply", "absent.json"],
        ["sandbox", "--data", "absent"],
        ["calls", "today", "--day", "9999-12-31"],
        ["calls", "coverage", "--day", "9999-12-31"],
        ["calls", "calendar", "--day", "0001-01-01"],
        ["ladder", "Nobody", "--as-of", "9999-12-31"],
        ["accounts", "--top", HUGE],
        ["events", "list", "--top", HUGE],
        ["runs", "list", "--top", HUGE],
        ["runs", "show", HUGE],
        ["references", "approve", HUGE],
        ["references", "show", "0"],
        ["webhooks", "replay", HUGE],
        ["runs", "diff", HUGE, "1"],
    ],
)
def test_what_cannot_be_meant_is_code_2_and_no_traceback(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    code = run(*arguments)

    out, err = capsys.readouterr()
    assert (code, out) == (2, "")
    assert err.strip()
    assert "Traceback" not in err


@pytest.mark.parametrize(
    ("failure", "code"),
    [
        (AppError("x"), 1),
        (HeldError("x"), 4),
        (UnreachableCrmError("x"), 5),
        (LeaseHeldError("x"), 6),
        (CredentialsError("x"), 5),
        (UnreachableError("x"), 5),
        (SchemaError("x"), 2),
        (KeyboardInterrupt(), 130),
        (RuntimeError("first line\nsecond line"), 1),
    ],
)
def test_every_kind_of_failure_has_its_exit_code(
    failure: BaseException, code: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(*_args: object, **_kwargs: object) -> None:
        raise failure

    monkeypatch.setattr("app.config.describe_settings", fail)

    assert run("config", "show") == code

    out, err = capsys.readouterr()
    assert out == ""
    assert "Traceback" not in err
    assert "second line" not in err


def test_the_version_is_known(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("version") == 0
    assert capsys.readouterr().out.startswith("advocacy-sync ")


def test_event_types_say_what_they_are(capsys: pytest.CaptureFixture[str]) -> None:
    import json

    assert run("events", "types", "--json") == 0

    types = {kind["code"]: kind for kind in json.loads(capsys.readouterr().out)}
    assert (types["referral"]["basis"], types["referral"]["rung"]) == ("attributed", 11)
    assert types["reference_call"]["title"] == "Reference call"
    assert types["beta_membership"]["lasts"] is True


def test_an_event_type_says_which_attributes_it_takes(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("events", "types", "permission_promised") == 0
    out = capsys.readouterr().out
    assert "Needs the column opportunity too." in out
    assert [line.split()[:2] for line in out.splitlines() if line.startswith(("scopes", "due_on"))] == [
        ["scopes", "required"], ["due_on", "date"],
    ]  # fmt: skip

    assert run("events", "types", "care_answer", "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert told["attributes"][0] == {
        "name": "bucket", "kind": "code", "values": ["need_you", "ok", "who_are_you"], "is_required": True,
        "takes_own": False, "takes": "code: need_you, ok, who_are_you",
    }  # fmt: skip

    assert run("events", "types", "care_answr") == 2
    assert "did you mean 'care_answer'" in capsys.readouterr().err


def test_a_day_on_which_nothing_is_urgent_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("triage", "--hours", "4") == 0
    assert capsys.readouterr().out == "Nothing is urgent.\n"
