"""What results look like: for people aligned and harmless, for programs exact."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from enum import StrEnum
from fractions import Fraction

import pytest

from app.cli.invocation import read_assignments
from app.cli.output import (
    Link,
    count,
    money,
    one_line,
    plain,
    say,
    say_json,
    say_table,
    show_progress,
    tell,
    tell_error,
)
from app.errors import AppError, ConfigError, MappingError, Problem


class Colour(StrEnum):
    RED = "red"


@dataclass(frozen=True)
class Record:
    amount: Decimal
    day: date


def test_money_has_separators_and_cents_only_where_there_are_some() -> None:
    assert money("140000.00", "USD") == "140,000 USD"
    assert money(Decimal("-1234.50")) == "-1,234.50"
    assert money("0.00") == "0"
    assert money("1E+5") == "100,000"


def test_counts_speak_english() -> None:
    assert [count(n, "account") for n in (0, 1, 2_000)] == ["0 accounts", "1 account", "2,000 accounts"]
    assert [count(2, noun) for noun in ("entity", "day")] == ["2 entities", "2 days"]


def test_json_keeps_numbers_exact(capsys: pytest.CaptureFixture[str]) -> None:
    moment = datetime(2026, 1, 2, 3, 4, tzinfo=UTC)

    say_json({Colour.RED: [Record(Decimal("1E+2"), date(2026, 1, 2)), moment, Fraction(1, 3), None, True, "é"]})

    assert json.loads(capsys.readouterr().out) == {
        "red": [{"amount": "100", "day": "2026-01-02"}, "2026-01-02T03:04:00+00:00", "1/3", None, True, "é"]
    }
    assert plain(frozenset({1})) == [1]


def test_a_table_in_a_pipe_is_aligned_text(capsys: pytest.CaptureFixture[str]) -> None:
    say_table(("name", "amount"), [("Änne", "1"), ("B", "1,000"), (None, 3)], right=("amount",))

    assert capsys.readouterr().out == "NAME  AMOUNT\nÄnne       1\nB      1,000\n           3\n"


STEERING = "a\x1b]0;b\x07\x9b2J\u202e\u2066c\rd\x7f"


@pytest.mark.parametrize("write", [say, tell, lambda text: tell_error(ConfigError(text, hint=text))])
def test_no_line_can_steer_the_terminal(write: Callable[[str], None], capsys: pytest.CaptureFixture[str]) -> None:
    write(f"one\n\t{STEERING}")

    out, err = capsys.readouterr()
    assert all(character.isprintable() or character in "\n\t" for character in out + err)
    assert "one\n\ta ]0;b  2J  c d " in out + err


def test_json_keeps_every_character_and_steers_no_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    say_json({"name": STEERING + "é\U0001f600\U000e0001"})

    out = capsys.readouterr().out
    assert out.rstrip("\n").isprintable()
    assert json.loads(out) == {"name": STEERING + "é\U0001f600\U000e0001"}


def test_text_from_outside_cannot_steer_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    say_table(("name",), [("a\x1b[2J\nb\u202e",)])

    assert capsys.readouterr().out == "NAME\na [2J b\n"
    assert one_line("a\tb\x07") == "a b "


def test_a_table_without_rows_is_its_heading(capsys: pytest.CaptureFixture[str]) -> None:
    say_table(("name", "amount"), [])

    assert capsys.readouterr().out == "NAME  AMOUNT\n"


def test_a_cell_leads_to_its_page_on_a_terminal_and_is_its_text_in_a_pipe(capsys, monkeypatch) -> None:
    rows = [(Link("Deal", "https://org.example/006/view"),), (Link("Another", ""),)]

    say_table(("name",), rows)
    assert capsys.readouterr().out == "NAME\nDeal\nAnother\n"

    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    say_table(("name",), rows)
    drawn = capsys.readouterr().out
    assert drawn.count("\x1b]8;") == 2  # one link: where it begins, and where it ends
    assert ";https://org.example/006/view\x1b\\Deal   \x1b]8;;" in drawn


def test_progress_is_silent_in_a_pipe(capsys: pytest.CaptureFixture[str]) -> None:
    with show_progress() as progress:
        progress("pull", 1, None)

    assert capsys.readouterr() == ("", "")


def test_an_error_says_what_to_do_on_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    tell_error(AppError("it broke", code="ADV-1", hint="mend it"))
    tell_error(
        MappingError([Problem("ADV-MAP-010", "unknown key 'x'", path="m.yaml", line=3, column=1, source="x: 1")])
    )

    out, err = capsys.readouterr()
    assert out == ""
    assert "error[ADV-1]: it broke\n  = mend it\n" in err
    assert "m.yaml:3:1: error: unknown key 'x' [ADV-MAP-010]" in err
    assert "^" in err


def test_assignments_name_settings_with_or_without_prefix() -> None:
    assert read_assignments(["crm=files", "ADVOCACY_FILES_DIR=a=b"]) == {"crm": "files", "files_dir": "a=b"}
    with pytest.raises(ConfigError):
        read_assignments(["crm"])


def test_every_code_that_can_be_reported_is_explained() -> None:
    from app.cli.explanations import EXPLANATIONS, explain_code, list_codes
    from app.domain.model import Issue
    from app.domain.rows import RowIssue
    from app.mapping.codes import CODES

    known = {code for code, _ in list_codes()}

    assert known >= {*Issue, *RowIssue, *CODES, *EXPLANATIONS}
    assert all(explain_code(code.upper()) for code in known)
    assert explain_code("nonsense") is None
