"""Days of the calendar, at its edges too."""

from __future__ import annotations

from datetime import date, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.days import days_after, first_change, iso, months_after, unite_spans


@pytest.mark.parametrize(
    ("day", "months", "later"),
    [
        ("2026-01-15", 0, "2026-01-15"),
        ("2026-01-15", 1, "2026-02-15"),
        ("2026-01-31", 1, "2026-02-28"),
        ("2024-01-31", 1, "2024-02-29"),
        ("2024-02-29", 12, "2025-02-28"),
        ("2024-02-29", 48, "2028-02-29"),
        ("2026-03-31", 3, "2026-06-30"),
        ("2026-12-01", 1, "2027-01-01"),
        ("2026-11-30", 14, "2028-01-30"),
        ("9998-12-15", 1, "9999-01-15"),
        ("9999-01-31", 11, "9999-12-31"),
        ("9999-01-31", 12, "9999-12-31"),
    ],
)
def test_months_later_is_the_same_day_or_the_last_of_a_shorter_month(day, months, later):
    assert months_after(date.fromisoformat(day), months) == date.fromisoformat(later)


def test_days_later_stop_at_the_end_of_the_calendar():
    assert days_after(date(2026, 2, 28), 1) == date(2026, 3, 1)
    assert days_after(date(9999, 12, 30), 1) == days_after(date(9999, 12, 30), 2) == date.max


DAYS = st.dates(date(2026, 1, 1), date(2026, 3, 31))


@given(DAYS, st.lists(DAYS, max_size=6), st.integers(1, 4))
def test_the_first_change_is_the_first_day_with_another_answer(as_of, edges, modulus):
    def judge(day):
        return sum(edge <= day for edge in edges) % modulus

    days = [as_of + timedelta(n) for n in range(1, 100)]
    assert first_change(as_of, edges, judge) == next((day for day in days if judge(day) != judge(as_of)), None)


@given(st.lists(st.tuples(DAYS, st.none() | DAYS), max_size=6))
def test_united_spans_cover_the_same_days_and_lie_apart(spans):
    united = unite_spans(spans)
    days = [date(2026, 1, 1) + timedelta(n) for n in range(120)]

    for day in days:
        covered = any(start <= day and (end is None or day < end) for start, end in spans)
        assert any(start <= day < end for start, end in united) == covered
    assert all(start < end for start, end in united)
    assert all(one[1] < other[0] for one, other in pairwise(united))


def test_a_day_is_text_where_there_is_one():
    assert iso(date(2026, 2, 28)) == "2026-02-28"
    assert iso(None) is None
