"""YAML with positions, under limits: no file may cost much, surprise, or choose what is constructed."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.errors import MappingError
from app.mapping.source import MAX_ALIASES, MAX_BYTES, MAX_DEPTH, Spot, parse_source, read_source


def refusal(text: str) -> str:
    with pytest.raises(MappingError) as refused:
        parse_source(text, "test.yaml")
    return refused.value.problems[0].code


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("no", "no"),
        ("yes", "yes"),
        ("on", "on"),
        ("010", "010"),
        ("0x1F", "0x1F"),
        ("1:30", "1:30"),
        ("1_000", "1_000"),
        (".nan", ".nan"),
        ("-.inf", "-.inf"),
        ("1e3", "1e3"),
        ("9" * 30, "9" * 30),
        ("true", True),
        ("False", False),
        ("~", None),
        ("-5", -5),
        ("0.10", Decimal("0.10")),
        ("2025-02-28", date(2025, 2, 28)),
        ("2025-02-30", "2025-02-30"),
        ("'5'", "5"),
        ('"true"', "true"),
    ],
)
def test_a_scalar_means_what_it_looks_like(text: str, value: object) -> None:
    found = parse_source(f"a: {text}\n", "x").data["a"]

    assert found == value
    assert type(found) is type(value)


def test_keys_and_values_know_where_they_stand() -> None:
    source = parse_source('a:\n  - b: "x y"\n  - c\n', "x")

    assert source.data == {"a": [{"b": "x y"}, "c"]}
    assert source.keys["a", 0, "b"] == Spot(2, 5, 1)
    assert source.values["a", 0, "b"] == Spot(2, 8, 5)
    assert source.values["a", 1] == Spot(3, 5, 1)


def test_positions_survive_a_byte_order_mark_and_windows_line_ends(tmp_path: Path) -> None:
    path = tmp_path / "m.yaml"
    path.write_bytes("\ufeffa: 1\r\nb:\r\n  c: ä\r\n".encode())

    source = read_source(path)

    assert source.data == {"a": 1, "b": {"c": "ä"}}
    assert source.values["b", "c"] == Spot(3, 6, 1)
    assert source.lines[2] == "  c: ä"


def test_an_alias_repeats_its_anchor_and_points_back_at_it() -> None:
    source = parse_source("a: &x {b: 1}\nc: *x\n", "x")

    assert source.data == {"a": {"b": 1}, "c": {"b": 1}}
    assert source.values["c", "b"] == source.values["a", "b"]


def test_aliases_that_multiply_are_refused() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 10)]

    assert refusal("\n".join(lines)) == "ADV-MAP-006"


def test_too_many_aliases_are_refused() -> None:
    assert refusal("a: &a 1\nb: [" + ", ".join(["*a"] * (MAX_ALIASES + 1)) + "]") == "ADV-MAP-006"


@pytest.mark.parametrize("opening", ["[", "{a: ", "- "])
def test_deep_nesting_is_refused_before_it_costs_anything(opening: str) -> None:
    assert refusal(opening * 3000) == "ADV-MAP-006"


def test_depth_up_to_the_limit_is_fine() -> None:
    assert parse_source("[" * MAX_DEPTH + "x" + "]" * MAX_DEPTH, "x").data


def test_many_values_are_refused() -> None:
    assert refusal("- a\n" * 20_001) == "ADV-MAP-006"


def test_an_anchor_that_contains_itself_is_refused() -> None:
    assert refusal("a: &a [*a]") == "ADV-MAP-007"


def test_a_large_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "large.yaml"
    path.write_text("# " + "x" * MAX_BYTES)

    with pytest.raises(MappingError) as refused:
        read_source(path)

    assert refused.value.problems[0].code == "ADV-MAP-002"


def test_a_missing_file_says_so(tmp_path: Path) -> None:
    with pytest.raises(MappingError) as refused:
        read_source(tmp_path / "none.yaml")

    assert refused.value.problems[0].code == "ADV-MAP-001"
    assert "No such file" in refused.value.problems[0].message


def test_a_folder_is_not_a_file(tmp_path: Path) -> None:
    with pytest.raises(MappingError) as refused:
        read_source(tmp_path)

    assert refused.value.problems[0].code == "ADV-MAP-001"


def test_a_file_that_is_not_utf8_is_refused_with_the_place(tmp_path: Path) -> None:
    path = tmp_path / "latin.yaml"
    path.write_bytes("a: 1\nb: Gr\xfc\xdfe\n".encode("latin-1"))

    with pytest.raises(MappingError) as refused:
        read_source(path)

    (problem,) = refused.value.problems
    assert (problem.code, problem.line, problem.column) == ("ADV-MAP-003", 2, 6)


@pytest.mark.parametrize(
    "text", ["%YAML 9.9\n---\na: 1\n", "%FOO bar\n%TAG ! x\n", 'a: "\\UFFFFFFFF"\n', "a: b: c\n", "@x"]
)
def test_odd_yaml_is_a_problem_and_no_crash(text: str) -> None:
    assert refusal(text).startswith("ADV-MAP-00")


yaml_like = st.text(alphabet=st.sampled_from(list("ab01 \n\t:-?[]{},&*!|>'\"%@`#~<=\\ü\u2028\x85\ufeff.")), max_size=60)


def codes(text: str) -> list[str]:
    try:
        parse_source(text, "x")
    except MappingError as refused:
        return [problem.code for problem in refused.problems] or ["none"]
    return []


@given(text=st.one_of(st.text(max_size=80), yaml_like))
def test_no_text_causes_anything_but_data_or_problems_with_codes(text: str) -> None:
    assert all(code.startswith("ADV-MAP-00") for code in codes(text))


plain = st.recursive(
    st.one_of(st.booleans(), st.none(), st.integers(-(10**17), 10**17), st.text(alphabet="abc xyz-_", max_size=8)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.dictionaries(st.text(alphabet="abcdef", min_size=1, max_size=4), inner, max_size=4),
    ),
    max_leaves=20,
)


def _flow(value: object) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f'"{key}": {_flow(inner)}' for key, inner in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_flow, value)) + "]"
    if isinstance(value, str):
        return f'"{value}"'
    return "null" if value is None else str(value).lower()


@given(value=plain)
def test_what_is_written_is_what_is_read_and_everything_has_a_place(value: object) -> None:
    source = parse_source(_flow(value) + "\n", "x")

    assert source.data == value
    assert all(1 <= spot.line <= len(source.lines) and spot.column >= 1 for spot in source.values.values())
