"""How far customer and champion have come by the measures they call success, and whether these were agreed."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import date
from fractions import Fraction
from math import floor

from app.domain.care_events import SUCCESS_METRIC, MetricOwner, SuccessMetric, read_success_metric
from app.domain.days import days_after
from app.domain.events import VerifiedEvent, told
from app.domain.rules import CareRules


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
