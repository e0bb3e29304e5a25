"""One call a day: the calendar, the rhythm, the queue and its meter, by hand and by simulation."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from fractions import Fraction
from itertools import islice, pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.calls import (
    BEGINNING,
    CONTACT_TYPES,
    Buyer,
    CallSkipped,
    Obstacle,
    SkipReason,
    business_day_from,
    business_days,
    buyer_from,
    capacity,
    coverage,
    interval_of,
    is_business_day,
    known_before,
    last_contact,
    month_of,
    next_call_on,
    obstacle,
    pick_call,
    rank_calls,
    read_call_skipped,
    resting_until,
    schedule_calls,
    tier_of,
    urgency,
)
from app.domain.care_events import Bucket
from app.domain.event_types import EVENT_TYPES
from app.domain.events import VerifiedEvent
from app.domain.rules import CareRules

MAY_DAY = date(2026, 5, 1)
RULES = CareRules()
PATIENT = replace(RULES, call_before_due=False)
"""Nobody is called before the own interval is over, and so on some days nobody at all."""
MONDAY = date(2026, 6, 1)
NEED, OK, WHO = Bucket.NEED_YOU, Bucket.OK, Bucket.WHO_ARE_YOU


def ago(days: int) -> date:
    return MONDAY - timedelta(days)


def buyer(id_="b", bucket=None, contacted=None, percentile=50, total=0, **more):
    """`contacted`: days before Monday. The fiftieth percentile is tier B, whose intervals are as they are."""
    last = None if contacted is None else ago(contacted)
    return Buyer(id_, id_, total, percentile, bucket, last, **more)


def event(code, day, id_="e", at=None, **attributes):
    return VerifiedEvent(id_, code, day, occurred_at=at, attributes=attributes)


# The calendar


@pytest.mark.parametrize(
    ("day", "expected"),
    [
        (date(2026, 4, 30), True),  # Thursday
        (MAY_DAY, False),  # a Friday, and a holiday
        (date(2026, 5, 2), False),  # Saturday
        (date(2026, 5, 3), False),  # Sunday
        (date(2026, 5, 4), True),
        (date(2026, 5, 8), True),  # the Friday after
        (date(2024, 2, 29), True),  # Thursday
        (date(2027, 5, 1), False),  # Saturday anyway
        (date(2025, 12, 31), True),
        (date(2026, 1, 1), True),  # nobody said it was a holiday
    ],
)
def test_business_days_are_work_days_that_are_no_holidays(day, expected):
    assert is_business_day(day, replace(RULES, holidays=(MAY_DAY,))) is expected


def test_work_days_are_a_rule():
    rules = replace(RULES, work_days=(6, 0, 1, 2, 3))
    assert is_business_day(date(2026, 5, 3), rules)
    assert not is_business_day(date(2026, 5, 8), rules)
    assert capacity(rules) == Fraction(5, 7)
    assert capacity(replace(RULES, work_days=(0, 2))) == Fraction(2, 7)
    assert business_day_from(MONDAY, replace(RULES, work_days=())) is None


def test_the_month_counts_its_business_days():
    assert month_of(date(2026, 5, 6), replace(RULES, holidays=(MAY_DAY,))) == (MAY_DAY, 3, 20)
    assert month_of(date(2026, 12, 31), RULES) == (date(2026, 12, 1), 23, 23)


# The rhythm


@pytest.mark.parametrize(
    ("percentile", "tier"),
    [(100, "A"), (81, "A"), (80, "A"), (79, "B"), (41, "B"), (40, "B"), (39, "C"), (1, "C"), (0, "C"), (None, "C")],
)
def test_the_value_tier_is_a_matter_of_the_percentile(percentile, tier):
    assert tier_of(percentile, RULES) == tier


@pytest.mark.parametrize(
    ("bucket", "percentile", "days"),
    [
        (WHO, 80, 15), (WHO, 40, 30), (WHO, 39, 60),
        (None, 80, Fraction(45, 2)), (None, 40, 45), (None, None, 90),
        (OK, 100, 30), (OK, 50, 60), (OK, 0, 120),
        (NEED, 99, 60), (NEED, 79, 120), (NEED, 10, 240),
    ],
)  # fmt: skip
def test_the_interval_is_the_buckets_times_the_tiers(bucket, percentile, days):
    assert interval_of(bucket, percentile, RULES) == days


@pytest.mark.parametrize(
    ("one", "expected"),
    [
        (buyer(bucket=WHO, contacted=30), Fraction(1)),
        (buyer(bucket=WHO, contacted=29), Fraction(29, 30)),
        (buyer(bucket=WHO, contacted=31, percentile=80), Fraction(31, 15)),
        (buyer(bucket=NEED, contacted=30), Fraction(1, 4)),
        (buyer(bucket=NEED, contacted=30, percentile=None), Fraction(1, 8)),
        (buyer(contacted=45, percentile=90), Fraction(2)),
        (buyer(contacted=0), Fraction(0)),
        (buyer(contacted=-3), Fraction(0)),  # looked at a day before the contact
        (buyer(known_since=ago(9)), Fraction(1, 5)),
        (buyer(known_since=ago(900), contacted=9), Fraction(1, 5)),
        (buyer(), Fraction((MONDAY - BEGINNING).days, 45)),
    ],
)
def test_urgency_is_an_exact_part_of_the_interval(one, expected):
    assert urgency(one, RULES, MONDAY) == expected


@pytest.mark.parametrize(
    ("one", "expected"),
    [
        (buyer(), None),
        (buyer(known_since=ago(0)), None),  # whoever was never asked may always be asked
        (buyer(bucket=WHO, contacted=30), None),
        (buyer(bucket=WHO, contacted=29), Obstacle.NOT_DUE),
        (buyer(bucket=WHO, contacted=7), Obstacle.NOT_DUE),
        (buyer(bucket=WHO, contacted=6), Obstacle.RECENT_CONTACT),
        (buyer(bucket=WHO, contacted=0), Obstacle.RECENT_CONTACT),
        (buyer(bucket=WHO, contacted=90, resting_until=ago(-1)), Obstacle.SKIPPED),
        (buyer(bucket=WHO, contacted=90, resting_until=ago(0)), None),
        (buyer(resting_until=ago(-9)), Obstacle.SKIPPED),
        (buyer(bucket=WHO, contacted=90, is_written_off=True), Obstacle.WRITTEN_OFF),
        (buyer(bucket=None, contacted=22, percentile=80), Obstacle.NOT_DUE),
        (buyer(bucket=None, contacted=23, percentile=80), None),  # 22.5 days
    ],
)
def test_what_speaks_against_a_call(one, expected):
    assert obstacle(one, PATIENT, MONDAY) is expected
    assert obstacle(one, RULES, MONDAY) is (None if expected is Obstacle.NOT_DUE else expected)


def test_a_recent_contact_of_any_kind_postpones_even_a_daily_rhythm():
    daily = replace(RULES, interval_days={**RULES.interval_days, "who_are_you": 1})
    assert obstacle(buyer(bucket=WHO, contacted=6), daily, MONDAY) is Obstacle.RECENT_CONTACT
    assert obstacle(buyer(bucket=WHO, contacted=7), daily, MONDAY) is None
    assert next_call_on(buyer(bucket=WHO, contacted=0), daily) == date(2026, 6, 8)


@pytest.mark.parametrize(
    ("one", "expected"),
    [
        (buyer(bucket=WHO, contacted=30), MONDAY),
        (buyer(bucket=WHO, contacted=0), date(2026, 7, 1)),  # Wednesday
        (buyer(bucket=WHO, contacted=4), date(2026, 6, 29)),  # the 27th is a Saturday
        (buyer(bucket=WHO, contacted=400), date(2025, 5, 27)),  # long overdue, and not a new day every night
        (buyer(contacted=0, percentile=80), date(2026, 6, 24)),  # 22.5 days: the 23rd day
        (buyer(contacted=0, resting_until=date(2026, 8, 1)), date(2026, 8, 3)),
        (buyer(bucket=WHO, contacted=0, is_written_off=True), None),
        (buyer(), None),
        (buyer(known_since=date(2026, 5, 30)), MONDAY),
        (buyer(known_since=ago(0), resting_until=ago(-3)), date(2026, 6, 4)),
        (buyer(resting_until=ago(-3)), date(2026, 6, 4)),
        (buyer(bucket=NEED, contacted=0), date(2026, 9, 29)),
    ],
)
def test_the_next_call_is_on_the_business_day_from_which_it_is_due(one, expected):
    assert next_call_on(one, RULES) == expected


def test_the_end_of_the_calendar_is_no_error():
    late = Buyer("b", last_contact_on=date(9999, 12, 30), percentile=50)
    assert next_call_on(late, RULES) is None


# What the events say


def test_what_is_logged_on_a_day_changes_only_the_next():
    said = event("care_answer", MONDAY, bucket="need_you")
    skipped = event("call_skipped", MONDAY, reason="not_now")
    blank = buyer(percentile=50)
    assert buyer_from(blank, [said, skipped], RULES, MONDAY) == blank
    assert known_before([said, skipped], MONDAY) == []
    tomorrow = buyer_from(blank, [said], RULES, MONDAY + timedelta(1))
    assert (tomorrow.bucket, tomorrow.last_contact_on) == (NEED, MONDAY)


def test_a_customer_written_off_is_called_again_when_the_answer_has_grown_old():
    gone = event("care_answer", ago(10), bucket="who_are_you", win_win=False)
    assert buyer_from(buyer(), [gone], RULES, MONDAY).is_written_off
    later = buyer_from(buyer(), [gone], RULES, ago(10) + timedelta(180))
    assert (later.is_written_off, later.bucket) == (False, None)
    saved = event("care_answer", ago(10), bucket="who_are_you", win_win=True)
    assert not buyer_from(buyer(), [saved], RULES, MONDAY).is_written_off


@pytest.mark.parametrize(
    ("days_ago", "said", "contact_ago", "expected"),
    [
        (0, {"reason": "no_answer"}, None, ago(-3)),
        (0, {"reason": "on_holiday"}, None, ago(-14)),
        (0, {"reason": "not_now"}, None, ago(-14)),
        (0, {"reason": "wrong_person"}, None, ago(-3)),
        (0, {"reason": "other"}, None, ago(-7)),
        (5, {"reason": "other", "until": "2026-08-17"}, None, date(2026, 8, 17)),
        (5, {"reason": "other"}, 4, None),  # reached since
        (5, {"reason": "other"}, 6, ago(-2)),
        (-1, {"reason": "other"}, None, None),
        (5, {"reason": "bored"}, None, None),
    ],
)
def test_a_skipped_call_rests_until_its_day(days_ago, said, contact_ago, expected):
    events = [event("call_skipped", ago(days_ago), "s", **said)]
    if contact_ago is not None:
        events.append(event("care_answer", ago(contact_ago), "c", bucket="ok"))
    assert resting_until(events, RULES, MONDAY) == expected


def test_the_latest_skip_counts():
    events = [
        event("call_skipped", ago(9), "1", reason="on_holiday", until="2026-09-01"),
        event("call_skipped", ago(2), "2", reason="other", until="2026-06-03"),
    ]
    assert resting_until(events, RULES, MONDAY) == date(2026, 6, 3)


def test_a_contact_is_when_somebody_talked_with_us():
    assert {*CONTACT_TYPES} <= {*EVENT_TYPES}
    events = [
        event("case_study", ago(1)),
        event("needs_shared", ago(20)),
        event("ask_declined", ago(12)),
        event("care_answer", ago(-1), bucket="ok"),
    ]
    assert last_contact(events, MONDAY) == ago(12)
    assert last_contact([], MONDAY) is None


@pytest.mark.parametrize(
    ("attributes", "words"),
    [
        ({}, ["`reason` is missing"]),
        ({"reason": "noanswer"}, ["Did you mean no_answer?"]),
        ({"reason": "other", "until": "tomorrow"}, ["`until` is a date"]),
        ({"reason": "other", "bucket": "ok"}, ["`bucket`"]),
    ],
)
def test_a_skip_is_read_strictly(attributes, words):
    with pytest.raises(ValueError) as caught:
        read_call_skipped(attributes)
    assert all(word in str(caught.value) for word in words)


def test_what_a_skip_says():
    said = {"reason": "not_now", "caller": "Kim", "until": "2026-07-01", "note": "year end", "x_try": 2}
    assert read_call_skipped(said) == CallSkipped(SkipReason.NOT_NOW, "Kim", date(2026, 7, 1), "year end")


# The queue


def test_the_latest_in_proportion_is_called_first():
    buyers = [
        buyer("need", NEED, 130),  # 130/120
        buyer("ok", OK, 70),  # 70/60
        buyer("who", WHO, 34),  # 34/30
        buyer("great", OK, 36, percentile=95),  # 36/30
        buyer("small", WHO, 70, percentile=5),  # 70/60, as late as "ok"
        buyer("soon", WHO, 29),
    ]
    ranked = rank_calls(buyers, RULES, MONDAY)
    assert [call.buyer.id for call in ranked] == ["great", "ok", "small", "who", "need", "soon"]
    assert [call.buyer.id for call in rank_calls(buyers, PATIENT, MONDAY)] == ["great", "ok", "small", "who", "need"]
    assert ranked[0].urgency == Fraction(6, 5)
    assert pick_call(buyers, RULES, MONDAY) == ranked[0]


def test_ties_go_to_the_greater_total_then_to_the_lesser_id():
    buyers = [buyer("c", OK, 60), buyer("a", OK, 60), buyer("b", OK, 60, total=5)]
    assert [call.buyer.id for call in rank_calls(buyers, RULES, MONDAY)] == ["b", "a", "c"]


def test_nobody_is_called_on_a_day_without_work():
    late = [buyer("a", OK, 600)]
    assert rank_calls(late, RULES, date(2026, 5, 31)) == []
    assert pick_call(late, RULES, date(2026, 5, 31)) is None
    assert pick_call([], RULES, MONDAY) is None


def test_a_call_says_why():
    reasons = [
        (buyer("a", OK, 70), "last contact 70 days ago, due every 60 days (it's ok, value tier B)"),
        (buyer("a", None, 30, percentile=80), "last contact 30 days ago, due every 22.5 days (unknown, value tier A)"),
        (buyer("a", known_since=ago(1)), "never called, customer for 1 day, due every 45 days (unknown, value tier B)"),
        (buyer("a"), "never called, due every 45 days (unknown, value tier B)"),
    ]
    for one, words in reasons:
        call = pick_call([one], RULES, MONDAY)
        assert call is not None
        assert call.reason == words


def test_s3_04_one_buyer_each_business_day_for_a_month():
    """Forty customers nobody ever asked: thirty business days are thirty calls, and nobody is called twice."""
    rules = replace(PATIENT, holidays=(date(2026, 6, 19), date(2026, 7, 3)))
    buyers = [buyer(f"b{n:02}", percentile=n * 2, total=n, known_since=ago(30 + n)) for n in range(40)]
    days = schedule_calls(buyers, rules, MONDAY, 30)
    assert len(days) == 30
    assert all(is_business_day(day, rules) for day, _ in days)
    assert (days[0][0], days[-1][0]) == (MONDAY, date(2026, 7, 14))
    called = [call.buyer.id for _, call in days if call]
    assert len(called) == 30
    by_id = {one.id: one for one in buyers}
    last: dict[str, date] = {}
    for day, call in days:
        assert call is not None
        id_ = call.buyer.id
        if id_ in last:
            assert (day - last[id_]).days >= interval_of(None, by_id[id_].percentile, rules)
        last[id_] = day
    # Only the ten in tier A, whose cycle is shorter than a month, may come twice.
    twice = {id_ for id_ in called if called.count(id_) > 1}
    assert twice <= {one.id for one in buyers if (one.percentile or 0) >= 80}


def test_s3_04_a_call_every_business_day_though_nobody_is_due():
    """Five customers asked two weeks ago: the one closest to its day is called, and again after a week at the earliest."""
    buyers = [buyer(f"b{n}", NEED, contacted=14 + n) for n in range(5)]

    called = [call.buyer.id for _, call in schedule_calls(buyers, RULES, MONDAY, 10) if call]

    assert called == ["b4", "b3", "b2", "b1", "b0"] * 2
    assert [call for _, call in schedule_calls(buyers, PATIENT, MONDAY, 10)] == [None] * 10
    assert [call for _, call in schedule_calls(buyers[:1], RULES, MONDAY, 6)][1:5] == [None] * 4, "not within a week"


def test_s3_04_within_a_cycle_nobody_is_called_twice_and_coverage_grows_by_one_a_day():
    buyers = {f"b{n:02}": buyer(f"b{n:02}", percentile=50, known_since=ago(60)) for n in range(30)}
    seen = []
    for day in islice(business_days(MONDAY, RULES), 30):
        assert coverage(buyers.values(), RULES, day).covered == len(seen)
        call = pick_call(buyers.values(), RULES, day)
        assert call is not None
        seen.append(call.buyer.id)
        buyers[call.buyer.id] = replace(call.buyer, last_contact_on=day)
    assert sorted(seen) == sorted(buyers)


def test_whoever_was_skipped_gives_the_day_to_the_next():
    first, second = buyer("a", OK, 90), buyer("b", OK, 80)
    assert pick_call([first, second], RULES, MONDAY).buyer.id == "a"
    resting = replace(first, resting_until=ago(-3))
    assert pick_call([resting, second], RULES, ago(-1)).buyer.id == "b"
    assert pick_call([resting, second], RULES, ago(-3)).buyer.id == "a"


buyers_of = st.lists(
    st.builds(
        Buyer,
        st.integers(0, 10**6).map("b{:06}".format),
        total=st.integers(-5, 5),
        percentile=st.none() | st.integers(0, 100),
        bucket=st.none() | st.sampled_from(Bucket),
        last_contact_on=st.none() | st.dates(ago(400), ago(1)),
        known_since=st.none() | st.dates(ago(400), ago(1)),
        resting_until=st.none() | st.dates(ago(30), ago(-30)),
        is_written_off=st.booleans(),
    ),
    max_size=12,
    unique_by=lambda one: one.id,
)


@given(buyers_of, st.dates(ago(10), ago(-10)), st.randoms(use_true_random=False))
def test_the_queue_does_not_depend_on_the_order_of_the_list(buyers, day, random):
    shuffled = list(buyers)
    random.shuffle(shuffled)
    ranked = rank_calls(buyers, RULES, day)
    assert ranked == rank_calls(shuffled, RULES, day)
    assert pick_call(shuffled, RULES, day) == (ranked[0] if ranked else None)
    assert all(one.urgency >= other.urgency for one, other in pairwise(ranked))


@given(buyers_of, st.data())
def test_the_same_day_gives_the_same_call_whatever_is_logged_that_day(buyers, data):
    def logged(one):
        codes = st.sampled_from(("care_answer", "call_skipped", "usage_report", "needs_shared"))
        said = {"care_answer": {"bucket": "who_are_you", "win_win": False}, "call_skipped": {"reason": "other"},
                "usage_report": {"asked_to_cut": True}}  # fmt: skip
        return [event(code, MONDAY, f"{one.id}/{code}", **said.get(code, {})) for code in data.draw(st.lists(codes))]

    plain = [
        replace(one, bucket=None, last_contact_on=None, resting_until=None, is_written_off=False) for one in buyers
    ]
    before = [buyer_from(one, [event("care_answer", ago(50), one.id, bucket="ok")], RULES, MONDAY) for one in plain]
    after = [
        buyer_from(one, [*logged(one), event("care_answer", ago(50), one.id, bucket="ok")], RULES, MONDAY)
        for one in plain
    ]
    assert rank_calls(after, RULES, MONDAY) == rank_calls(before, RULES, MONDAY)


@given(buyers_of)
def test_nobody_is_called_again_within_a_week(buyers):
    last = {one.id: one.last_contact_on for one in buyers}
    for day, call in schedule_calls(buyers, RULES, MONDAY, 60):
        if call is not None:
            before = last[call.buyer.id]
            assert before is None or (day - before).days >= RULES.recent_contact_days
            last[call.buyer.id] = day


@given(buyers_of)
def test_nobody_starves(buyers):
    """Whoever waits is called, however crowded the list is: late in proportion, and never not at all."""
    waiting = {one.id: one for one in buyers if not one.is_written_off}
    if not waiting:
        return
    intervals = {id_: interval_of(one.bucket, one.percentile, RULES) for id_, one in waiting.items()}
    # In the second half of a span T everybody else is ahead of me at most T/2 / (T/2 of my intervals of theirs) times,
    # so that many calls, and mine, fit into it.
    longest = max(intervals.values())
    crowd = sum((longest / one + 1 for one in intervals.values()), Fraction(0)) * 3
    span = int(max(crowd, 3 * longest)) + 60
    called = {call.buyer.id for _, call in schedule_calls(waiting.values(), RULES, MONDAY, span) if call}
    assert called == waiting.keys()


@given(buyers_of)
def test_in_a_cycle_nobody_is_called_twice(buyers):
    by_id = {one.id: one for one in buyers}
    last: dict[str, date] = {}
    for day, call in schedule_calls(buyers, PATIENT, MONDAY, 90):
        if call is None:
            continue
        one = by_id[call.buyer.id]
        before = last.get(one.id, one.last_contact_on)
        assert not one.is_written_off
        assert before is None or (day - before).days >= interval_of(one.bucket, one.percentile, RULES)
        last[one.id] = day


@given(buyers_of, st.dates(ago(0), ago(-60)))
def test_nobody_is_called_before_the_day_that_is_told(buyers, day):
    for call in rank_calls(buyers, PATIENT, day):
        due = next_call_on(call.buyer, RULES)
        if call.buyer.last_contact_on is not None:
            assert due is not None
            assert due <= day


# The meter


@pytest.mark.parametrize(
    ("count", "bucket", "feasible"),
    [
        (21, WHO, True),  # monthly
        (22, WHO, False),
        (42, OK, True),  # every two months
        (43, OK, False),
        (85, NEED, True),  # every four months
        (86, NEED, False),
        (32, None, True),
        (33, None, False),
        (1, WHO, True),
        (0, WHO, True),
    ],
)
def test_one_caller_manages_so_many_accounts(count, bucket, feasible):
    meter = coverage([buyer(f"b{n}", bucket) for n in range(count)], RULES, MONDAY)
    assert meter.is_feasible is feasible
    assert meter.utilisation == Fraction(count, RULES.interval_days[bucket or "unknown"]) * Fraction(7, 5)


def test_a_list_that_takes_every_single_day_is_feasible():
    weekly = replace(RULES, interval_days={**RULES.interval_days, "who_are_you": 7})
    five = [buyer(f"b{n}", WHO) for n in range(5)]
    assert (coverage(five, weekly, MONDAY).utilisation, coverage(five, weekly, MONDAY).is_feasible) == (1, True)


def test_the_meter_counts_everybody_once():
    buyers = [
        buyer("a", NEED, 10),
        buyer("b", WHO, 29),
        buyer("c", WHO, 30),
        buyer("d", OK, 400, resting_until=ago(-2)),
        buyer("e"),
        buyer("f", resting_until=ago(-2)),
        buyer("g", WHO, 3, is_written_off=True),
    ]
    meter = coverage(buyers, RULES, MONDAY)
    assert (meter.accounts, meter.covered, meter.overdue, meter.never) == (6, 2, 2, 2)
    assert (meter.skipped, meter.written_off) == (2, 1)
    assert meter.buckets == {NEED: 1, OK: 1, WHO: 2, None: 2}
    assert meter.share == Fraction(1, 3)
    assert meter.utilisation == (Fraction(1, 120) + Fraction(1, 60) + Fraction(2, 30) + Fraction(2, 45)) * Fraction(
        7, 5
    )


def test_an_empty_list_and_a_week_without_work_have_no_numbers():
    assert coverage([], RULES, MONDAY).share is None
    idle = coverage([buyer()], replace(RULES, work_days=()), MONDAY)
    assert (idle.utilisation, idle.is_feasible) == (None, False)


@given(buyers_of)
def test_the_meter_adds_up(buyers):
    meter = coverage(buyers, RULES, MONDAY)
    assert meter.covered + meter.overdue + meter.never == meter.accounts
    assert meter.accounts + meter.written_off == len(buyers)
    assert sum(meter.buckets.values()) == meter.accounts
    assert meter.skipped <= meter.accounts
