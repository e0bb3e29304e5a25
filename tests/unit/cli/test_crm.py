"""`crm setup` says what was there, what it did and what is still missing, and ends with a code that agrees."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import structlog

from app.cli import main
from connectors.contract import Capabilities, SetupStep

PLANNED = (
    SetupStep("field", "Account.Old__c", present=True),
    SetupStep("field", "Account.New__c", present=False),
    SetupStep("permission set", "Rights", present=False, note="lacks rights to Account.New__c", partial=True),
)
DONE = tuple(replace(step, present=True, note="", partial=False) for step in PLANNED)


class Crm:
    """A CRM that has nothing but a set-up, which ends as it is told to."""

    capabilities = Capabilities(incremental=False, deletions=False, resumable=False, setup=True)

    def __init__(self, planned: tuple[SetupStep, ...], applied: tuple[SetupStep, ...]) -> None:
        self.planned, self.applied = planned, applied
        self.users: list[str] = []
        self.viewers: list[Sequence[str]] = []

    def plan_setup(self, *, user: str = "", viewers: Sequence[str] = ()) -> tuple[SetupStep, ...]:
        self.users.append(user)
        self.viewers.append(viewers)
        return self.planned

    def apply_setup(self, *, check_only: bool, user: str = "", viewers: Sequence[str] = ()) -> tuple[SetupStep, ...]:
        self.users.append(user)
        self.viewers.append(viewers)
        return self.planned if check_only else self.applied

    def close(self) -> None:
        """Nothing is open."""


Ran = tuple[int, str, str]
Run = Callable[..., Ran]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Run]:
    """Run `crm setup` against a CRM; its exit code and what it printed."""
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    monkeypatch.chdir(tmp_path)

    def run_setup(crm: Crm, *arguments: str) -> Ran:
        monkeypatch.setattr("app.bootstrap.build_connector", lambda *_args: crm)
        with pytest.raises(SystemExit) as ended:
            main(["crm", "setup", *arguments])
        code = ended.value.code
        assert isinstance(code, int)
        return code, *capsys.readouterr()

    yield run_setup
    root.handlers[:] = before
    root.setLevel(level)
    structlog.reset_defaults()


def lines(out: str) -> set[str]:
    """The lines of the table, with single spaces."""
    return {" ".join(line.split()) for line in out.splitlines()}


def test_what_was_made_is_told_from_what_was_there(run: Run) -> None:
    code, out, _ = run(Crm(PLANNED, DONE), "--yes")

    assert code == 0
    assert {
        "field Account.Old__c there",
        "field Account.New__c created",
        "permission set Rights repaired",
    } <= lines(out)


def test_a_check_says_what_would_be_done(run: Run) -> None:
    code, out, _ = run(Crm(PLANNED, DONE), "--check")

    assert code == 10
    assert {
        "field Account.Old__c there",
        "field Account.New__c would be created",
        "permission set Rights would be repaired lacks rights to Account.New__c",
    } <= lines(out)


def test_what_is_missing_afterwards_is_a_failure_that_says_what_to_do(run: Run) -> None:
    code, out, err = run(Crm(PLANNED, (*DONE[:2], PLANNED[2])), "--yes")

    assert code == 1
    assert "permission set Rights missing lacks rights to Account.New__c" in lines(out)
    assert "not complete: Rights" in err
    assert "as an administrator" in err


def test_a_field_that_only_a_person_may_change_is_told_with_what_to_do(run: Run) -> None:
    odd = SetupStep("field", "Account.Odd__c", present=False, note="is a text field, not number", differs=True)

    code, out, err = run(Crm((*PLANNED, odd), (*DONE, odd)), "--yes")
    checked, tried, _ = run(Crm((*DONE, odd), ()), "--check")

    assert (code, checked) == (1, 10)
    for said in (out, tried):
        assert "field Account.Odd__c differs is a text field, not number" in lines(said)
    assert "change the fields that differ" in err


@pytest.mark.parametrize(
    ("planned", "applied", "option", "code", "complete", "missing"),
    [
        (PLANNED, DONE, "--yes", 0, True, 0),
        (PLANNED, PLANNED, "--yes", 1, False, 2),
        (PLANNED, DONE, "--check", 10, False, 2),
        (DONE, DONE, "--check", 0, True, 0),
    ],
    ids=["done", "in vain", "checked", "there already"],
)
def test_programs_are_told_whether_it_is_complete(run: Run, planned, applied, option, code, complete, missing) -> None:
    ended, out, _ = run(Crm(planned, applied), option, "--json")

    answer = json.loads(out)
    assert (ended, answer["complete"], answer["missing"]) == (code, complete, missing)


def test_people_can_be_named_who_should_see_the_values(run: Run) -> None:
    crm = Crm(PLANNED, DONE)

    run(crm, "--yes", "--viewer", "ann@example.com", "--viewer", "bob@example.com")

    assert crm.viewers == [["ann@example.com", "bob@example.com"]] * 2


def test_the_rights_can_be_meant_for_another_user(run: Run) -> None:
    crm = Crm(PLANNED, DONE)

    run(crm, "--yes", "--user", "nightly@example.com")

    assert crm.users == ["nightly@example.com"] * 2
