"""What is urgent, in which order, what spend alone would have overlooked, and how far some hours get."""

from __future__ import annotations

from datetime import date, timedelta
from fractions import Fraction
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.events import VerifiedEvent
from app.domain.rules import TriageRules
from app.domain.triage import (
    PROBLEM_CLOSED,
    Capacity,
    Flip,
    Item,
    Severity,
    Urgency,
    Worth,
    cut,
    idle_closings,
    list_open,
    read_closing,
    read_urgency,
    tell_flip,
    tell_hours,
    tell_ratio,
    triage,
)

RULES = TriageRules()
DAY = date(2026, 3, 2)
A, B = Worth(10_000_000, 14_000_000), Worth(3_000_000, 28_000_000)
NAMES = {"A": "Customer A", "B": "Customer B"}
items = st.lists(
    st.builds(
        lambda id_, account, severity, hours, opened, direct, referred: Item(
            id_,
            account,
            "complaint",
            severity,
            hours,
            opened,
            (DAY - opened).days,
            "",
            Worth(direct, direct + referred),
        ),
        st.uuids().map(str),
        st.sampled_from("abcdefgh"),
        st.sampled_from(Severity),
        st.fractions(Fraction(1, 4), 8, max_denominator=4),
        st.dates(date(2026, 2, 1), DAY),
        st.integers(-2, 9),
        st.integers(-2, 9),
    ),
    max_size=20,
    unique_by=lambda item: item.id,
)


def item(id_="e1", account="A", worth=A, severity=Severity.HIGH, hours=1, opened=DAY):
    return Item(id_, account, "escalation", severity, Fraction(hours), opened, (DAY - opened).days, "", worth)


def signal(code="escalation", on=DAY, id_="e1", account="A", **more):
    return account, VerifiedEvent(id_, code, on, **more)


def by_account(*given):
    return {account: [event for owner, event in given if owner == account] for account, _ in given}


def order(found):
    return [place.item.id for place in found.places]


URGENT_PAIR = (item("a", "A", A), item("b", "B", B))


def test_s4_02_on_spend_a_looks_more_than_three_times_b_and_is_worth_half_of_it():
    found = triage(URGENT_PAIR)

    assert found.flips == (Flip("B", "A", Fraction(10, 3), Fraction(1, 2)),)
    assert tell_flip(found.flips[0], NAMES) == (
        "Customer A looks 3.33 times Customer B on spend; on total value Customer A is 0.5 of Customer B"
    )


def test_s4_03_two_urgent_customers_are_ranked_under_both_lenses():
    found = triage(URGENT_PAIR)

    assert order(found) == ["b", "a"]
    assert [place.item.id for place in found.by_spend_order] == ["a", "b"]
    assert [(place.by_total, place.by_spend, place.moves) for place in found.places] == [(1, 2, 1), (2, 1, -1)]


def test_s4_12_with_an_hour_to_give_total_value_decides_who_gets_it():
    found = triage(URGENT_PAIR, Fraction(1))

    assert (found.by_total.done, found.by_spend.done) == (1, 1)
    assert [place.item.id for place in found.saved] == ["b"]
    assert [place.item.id for place in found.given_up] == ["a"]
    assert (found.by_total.next_item, found.by_spend.next_item) == ("a", "b")


OLD = DAY - timedelta(3)


