"""Why a customer cares: need you, it is ok, who are you. What it answered decides, else what its usage suggests.

And whether the value has stopped while the contract still runs.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from enum import StrEnum
from functools import partial
from typing import Any, NamedTuple

from app.domain.care_events import (
    CARE_ANSWER,
    CARE_TYPES,
    SUCCESS_METRIC,
    USAGE_REPORT,
    VALUE_STOPPED,
    Bucket,
    CareAnswer,
    Decision,
    SuccessMetric,
    UsageReport,
    read_care_answer,
    read_success_metric,
    read_usage_report,
)
from app.domain.days import days_after, first_change
from app.domain.engagement import RECOVERED
from app.domain.events import VerifiedEvent, told
from app.domain.rules import CareRules
from app.domain.success import Progress, progress_of

_STEP: Mapping[Bucket, int] = {Bucket.WHO_ARE_YOU: 0, Bucket.OK: 1, Bucket.NEED_YOU: 2}


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
