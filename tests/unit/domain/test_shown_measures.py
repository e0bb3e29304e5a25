"""What the CRM is shown of an account beside its levels: tables made by hand, at every boundary.

A day is counted from `DAY`, on which everything is looked at: -10 is ten days before it.
"""

from __future__ import annotations

from collections import Counter
from datetime import date, timedelta
from decimal import Decimal
from fractions import Fraction
from random import Random

import pytest
from told import tell

from app.domain.care_events import MetricOwner, SuccessMetric
from app.domain.events import VerifiedEvent
from app.domain.model import Policy
from app.domain.reference_record import Record, Surprise
from app.domain.relationship import Point, level_before
from app.domain.standing import AccountFacts, Worth, assess_account, build_frame, shown
from app.domain.success import Progress

POLICY = Policy()
DAY = date(2026, 6, 1)
FLAGS = ("promise_is_overdue", "personal_is_stale", "reference_is_stale", "care_is_stale", "success_is_stale")


def at(on):
    return None if on is None else DAY + timedelta(on)


def event(code, on=0, attributes=None, id_="", until=None, **more):
    name = id_ or f"{code} {on}"
    return VerifiedEvent(name, code, at(on), valid_to=at(until), attributes=attributes or {}, **more)


def show(events, *names, on=0, deals=None):
    known = tuple(one for one in events if one.occurred_on <= at(on))
    standing = assess_account(AccountFacts("A", known, deals=deals or {}), build_frame(POLICY, at(on)))
    cells = shown(standing)
    return tuple(cells[name] for name in names)


def iso(on):
    return None if on is None else at(on).isoformat()


# --- permissions -----------------------------------------------------------------------------------------------------


def grant(on, *scopes, until=None, **more):
    return event("permission_granted", on, {"scopes": list(scopes)}, f"g {on} {scopes}", until, **more)


def promise(on, *scopes, due=None, **more):
    terms = {"scopes": list(scopes)} | ({"due_on": iso(due)} if due is not None else {})
    return event("permission_promised", on, terms, opportunity="D", **more)


@pytest.mark.parametrize(
    ("events", "until"),
    [
        ((), None),
        ((grant(-9, "logo"),), None),
        ((grant(-9, "logo", until=1),), 1),
        ((grant(-9, "logo", until=0),), None),  # over today: nothing is held that could end
        ((grant(-9, "logo", until=9), grant(-8, "basic")), 9),
        ((grant(-9, "logo", until=9), grant(-8, "basic", until=4)), 4),
        # Given again by the same person before it ended: the later one counts, and it has no end.
        ((grant(-9, "logo", until=9), grant(-1, "logo")), None),
        # Another person's consent for the same scope covers the end of the first, and then ends itself.
        ((grant(-9, "logo", until=9, contact="C1"), grant(-1, "logo", until=20, contact="C2")), 20),
        ((grant(-9, "logo", until=9), event("permission_revoked", -2, {"scopes": ["logo"]})), None),
        ((grant(-9, "basic", contact="C1"), event("contact_left", -1, contact="C1", valid_from=at(5))), 5),
        # What begins to be allowed later is no end of what is allowed today.
        ((grant(-9, "logo"), grant(-8, "basic", valid_from=at(3))), None),
    ],
)
def test_s0_10_the_first_day_on_which_a_permission_no_longer_holds(events, until):
    assert show(events, "permissions_until") == (iso(until),)


@pytest.mark.parametrize(
    ("events", "owed", "is_overdue"),
    [
        ((), "", 0),
        ((promise(-1, "logo"),), "logo", 0),
        ((promise(-90, "logo"),), "logo", 0),  # today is the last day in time
        ((promise(-91, "logo"),), "logo", 1),
        ((promise(-9, "logo", due=0),), "logo", 0),
        ((promise(-9, "logo", due=-1),), "logo", 1),
        ((promise(-9, "logo"), grant(-5, "logo")), "", 0),
        ((promise(-9, "logo", due=-1), grant(-5, "logo", until=0)), "logo", 1),  # granted, and over again
        ((promise(-9, "logo", "basic"), grant(-5, "logo")), "basic", 0),
        ((promise(-9, "logo", due=-2), promise(-8, "basic")), "basic logo", 1),
        # Used with a consent since it was promised: kept, whatever became of the consent.
        (
            (promise(-9, "logo", due=-1), grant(-8, "logo", until=-5), event("permission_used", -7, {"scopes": ["logo"]})),
            "",
            0,
        ),
    ],
)  # fmt: skip
def test_s0_21_what_was_promised_in_deals_and_nothing_came_of(events, owed, is_overdue):
    assert show(events, "promised_permissions", "promise_is_overdue") == (owed, is_overdue)


