"""Why a customer cares: need you, it is ok, who are you. What it answered decides, else what its usage suggests.

And what goes with it: the success that customer and champion measure themselves by, whether any of it was agreed, and
whether the value has stopped while the contract still runs.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal
from enum import StrEnum
from fractions import Fraction
from functools import partial
from math import floor
from typing import Any, NamedTuple

from app.domain.attributes import AttributeReader
from app.domain.days import days_after, first_change
from app.domain.events import VerifiedEvent, told
from app.domain.rules import CareRules

CARE_ANSWER = "care_answer"
USAGE_REPORT = "usage_report"
SUCCESS_METRIC = "success_metric"
VALUE_STOPPED = "value_stopped"
RECOVERED = "recovered"
CARE_TYPES = (CARE_ANSWER, USAGE_REPORT, SUCCESS_METRIC, VALUE_STOPPED, RECOVERED)
MAX_PERCENT = 100_000
LARGEST = Decimal(10) ** 15

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


_STEP: Mapping[Bucket, int] = {Bucket.WHO_ARE_YOU: 0, Bucket.OK: 1, Bucket.NEED_YOU: 2}


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


@dataclass(frozen=True, slots=True)
class ValueStopped:
    note: str = ""


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
        reader.whole("usage_percent", 0, MAX_PERCENT),
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
        if number is not None and abs(number) >= LARGEST:
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


def read_value_stopped(attributes: Mapping[str, object]) -> ValueStopped:
    """Attributes of `value_stopped`. Raises ValueError with every problem."""
    reader = AttributeReader(attributes)
    note = reader.text("note") or ""
    reader.check()
    return ValueStopped(note)


class Rule(StrEnum):
    """What put an account into its bucket."""

    ANSWERED = "answered"
    ASKED_TO_CUT = "asked_to_cut"
    HARDLY_USED = "hardly_used"
    CONSIDERS_ALTERNATIVES = "considers_alternatives"
    USED_LESS = "used_less"
    USED_WITH_SPONSOR = "used_with_sponsor"
    USED_WITHOUT_SPONSOR = "used_without_sponsor"
    UNKNOWN = "unknown"


def infer_bucket(usage: UsageReport, rules: CareRules) -> tuple[Bucket | None, Rule]:
    """What usage suggests, and why. Without data it is unknown, never ok."""
    percent = usage.usage_percent
    if usage.asked_to_cut:
        return Bucket.WHO_ARE_YOU, Rule.ASKED_TO_CUT
    if percent is not None and percent < rules.cut_percent:
        return Bucket.WHO_ARE_YOU, Rule.HARDLY_USED
    if usage.considers_alternatives:
        return Bucket.OK, Rule.CONSIDERS_ALTERNATIVES
    if percent is None:
        return None, Rule.UNKNOWN
    if percent < rules.alternatives_percent:
        return Bucket.OK, Rule.USED_LESS
    if usage.sponsor:
        return Bucket.NEED_YOU, Rule.USED_WITH_SPONSOR
    return Bucket.OK, Rule.USED_WITHOUT_SPONSOR


@dataclass(frozen=True, slots=True)
class Care:
    """Where an account stands on a day. `bucket`: None is unknown.

    `inferred`: what usage suggests, whatever was answered. `evidence`: ids of the events that decided.
    `next_change_on`: the first day on which time alone changes any of it.
    """

    bucket: Bucket | None = None
    rule: Rule = Rule.UNKNOWN
    is_inferred: bool = False
    inferred: Bucket | None = None
    answer: CareAnswer | None = None
    answered_on: date | None = None
    evidence: tuple[str, ...] = ()
    before: Bucket | None = None
    """What it answered last that is not its bucket now."""
    is_stale: bool = False
    """Whether the latest answer, decisive or not, is old enough to ask again."""
    limbo_since: date | None = None
    metrics: tuple[Progress, ...] = ()
    """What it and its champion measure their success by, as in `success`."""
    metrics_are_stale: bool = False
    """Whether one of them is agreed, not reached, and was not told for long."""
    next_change_on: date | None = None

    @property
    def has_agreed_value(self) -> bool:
        return any(one.is_agreed for one in self.metrics)

    @property
    def has_conflict(self) -> bool:
        """Whether the answer and the usage are two steps apart: one of them is wrong."""
        if self.answer is None or self.inferred is None:
            return False
        return abs(_STEP[self.answer.bucket] - _STEP[self.inferred]) > 1

    @property
    def decision(self) -> Decision | None:
        return self.answer.decision if self.answer else None

    @property
    def is_in_limbo(self) -> bool:
        return self.limbo_since is not None

    @property
    def action(self) -> str:
        """What to do next, for people."""
        advice = [_DECIDED[self.decision] if self.decision else _ACTIONS[self.bucket]]
        if self.is_inferred:
            advice.append("This is inferred from usage: ask.")
        if self.has_conflict:
            advice.append("Usage says the opposite of the answer: find out which is wrong.")
        return " ".join(advice)

    @property
    def proposal_gate(self) -> str:
        """Why there must be no proposal yet; empty where there may be one."""
        return "" if self.has_agreed_value else "No objective and value agreed: agree on them before any proposal."


_ACTIONS: Mapping[Bucket | None, str] = {
    Bucket.NEED_YOU: (
        "Recognise them as an ideal customer, capture why, find similar prospects in the funnel and sign more of them."
    ),
    Bucket.OK: "Best place for innovation: address their concerns and move them up to need-you.",
    Bucket.WHO_ARE_YOU: (
        "Learn how they define success and what it takes to recruit them again; decide whether both sides win."
    ),
    None: "Nobody knows why they care: call the buyer and ask.",
}
_DECIDED: Mapping[Decision, str] = {
    Decision.RE_RECRUIT: "Both sides win: recruit them again, by their own definition of success.",
    Decision.ASSUME_GONE: "No win for both sides: assume they are gone by next year and plan around the others.",
}


def care(events: Iterable[VerifiedEvent], rules: CareRules, as_of: date, *, is_customer: bool) -> Care:
    """Where an account stands on a day.

    `is_customer`: whether the contract runs; only then can the value have stopped without it.
    """
    known = [event for event in events if event.type in CARE_TYPES]
    if not known:
        return Care()
    facts = _Facts.of(known)
    judge = partial(facts.on, rules=rules, is_customer=is_customer)
    return replace(judge(as_of), next_change_on=first_change(as_of, facts.edges(rules), judge))


def care_on(events: Iterable[VerifiedEvent], rules: CareRules, day: date, *, is_customer: bool) -> Care:
    """`care` without the day of the next change, which costs several times as much."""
    known = [event for event in events if event.type in CARE_TYPES]
    return _Facts.of(known).on(day, rules, is_customer=is_customer) if known else Care()


class _Facts(NamedTuple):
    """What was told of one account, read once and looked at on several days."""

    answers: Sequence[tuple[VerifiedEvent, CareAnswer]]
    reports: Sequence[tuple[VerifiedEvent, UsageReport]]
    metrics: Sequence[tuple[VerifiedEvent, SuccessMetric]]
    stops: Sequence[date]
    recoveries: Sequence[date]

    @classmethod
    def of(cls, events: Sequence[VerifiedEvent]) -> _Facts:
        return cls(
            told(events, CARE_ANSWER, read_care_answer, date.max),
            told(events, USAGE_REPORT, read_usage_report, date.max),
            told(events, SUCCESS_METRIC, read_success_metric, date.max),
            [event.occurred_on for event in events if event.type == VALUE_STOPPED],
            [event.occurred_on for event in events if event.type == RECOVERED],
        )

    def edges(self, rules: CareRules) -> set[date]:
        """The days on which anything begins or ceases to count."""
        spans = [(event.occurred_on, rules.answer_days) for event, _ in self.answers]
        spans += [(event.occurred_on, rules.usage_days) for event, _ in self.reports]
        spans += [(event.occurred_on, rules.stale_days) for event, _ in self.answers]
        spans += [(event.occurred_on, rules.metric_stale_days) for event, _ in self.metrics]
        ends = {days_after(day, days) for day, days in spans}
        starts = {day for day, _ in spans}
        agreed = {metric.agreed_on for _, metric in self.metrics if metric.agreed_on}
        return ends | starts | agreed | {*self.stops, *self.recoveries}

    def on(self, day: date, rules: CareRules, *, is_customer: bool) -> Care:
        usage, sources = latest_usage([(e, said) for e, said in self.reports if _holds(e, rules.usage_days, day)])
        inferred, rule = infer_bucket(usage, rules)
        current = [(event, said) for event, said in self.answers if _holds(event, rules.answer_days, day)]
        told = [(event, said) for event, said in self.answers if event.occurred_on <= day]
        bucket = current[-1][1].bucket if current else inferred
        metrics = tuple(progress_of(self.metrics, day))
        common = Care(
            bucket=bucket,
            inferred=inferred,
            before=next((said.bucket for _, said in reversed(told) if said.bucket is not bucket), None),
            is_stale=bool(told) and days_after(told[-1][0].occurred_on, rules.stale_days) <= day,
            limbo_since=self._limbo_since(usage, sources, rules, day) if is_customer else None,
            metrics=metrics,
            metrics_are_stale=any(one.is_due_on(day, rules) for one in metrics),
        )
        if current:
            event, said = current[-1]
            return replace(
                common,
                rule=Rule.ANSWERED,
                answer=said,
                answered_on=event.occurred_on,
                evidence=(event.id,),
            )
        evidence = tuple(sorted({event.id for event in sources.values()})) if inferred else ()
        return replace(common, rule=rule, is_inferred=inferred is not None, evidence=evidence)

    def _limbo_since(
        self, usage: UsageReport, sources: Mapping[str, VerifiedEvent], rules: CareRules, day: date
    ) -> date | None:
        stopped = max((one for one in self.stops if one <= day), default=None)
        recovered = max((one for one in self.recoveries if one <= day), default=date.min)
        since = [stopped] if stopped is not None and recovered < stopped else []
        if usage.usage_percent is not None and usage.usage_percent < rules.limbo_percent:
            since.append(sources["usage_percent"].occurred_on)
        return min(since, default=None)


def latest_usage(
    reports: Iterable[tuple[VerifiedEvent, UsageReport]],
) -> tuple[UsageReport, dict[str, VerifiedEvent]]:
    """What reports say together, oldest first: of each fact the latest word. With the event that said it."""
    said: dict[str, Any] = {}
    sources: dict[str, VerifiedEvent] = {}
    for event, report in reports:
        for name in UsageReport.__slots__:
            value = getattr(report, name)
            if value is not None:
                said[name], sources[name] = value, event
    return UsageReport(**said), sources


def _holds(event: VerifiedEvent, days: int, day: date) -> bool:
    return event.occurred_on <= day < days_after(event.occurred_on, days)


@dataclass(frozen=True, slots=True)
class Progress:
    """A measure of success as it stands, from everything told about it.

    `share`: the way from baseline to target that is done, exact; it may be negative or above 1. None where one of the
    three numbers is missing or the target is the baseline.
    """

    metric: SuccessMetric
    is_agreed: bool
    told_on: date

    @property
    def share(self) -> Fraction | None:
        baseline, target, actual = self.metric.baseline, self.metric.target, self.metric.actual
        if baseline is None or target is None or actual is None or target == baseline:
            return None
        return (Fraction(actual) - Fraction(baseline)) / (Fraction(target) - Fraction(baseline))

    def is_due_on(self, day: date, rules: CareRules) -> bool:
        """Whether somebody should ask how it stands: it is agreed, not reached, and was not told for long."""
        is_reached = self.share is not None and self.share >= 1
        return self.is_agreed and not is_reached and days_after(self.told_on, rules.metric_stale_days) <= day

    @property
    def title(self) -> str:
        """`Revenue`, `ROI`, `Time to market (EMEA)`."""
        known = self.metric.kind.removeprefix("x_").replace("_", " ")
        title = known.upper() if known == "roi" else known.capitalize()
        return f"{title} ({self.metric.name})" if self.metric.name else title

    @property
    def words(self) -> str:
        """One line that time alone leaves as it is: `Revenue: from 100 EUR, to 150 EUR, now 120 EUR, 40 % of the way`
        and so on.
        """
        metric = self.metric
        numbers = (("from", metric.baseline), ("to", metric.target), ("now", metric.actual))
        parts = [f"{word} {number:f} {metric.unit}".rstrip() for word, number in numbers if number is not None]
        if self.share is not None:
            parts.append(f"{floor(self.share * 100)} % of the way")
        parts.append(f"agreed on {metric.agreed_on}" if self.is_agreed else "not agreed")
        parts.append(f"told on {self.told_on}")
        return f"{self.title}: {', '.join(parts)}"


def success(events: Iterable[VerifiedEvent], as_of: date) -> list[Progress]:
    """Every measure of success of an account on a day: the customer's own first, then the champion's."""
    return progress_of(told(events, SUCCESS_METRIC, read_success_metric, as_of), as_of)


def progress_of(metrics: Iterable[tuple[VerifiedEvent, SuccessMetric]], as_of: date) -> list[Progress]:
    """`success` from what was told, oldest first. What a later event leaves out stays as it was.

    A target that changes is not agreed until somebody says so again; numbers in another unit start afresh.
    """
    found: dict[tuple[MetricOwner, str, str], Progress] = {}
    for event, said in metrics:
        if event.occurred_on > as_of:
            continue
        key = (said.owner, said.kind, said.name)
        known = found.get(key)
        metric = _merge(known.metric, said) if known else said
        found[key] = Progress(metric, _is_agreed(metric, as_of), event.occurred_on)
    owners = list(MetricOwner)
    return [found[key] for key in sorted(found, key=lambda key: (owners.index(key[0]), *key[1:]))]


def _merge(known: SuccessMetric, said: SuccessMetric) -> SuccessMetric:
    if said.unit and said.unit != known.unit:
        return said
    has_moved = said.target is not None and said.target != known.target
    return replace(
        known,
        baseline=known.baseline if said.baseline is None else said.baseline,
        target=known.target if said.target is None else said.target,
        actual=known.actual if said.actual is None else said.actual,
        agreed_on=said.agreed_on or (None if has_moved else known.agreed_on),
    )


def _is_agreed(metric: SuccessMetric, as_of: date) -> bool:
    return metric.target is not None and metric.agreed_on is not None and metric.agreed_on <= as_of


class Transition(NamedTuple):
    """An answer that changed something. `before`: None for the first one."""

    on: date
    before: Bucket | None
    after: Bucket
    decision: Decision | None
    verbatim: str
    event_id: str

    @property
    def direction(self) -> str:
        """`first`, `up`, `down`, or `decided`, where only the decision changed."""
        if self.before is None:
            return "first"
        if self.before is self.after:
            return "decided"
        return "up" if _STEP[self.after] > _STEP[self.before] else "down"


def transitions(events: Iterable[VerifiedEvent], as_of: date) -> list[Transition]:
    """How an account moved from bucket to bucket, by its answers, oldest first."""
    moves: list[Transition] = []
    before: CareAnswer | None = None
    for event, said in told(events, CARE_ANSWER, read_care_answer, as_of):
        if before is None or (before.bucket, before.decision) != (said.bucket, said.decision):
            came_from = before.bucket if before else None
            moves.append(Transition(event.occurred_on, came_from, said.bucket, said.decision, said.verbatim, event.id))
        before = said
    return moves
