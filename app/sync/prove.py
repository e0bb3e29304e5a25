"""The end of a run: what we hold against what the CRM says it holds.

The damaging failures of a sync are the silent ones. So the count of live records is compared for every object; where
it differs, what changed meanwhile is read once more, and a difference that stays makes the run `partial` and the next
one read that object in full.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Protocol

from app.domain.rows import Entity
from app.mapping.check import EntityPlan
from app.store import mirror
from app.sync.pull import Puller, pull_changes, source_name

COUNTED = (Entity.ACCOUNT, Entity.OPPORTUNITY)


class Proven(Protocol):
    """The part of a run that proving adds to."""

    proof: list[str]
    notes: list[str]
    flaws: Counter[str]


def prove(run: Proven, puller: Puller) -> None:
    """Compare counts; heal by reading again; report what stays."""
    different = _compare(puller)
    if different:
        pull_changes(puller, full=False)
        different = _compare(puller)
    plans = {plan.object: plan for plan in _counted(puller)}
    for name, plan in sorted(plans.items()):
        ours, theirs = different.get(name, (None, None))
        if ours is None:
            run.proof.append(f"{name}: the CRM holds as many live records as we do")
            continue
        run.proof.append(f"{name}: the CRM holds {theirs:,} live records, we hold {ours:,}")
        run.notes.append(f"{name} will be read in full by the next run, because the counts differ")
        run.flaws["count_mismatch"] += 1
        with puller.database.begin() as connection:
            mirror.forget_position(connection, source_name(plan))


def _counted(puller: Puller) -> list[EntityPlan]:
    return [plan for entity, plan in puller.plan.entities.items() if entity in COUNTED]


def _compare(puller: Puller) -> Mapping[str, tuple[int, int]]:
    """Object -> (our count, theirs), only where they differ."""
    plans = _counted(puller)
    theirs = puller.connector.count({plan.object: plan.where for plan in plans})
    with puller.database.read() as connection:
        unkeyed = mirror.count_unkeyed(connection)
        ours = {plan.object: mirror.count_live(connection, plan.entity) + unkeyed.get(plan.entity, 0) for plan in plans}
    return {name: (ours[name], theirs[name]) for name in ours if ours[name] != theirs[name]}
