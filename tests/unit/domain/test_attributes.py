"""Attributes are read strictly, and everything that is wrong with them is said at once."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import pytest

from app.domain.attributes import AttributeReader


def problems(reader):
    with pytest.raises(ValueError) as refused:
        reader.check()
    return str(refused.value)


@pytest.mark.parametrize(
    ("method", "given", "read"),
    [
        ("text", " so ", "so"),
        ("text", None, None),
        ("words", "one", ("one",)),
        ("words", ["b", " a", "b"], ("b", "a")),
        ("words", None, ()),
        ("flag", False, False),
        ("day", "2026-02-28", date(2026, 2, 28)),
        ("number", "12.50", Decimal("12.50")),
        ("number", 3, Decimal(3)),
        ("number", "1e-50", Decimal("1e-50")),
        ("number", "1e50", Decimal("1e50")),
        ("number", "0", Decimal(0)),
        ("number", Decimal("1.5"), Decimal("1.5")),
        ("number", 1.5, Decimal("1.5")),
    ],
)
def test_what_fits_is_read(method, given, read):
    reader = AttributeReader({"it": given})
    assert getattr(reader, method)("it") == read
    reader.check()


@pytest.mark.parametrize(
    ("method", "given", "message"),
    [
        ("text", "", "`it` is a text"),
        ("text", 3, "`it` is a text"),
        ("text", "x" * 4001, "1 to 4000"),
        ("words", 3, "`it` is a list"),
        ("words", ["a", 1], "every entry of `it`"),
        ("words", ["a"] * 201, "at most 200"),
        ("flag", 1, "`it` is true or false"),
        ("flag", "true", "`it` is true or false"),
        ("day", "2026-02-30", "`it` is a date"),
        ("day", "20260228", "`it` is a date"),
        ("day", "2026-W09-6", "`it` is a date"),
        ("day", 20260101, "`it` is a date"),
        ("number", True, "`it` is a number such as 12.5"),
        ("number", "NaN", "`it` is a number such as 12.5"),
        ("number", "many", "`it` is a number such as 12.5"),
        ("number", "1e-51", "`it` is a number such as 12.5"),
        ("number", "1e51", "`it` is a number such as 12.5"),
    ],
)
def test_what_does_not_fit_is_refused(method, given, message):
    reader = AttributeReader({"it": given})
    getattr(reader, method)("it")
    assert message in problems(reader)


@pytest.mark.parametrize(("given", "is_fine"), [(0, True), (4, True), (-1, False), (5, False), (True, False)])
def test_a_whole_number_keeps_to_its_range(given, is_fine):
    reader = AttributeReader({"it": given})
    assert reader.whole("it", 0, 4) == (given if is_fine else None)
    if is_fine:
        reader.check()
    else:
        assert "from 0 to 4" in problems(reader)


def test_a_wrong_code_is_told_its_neighbour():
    reader = AttributeReader({"one": "postive", "many": ["hop", "price"]})
    assert reader.choice("one", ("negative", "positive")) is None
    assert reader.choices("many", ("hope", "price")) == ("price",)
    assert "Did you mean positive?" in (told := problems(reader))
    assert "Did you mean hope?" in told


def test_codes_come_in_their_own_order():
    assert AttributeReader({"it": ["b", "a", "b"]}).choices("it", ("a", "b", "c")) == ("a", "b")


def test_everything_wrong_is_said_at_once_and_own_names_are_free():
    reader = AttributeReader({"levle": 3, "x_mood": "sunny", "brand": 9})
    reader.whole("level", 0, 4, is_required=True)
    reader.whole("brand", 0, 4)
    told = problems(reader)
    assert "`level` is missing" in told
    assert "`brand` is a whole number" in told
    assert "`levle` is no attribute of this type. Did you mean level?" in told
    assert "x_mood" not in told


def test_null_is_given_but_unknown():
    reader = AttributeReader({"brand": None})
    assert reader.has("brand")
    assert not reader.has("level")
    assert reader.whole("brand", 0, 4) is None
    reader.check()
