"""What a run says about itself: counts, money, refusals, the guard's verdict, and how it was proven."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from datetime import date
from decimal import Decimal
from typing import Any

from app.domain.plan import Change, GuardVerdict

Progress = Callable[[str, int, int | None], None]
"""(phase, done, total or None where nobody knows)."""


def silent(_phase: str, _done: int, _total: int | None) -> None:
    """Progress for whoever does not watch."""


@dataclass(frozen=True, slots=True)
class PlannedUpdate:
    """One account that would be, or was, written. `movement`: how far its total moves, in the reporting currency."""

    account_id: str
    name: str
    changes: tuple[Change, ...]
    movement: Decimal


@dataclass(frozen=True, slots=True)
class Rejected:
    """One account that the CRM refused, in the CRM's own words."""

    account_id: str
    name: str
    code: str
    message: str


@dataclass(frozen=True, slots=True)
class RunReport:
    """`status`: ok, partial (finished, something needs a look), held (a limit stopped it before sending), failed."""

    run_id: int
    status: str
    trigger: str
    as_of: date
    counts: Mapping[str, int] = field(default_factory=dict)
    calls: int = 0
    seconds: float = 0.0
    issues: Mapping[str, int] = field(default_factory=dict)
    guard: GuardVerdict = field(default_factory=lambda: GuardVerdict(allowed=True))
    updates: tuple[PlannedUpdate, ...] = ()
    rejected: tuple[Rejected, ...] = ()
    money: Mapping[str, str] = field(default_factory=dict)
    proof: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()
    """Optional parts of the mapping that this CRM does not have."""
    plan_digest: str = ""
    phases: Mapping[str, float] = field(default_factory=dict)
    """Seconds per step."""

    def as_json(self) -> dict[str, Any]:
        """Plain values only: money as text, dates as ISO text."""
        plain = asdict(self)
        plain["as_of"] = self.as_of.isoformat()
        for update in plain["updates"]:
            update["movement"] = str(update["movement"])
            update["changes"] = [change._asdict() for change in update["changes"]]
        return plain


def read_report(plain: Mapping[str, Any]) -> RunReport:
    """The report that `as_json` wrote."""
    updates = tuple(
        PlannedUpdate(
            one["account_id"],
            one["name"],
            tuple(Change(**change) for change in one["changes"]),
            Decimal(one["movement"]),
        )
        for one in plain.get("updates", ())
    )
    guard = plain.get("guard", {"allowed": True, "reasons": ()})
    values: dict[str, Any] = {
        **plain,
        "as_of": date.fromisoformat(plain["as_of"]),
        "guard": GuardVerdict(guard["allowed"], tuple(guard["reasons"])),
        "updates": updates,
        "rejected": tuple(Rejected(**one) for one in plain.get("rejected", ())),
        "proof": tuple(plain.get("proof", ())),
        "notes": tuple(plain.get("notes", ())),
        "left_out": tuple(plain.get("left_out", ())),
    }
    return RunReport(**values)
