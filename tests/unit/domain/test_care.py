"""Why customers care: tables made by hand, and properties against slower ways to say the same."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.care import Care, Rule, care, infer_bucket, latest_usage, transitions
from app.domain.care_events import Bucket, CareAnswer, Decision, UsageReport, read_care_answer
from app.domain.events import VerifiedEvent, told
from app.domain.rules import CareRules
from app.domain.success import success

RULES = CareRules()
DAY = date(2026, 6, 1)
NEED, OK, WHO = Bucket.NEED_YOU, Bucket.OK, Bucket.WHO_ARE_YOU


def event(code="care_answer", days_ago=0, id_="e1", at=None, **attributes):
    return VerifiedEvent(id_, code, DAY - timedelta(days_ago), occurred_at=at, attributes=attributes)


def answer(bucket, days_ago=0, id_="a1", **more):
    return event("care_answer", days_ago, id_, bucket=str(bucket), **more)


def usage(days_ago=0, id_="u1", **said):
    return event("usage_report", days_ago, id_, **said)


def metric(days_ago=0, id_="m1", owner="customer", kind="revenue", **more):
    return event("success_metric", days_ago, id_, owner=owner, kind=kind, **more)


def stand(*events, rules=RULES, as_of=DAY, is_customer=True):
    return care(events, rules, as_of, is_customer=is_customer)


# The inference


@pytest.mark.parametrize(
    ("percent", "sponsor", "cut", "alternatives", "bucket", "rule"),
    [
        (None, None, None, None, None, Rule.UNKNOWN),
        (None, True, None, None, None, Rule.UNKNOWN),  # a sponsor alone is no usage
        (None, True, False, False, None, Rule.UNKNOWN),
        (0, True, None, None, WHO, Rule.HARDLY_USED),
        (24, True, None, None, WHO, Rule.HARDLY_USED),
        (25, True, None, None, OK, Rule.USED_LESS),  # a quarter of the baseline is not below it
        (79, True, None, None, OK, Rule.USED_LESS),
        (80, True, None, None, NEED, Rule.USED_WITH_SPONSOR),
        (80, False, None, None, OK, Rule.USED_WITHOUT_SPONSOR),
        (80, None, None, None, OK, Rule.USED_WITHOUT_SPONSOR),
        (140, True, None, None, NEED, Rule.USED_WITH_SPONSOR),
        (140, True, True, None, WHO, Rule.ASKED_TO_CUT),  # asked to cut outweighs any usage
        (140, True, None, True, OK, Rule.CONSIDERS_ALTERNATIVES),
        (24, True, None, True, WHO, Rule.HARDLY_USED),
        (None, None, True, True, WHO, Rule.ASKED_TO_CUT),
        (None, None, None, True, OK, Rule.CONSIDERS_ALTERNATIVES),
    ],
)
def test_what_usage_suggests(percent, sponsor, cut, alternatives, bucket, rule):
    assert infer_bucket(UsageReport(percent, sponsor, cut, alternatives), RULES) == (bucket, rule)


def test_the_limits_of_the_inference_are_rules():
    strict = replace(RULES, cut_percent=50, alternatives_percent=95)
    assert infer_bucket(UsageReport(49, sponsor=True), strict)[0] is WHO
    assert infer_bucket(UsageReport(50, sponsor=True), strict)[0] is OK
    assert infer_bucket(UsageReport(94, sponsor=True), strict)[0] is OK
    assert infer_bucket(UsageReport(95, sponsor=True), strict)[0] is NEED


@given(
    st.builds(UsageReport, st.none() | st.integers(0, 200), *[st.none() | st.booleans()] * 3),
)
def test_more_usage_never_lowers_the_bucket_and_no_data_is_never_ok(report):
    steps = {None: None, WHO: 0, OK: 1, NEED: 2}
    bucket, _ = infer_bucket(report, RULES)
    if report.usage_percent is None and not report.asked_to_cut and not report.considers_alternatives:
        assert bucket is None
    if report.usage_percent is not None:
        better, _ = infer_bucket(replace(report, usage_percent=report.usage_percent + 1), RULES)
        assert steps[better] >= steps[bucket]


# The answer, how long it holds, and what contradicts it


@pytest.mark.parametrize(
    ("answered", "days_ago", "report", "bucket", "inferred", "conflict"),
    [
        (NEED, 0, None, NEED, False, False),
        (NEED, 179, None, NEED, False, False),
        (NEED, 180, None, None, False, False),  # the 180th day after is the first without it
        (WHO, 179, {"usage_percent": 90, "sponsor": True}, WHO, False, True),
        (WHO, 180, {"usage_percent": 90, "sponsor": True}, NEED, True, False),
        (NEED, 10, {"asked_to_cut": True}, NEED, False, True),
        (NEED, 10, {"usage_percent": 24}, NEED, False, True),
        (NEED, 10, {"usage_percent": 25}, NEED, False, False),  # one step apart
        (OK, 10, {"usage_percent": 24}, OK, False, False),
        (OK, 10, {"usage_percent": 90, "sponsor": True}, OK, False, False),
        (WHO, 10, {"usage_percent": 90}, WHO, False, False),
        (NEED, 10, {"sponsor": True}, NEED, False, False),  # nothing to infer from
        (None, 0, {"usage_percent": 81, "sponsor": True}, NEED, True, False),
        (None, 0, None, None, False, False),
    ],
)
def test_an_answer_decides_while_it_holds(answered, days_ago, report, bucket, inferred, conflict):
    events = [answer(answered, days_ago)] if answered else []
    events += [usage(5, **report)] if report else []
    standing = stand(*events)
    assert (standing.bucket, standing.is_inferred, standing.has_conflict) == (bucket, inferred, conflict)


def test_an_account_without_any_word_is_unknown_and_never_ok():
    assert stand() == Care()
    assert stand().bucket is None
    assert "ask" in stand().action


@pytest.mark.parametrize(("days_ago", "bucket"), [(0, WHO), (89, WHO), (90, None), (-1, None)])
def test_a_report_of_usage_counts_for_its_days(days_ago, bucket):
    assert stand(usage(days_ago, usage_percent=3)).bucket is bucket


def test_of_each_fact_the_latest_word_counts():
    first = usage(40, "u1", asked_to_cut=True, sponsor=True)
    second = usage(10, "u2", usage_percent=95)
    assert stand(first, second).bucket is WHO, "a later report that does not speak of cuts does not take them back"
    third = usage(5, "u3", asked_to_cut=False)
    standing = stand(third, first, second)
    assert standing.bucket is NEED
    assert standing.evidence == ("u1", "u2", "u3"), "the sponsor of the first, the usage of the second, no cut"


def test_the_evidence_of_an_inference_is_whoever_said_what_counts():
    said, sources = latest_usage([(usage(3, "u1"), UsageReport(10)), (usage(2, "u2"), UsageReport(50, sponsor=True))])
    assert said == UsageReport(50, sponsor=True)
    assert {name: one.id for name, one in sources.items()} == {"usage_percent": "u2", "sponsor": "u2"}


def test_the_later_answer_counts_by_day_then_instant_then_id_never_by_arrival():
    at = datetime(2026, 5, 20, 9, 0, tzinfo=UTC)
    morning = answer(NEED, 12, "z", at=at)
    evening = answer(WHO, 12, "a", at=at + timedelta(hours=9))
    assert stand(evening, morning).bucket is WHO
    same = answer(OK, 12, "b", at=at + timedelta(hours=9))
    assert stand(same, evening, morning).bucket is OK
    assert stand(morning, evening, same).bucket is OK
    assert stand(answer(NEED, 11, "0"), same).bucket is NEED


def test_what_is_dated_after_the_day_does_not_count():
    assert stand(answer(NEED, -1)).bucket is None


def test_an_answer_stored_before_it_was_checked_says_nothing():
    assert stand(event(bucket="delighted"), answer(OK, 3)).bucket is OK
    assert told([event(bucket="delighted")], "care_answer", read_care_answer, DAY) == []


# Time alone


@pytest.mark.parametrize(
    ("events", "due"),
    [
        ((), None),
        ((answer(NEED, 0),), DAY + timedelta(90)),  # it gets stale
        ((answer(NEED, 90),), DAY + timedelta(90)),  # and lapses
        ((answer(NEED, 179),), DAY + timedelta(1)),
        ((answer(NEED, 180),), None),
        ((usage(0, usage_percent=50),), DAY + timedelta(90)),
        ((usage(89, usage_percent=50),), DAY + timedelta(1)),
        ((usage(90, usage_percent=50),), None),
        ((answer(OK, 10), usage(80, usage_percent=50)), DAY + timedelta(10)),  # the inference beside it ends
        ((answer(NEED, -3),), DAY + timedelta(3)),
        ((metric(target="5", agreed_on="2026-06-11"),), DAY + timedelta(10)),
        ((event("value_stopped", 400),), None),
        ((event("recovered", 1),), None),
    ],
)
def test_when_time_alone_changes_it(events, due):
    assert stand(*events).next_change_on == due


kinds = st.one_of(
    st.builds(answer, st.sampled_from(Bucket), st.integers(-40, 400), st.uuids().map(str)),
    st.builds(
        lambda p, s, d, i: usage(d, i, usage_percent=p, sponsor=s),
        st.integers(0, 120), st.booleans(), st.integers(-40, 400), st.uuids().map(str),
    ),
    st.builds(
        event,
        st.sampled_from(("value_stopped", "recovered")), st.integers(-40, 400), st.uuids().map(str),
    ),
    st.builds(
        lambda t, a, d, i: metric(d, i, target=t, agreed_on=a),
        st.sampled_from(("5", "6")), st.none() | st.just("2026-06-20"), st.integers(-40, 400), st.uuids().map(str),
    ),
)  # fmt: skip
histories = st.lists(kinds, max_size=7, unique_by=lambda one: one.id)


@given(histories, st.randoms(use_true_random=False))
def test_nothing_depends_on_the_order_of_events(events, random):
    shuffled = list(events)
    random.shuffle(shuffled)
    assert stand(*events) == stand(*shuffled)
    assert transitions(events, DAY) == transitions(shuffled, DAY)
    assert success(events, DAY) == success(shuffled, DAY)


@given(histories, st.integers(1, 60))
def test_nothing_changes_before_the_day_it_says(events, ahead):
    now, day = stand(*events), DAY + timedelta(ahead)
    later = stand(*events, as_of=day)
    if now.next_change_on is None or day < now.next_change_on:
        assert replace(later, next_change_on=None) == replace(now, next_change_on=None)
    if now.next_change_on == day:
        assert replace(later, next_change_on=None) != replace(now, next_change_on=None)


# Limbo and the gate


@pytest.mark.parametrize(
    ("events", "is_customer", "since"),
    [
        ((), True, None),
        ((event("value_stopped", 30),), True, DAY - timedelta(30)),
        ((event("value_stopped", 30),), False, None),  # whoever has no contract is not in limbo, but gone
        ((event("value_stopped", 30), event("recovered", 31, "r")), True, DAY - timedelta(30)),
        ((event("value_stopped", 30), event("recovered", 30, "r")), True, None),
        ((event("value_stopped", 30), event("recovered", 2, "r")), True, None),
        ((event("value_stopped", -1),), True, None),
        ((usage(10, usage_percent=4),), True, DAY - timedelta(10)),
        ((usage(10, usage_percent=5),), True, None),
        ((usage(90, usage_percent=4),), True, None),
        ((usage(10, usage_percent=0), event("value_stopped", 30)), True, DAY - timedelta(30)),
        ((usage(10, usage_percent=0),), False, None),
    ],
)
def test_s3_10_in_limbo_the_value_has_stopped_and_the_contract_has_not(events, is_customer, since):
    standing = stand(*events, is_customer=is_customer)
    assert (standing.limbo_since, standing.is_in_limbo) == (since, since is not None)


@pytest.mark.parametrize(
    ("events", "agreed"),
    [
        ((), False),
        ((metric(target="5"),), False),
        ((metric(agreed_on="2026-05-01"),), False),  # agreed, but on what?
        ((metric(target="5", agreed_on="2026-06-01"),), True),
        ((metric(target="5", agreed_on="2026-06-02"),), False),
        ((metric(target="5", agreed_on="2026-05-01", owner="champion", kind="roi"),), True),
        ((metric(9, "m1", target="5", agreed_on="2026-05-01"), metric(1, "m2", actual="3")), True),
        ((metric(9, "m1", target="5", agreed_on="2026-05-01"), metric(1, "m2", target="6")), False),
        ((metric(9, "m1", target="5", agreed_on="2026-05-01"), metric(1, "m2", target="5.0")), True),
        ((metric(9, "m1", target="5"), metric(1, "m2", agreed_on="2026-06-01")), True),
        ((metric(-1, target="5", agreed_on="2026-05-01"),), False),
    ],
)
def test_s3_09_no_agreed_objective_and_value_no_proposal(events, agreed):
    standing = stand(*events)
    assert standing.has_agreed_value is agreed
    assert bool(standing.proposal_gate) is not agreed
    assert agreed or "before any proposal" in standing.proposal_gate


# What to do


def test_s3_01_need_you_is_recognised_understood_and_multiplied():
    action = stand(answer(NEED, 1)).action
    assert all(word in action for word in ("Recognise", "capture why", "similar prospects", "sign more"))


def test_s3_02_it_is_ok_is_where_to_innovate():
    action = stand(answer(OK, 1)).action
    assert all(word in action for word in ("innovation", "concerns", "need-you"))


@pytest.mark.parametrize(
    ("win_win", "decision", "words"),
    [
        (None, None, ("define success", "decide")),
        (True, Decision.RE_RECRUIT, ("recruit them again",)),
        (False, Decision.ASSUME_GONE, ("gone by next year", "plan around the others")),
    ],
)
def test_s3_03_who_are_you_is_recruited_again_or_assumed_gone(win_win, decision, words):
    said = {} if win_win is None else {"win_win": win_win}
    standing = stand(answer(WHO, 1, **said))
    assert standing.decision is decision
    assert all(word in standing.action for word in words)


def test_an_action_says_what_it_rests_on():
    assert "inferred" in stand(usage(usage_percent=50)).action
    assert "inferred" not in stand(answer(OK)).action
    assert "opposite" in stand(answer(NEED), usage(usage_percent=1)).action


def test_s3_05_the_answer_is_kept_with_its_words_day_and_caller():
    said = {
        "verbatim": "  We would stop shipping without it. ",
        "reasons": ["speed", "speed", "trust"],
        "caller": "Kim",
    }
    standing = stand(answer(NEED, 4, **said))
    assert standing.answer == CareAnswer(NEED, "We would stop shipping without it.", ("speed", "trust"), "Kim")
    assert standing.answered_on == DAY - timedelta(4)
    assert standing.evidence == ("a1",)


def test_s3_11_transitions_tell_how_an_account_moved():
    history = [
        answer(OK, 100, "1", verbatim="fine"),
        answer(OK, 90, "2"),
        answer(WHO, 80, "3", verbatim="who?"),
        answer(WHO, 70, "4", win_win=True),
        answer(NEED, 60, "5"),
        answer(WHO, 50, "6", win_win=False),
        answer(OK, -1, "7"),
    ]
    moves = transitions(history, DAY)
    assert [(m.event_id, m.before, m.after, m.decision, m.direction) for m in moves] == [
        ("1", None, OK, None, "first"),
        ("3", OK, WHO, None, "down"),
        ("4", WHO, WHO, Decision.RE_RECRUIT, "decided"),
        ("5", WHO, NEED, None, "up"),
        ("6", NEED, WHO, Decision.ASSUME_GONE, "down"),
    ]
    assert moves[1].verbatim == "who?"
    assert moves[1].on == DAY - timedelta(80)
