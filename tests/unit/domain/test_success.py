"""How far measures of success have come, against a table made by hand."""

from __future__ import annotations

from datetime import date, timedelta
from fractions import Fraction

import pytest

from app.domain.events import VerifiedEvent
from app.domain.success import success

DAY = date(2026, 6, 1)


def metric(days_ago=0, id_="m1", owner="customer", kind="revenue", **more):
    attributes = {"owner": owner, "kind": kind, **more}
    return VerifiedEvent(id_, "success_metric", DAY - timedelta(days_ago), attributes=attributes)


@pytest.mark.parametrize(
    ("baseline", "target", "actual", "share"),
    [
        ("0", "10", "5", Fraction(1, 2)),
        ("10", "0", "9", Fraction(1, 10)),  # less is better: risks, costs
        ("10", "20", "10", Fraction(0)),
        ("10", "20", "20", Fraction(1)),
        ("10", "20", "25", Fraction(3, 2)),
        ("10", "20", "5", Fraction(-1, 2)),
        ("0", "3", "1", Fraction(1, 3)),
        ("-10", "10", "0", Fraction(1, 2)),
        ("0.1", "0.4", "0.2", Fraction(1, 3)),  # exact, which binary fractions are not
        ("1000000000000", "1000000000001", "1000000000000.25", Fraction(1, 4)),
        ("5", "5", "5", None),
        (None, "5", "5", None),
        ("5", None, "5", None),
        ("5", "6", None, None),
    ],
)
def test_progress_is_an_exact_fraction(baseline, target, actual, share):
    (one,) = success([metric(baseline=baseline, target=target, actual=actual)], DAY)
    assert one.share == share


def test_a_metric_is_told_bit_by_bit_and_another_unit_starts_afresh():
    history = [
        metric(30, "1", unit="EUR", baseline="100", target="200", agreed_on="2026-05-02"),
        metric(20, "2", actual="150"),
    ]
    (one,) = success(history, DAY)
    assert (one.share, one.is_agreed, one.told_on) == (Fraction(1, 2), True, DAY - timedelta(20))
    (one,) = success([*history, metric(10, "3", unit="USD", actual="160")], DAY)
    assert (one.metric.unit, one.metric.target, one.share, one.is_agreed) == ("USD", None, None, False)


def test_metrics_are_told_apart_by_owner_kind_and_name_the_customers_own_first():
    history = [
        metric(9, "1", owner="champion", kind="roi"),
        metric(8, "2", kind="revenue", name="North"),
        metric(7, "3", kind="revenue"),
        metric(6, "4", kind="x_trees_saved"),
        metric(-1, "5", kind="profit"),
    ]
    assert [(one.metric.owner, one.metric.kind, one.metric.name) for one in success(history, DAY)] == [
        ("customer", "revenue", ""),
        ("customer", "revenue", "North"),
        ("customer", "x_trees_saved", ""),
        ("champion", "roi", ""),
    ]