def closing(event, on=DAY):
    return "A", VerifiedEvent("t/c", PROBLEM_CLOSED, on, attributes={"event": event})


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (item("z", severity=Severity.CRITICAL, worth=Worth()), item("a", worth=B)),
        (item("z", severity=Severity.HIGH, worth=Worth()), item("a", severity=Severity.NORMAL, worth=B)),
        (item("z", severity=Severity.NORMAL, worth=Worth(-5, -5)), item("a", severity=Severity.LOW, worth=B)),
        (item("z", worth=B), item("a", worth=A)),
        (item("z", worth=Worth(0, 2)), item("a", worth=Worth(2, 1))),
        (item("z", worth=Worth(0, 0)), item("a", worth=Worth(9, -1))),
        (item("z", worth=B), item("a", worth=A, opened=OLD)),
        (item("z", opened=OLD), item("a", opened=DAY)),
        (item("z", opened=OLD, hours=8), item("a", opened=OLD + timedelta(1), hours=1)),
        (item("a"), item("b")),
        (item("a", account="Z"), item("b", account="A")),
        (item("10"), item("9")),
    ],
)
def test_severity_then_total_value_then_waiting_time_then_id(one, other):
    assert order(triage([other, one])) == order(triage([one, other])) == [one.id, other.id]


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ([], []),
        ([signal()], ["e1"]),
        ([signal(on=DAY + timedelta(1))], []),
        ([signal(valid_to=DAY)], []),
        ([signal(valid_to=DAY + timedelta(1))], ["e1"]),
        ([signal(on=DAY - timedelta(2000))], ["e1"]),
        ([signal(), signal("recovered", id_="r")], []),
        ([signal(), signal("recovered", DAY - timedelta(1), "r")], ["e1"]),
        ([signal(on=OLD), signal("recovered", DAY, "r")], []),
        ([signal(on=OLD), signal("recovered", DAY + timedelta(1), "r")], ["e1"]),
        ([signal(on=OLD), signal("recovered", DAY, "r", "B")], ["e1"]),
        ([signal(on=OLD), signal("recovered", OLD, "r"), signal("complaint", DAY, "e2")], ["e2"]),
        ([signal("complaint"), signal("churn_signal", id_="e2"), signal("escalation", id_="e3")], ["e2", "e3", "e1"]),
        ([signal("negative_review")], []),
        ([signal("x_outage")], []),
        ([signal(id_="t/1"), closing("t/1"), signal("complaint", id_="t/2")], ["t/2"]),
        ([signal(id_="t/1"), closing("1"), signal(id_="u/1")], ["u/1"]),
        ([signal(on=OLD, id_="t/1"), closing("t/1", OLD), closing("t/1", DAY - timedelta(3000))], []),
        ([signal(id_="t/1"), closing("t/1", DAY - timedelta(1))], ["t/1"]),
        ([signal(on=OLD, id_="t/1"), closing("t/1", DAY + timedelta(1))], ["t/1"]),
        ([signal(id_="t/1"), closing(None)], ["t/1"]),
    ],
)
def test_what_is_urgent_is_open_from_its_day_to_its_close_or_a_recovery(given, expected):
    assert [found.id for found in list_open(by_account(*given), {}, RULES, DAY)] == expected


@pytest.mark.parametrize(
    ("given", "idle"),
    [
        ([], False),
        ([signal(id_="t/1")], False),
        ([closing("t/1")], True),
        ([closing(None)], True),
        ([signal(id_="t/1"), closing("t/1")], False),
        ([signal(id_="t/1"), closing("1")], False),
        ([signal(id_="u/1"), closing("1")], True),
        ([signal("x_outage", id_="t/1"), closing("t/1")], True),
        ([signal("negative_review", id_="t/1"), closing("t/1")], True),
        ([signal(id_="t/1"), closing("t/1", DAY - timedelta(1))], True),
        ([signal(on=OLD, id_="t/1"), closing("t/1")], False),
    ],
)
def test_a_closing_of_what_is_not_there_is_told(given, idle):
    events = [event for _, event in given]

    assert bool(idle_closings(events, RULES)) is idle
    assert idle_closings(events[::-1], RULES) == idle_closings(events, RULES)


@pytest.mark.parametrize(
    ("code", "attributes", "severity", "hours"),
    [
        ("escalation", {}, "high", 1),
        ("churn_signal", {}, "high", 1),
        ("complaint", {}, "normal", 1),
        ("complaint", {"severity": "critical"}, "critical", 1),
        ("escalation", {"severity": "low", "hours": 3}, "low", 3),
        ("escalation", {"hours": "1.5"}, "high", Fraction(3, 2)),
        ("escalation", {"hours": None, "severity": None}, "high", 1),
        ("escalation", {"hours": "0.25", "x_case": "00412"}, "high", Fraction(1, 4)),
        ("x_outage", {"severity": "low", "family": "sentiment", "site": 4}, "low", 1),
        ("escalation", {"severity": "a word from before", "site": 4}, "high", 1),
    ],
)
def test_an_item_takes_severity_and_hours_from_the_event_or_the_policy(code, attributes, severity, hours):
    rules = TriageRules(severities={**RULES.severities, "x_outage": "critical"})

    (found,) = list_open(by_account(signal(code, attributes=attributes)), {"A": A}, rules, DAY + timedelta(4))

    assert (found.severity, found.hours, found.waiting_days, found.worth) == (severity, hours, 4, A)