# --- relationship ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("levels", "before"),
    [
        ((), None),
        ((3,), None),
        ((2, 3), 2),
        ((3, 2), 3),
        ((1, 2, 3), 2),
        ((3, None), 3),  # nobody rated for long: what it was last
        ((3, None, 3), None),
        ((2, 3, None, 3), 2),
        ((0, 4), 0),  # zero is a value
        ((3, None, 1), 3),
        ((None,), None),
    ],
)
def test_s1_11_the_level_before_the_present_one(levels, before):
    assert level_before([Point(at(number), level) for number, level in enumerate(levels)]) == before


def test_s1_11_the_trend_of_the_offer_is_shown_beside_its_level():
    ratings = [
        event("offer_rating", -300, {"basis": "price", "rated_by": "Ann"}),
        event("offer_rating", -3, {"basis": "features", "rated_by": "Ann"}),
    ]

    assert show(ratings, "offer_level", "offer_before") == (2, 1)


def person(on, rep, level, by="Eve"):
    ticks = {3: {"understands_business": True}, 1: {"passes_prices": True}, 0: {}}[level]
    return event("personal_rating", on, {"rep": rep, "level": level, "rated_by": by, **ticks}, f"{rep} {on}")


@pytest.mark.parametrize(
    ("ratings", "level", "is_stale"),
    [
        ((), None, 0),
        ((person(0, "R1", 3),), 3, 0),
        ((person(-179, "R1", 3),), 3, 0),
        ((person(-180, "R1", 3),), 3, 1),
        ((person(-364, "R1", 3),), 3, 1),
        ((person(-365, "R1", 3),), None, 1),  # no longer counted, and still to be asked again
        # The best of two is old, and somebody else was rated yesterday: the best is what is shown.
        ((person(-200, "R1", 3), person(-1, "R2", 1)), 3, 1),
        ((person(-200, "R1", 1), person(-1, "R2", 3)), 3, 0),
        # Of two who are as good the one who was rated last.
        ((person(-200, "R1", 3), person(-1, "R2", 3)), 3, 0),
        ((person(-400, "R1", 3), person(-1, "R2", 0)), 0, 0),
    ],
)
def test_s1_06_the_best_person_is_stale_when_its_own_rating_is(ratings, level, is_stale):
    assert show(ratings, "personal_level", "personal_is_stale") == (level, is_stale)


# --- references ------------------------------------------------------------------------------------------------------


def traits(on, **levels):
    return event("reference_traits", on, levels)


@pytest.mark.parametrize(
    ("ratings", "brand", "is_stale"),
    [
        ((), 0, 0),
        ((traits(0, brand=4),), 1, 0),
        ((traits(-179, brand=4),), 1, 0),
        ((traits(-180, brand=4),), 1, 1),
        ((traits(-364, brand=4),), 1, 1),
        ((traits(-365, brand=4),), 0, 1),
        ((traits(-200, brand=4), traits(-10, articulate=1)), 1, 0),
        ((traits(-400, brand=4), traits(-181, brand=4)), 1, 1),
        ((traits(-10, brand=None),), 0, 0),
        ((event("ask_declined", -10),), 0, 0),
    ],
)
def test_s2_01_traits_are_stale_half_a_year_after_the_last_rating(ratings, brand, is_stale):
    assert show(ratings, "high_impact_traits", "reference_is_stale") == (brand, is_stale)


