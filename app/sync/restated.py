"""What a change of the policy made of numbers that had been reported: both are told, never only the new one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

from app.domain.causes import Cause
from app.domain.money import major_units
from app.mapping.policy import policy_content
from app.store import rates, runs, state
from app.store.connection import Connection
from app.store.value_rows import load_value
from app.store.values import MEASURES
from app.sync.comparison import RunMark, compare_runs, credit_rules, mark_run, name_differences
from app.sync.revalue import Day, value_as_of
from app.sync.services import Services
from app.sync.why import changes_between


@dataclass(frozen=True, slots=True)
class PolicyChange:
    """Since when the present policy counts, and what is different in it."""

    reported: RunMark
    """The last run that reported under another policy."""
    since_run: int | None
    """The first run under the present one; None: no run has followed it yet."""
    policy: tuple[str, ...]
    """`split: equal -> first`; empty where nobody kept what the other one said."""


@dataclass(frozen=True, slots=True)
class Restated:
    """One account's number as it had been reported, and what the policy moved since. Money in major units."""

    by: PolicyChange
    before: Mapping[str, Decimal]
    """Every measure as it was reported."""
    change: Mapping[str, Decimal]
    """The measures that moved, so far as the policy moved them."""

    def as_json(self) -> dict[str, Any]:
        """Every field; money as decimal text."""
        return {
            "run": self.by.reported.run_id,
            "as_of": self.by.reported.as_of,
            "policy_version": self.by.reported.policy_version,
            "since_run": self.by.since_run,
            "policy": list(self.by.policy),
            "before": {measure: format(amount, "f") for measure, amount in self.before.items()},
            "change": {measure: format(amount, "f") for measure, amount in self.change.items()},
        }


def find_policy_change(services: Services) -> PolicyChange | None:
    """What whoever remembers earlier numbers should know; None where one policy has always decided about credit."""
    with services.database.read() as connection:
        if is_ahead(services, connection) and (coming := _to_come(services, connection)):
            return coming
        found = runs.load_policy_change(connection, _alike(services, connection))
        return found and _past(connection, *found)


def is_ahead(services: Services, connection: Connection) -> bool:
    """Whether what is stored follows another policy than the one asked for."""
    return state.load_flag(connection, state.VALUED_BY) not in (None, services.mapping.policy_version)


def find_restated(services: Services, connection: Connection, account_id: str) -> Restated | None:
    """What the last change of the policy did to the stored value of an account; None where it did nothing."""
    found = runs.load_policy_change(connection, _alike(services, connection))
    if found is None or len({_currency(connection, one) for one in found}) > 1:
        return None
    comparison = compare_runs(services, connection, *found)
    before, after, changes = changes_between(connection, comparison, account_id)
    by_policy = [change.amounts for change in changes if change.cause is Cause.POLICY]
    moved = {measure: sum(amounts[measure] for amounts in by_policy) for measure in after}
    return _restated(_past(connection, *found), before, moved, comparison.places)


def compare_to_come(services: Services, connection: Connection, account_id: str) -> Restated | None:
    """The same for a policy that no run has followed yet: what the last run made of its day, and what this one does.

    Today is staged already, for it is what is shown; where the run's day was another, that one takes its place.
    """
    by = _to_come(services, connection)
    mapping = services.mapping
    if by is None or _currency(connection, by.reported) != mapping.policy.reporting_currency:
        return None
    reported_on = date.fromisoformat(by.reported.as_of)
    if reported_on != services.today:
        value_as_of(connection, Day(mapping.policy, mapping.policy_version, reported_on, 0))
    stored, staged = (load_value(connection, account_id, staged=one) for one in (False, True))
    if stored is None or staged is None:
        return None
    moved = {measure: staged.money[measure] - amount for measure, amount in stored.money.items()}
    places = rates.load_places(connection, mapping.policy.reporting_currency)
    return _restated(by, stored.money, moved, places)


def _restated(by: PolicyChange, before: Mapping[str, int], moved: Mapping[str, int], places: int) -> Restated | None:
    change = {measure: major_units(moved[measure], places) for measure in MEASURES if moved.get(measure)}
    if not change:
        return None
    return Restated(by, {m: major_units(before[m], places) for m in MEASURES if m in before}, change)


def _alike(services: Services, connection: Connection) -> list[str]:
    """The versions of the policy that say the same as the present one about credit; it is one of them."""
    present = credit_rules(policy_content(services.mapping.policy))
    known = runs.load_policies(connection)
    return [version for version, content in known.items() if credit_rules(content) == present]


def _past(connection: Connection, before: runs.Run, after: runs.Run) -> PolicyChange:
    old, new = (runs.load_policy(connection, one.policy_version) for one in (before, after))
    return PolicyChange(mark_run(before), after.run_id, _differences(old, new))


def _to_come(services: Services, connection: Connection) -> PolicyChange | None:
    last = runs.load_valued_run(connection)
    if last is None:
        return None
    old, new = runs.load_policy(connection, last.policy_version), policy_content(services.mapping.policy)
    if credit_rules(old) == credit_rules(new):
        return None
    return PolicyChange(mark_run(last), None, _differences(old, new))


def _differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> tuple[str, ...]:
    return tuple(name_differences(credit_rules(old), credit_rules(new)))


def _currency(connection: Connection, run: runs.Run | RunMark) -> str | None:
    return runs.load_policy(connection, run.policy_version).get("reporting_currency")
