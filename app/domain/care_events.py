"""What people record of why a customer cares: answers, usage, measures of success, and value that stopped."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from enum import StrEnum

from app.domain.attributes import AttributeReader
from app.domain.engagement import RECOVERED

CARE_ANSWER = "care_answer"
USAGE_REPORT = "usage_report"
SUCCESS_METRIC = "success_metric"
VALUE_STOPPED = "value_stopped"
CARE_TYPES = (CARE_ANSWER, USAGE_REPORT, SUCCESS_METRIC, VALUE_STOPPED, RECOVERED)
_MAX_PERCENT = 100_000
_LARGEST = Decimal(10) ** 15

CUSTOMER_METRICS = (
    "revenue", "profit", "cash_flow", "risk_mitigation", "market_valuation", "social_contribution",
)  # fmt: skip
CHAMPION_METRICS = (
    "engineering_efficacy", "leads_converted", "sales_quota", "transactions_processed", "roi",
    "employee_survey_results", "promotion_opportunities",
)  # fmt: skip
VENDOR_ACTIVITY = frozenset(
    "tickets_resolved tickets_closed tickets_opened logins active_users meetings_held calls_made emails_sent"
    " trainings_held training_sessions features_shipped features_released uptime response_time usage reports_sent"
    " business_reviews_held".split()
)
"""What we did, or how busy they were with what we sold: none of it is what they gained."""


class Bucket(StrEnum):
    NEED_YOU = "need_you"
    """Could not live without us."""
    OK = "ok"
    """Uses us, thinks about alternatives."""
    WHO_ARE_YOU = "who_are_you"
    """Forgot us, or cuts costs."""


class Decision(StrEnum):
    """What becomes of a customer that asks who we are: there is something in it for both sides, or there is not."""

    RE_RECRUIT = "re_recruit"
    ASSUME_GONE = "assume_gone"


class MetricOwner(StrEnum):
    CUSTOMER = "customer"
    CHAMPION = "champion"


_METRICS: Mapping[MetricOwner, tuple[str, ...]] = {
    MetricOwner.CUSTOMER: CUSTOMER_METRICS,
    MetricOwner.CHAMPION: CHAMPION_METRICS,
}


@dataclass(frozen=True, slots=True)
class CareAnswer:
    """What a buyer said when asked why they care."""

    bucket: Bucket
    verbatim: str = ""
    reasons: tuple[str, ...] = ()
    caller: str | None = None
    win_win: bool | None = None
    """None: not decided yet."""

    @property
    def decision(self) -> Decision | None:
        if self.win_win is None:
            return None
        return Decision.RE_RECRUIT if self.win_win else Decision.ASSUME_GONE


@dataclass(frozen=True, slots=True)
class UsageReport:
    """What we can see without asking. None: the report does not say.

    `usage_percent`: of the customer's own baseline.
    """

    usage_percent: int | None = None
    sponsor: bool | None = None
    asked_to_cut: bool | None = None
    considers_alternatives: bool | None = None


@dataclass(frozen=True, slots=True)
class SuccessMetric:
    """One measure of success in the words of its owner; numbers are exact, in `unit`."""

    owner: MetricOwner
    kind: str
    name: str = ""
    unit: str = ""
    baseline: Decimal | None = None
    target: Decimal | None = None
    actual: Decimal | None = None
    agreed_on: date | None = None


def read_care_answer(attributes: Mapping[str, object]) -> CareAnswer:
    """Attributes of `care_answer`. Raises ValueError with every problem."""
    reader = AttributeReader(attributes)
    bucket = reader.choice("bucket", list(Bucket), is_required=True)
    verbatim, reasons = reader.text("verbatim") or "", reader.words("reasons")
    caller, win_win = reader.text("caller"), reader.flag("win_win")
    is_early = win_win is not None and bucket is not None and bucket != Bucket.WHO_ARE_YOU
    only = f"`win_win` is decided for {Bucket.WHO_ARE_YOU} only"
    reader.demand(only, f"{only}; here the bucket is {bucket}" if is_early else "")
    reader.check()
    return CareAnswer(Bucket(str(bucket)), verbatim, reasons, caller, win_win)


def read_usage_report(attributes: Mapping[str, object]) -> UsageReport:
    """Attributes of `usage_report`. Raises ValueError with every problem."""
    reader = AttributeReader(attributes)
    report = UsageReport(
        reader.whole("usage_percent", 0, _MAX_PERCENT),
        reader.flag("sponsor"),
        reader.flag("asked_to_cut"),
        reader.flag("considers_alternatives"),
    )
    rule = f"a usage report says at least one of {', '.join(UsageReport.__slots__)}"
    reader.demand(rule, rule if report == UsageReport() else "")
    reader.check()
    return report


def read_success_metric(attributes: Mapping[str, object]) -> SuccessMetric:
    """Attributes of `success_metric`. Raises ValueError with every problem."""
    reader = AttributeReader(attributes)
    owner = reader.choice("owner", list(MetricOwner), is_required=True)
    kind = reader.text("kind", known=[kind for kinds in _METRICS.values() for kind in kinds], is_required=True) or ""
    for one, kinds in _METRICS.items():
        reader.demand(f"of the {one} `kind` is one of {', '.join(kinds)}, or one of your own")
    reader.demand(
        f"what we did is no success of theirs: `kind` is none of {', '.join(sorted(VENDOR_ACTIVITY))}",
        _kind_problem(MetricOwner(owner), kind) if owner is not None and kind else "",
    )
    name, unit = reader.text("name") or "", reader.text("unit") or ""
    numbers = {part: reader.number(part) for part in ("baseline", "target", "actual")}
    for part, number in numbers.items():
        if number is not None and abs(number) >= _LARGEST:
            reader.refuse(f"`{part}` is too large to be a measure; choose a larger unit")
    agreed_on = reader.day("agreed_on")
    reader.check()
    return SuccessMetric(MetricOwner(str(owner)), kind, name, unit, **numbers, agreed_on=agreed_on)


def _kind_problem(owner: MetricOwner, kind: str) -> str:
    if kind.removeprefix("x_") in VENDOR_ACTIVITY:
        return f"`kind` {kind} is our activity, not their success: measure what the {owner} gains by it"
    if kind.startswith("x_") or kind in _METRICS[owner]:
        return ""
    other = next((one for one in MetricOwner if kind in _METRICS[one]), None)
    if other is not None:
        return f"`kind` {kind} is a measure of the {other}, not of the {owner}"
    return f"`kind` of a {owner} is one of {', '.join(_METRICS[owner])}, or one of your own that starts with x_"


def read_value_stopped(attributes: Mapping[str, object]) -> str | None:
    """The note of `value_stopped`. Raises ValueError with every problem."""
    reader = AttributeReader(attributes)
    note = reader.text("note")
    reader.check()
    return note


READERS: Mapping[str, Callable[[Mapping[str, object]], object]] = {
    CARE_ANSWER: read_care_answer,
    USAGE_REPORT: read_usage_report,
    SUCCESS_METRIC: read_success_metric,
    VALUE_STOPPED: read_value_stopped,
}
"""The strict reader of each type's attributes."""