@pytest.mark.parametrize(
    ("mean", "surprise"),
    [
        (None, None),
        (Fraction(4), Surprise.BETTER),
        (Fraction(1), Surprise.BETTER),
        (Fraction(1, 2), Surprise.BETTER),
        (Fraction(49, 100), Surprise.AS_EXPECTED),
        (Fraction(1, 3), Surprise.AS_EXPECTED),
        (Fraction(0), Surprise.AS_EXPECTED),
        (Fraction(-1, 3), Surprise.AS_EXPECTED),
        (Fraction(-49, 100), Surprise.AS_EXPECTED),
        (Fraction(-1, 2), Surprise.WORSE),
        (Fraction(-4), Surprise.WORSE),
    ],
)
def test_s2_11_half_a_grade_in_the_mean_is_a_surprise(mean, surprise):
    assert Record(mean_difference=mean).surprise is surprise


def call(number, deal=None, on=-20):
    return event("reference_call", on, {"request": str(number)}, f"call {number}", opportunity=deal)


def outcome(number, on=-19, **told):
    return event("reference_outcome", on, {"request": str(number), **told}, f"outcome {number}")


def asked(number, on, days=None, answer="ask_accepted"):
    return event(answer, on, {"request": str(number)} | ({} if days is None else {"days": days}), f"{answer} {number}")


def many(count, **told):
    return tuple(one for number in range(count) for one in (call(number), outcome(number, **told)))


POOR, GOOD = {"signals": ["reluctant"]}, {"signals": ["known_brand"]}


@pytest.mark.parametrize(
    ("events", "deals", "expected"),
    [
        ((), {}, (0, 0, None, None, None)),
        ((call(1),), {}, (1, 0, "not_enough_data", None, None)),
        ((call(1, "D"),), {"D": True}, (1, 1, "not_enough_data", None, None)),
        ((call(1, "D"),), {"D": False}, (1, 0, "not_enough_data", None, None)),
        ((call(1, "D"),), {"D": None}, (1, 0, "not_enough_data", None, None)),  # open
        ((call(1, "D"),), {}, (1, 0, "not_enough_data", None, None)),  # not known
        # What was reported of the prospect outweighs the deal.
        ((call(1, "D"), outcome(1, prospect_bought=True)), {"D": False}, (1, 1, "not_enough_data", None, None)),
        ((call(1), outcome(1, expected_grade="neutral", actual_grade="positive")), {}, (1, 0, "not_enough_data", "better", None)),
        (many(4, **GOOD), {}, (4, 0, "not_enough_data", None, None)),
        (many(5, **GOOD), {}, (5, 0, "customer_b", None, None)),
        (many(5, **POOR), {}, (5, 0, "customer_a", None, None)),
        (many(5), {}, (5, 0, "mixed", None, None)),
        # A yes after 1, 3 and 9 days: the median is 3. None of it is prompt or chased but the first.
        (
            (*(call(number) for number in range(3)), *(asked(number, -25, days) for number, days in enumerate((9, 1, 3)))),
            {},
            (3, 0, "not_enough_data", None, 3),
        ),
    ],
)  # fmt: skip
def test_s2_09_and_s2_10_the_record_of_references(events, deals, expected):
    names = ("references_given", "references_won", "reference_record", "reference_surprise", "days_to_accept")

    assert show(events, *names, deals=deals) == expected


@pytest.mark.parametrize(
    ("events", "used", "balance"),
    [
        ((), 0, 0),
        ((asked(1, 0, answer="ask_sent"),), 1, 0),
        ((asked(1, -89, answer="ask_sent"),), 1, 0),
        ((asked(1, -90, answer="ask_sent"),), 0, 0),
        ((asked(1, -5, 1),), 1, -1),
        ((asked(1, -5, answer="ask_declined"),), 0, 0),
        ((asked(1, -5, answer="ask_unanswered"),), 1, 0),
        ((call(1),), 1, -1),  # nobody recorded that it was asked for
        ((call(1), event("reward_given", -3)), 1, 0),
        ((event("reward_given", -3), event("reward_given", -2)), 0, 2),
        ((asked(1, -100, 1), call(1, on=-95)), 0, -1),
    ],
)
def test_s2_06_the_asks_that_count_and_what_was_given_back(events, used, balance):
    assert show(events, "asks_used", "ask_balance") == (used, balance)


# --- care ------------------------------------------------------------------------------------------------------------


