"""What has to change in the CRM, and whether so much change can be right.

Values are canonical text per measure, as the mapping writes them; None is an empty field. What the CRM shows, what
we want and what we last wrote are compared as text: rounding to the field's scale happened before.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple


class FieldPolicy(StrEnum):
    """How far a write-back field is ours."""

    OVERWRITE = "overwrite"
    ONLY_IF_BLANK = "only_if_blank"
    NEVER_CLEAR = "never_clear"
    PROTECT_IF_EDITED = "protect_if_edited"
    """Ours until the CRM shows something that we did not write."""


class ChangeKind(StrEnum):
    SET = "set"
    CLEAR = "clear"
    DRIFT = "drift"
    """Somebody edited a protected field: shown to people, never sent."""


class Change(NamedTuple):
    """One field of one account: what the CRM shows now, and what we want it to show."""

    measure: str
    kind: ChangeKind
    before: str | None
    after: str | None

    @property
    def is_sent(self) -> bool:
        """Whether the CRM gets it."""
        return self.kind is not ChangeKind.DRIFT

    @property
    def replaces(self) -> bool:
        """Whether a value that somebody may rely on goes away. Filling a blank field never does."""
        return self.is_sent and self.before is not None


@dataclass(frozen=True, slots=True)
class Limits:
    """The most that one plan may change without a person looking at it, in percent."""

    max_changed_percent: int = 25
    """Of the accounts that show a value now: how many may see one replaced or cleared."""
    max_cleared_percent: int = 10
    """Of the same accounts: how many may lose one."""
    max_decrease_percent: int = 60
    """Of the sum of the shown totals."""
    ignore_below: int = 20
    """A plan that changes fewer accounts than this is never held."""


@dataclass(frozen=True, slots=True)
class PlanStats:
    """A whole plan in numbers. `showing`: accounts that show a value now; the totals are sums over exactly those.

    `changed`: those that see a value replaced or cleared (`replaces_value`); `cleared`: those of them that lose one.
    """

    showing: int = 0
    changed: int = 0
    cleared: int = 0
    shown_total: int = 0
    planned_total: int = 0


@dataclass(frozen=True, slots=True)
class GuardVerdict:
    """`reasons`: a sentence per limit that the plan exceeds."""

    allowed: bool
    reasons: tuple[str, ...] = ()


def plan_account(
    shown: Mapping[str, str | None],
    desired: Mapping[str, str | None],
    last_written: Mapping[str, str | None] | None,
    policies: Mapping[str, str],
) -> tuple[Change, ...]:
    """The changes of one account, in order of measures; empty where the CRM shows what it should.

    `last_written`: what we wrote last, None where we never wrote to the account. `policies`: a `FieldPolicy` per
    measure, `overwrite` where there is none. Measures outside `desired` are not ours to touch.
    """
    different = [measure for measure in sorted(desired) if shown.get(measure) != desired[measure]]
    if not different:
        return ()
    written = last_written or {}
    changes = [
        _change(measure, shown.get(measure), desired[measure], written.get(measure), policies.get(measure))
        for measure in different
    ]
    return tuple([change for change in changes if change is not None])


def replaces_value(changes: Iterable[Change]) -> bool:
    """Whether an account counts as changed for the guard."""
    return any(change.replaces for change in changes)


def clears_value(changes: Iterable[Change]) -> bool:
    """Whether an account counts as cleared for the guard."""
    return any(change.kind is ChangeKind.CLEAR for change in changes)


def judge_plan(stats: PlanStats, limits: Limits) -> GuardVerdict:
    """Whether the plan may be sent without a person looking at it. A limit is exceeded, never just reached."""
    if stats.changed < limits.ignore_below:
        return GuardVerdict(allowed=True)
    decrease = stats.shown_total - stats.planned_total
    checks = (
        ("max_changed_percent", limits.max_changed_percent, stats.changed, stats.showing, "change a value they show"),
        ("max_cleared_percent", limits.max_cleared_percent, stats.cleared, stats.showing, "lose a value they show"),
    )
    reasons = [
        f"{part:,} of {whole:,} accounts would {what}: {_percent(part, whole)} %, more than {name} = {limit}"
        for name, limit, part, whole, what in checks
        if _exceeds(part, whole, limit)
    ]
    if _exceeds(decrease, stats.shown_total, limits.max_decrease_percent):
        percent = _percent(decrease, stats.shown_total)
        limit = limits.max_decrease_percent
        reasons.append(
            f"the sum of the shown totals would fall by {percent} %, more than max_decrease_percent = {limit}"
        )
    return GuardVerdict(not reasons, tuple(reasons))


def _change(
    measure: str, shown: str | None, desired: str | None, written: str | None, policy: str | None
) -> Change | None:
    if policy is not None:
        if policy == FieldPolicy.ONLY_IF_BLANK and shown is not None:
            return None
        if policy == FieldPolicy.NEVER_CLEAR and desired is None:
            return None
        if policy == FieldPolicy.PROTECT_IF_EDITED and shown != written:
            return Change(measure, ChangeKind.DRIFT, shown, desired)
    return Change(measure, ChangeKind.CLEAR if desired is None else ChangeKind.SET, shown, desired)


def _exceeds(part: int, whole: int, limit: int) -> bool:
    return whole > 0 and part * 100 > whole * limit


def _percent(part: int, whole: int) -> str:
    tenths = part * 1000 // whole
    return f"{tenths // 10}.{tenths % 10}"
