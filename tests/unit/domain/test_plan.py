"""What is sent to the CRM, field by field, and when a plan is held."""

import pytest

from app.domain.plan import (
    Change,
    ChangeKind,
    FieldPolicy,
    Limits,
    PlanStats,
    clears_value,
    judge_plan,
    plan_account,
    replaces_value,
)

SET, CLEAR, DRIFT = ChangeKind.SET, ChangeKind.CLEAR, ChangeKind.DRIFT


@pytest.mark.parametrize(
    ("policy", "shown", "desired", "written", "kind"),
    [
        ("overwrite", "1", "1", None, None),
        ("overwrite", None, None, "1", None),
        ("overwrite", None, "1", None, SET),
        ("overwrite", "2", "1", None, SET),
        ("overwrite", "2", None, "2", CLEAR),
        ("overwrite", "9", "1", "2", SET),
        ("only_if_blank", None, "1", None, SET),
        ("only_if_blank", "2", "1", "2", None),
        ("only_if_blank", "2", None, "2", None),
        ("never_clear", "2", None, "2", None),
        ("never_clear", "2", "1", "2", SET),
        ("never_clear", None, "1", "2", SET),
        ("protect_if_edited", "2", "1", "2", SET),
        ("protect_if_edited", "2", None, "2", CLEAR),
        ("protect_if_edited", "9", "1", "2", DRIFT),
        ("protect_if_edited", None, "1", "2", DRIFT),
        ("protect_if_edited", "9", "1", None, DRIFT),
        ("protect_if_edited", None, "1", None, SET),
        ("protect_if_edited", "1", "1", "2", None),
    ],
)
def test_the_policy_of_a_field_decides_what_becomes_of_a_difference(policy, shown, desired, written, kind):
    last_written = None if written is None else {"total": written}

    changes = plan_account({"total": shown}, {"total": desired}, last_written, {"total": FieldPolicy(policy)})

    assert changes == (() if kind is None else (Change("total", kind, shown, desired),))


def test_changes_come_in_order_of_measures_and_only_for_measures_we_want():
    changes = plan_account({"c": "1", "other": "x"}, {"total": "2", "c": "2", "a": "3"}, None, {})

    assert [change.measure for change in changes] == ["a", "c", "total"]


def test_filling_a_blank_field_is_not_a_changed_account_for_the_guard():
    filled = plan_account({}, {"total": "1"}, None, {})
    replaced = plan_account({"total": "2"}, {"total": "1"}, None, {})
    cleared = plan_account({"total": "2"}, {"total": None}, None, {})
    drifted = plan_account({"total": "2"}, {"total": "1"}, None, {"total": FieldPolicy.PROTECT_IF_EDITED})

    assert [replaces_value(changes) for changes in (filled, replaced, cleared, drifted)] == [False, True, True, False]
    assert [clears_value(changes) for changes in (filled, replaced, cleared, drifted)] == [False, False, True, False]


@pytest.mark.parametrize(
    ("stats", "named"),
    [
        (PlanStats(), []),
        (PlanStats(showing=100, changed=25, cleared=10, shown_total=100, planned_total=40), []),
        (PlanStats(showing=100, changed=26), ["max_changed_percent"]),
        (PlanStats(showing=100, changed=20, cleared=11), ["max_cleared_percent"]),
        (PlanStats(showing=100, changed=20, shown_total=1000, planned_total=399), ["max_decrease_percent"]),
        (PlanStats(showing=100, changed=20, shown_total=1, planned_total=0), ["max_decrease_percent"]),
        (PlanStats(showing=100, changed=20, shown_total=1000, planned_total=5000), []),
        (PlanStats(showing=100, changed=20, shown_total=0, planned_total=-500), []),
        (PlanStats(showing=100, changed=20, shown_total=-5, planned_total=-500), []),
        (PlanStats(showing=19, changed=19, cleared=19, shown_total=1000), []),
        (
            PlanStats(showing=20, changed=20, cleared=20, shown_total=1000),
            ["max_changed_percent", "max_cleared_percent", "max_decrease_percent"],
        ),
    ],
)
def test_a_plan_is_held_only_where_it_exceeds_a_limit_and_says_which(stats, named):
    verdict = judge_plan(stats, Limits())

    assert verdict.allowed is (not named)
    assert [name for reason, name in zip(verdict.reasons, named, strict=True) if name in reason] == named


def test_the_reasons_for_holding_a_plan_can_be_read_aloud():
    stats = PlanStats(showing=3000, changed=1000, cleared=400, shown_total=3000, planned_total=1000)
    nearly_all = PlanStats(showing=1000, changed=1000, shown_total=10_000, planned_total=10)

    assert judge_plan(stats, Limits()).reasons == (
        "1,000 of 3,000 accounts would change a value they show: 33.3 %, more than max_changed_percent = 25",
        "400 of 3,000 accounts would lose a value they show: 13.3 %, more than max_cleared_percent = 10",
        "the sum of the shown totals would fall by 66.6 %, more than max_decrease_percent = 60",
    )
    assert judge_plan(nearly_all, Limits()).reasons == (
        "1,000 of 1,000 accounts would change a value they show: 100.0 %, more than max_changed_percent = 25",
        "the sum of the shown totals would fall by 99.9 %, more than max_decrease_percent = 60",
    )