def answer(on, bucket, **more):
    return event("care_answer", on, {"bucket": bucket, **more}, f"answer {on}")


def usage(on, percent):
    return event("usage_report", on, {"usage_percent": percent})


@pytest.mark.parametrize(
    ("events", "expected"),
    [
        ((), (None, None, 0, None)),
        ((answer(0, "ok"),), ("ok", None, 0, None)),
        ((answer(-89, "ok"),), ("ok", None, 0, None)),
        ((answer(-90, "ok"),), ("ok", None, 1, None)),
        ((answer(-179, "ok"),), ("ok", None, 1, None)),
        ((answer(-180, "ok"),), (None, "ok", 1, None)),  # nobody knows any more; it was ok
        ((answer(-100, "ok"), answer(-5, "need_you")), ("need_you", "ok", 0, None)),
        ((answer(-100, "ok"), answer(-5, "ok")), ("ok", None, 0, None)),
        ((answer(-300, "need_you"), answer(-100, "ok"), answer(-5, "ok")), ("ok", "need_you", 0, None)),
        ((answer(-5, "who_are_you"),), ("who_are_you", None, 0, None)),
        ((answer(-5, "who_are_you", win_win=True),), ("who_are_you", None, 0, "re_recruit")),
        ((answer(-100, "who_are_you", win_win=False),), ("who_are_you", None, 1, "assume_gone")),
        ((answer(-180, "who_are_you", win_win=False),), (None, "who_are_you", 1, None)),  # a decision lapses with it
        # Taken from usage, where the answer is too old: what was answered is what was before.
        ((answer(-200, "need_you"), usage(-1, 50)), ("ok", "need_you", 1, None)),
    ],
)
def test_s3_03_and_s3_11_the_bucket_with_what_was_before_its_age_and_the_decision(events, expected):
    assert show(events, "care_bucket", "care_before", "care_is_stale", "care_decision") == expected


def measured(baseline=None, target=None, actual=None, unit="", kind="revenue", name="", agreed=None, told=-3):
    numbers = [None if number is None else Decimal(number) for number in (baseline, target, actual)]
    metric = SuccessMetric(MetricOwner.CUSTOMER, kind, name, unit, *numbers, agreed_on=at(agreed))
    return Progress(metric, agreed is not None, at(told))


@pytest.mark.parametrize(
    ("progress", "words"),
    [
        (measured(), "Revenue: not agreed, told on 2026-05-29"),
        (measured(target="5"), "Revenue: to 5, not agreed, told on 2026-05-29"),
        (measured("100", unit="EUR"), "Revenue: from 100 EUR, not agreed, told on 2026-05-29"),
        (measured(actual="3", unit="days"), "Revenue: now 3 days, not agreed, told on 2026-05-29"),
        (
            measured("100", "150", "120", "EUR", agreed=-9),
            "Revenue: from 100 EUR, to 150 EUR, now 120 EUR, 40 % of the way, agreed on 2026-05-23, told on 2026-05-29",
        ),
        # Shares are cut, so that nothing is reached before it is; backwards is below zero, and more than all is more.
        (measured("0", "3", "2.99"), "Revenue: from 0, to 3, now 2.99, 99 % of the way, not agreed, told on 2026-05-29"),
        (measured("0", "3", "-0.01"), "Revenue: from 0, to 3, now -0.01, -1 % of the way, not agreed, told on 2026-05-29"),
        (measured("10", "5", "2.5"), "Revenue: from 10, to 5, now 2.5, 150 % of the way, not agreed, told on 2026-05-29"),
        (measured("5", "5", "5"), "Revenue: from 5, to 5, now 5, not agreed, told on 2026-05-29"),
        (measured(target="1E+3", kind="roi"), "ROI: to 1000, not agreed, told on 2026-05-29"),
        (measured(kind="x_time_to_market", name="EMEA"), "Time to market (EMEA): not agreed, told on 2026-05-29"),
    ],
)  # fmt: skip
def test_s3_06_and_s3_07_a_measure_of_success_in_one_line(progress, words):
    assert progress.words == words


def metric(on, owner="customer", kind="revenue", **told):
    return event("success_metric", on, {"owner": owner, "kind": kind, **told}, f"metric {on} {kind}")


