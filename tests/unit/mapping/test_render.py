"""How a problem looks to a person."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.errors import ConfigError, Problem
from app.mapping.codes import CODES, explain_code
from app.mapping.render import render_problem, render_problems, suggest


def test_a_problem_shows_its_line_a_caret_and_what_to_do() -> None:
    problem = Problem(
        "ADV-MAP-010", "unknown key 'atributes'", "did you mean 'attributes'?", "bad.yaml", 9, 3, "  atributes:", 9
    )

    assert render_problem(problem).split("\n") == [
        "bad.yaml:9:3: error: unknown key 'atributes' [ADV-MAP-010]",
        "     9 |   atributes:",
        "       |   ^^^^^^^^^",
        "       = did you mean 'attributes'?",
    ]


def test_a_problem_without_a_place_is_one_line() -> None:
    assert render_problem(Problem("ADV-MAP-001", "no file", path="a.yaml")) == "a.yaml: error: no file [ADV-MAP-001]"


def test_carets_stand_under_wide_characters_and_tabs() -> None:
    wide = render_problem(Problem("X", "m", "", "f", 1, 4, "日本 bad", 3)).split("\n")
    tabbed = render_problem(Problem("X", "m", "", "f", 1, 3, "a\tbad", 3)).split("\n")

    assert wide[2] == "       |      ^^^"
    assert tabbed[2] == "       |  \t^^^"


def test_a_long_line_is_cut_around_the_place() -> None:
    line = "x" * 5000 + "BAD" + "y" * 5000

    _, shown, caret = render_problem(Problem("X", "m", "", "f", 1, 5001, line, 3)).split("\n")

    assert len(shown) < 200
    assert shown[caret.index("^") : caret.rindex("^") + 1] == "BAD"


@given(st.text(max_size=50), st.integers(1, 60), st.integers(1, 60))
def test_nothing_of_a_file_can_steer_a_terminal_or_forge_a_log_line(text: str, column: int, width: int) -> None:
    rendered = render_problem(Problem("X", text, text, text, 1, column, text, width))

    assert all(letter.isprintable() or letter in "\n\t" for letter in rendered)
    assert rendered.count("\n") <= 3


def test_several_problems_follow_each_other() -> None:
    assert render_problems([Problem("A", "one"), Problem("B", "two")]) == "error: one [A]\nerror: two [B]"


@pytest.mark.parametrize(
    ("word", "said"), [("Equal", "did you mean 'equal'?"), ("frist", "did you mean 'first'?"), ("zzz", "")]
)
def test_suggestions_are_close_or_not_made(word: str, said: str) -> None:
    assert suggest(word, ["equal", "first"], listed=False) == said


def test_codes_are_found_in_any_spelling_and_say_what_to_do() -> None:
    assert explain_code(" adv-map-010 ").title == "unknown key"
    assert all(code.meaning.endswith(".") and code.action.endswith(".") for code in CODES.values())
    assert len({code.title for code in CODES.values()}) == len(CODES)


def test_an_unknown_code_is_refused_with_a_suggestion() -> None:
    with pytest.raises(ConfigError) as refused:
        explain_code("ADV-MAP-9")

    assert "did you mean ADV-MAP-0" in refused.value.hint
