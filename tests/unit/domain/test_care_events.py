"""What people may say of why a customer cares, and what is refused."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import pytest

from app.domain.care_events import (
    CHAMPION_METRICS,
    CUSTOMER_METRICS,
    VENDOR_ACTIVITY,
    Bucket,
    CareAnswer,
    MetricOwner,
    SuccessMetric,
    UsageReport,
    read_care_answer,
    read_success_metric,
    read_usage_report,
    read_value_stopped,
)


@pytest.mark.parametrize("kind", CUSTOMER_METRICS)
def test_s3_06_the_customers_own_metrics(kind):
    assert read_success_metric({"owner": "customer", "kind": kind}).owner is MetricOwner.CUSTOMER
    with pytest.raises(ValueError, match="is a measure of the customer, not of the champion"):
        read_success_metric({"owner": "champion", "kind": kind})


def test_s3_06_the_six_of_the_article():
    assert {*CUSTOMER_METRICS} == {
        "revenue", "profit", "cash_flow", "risk_mitigation", "market_valuation", "social_contribution",
    }  # fmt: skip


@pytest.mark.parametrize("kind", CHAMPION_METRICS)
def test_s3_07_the_champions_metrics(kind):
    assert read_success_metric({"owner": "champion", "kind": kind}).owner is MetricOwner.CHAMPION
    with pytest.raises(ValueError, match="is a measure of the champion, not of the customer"):
        read_success_metric({"owner": "customer", "kind": kind})


def test_s3_07_the_seven_of_the_article():
    assert {*CHAMPION_METRICS} == {
        "engineering_efficacy", "leads_converted", "sales_quota", "transactions_processed", "roi",
        "employee_survey_results", "promotion_opportunities",
    }  # fmt: skip


@pytest.mark.parametrize("owner", ["customer", "champion"])
@pytest.mark.parametrize("kind", sorted(VENDOR_ACTIVITY))
def test_s3_08_our_own_activity_is_no_value(owner, kind):
    for code in (kind, f"x_{kind}"):
        with pytest.raises(ValueError, match="is our activity, not their success"):
            read_success_metric({"owner": owner, "kind": code})


@pytest.mark.parametrize(
    ("read", "attributes", "words"),
    [
        (read_care_answer, {}, ["`bucket` is missing"]),
        (read_care_answer, {"bucket": "need you"}, ["`bucket` is one of", "Did you mean need_you?"]),
        (read_care_answer, {"bucket": 2}, ["`bucket` is one of"]),
        (read_care_answer, {"bucket": "ok", "win_win": True}, ["`win_win` is decided for who_are_you only"]),
        (read_care_answer, {"bucket": "who_are_you", "win_win": "yes"}, ["`win_win` is true or false"]),
        (read_care_answer, {"bucket": "ok", "verbatm": "x"}, ["`verbatm`", "Did you mean verbatim?"]),
        (read_care_answer, {"verbatim": 5, "reasons": [1]}, ["`bucket`", "`verbatim`", "`reasons`"]),
        (read_usage_report, {}, ["at least one of"]),
        (read_usage_report, {"usage_percent": -1}, ["`usage_percent` is a whole number"]),
        (read_usage_report, {"usage_percent": "80 %"}, ["`usage_percent` is a whole number"]),
        (read_usage_report, {"usage_percent": True}, ["`usage_percent` is a whole number"]),
        (read_usage_report, {"sponsor": "Kim"}, ["`sponsor` is true or false"]),
        (read_success_metric, {}, ["`owner` is missing", "`kind` is missing"]),
        (read_success_metric, {"owner": "customer", "kind": "happiness"}, ["is one of revenue", "x_"]),
        (read_success_metric, {"owner": "us", "kind": "revenue"}, ["`owner` is one of customer, champion"]),
        (read_success_metric, {"owner": "customer", "kind": "profit", "target": "1,5"}, ["`target`", "number"]),
        (read_success_metric, {"owner": "customer", "kind": "profit", "target": "9" * 16}, ["too large"]),
        (read_success_metric, {"owner": "customer", "kind": "profit", "agreed_on": "1 May"}, ["`agreed_on`", "date"]),
        (read_value_stopped, {"since": "2026-01-01"}, ["`since`"]),
    ],
)
def test_a_reader_says_everything_that_is_wrong(read, attributes, words):
    with pytest.raises(ValueError) as caught:
        read(attributes)
    for word in words:
        assert word in str(caught.value)


def test_what_the_readers_take():
    assert read_care_answer({"bucket": "ok", "reasons": "price", "x_call": 7}) == CareAnswer(Bucket.OK, "", ("price",))
    assert read_usage_report({"usage_percent": 0}) == UsageReport(0)
    assert read_usage_report({"sponsor": False}) == UsageReport(sponsor=False)
    assert read_value_stopped({"note": "sold the plant"}) == "sold the plant"
    assert read_success_metric(
        {"owner": "champion", "kind": "x_nights_at_home", "name": "N", "unit": "nights", "baseline": 1,
         "target": "2.50", "actual": None, "agreed_on": "2026-01-31"}
    ) == SuccessMetric(
        MetricOwner.CHAMPION, "x_nights_at_home", "N", "nights", Decimal(1), Decimal("2.50"), None, date(2026, 1, 31)
    )  # fmt: skip