AGREED = {"baseline": "0", "target": "10", "agreed_on": iso(-400)}


@pytest.mark.parametrize(
    ("events", "is_stale"),
    [
        ((), 0),
        ((metric(-400, **AGREED),), 1),
        ((metric(-180, **AGREED),), 1),
        ((metric(-179, **AGREED),), 0),
        ((metric(-400, **AGREED), metric(-10, actual="4")), 0),
        ((metric(-400, **AGREED), metric(-200, actual="9.99")), 1),
        ((metric(-400, **AGREED), metric(-200, actual="10")), 0),  # reached: nothing to ask any more
        ((metric(-400, target="10"),), 0),  # nobody agreed to it
        ((metric(-400, target="10", agreed_on=iso(1)),), 0),  # not yet
        ((metric(-400, target="10", agreed_on=iso(0)),), 1),
        ((metric(-400, **AGREED), metric(-1, "champion", "roi", **AGREED)), 1),
    ],
)
def test_s3_09_what_is_agreed_and_not_reached_is_told_anew_twice_a_year(events, is_stale):
    assert show(events, "success_is_stale") == (is_stale,)


def test_s3_06_and_s3_07_customer_and_champion_have_a_line_for_each_measure():
    events = [metric(-3, **AGREED), metric(-2, kind="profit", actual="1"), metric(-1, "champion", "roi", target="3")]

    customer, champion = show(events, "customer_success", "champion_success")

    assert [line.split(":")[0] for line in customer.splitlines()] == ["Profit", "Revenue"]
    assert champion == "ROI: to 3, not agreed, told on 2026-05-31"


# --- urgency, renewal ------------------------------------------------------------------------------------------------


def problem(on, code="complaint", severity=None, until=None):
    return event(code, on, {} if severity is None else {"severity": severity}, f"{code} {on} {severity}", until)


@pytest.mark.parametrize(
    ("events", "urgency"),
    [
        ((), None),
        ((problem(-3),), "normal"),
        ((problem(-3, "escalation"),), "high"),
        ((problem(-3, "churn_signal"),), "high"),
        ((problem(-3, severity="low"),), "low"),
        ((problem(-3, severity="low"), problem(-2, severity="critical")), "critical"),
        ((problem(-3, severity="critical", until=0), problem(-2, severity="low")), "low"),
        ((problem(-3, severity="critical", until=1),), "critical"),
        ((problem(-3), event("recovered", -1)), None),
        ((problem(-3), event("recovered", -4)), "normal"),
        ((problem(-3), event("problem_closed", -1, {"event": "complaint -3 None"})), None),
    ],
)
def test_s4_03_the_most_severe_open_problem_is_how_urgent_a_customer_is(events, urgency):
    assert show(events, "urgency") == (urgency,)


@pytest.mark.parametrize(
    ("on", "renewal_on", "is_customer"),
    [(-400, None, 0), (-366, None, 0), (-365, None, 0), (-364, 1, 1), (-1, 364, 1), (0, 365, 1)],
)
def test_s0_08_a_licence_of_a_year_is_renewed_a_year_later(on, renewal_on, is_customer):
    signed = event("annual_license_signed", on, {"months": 12})

    assert show([signed], "renewal_on", "is_customer") == (iso(renewal_on), is_customer)


# --- all of them -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(6))
def test_a_year_of_nights_writes_a_customer_a_few_times_for_each_thing_that_was_told_and_not_every_night(seed):
    draw, told = Random(seed), []
    for number in range(10):
        code, attributes = tell(draw)
        told.append(event(code, -draw.randrange(0, 200), attributes, str(number), contact="C1"))
    facts = AccountFacts("A", tuple(told), worth=Worth(500, 2000, 2500, 55))
    writes = Counter()
    before = shown(assess_account(facts, build_frame(POLICY, DAY)))
    for step in range(1, 366):
        cells = shown(assess_account(facts, build_frame(POLICY, at(step))))
        writes.update(name for name, cell in cells.items() if cell != before[name])
        before = cells

    assert max(writes.values(), default=0) <= 2 * len(told), writes
    assert sum(writes.values()) <= 4 * len(told), writes