def test_the_policy_says_how_long_an_item_takes():
    (found,) = list_open(by_account(signal()), {}, TriageRules(hours_per_item=Fraction(5, 2)), DAY)

    assert found.hours == Fraction(5, 2)


@pytest.mark.parametrize(
    ("attributes", "words"),
    [
        ({"severity": "hihg"}, ["`severity` is one of critical, high, normal, low", "Did you mean high?"]),
        ({"severity": 1}, ["`severity` is one of"]),
        ({"hours": 0}, ["`hours` is more than 0"]),
        ({"hours": -1}, ["`hours` is more than 0"]),
        ({"hours": "1001"}, ["at most 1000"]),
        ({"hours": "soon"}, ["`hours` is a number such as 12.5"]),
        ({"hours": True}, ["`hours` is a number such as 12.5"]),
        ({"hour": 1}, ["`hour` is no attribute of this type", "Did you mean hours?"]),
        ({"hours": 0, "severity": "bad"}, ["`hours`", "`severity`"]),
    ],
)
def test_urgency_that_makes_no_sense_is_refused_with_every_reason(attributes, words):
    with pytest.raises(ValueError) as refused:
        read_urgency("complaint", attributes)
    assert [word for word in words if word not in str(refused.value)] == []
    assert read_urgency("complaint", {"hours": 1000}) == Urgency(None, Fraction(1000))


@pytest.mark.parametrize(
    ("durations", "hours", "expected"),
    [
        ([], 0, Capacity(Fraction(0), 0, Fraction(0))),
        ([], 8, Capacity(Fraction(8), 0, Fraction(0))),
        ([1], 0, Capacity(Fraction(0), 0, Fraction(0), "0")),
        ([1], 1, Capacity(Fraction(1), 1, Fraction(1))),
        ([1, 1], 1, Capacity(Fraction(1), 1, Fraction(1), "1")),
        ([1, 1], Fraction(19, 10), Capacity(Fraction(19, 10), 1, Fraction(1), "1")),
        ([1, 1], 2, Capacity(Fraction(2), 2, Fraction(2))),
        ([3, 4, 1], 6, Capacity(Fraction(6), 1, Fraction(3), "1")),
        ([9, 1], 8, Capacity(Fraction(8), 0, Fraction(0), "0")),
        ([Fraction(1, 3)] * 4, 1, Capacity(Fraction(1), 3, Fraction(1), "3")),
        ([2, 2, 2], 100, Capacity(Fraction(100), 3, Fraction(6))),
    ],
)
def test_the_line_is_drawn_before_the_first_item_that_does_not_fit(durations, hours, expected):
    listed = [item(str(number), hours=duration) for number, duration in enumerate(durations)]

    assert cut(listed, Fraction(hours)) == expected


def test_fewer_than_no_hours_are_refused():
    with pytest.raises(ValueError, match="0 or more"):
        triage([item()], Fraction(-1))


@pytest.mark.parametrize(
    ("up", "down", "flips"),
    [
        (item("b", "B", B), item("a", "A", A), 1),
        (item("b", "B", B), item("a", "A", A, severity=Severity.NORMAL), 0),
        (item("b", "B", Worth(10_000_000, 28_000_000)), item("a", "A", A), 0),
        (item("b", "B", Worth(3_000_000, 14_000_000)), item("a", "A", A), 0),
        (item("b", "B", Worth(20_000_000, 28_000_000)), item("a", "A", A), 0),
        (item("b", "A", B), item("a", "A", A), 0),
        (item("b", "B", Worth(0, 28_000_000)), item("a", "A", A), 1),
        (item("b", "B", Worth(-5, 1)), item("a", "A", Worth(-1, -1)), 1),
    ],
)
def test_only_customers_of_equal_urgency_whose_values_change_sides_flip(up, down, flips):
    assert len(triage([up, down]).flips) == flips


