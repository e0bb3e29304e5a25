"""One thing changes at a time, in companies with deep hierarchies: what is valued again is what a full valuation gives.

Here most of a company stays as it is, so that whatever a change reaches has to be found: families, circles, whoever
stands elsewhere among all. `test_ledger_matches_model` changes a third of everything at once.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import timedelta
from fractions import Fraction
from random import Random

import pytest
from engaged_worlds import expected_rows, stored_rows
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
from worlds import AMOUNTS, DOMAINS, build_case

from app.domain.hierarchy import build_hierarchy
from app.domain.model import Account, Adjustment, ChainMode, Issue, ReferralStatus
from app.domain.rules import SegmentRules
from app.domain.value import value_world
from app.store import segments
from app.store.database import open_database
from app.sync.revalue import Day, Differences, prove_valuation, revalue

COMPANIES = {"sqlite": 12, "postgresql": 6}
KINDS = "amount", "parent", "merge", "parent", "referral", "refund", "parent", "delete", "domain", "aside"
VERIFIED = ReferralStatus.VERIFIED


@pytest.fixture
def database(migrated_database_url):
    opened = open_database(migrated_database_url)
    yield opened
    opened.close()


def build(seed):
    """A company in which every second account has a parent, mostly the one before it; every second one has a circle.

    Four accounts buy nothing and stand below each other.
    """
    draw = Random(f"families {seed}")
    case = build_case(seed, 16)
    accounts = [
        replace(one, parent_id=draw.choice((f"A{max(at - 1, 0)}", f"A{draw.randrange(16)}")))
        if draw.random() < 0.5
        else one
        for at, one in enumerate(case.world.accounts)
    ]
    if seed % 2:
        accounts[:2] = [replace(accounts[at], parent_id=f"A{1 - at}", merged_into_id=None) for at in (0, 1)]
    accounts += [Account(f"N{at}", "Nothing", parent_id=f"N{at - 1}" if at else None) for at in range(4)]
    chain = replace(case.policy.chain, mode=ChainMode.SEPARATE)
    policy = replace(case.policy, chain=chain, segments=SegmentRules())
    return replace(case, world=replace(case.world, accounts=tuple(accounts)), policy=policy)


def change_one(world, draw, number):
    """(what, the world in which one thing is different)."""
    what = KINDS[number % len(KINDS)]
    at = draw.randrange(len(world.accounts))
    one = world.accounts[at]
    match what:
        case "amount":
            at = draw.randrange(len(world.opportunities))
            deal = replace(world.opportunities[at], amount=draw.choice(AMOUNTS))
            return what, replace(world, opportunities=put(world.opportunities, at, deal))
        case "refund":
            deal = draw.choice(world.opportunities)
            refund = Adjustment(f"K{number}", deal.id, Fraction(-draw.randrange(1, 500)), "USD", deal.close_on)
            return what, replace(world, adjustments=(*world.adjustments, refund))
        case "referral":
            model = draw.choice(world.referrals)
            day = model.occurred_on - timedelta(9)
            new = replace(
                model,
                id=f"new-{number}",
                referrer_id=one.id,
                occurred_on=day,
                recorded_on=day,
                status=VERIFIED,
                share=None,
            )
            return what, replace(world, referrals=(*world.referrals, new))
        case "parent":
            circles = [i.account_id for i in build_hierarchy(world.accounts).issues if i.code is Issue.PARENT_CYCLE]
            if circles and draw.random() < 0.5:
                at = [account.id for account in world.accounts].index(draw.choice(circles))
                changed = replace(world.accounts[at], parent_id=None)
            else:
                below = [child.id for child in world.accounts if child.parent_id == one.id]
                other = draw.choice(world.accounts).id
                changed = replace(one, parent_id=draw.choice((None, other, *below)))
        case "aside":
            at, first = next((at, account) for at, account in enumerate(world.accounts) if account.id == "N0")
            changed = replace(first, parent_id="N3")
        case "merge":
            other = None if one.merged_into_id else f"A{draw.randrange(16)}"
            changed = replace(one, merged_into_id=other, is_deleted=other is not None)
        case "delete":
            changed = replace(one, is_deleted=not one.is_deleted or one.merged_into_id is not None)
        case _:
            changed = replace(one, domain=draw.choice(DOMAINS))
    return what, replace(world, accounts=put(world.accounts, at, changed))


def put(rows, at, row):
    return (*rows[:at], row, *rows[at + 1 :])


def test_after_every_single_change_everything_is_as_a_full_valuation_has_it(database, monkeypatch):
    met = Counter()
    real = segments._load_neighbours
    monkeypatch.setattr(
        segments, "_load_neighbours", lambda *given: met.update(["asked for neighbours"]) or real(*given)
    )
    for seed in range(COMPANIES[database.engine.dialect.name]):
        case, draw = build(seed), Random(f"single {seed}")
        world = case.world
        with database.begin() as connection:
            empty(connection)
            save_world(connection, world, case.policy)
            revalue(connection, Day(case.policy, "p1", case.as_of, 1))
        for number in range(2, len(KINDS) + 2):
            what, world = change_one(world, draw, number)
            with database.begin() as connection:
                day = Day(case.policy, "p1", case.as_of, number)
                circles = circular(connection)
                save_world(connection, world, case.policy, run_id=number, first_load=False)

                done = revalue(connection, day)

                expected = value_world(world, case.policy, case.as_of)
                where = seed, number, what
                assert stored_lines(connection) == sorted(expected.lines, key=line_key), where
                assert stored_values(connection) == model_values(expected), where
                assert stored_issues(connection) == model_issues(expected), where
                assert stored_codes(connection) == model_codes(expected), where
                assert stored_rows(connection) == expected_rows(connection, world, case.policy, case.as_of), where
                met[done.scope] += 1
                met.update([what, *(["something moved"] if done.moved else [])])
                met.update(become(circles, circular(connection)))
        with database.begin() as connection:
            assert prove_valuation(connection, day, everything=True) == Differences(), seed
    wanted = {"changed", "circle closed", "circle opened", "circle kept", "asked for neighbours"}
    wanted |= {"something moved", *KINDS}
    assert {one for one in wanted if not met[one]} == set(), met
    assert not met["all"]


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
