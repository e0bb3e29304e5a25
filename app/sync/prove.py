"""The end of a run: what we hold against what the CRM says it holds.

The damaging failures of a sync are the silent ones. So the count of live records is compared for every object; where
it differs, what changed meanwhile is read once more, and a difference that stays makes the run `partial` and the next
one read that object in full.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, timedelta

from app.domain.rows import Entity
from app.mapping.check import EntityPlan
from app.store import mirror, row_problems, state
from app.sync.execution import Run
from app.sync.pull import Puller, pull_changes, source_name
from app.sync.revalue import prove_valuation, revalue
from connectors.errors import QueryTimeoutError

COUNTED = (Entity.ACCOUNT, Entity.OPPORTUNITY)


PROVE_ALL_AFTER = timedelta(days=7)
PROVEN_ALL_ON = "proven_all_on"
"""State: the day on which everything was last computed from scratch."""


def prove_ledger(run: Run) -> None:
    """Before anything is written: what is stored against a computation from scratch, a sample nightly, all weekly.

    A difference is a bug, ours or the data's: everything is valued again at once, and the run is `partial`.
    """
    if run.valued.scope == "all":
        with run.services.database.begin() as connection:
            state.save_flag(connection, PROVEN_ALL_ON, run.day.iso)
        return
    with run.services.database.begin() as connection:
        last = state.load_flag(connection, PROVEN_ALL_ON)
        everything = last is None or date.fromisoformat(last) + PROVE_ALL_AFTER <= run.day.as_of
        if run.valued.scope == "nothing" and not everything:
            return
        different = prove_valuation(connection, run.day, everything=everything)
        if everything:
            state.save_flag(connection, PROVEN_ALL_ON, run.day.iso)
        if different:
            run.valued = revalue(connection, run.day)
    for code, count, what in (
        ("ledger_differs", different.lines, "credit lines"),
        ("value_differs", different.sums, "accounts' sums"),
        ("value_differs", different.ranks, "accounts' ranks"),
        ("measures_differ", different.engagement + different.standing, "accounts' measures beside the money"),
    ):
        if count:
            run.flaws[code] += count
            run.notes.append(f"{count:,} {what} differed from a computation from scratch; all were computed again")
    if not different:
        what = "every credit line, sum and measure" if everything else "the lines, sums and measures of some accounts"
        run.proof.append(f"{what}: a computation from scratch gives the same")


def prove(run: Run, puller: Puller) -> None:
    """Compare counts; heal by reading again; report what stays."""
    try:
        different = _compare(puller)
        if different:
            pull_changes(puller, full=False)
            different = _compare(puller)
    except QueryTimeoutError as error:
        # Large objects are counted slowly, and on some evenings too slowly; the next run counts again.
        run.notes.append(f"whether the CRM holds as many records as we do could not be compared: {error.message}")
        run.flaws["not_counted"] += 1
        return
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
    with puller.database.begin() as connection:
        unkeyed = row_problems.count_unkeyed(connection)
        ours = {plan.object: mirror.count_live(connection, plan.entity) + unkeyed.get(plan.entity, 0) for plan in plans}
    return {name: (ours[name], theirs[name]) for name in ours if ours[name] != theirs[name]}
