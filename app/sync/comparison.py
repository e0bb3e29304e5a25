"""Two runs held against each other: which they are, what differed in their rules, and every part of the difference."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from app.domain.causes import Between, Part
from app.domain.money import major_units
from app.domain.why import explain_deal
from app.errors import ConfigError
from app.store import history, rates, runs
from app.store.connection import Connection
from app.store.history import Runs
from app.sync.services import Services

NO_CREDIT = (
    "engagement", "segments", "optional_measures", "commitment", "relationship", "reference", "care", "triage", "roles",
)  # fmt: skip
"""The blocks of a policy that no credit line depends on."""
Since = date | int
"""A run, or a day, which means the last run that had finished by then."""


@dataclass(frozen=True, slots=True)
class RunMark:
    """A run that is compared."""

    run_id: int
    as_of: str
    started_at: datetime
    policy_version: str


def read_since(text: str) -> Since:
    """`17` as a run, `2026-03-31` as a day. Raises ConfigError for anything else."""
    if text.isascii() and text.isdecimal() and len(text) < len("2026-03-31"):
        return int(text)
    try:
        return datetime.strptime(text, "%Y-%m-%d").date()  # noqa: DTZ007 - a date has no zone
    except ValueError:
        raise ConfigError(f"{text[:60]!r} is neither a date like 2026-03-31 nor the number of a run") from None


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two runs, and everything about them that the parts depend on."""

    since: RunMark
    until: RunMark
    includes: tuple[bool, bool]
    policy: tuple[str, ...]
    policy_changed: bool
    """In what decides about credit."""
    currency: str
    places: int
    survivors: Mapping[str, str]

    @property
    def run_ids(self) -> tuple[int, int]:
        return self.since.run_id, self.until.run_id

    @property
    def runs(self) -> Runs:
        return Runs(*self.run_ids)

    def money(self, amounts: Mapping[str, int]) -> dict[str, Decimal]:
        return {str(measure): major_units(amount, self.places) for measure, amount in amounts.items()}


def find_since(connection: Connection, since: Since) -> runs.Run:
    """The run that a beginning means. Raises ConfigError."""
    if isinstance(since, int):
        return find_run(connection, since)
    found = runs.load_valued_run(connection, day=since.isoformat())
    if found is None:
        raise ConfigError(f"no run had finished by {since}", hint="list them with: advocacy runs list")
    return found


def find_run(connection: Connection, run_id: int) -> runs.Run:
    """The run itself, or, where it valued nothing, the one before whose values still stood. Raises ConfigError."""
    if runs.load_run(connection, run_id) is None:
        raise ConfigError(f"there is no run {run_id}", hint="list them with: advocacy runs list")
    found = runs.load_valued_run(connection, run_id=run_id)
    if found is None:
        raise ConfigError(f"nothing had been valued by run {run_id}", hint="list them with: advocacy runs list")
    return found


def find_last(connection: Connection) -> runs.Run:
    """The last run that valued. Raises ConfigError."""
    found = runs.load_valued_run(connection)
    if found is None:
        raise ConfigError("nothing has been valued yet", hint="run: advocacy sync")
    return found


def compare_runs(services: Services, connection: Connection, since: runs.Run, until: runs.Run) -> Comparison:
    """What is known about two runs. Raises ConfigError where they counted in different currencies."""
    old, new = (runs.load_policy(connection, one.policy_version) for one in (since, until))
    currency = services.mapping.policy.reporting_currency
    currencies = [str(one.get("reporting_currency", currency)) for one in (old, new)]
    if currencies[0] != currencies[1]:
        raise ConfigError(
            f"run {since.run_id} counted in {currencies[0]} and run {until.run_id} in {currencies[1]}",
            hint="compare runs of the same reporting currency",
        )
    return Comparison(
        since=mark_run(since),
        until=mark_run(until),
        includes=(_includes(old), _includes(new)),
        policy=tuple(name_differences(old, new)),
        policy_changed=since.policy_version != until.policy_version
        and (credit_rules(old) != credit_rules(new) or not old),
        currency=currencies[1],
        places=rates.load_places(connection, currencies[1]),
        survivors=history.load_survivors(connection, Runs(since.run_id, until.run_id)),
    )


def mark_run(run: runs.Run) -> RunMark:
    """What a comparison says of a run."""
    return RunMark(run.run_id, run.as_of, run.started_at, run.policy_version)


def _includes(content: Mapping[str, Any]) -> bool:
    return bool(content.get("influence", {}).get("include", False))


def credit_rules(content: Mapping[str, Any]) -> dict[str, Any]:
    """The part of a policy that credit lines depend on."""
    return {key: value for key, value in content.items() if key not in NO_CREDIT}


def name_differences(old: Mapping[str, Any], new: Mapping[str, Any], path: str = "") -> Iterator[str]:
    """What is different between two policies, `split: equal -> first`; nothing where one of them is not known."""
    if not old or not new:
        return
    for key in sorted(old.keys() | new.keys()):
        before, after = old.get(key), new.get(key)
        if isinstance(before, Mapping) and isinstance(after, Mapping):
            yield from name_differences(before, after, f"{path}{key}.")
        elif before != after:
            yield f"{path}{key}: {_shown(before)} -> {_shown(after)}"


def _shown(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def explain_between(connection: Connection, comparison: Comparison, accounts: Sequence[str] | None) -> Iterator[Part]:
    """The parts of every opportunity where a line moved, of all accounts that have one on it."""
    between_runs = comparison.runs
    history.stage_moved_deals(connection, between_runs, accounts)
    events = history.load_event_facts(connection, between_runs, comparison.since.started_at)
    between = Between(
        as_of_before=comparison.since.as_of,
        as_of_after=comparison.until.as_of,
        policy_changed=comparison.policy_changed,
        unit=10**comparison.places,
        survivors=comparison.survivors,
        new_events=events.new,
        verified_events=events.verified,
        lost_events=events.lost,
        merged_events=events.merged,
    )
    for deal in history.stream_moved_deals(connection, between_runs):
        yield from explain_deal(deal.before, deal.after, deal.facts, between)
