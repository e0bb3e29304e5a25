"""How the references of a customer went. What a record says is left unsaid while it is short."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal, localcontext
from enum import StrEnum
from fractions import Fraction

from app.domain.reference_events import A_SIGNALS, B_SIGNALS, Outcome
from app.domain.rules import ReferenceRules


class Kind(StrEnum):
    """What a record of references looks like."""

    CUSTOMER_A = "customer_a"
    CUSTOMER_B = "customer_b"
    MIXED = "mixed"
    NOT_ENOUGH_DATA = "not_enough_data"


class Surprise(StrEnum):
    """How references went, all in all, against how they should have gone."""

    BETTER = "better"
    AS_EXPECTED = "as_expected"
    WORSE = "worse"


NOTICEABLE = Fraction(1, 2)
"""From half a grade on, the mean of what was expected and what came is a surprise."""


@dataclass(frozen=True, slots=True)
class Use:
    """One reference that was given. `is_won`: the deal was; None while it is open. `days_to_accept`: None unknown."""

    id: str
    occurred_on: date
    outcome: Outcome
    is_won: bool | None = None
    days_to_accept: int | None = None

    @property
    def bought(self) -> bool | None:
        """Whether the prospect bought: what was reported, or else what became of the deal."""
        stated = self.outcome.prospect_bought
        if stated is None and "prospect_did_not_buy" in self.outcome.signals:
            return False
        return self.is_won if stated is None else stated

    def signals(self, rules: ReferenceRules) -> frozenset[str]:
        """The markers seen, with those that follow from the deal and from how long the yes took."""
        found = set(self.outcome.signals)
        if self.bought is False:
            found.add("prospect_did_not_buy")
        days = self.days_to_accept
        if days is not None and days <= rules.prompt_days and "reluctant" not in found:
            found.add("prompt_yes")
        if days is not None and days >= rules.chasing_days and "prompt_yes" not in found:
            found.add("reluctant")
        return frozenset(found)

    def leaning(self, rules: ReferenceRules) -> Kind:
        """Customer A or B by the larger number of markers."""
        signals = self.signals(rules)
        a, b = len(signals & set(A_SIGNALS)), len(signals & set(B_SIGNALS))
        if a == b:
            return Kind.MIXED
        return Kind.CUSTOMER_A if a > b else Kind.CUSTOMER_B


@dataclass(frozen=True, slots=True)
class Record:
    """How the references of one customer went. `decided`: uses whose deal is won or lost.

    `won_percent`: where the true share of won deals lies, with 95 % certainty; None: not enough data.
    `surprises`: calls that went better, as, and worse than expected. `days_to_accept`: the lower median.
    """

    uses: int = 0
    decided: int = 0
    won: int = 0
    won_percent: tuple[int, int] | None = None
    surprises: tuple[int, int, int] = (0, 0, 0)
    mean_difference: Fraction | None = None
    days_to_accept: int | None = None
    minutes: int = 0
    signals: Mapping[str, int] = field(default_factory=dict)
    kind: Kind = Kind.NOT_ENOUGH_DATA

    @property
    def surprise(self) -> Surprise | None:
        """None: of no reference both grades are known."""
        if self.mean_difference is None:
            return None
        if abs(self.mean_difference) < NOTICEABLE:
            return Surprise.AS_EXPECTED
        return Surprise.BETTER if self.mean_difference > 0 else Surprise.WORSE


def record_of(uses: Iterable[Use], rules: ReferenceRules, as_of: date) -> Record:
    """The kind is that of more than half of the uses; it is not said of fewer than `small_sample` of them."""
    known = sorted((use for use in uses if use.occurred_on <= as_of), key=lambda one: (one.occurred_on, one.id))
    results = [use.bought for use in known if use.bought is not None]
    graded = [
        use.outcome.actual.level - use.outcome.expected.level
        for use in known
        if use.outcome.expected and use.outcome.actual
    ]
    days = sorted(use.days_to_accept for use in known if use.days_to_accept is not None)
    signals = Counter(signal for use in known for signal in use.signals(rules))
    return Record(
        uses=len(known),
        decided=len(results),
        won=sum(results),
        won_percent=percent_range(sum(results), len(results)) if len(results) >= rules.small_sample else None,
        surprises=(sum(one > 0 for one in graded), sum(one == 0 for one in graded), sum(one < 0 for one in graded)),
        mean_difference=Fraction(sum(graded), len(graded)) if graded else None,
        days_to_accept=days[(len(days) - 1) // 2] if days else None,
        minutes=sum(use.outcome.minutes or 0 for use in known),
        signals={signal: signals[signal] for signal in (*A_SIGNALS, *B_SIGNALS) if signals[signal]},
        kind=_kind([use.leaning(rules) for use in known], rules),
    )


def _kind(leanings: Sequence[Kind], rules: ReferenceRules) -> Kind:
    if len(leanings) < max(1, rules.small_sample):
        return Kind.NOT_ENOUGH_DATA
    for kind in (Kind.CUSTOMER_A, Kind.CUSTOMER_B):
        if leanings.count(kind) * 2 > len(leanings):
            return kind
    return Kind.MIXED


def percent_range(hits: int, trials: int) -> tuple[int, int]:
    """Where a share lies of which `hits` of `trials` were seen: Wilson's 95 % interval, in whole percent, outwards."""
    if trials == 0:
        return 0, 100
    with localcontext(prec=50):
        z = Decimal("1.959964")
        middle = hits + z * z / 2
        spread = z * (Decimal(hits) * (trials - hits) / trials + z * z / 4).sqrt()
        low, high = ((middle + side) * 100 / (trials + z * z) for side in (-spread, spread))
    # The ends of the range are exactly 0 and 100 where nothing or everything was hit; the root is not quite.
    least = 0 if hits == 0 else int(low.to_integral_value(ROUND_FLOOR))
    most = 100 if hits == trials else int(high.to_integral_value(ROUND_CEILING))
    return least, most
