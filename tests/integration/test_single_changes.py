"""One thing changes at a time, in companies with deep hierarchies: what is valued again is what a full valuation gives.

Here most of a company stays as it is, so that whatever a change reaches has to be found: families, circles, whoever
stands elsewhere among all. `test_ledger_matches_model` changes a third of everything at once.
"""

from __future__ import annotations

from collections import Counter
from random import Random

import pytest
from engaged_worlds import expected_rows, stored_rows
from single_changes import CHANGES, build, change_one, hear
from stored_worlds import (
    empty,
    line_key,
    model_codes,
    model_issues,
    model_values,
    save_world,
    stored_codes,
    stored_issues,
    stored_lines,
    stored_values,
)

from app.store import segments
from app.store.database import open_database
from app.sync.revalue import Day, Differences, prove_valuation, revalue

COMPANIES = {"sqlite": (31, 29, 0, 24), "postgresql": (31,)}
"""Seeds. In the first company alone every kind of change moves money that can."""
KINDS = {change.__name__ for change in CHANGES}
IDLE = {"circle_aside", "refund_later"}
"""These move no money: nobody in it buys; days have to pass."""


@pytest.fixture
def database(migrated_database_url):
    opened = open_database(migrated_database_url)
    yield opened
    opened.close()


def test_after_every_single_change_everything_is_as_a_full_valuation_has_it(database, monkeypatch):
    met = Counter()
    real = segments._load_neighbours
    monkeypatch.setattr(
        segments, "_load_neighbours", lambda *given: met.update(["asked for neighbours"]) or real(*given)
    )
    for seed in COMPANIES[database.engine.dialect.name]:
        case, draw, version = build(seed), Random(f"single {seed}"), 1
        with database.begin() as connection:
            empty(connection)
            save_world(connection, case.world, case.policy)
            revalue(connection, Day(case.policy, f"p{version}", case.as_of, 1))
        for number, change in enumerate(CHANGES, start=2):
            before, case = case, change_one(change, case, draw, f"new-{number}")
            version += case.policy != before.policy
            hear(database, before, case, number)
            with database.begin() as connection:
                day = Day(case.policy, f"p{version}", case.as_of, number)
                circles = circular(connection)

                done = revalue(connection, day)

                where = seed, number, change.__name__
                assert stored_lines(connection) == sorted(case.valuation.lines, key=line_key), where
                assert stored_values(connection) == model_values(case.valuation), where
                assert stored_issues(connection) == model_issues(case.valuation), where
                assert stored_codes(connection) == model_codes(case.valuation), where
                assert stored_rows(connection) == expected_rows(connection, case.world, case.policy, case.as_of), where
                met.update([change.__name__, done.scope])
                if model_values(before.valuation) != model_values(case.valuation):
                    met[f"{change.__name__} moved"] += 1
                met.update(become(circles, circular(connection)))
        with database.begin() as connection:
            assert prove_valuation(connection, day, everything=False) == Differences(), seed
            assert prove_valuation(connection, day, everything=True) == Differences(), seed
    wanted = {"changed", "circle closed", "circle opened", "circle kept", "asked for neighbours"}
    wanted |= KINDS | {f"{kind} moved" for kind in KINDS - IDLE}
    assert {one for one in wanted if not met[one]} == set(), met
    assert met["all"] == met["policy"]


def circular(connection):
    """The accounts that are above themselves, as stored."""
    return {account for code, account, *_ in stored_issues(connection) if code == "parent_cycle"}


def become(before, after):
    if after - before:
        yield "circle closed"
    if before - after:
        yield "circle opened"
    if before & after:
        yield "circle kept"