def test_a_customer_with_several_urgent_items_flips_once():
    listed = [*URGENT_PAIR, item("a2", "A", A), item("b2", "B", B)]

    assert triage(listed).flips == triage(URGENT_PAIR).flips


@pytest.mark.parametrize(
    ("flip", "said"),
    [
        (Flip("B", "A", None, Fraction(1, 2)), "Customer A bought something and Customer B nothing; on total value Customer A is 0.5 of Customer B"),
        (Flip("B", "A", Fraction(2), None), "Customer A looks 2 times Customer B on spend; on total value Customer A is worth nothing beside Customer B"),
        (Flip("?", "A", Fraction(2), Fraction(1, 3)), "Customer A looks 2 times ? on spend; on total value Customer A is 0.33 of ?"),
    ],
)  # fmt: skip
def test_a_flip_is_told_where_there_is_nothing_to_divide_by(flip, said):
    assert tell_flip(flip, NAMES) == said


@pytest.mark.parametrize(
    ("ratio", "said"),
    [
        ("10/3", "3.33"), ("1/2", "0.5"), ("1", "1"), ("2", "2"), ("1001/1000", "1.001"), ("999/1000", "0.999"),
        ("1/1000", "0.001"), ("1/10000000", "0"), ("200/3", "66.67"), ("1000000", "1000000"), ("100", "100"),
    ],
)  # fmt: skip
def test_ratios_are_told_with_two_decimals_unless_that_would_lie(ratio, said):
    assert tell_ratio(Fraction(ratio)) == said


@pytest.mark.parametrize(
    ("hours", "said"), [("0", "0"), ("3/2", "1.5"), ("10", "10"), ("1/3", "0.333333"), ("7/4", "1.75")]
)
def test_hours_are_told_with_the_decimals_they_have(hours, said):
    assert tell_hours(Fraction(hours)) == said


@given(items, st.randoms(use_true_random=False), st.none() | st.fractions(0, 40, max_denominator=4))
def test_the_order_is_total_and_does_not_depend_on_where_an_item_stood(listed, dice, hours):
    found = triage(listed, hours)

    assert triage(dice.sample(listed, len(listed)), hours) == found
    assert [place.by_total for place in found.places] == list(range(1, len(listed) + 1))
    assert sorted(place.by_spend for place in found.places) == list(range(1, len(listed) + 1))
    assert sum(place.moves for place in found.places) == 0
    ranks = list(Severity)
    for above, below in pairwise(place.item for place in found.places):
        assert (ranks.index(above.severity), -above.worth.total) <= (ranks.index(below.severity), -below.worth.total)


@given(items, st.fractions(0, 60, max_denominator=4))
def test_the_line_never_promises_more_hours_than_there_are(listed, hours):
    found = triage(listed, hours)

    for capacity, done in (
        (found.by_total, [place.item for place in found.places if place.is_done_by_total]),
        (found.by_spend, [place.item for place in found.places if place.is_done_by_spend]),
    ):
        assert sum(one.hours for one in done) == capacity.used <= hours
        assert len(done) == capacity.done
        assert (capacity.next_item == "") == (len(done) == len(listed))


@given(items)
def test_a_flip_is_a_pair_that_the_two_orders_show_the_other_way_round(listed):
    found = triage(listed)

    for flip in found.flips:
        assert flip.on_spend is None or flip.on_spend > 1
        assert flip.on_total is None or 0 < flip.on_total < 1
        ups, downs = (
            [place for place in found.places if place.item.account_id == account] for account in (flip.up, flip.down)
        )
        assert any(
            up.by_total < down.by_total and up.by_spend > down.by_spend
            for up in ups
            for down in downs
            if up.item.severity is down.item.severity
        )


def test_whoever_closes_something_says_what():
    assert read_closing({"event": "t/1", "note": "patched", "x_case": 4}) == "t/1"
    with pytest.raises(
        ValueError, match=r"`event` is missing; `evnt` is no attribute of this type\. Did you mean event"
    ):
        read_closing({"evnt": "t/1"})
