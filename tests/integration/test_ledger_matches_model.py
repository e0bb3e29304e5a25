"""The database engine against the reference model, over worlds that are full of trouble, on both databases."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import date, timedelta
from fractions import Fraction
from itertools import chain
from random import Random

import pytest
from stored_worlds import (
    changed,
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
from worlds import UNRATED, build_case

from app.domain.credit import credit_opportunity
from app.domain.model import Account, Adjustment, Opportunity, Policy, Rate, Referral, Split, World
from app.domain.value import value_world
from app.store import cases
from app.store.cases import stream_cases
from app.store.database import open_database
from app.store.ledger import load_lines
from app.store.tables import metadata
from app.store.value_rows import load_survivor, load_value
from app.sync.pull import convert_again
from app.sync.revalue import Day, Differences, prove_valuation, revalue, value_as_of

WORLDS = {"sqlite": 150, "postgresql": 25}


@pytest.fixture
def database(migrated_database_url):
    opened = open_database(migrated_database_url)
    yield opened
    opened.close()


def empty(connection):
    for table in metadata.tables:
        connection.exec_driver_sql(f"delete from {table}")


def day_of(case, run_id=1):
    return Day(case.policy, "p1", case.as_of, run_id)


def test_a_full_valuation_gives_the_lines_values_and_issues_of_the_reference_model(database):
    for seed in range(WORLDS[database.engine.dialect.name]):
        case = build_case(seed, 3 + seed % 7)
        with database.begin() as connection:
            empty(connection)
            save_world(connection, case.world, case.policy)
            revalue(connection, day_of(case))

            assert stored_lines(connection) == sorted(case.valuation.lines, key=line_key), seed
            assert stored_values(connection) == model_values(case.valuation), seed
            assert stored_issues(connection) == model_issues(case.valuation), seed
            assert stored_codes(connection) == model_codes(case.valuation), seed


def test_the_database_and_the_pure_function_judge_every_single_claim_alike(database):
    """Sales with one claim are credited in the database: `domain.credit` is the judge of what it says about each."""
    seen = Counter()
    for seed in range(WORLDS["postgresql"]):
        case = build_case(seed, 3 + seed % 7)
        with database.begin() as connection:
            empty(connection)
            save_world(connection, case.world, case.policy)
            revalue(connection, day_of(case))
            seen["competing"] += connection.exec_driver_sql("select count(*) from s_case").scalar_one()
            rows = connection.exec_driver_sql("select opportunity_id, event_id, tier, verdict from s_claim").fetchall()
            said = {tuple(row[:3]): row[3] for row in rows}
            connection.exec_driver_sql("delete from s_case")
            connection.exec_driver_sql("insert into s_case select distinct opportunity_id from s_claim")

            for one in chain.from_iterable(stream_cases(connection, case.as_of.isoformat())):
                for claim in one.claims:
                    judged = verdict_on(claim._replace(share=None), one.sale, case.policy)
                    assert said.get((one.sale.id, claim.event_id, claim.tier)) == judged, (seed, one.sale, claim)
                    seen[judged] += 1
    objections = {"self_referral", "intra_group", "after_close", "referrer_deleted", "backdated_claim"}
    assert set(seen) == {"competing", "sourced", "late"} | objections


def test_claims_that_share_alike_are_credited_in_the_database_as_the_reference_model_does(database):
    """The same worlds without whatever makes a sale a case of its own."""
    seen = Counter()
    for seed in range(2 * WORLDS["postgresql"]):
        case = build_case(seed, 3 + seed % 7)
        referrals = tuple(replace(one, share=None) for one in case.world.referrals)
        world = replace(case.world, referrals=referrals, adjustments=(), influence=(), surveys=())
        policy = replace(case.policy, split=Split.EQUAL, exclusive=seed % 3 > 0)
        with database.begin() as connection:
            empty(connection)
            save_world(connection, world, policy)
            revalue(connection, Day(policy, "p1", case.as_of, 1))

            expected = value_world(world, policy, case.as_of)
            assert stored_lines(connection) == sorted(expected.lines, key=line_key), seed
            assert stored_issues(connection) == model_issues(expected), seed
            seen += rivals(connection)
    assert min(seen[what] for what in ("shared", "weaker tier", "asked twice", "beside a late one")) > 10, seen


def rivals(connection):
    """What the staged claims of sales with several have met, and the sales that were left to the model."""
    left = "select count(*) from s_case"
    staged = "select count(*) from s_rival where"
    queries = {
        "shared": f"{staged} parts > 1",
        "weaker tier": f"{staged} parts = 0 and event_id = strongest",
        "asked twice": f"{staged} event_id <> strongest",
        "beside a late one": left,
    }
    return Counter({what: connection.exec_driver_sql(query).scalar_one() for what, query in queries.items()})


def verdict_on(claim, sale, policy):
    """What the pure function makes of a claim alone."""
    lines, issues = credit_opportunity(sale, 1, [claim], policy)
    codes = [str(issue.code) for issue in issues]
    if codes:
        return "late" if codes == ["referral_after_created"] else codes[0]
    return "sourced" if lines else None


def test_a_valuation_in_many_pages_holds_no_more_locks_than_one_in_few(database, monkeypatch):
    """PostgreSQL keeps a lock for every table that was dropped, and has room for some thousands."""
    if database.engine.dialect.name == "sqlite":
        pytest.skip("SQLite locks the whole database once")
    case = build_case(3, 9)
    held = []
    # The first one has no tables to drop that one before it has left behind.
    for page in (2_000, 2_000, 1):
        monkeypatch.setattr(cases, "CASES", page)
        with database.begin() as connection:
            empty(connection)
            save_world(connection, case.world, case.policy)
            revalue(connection, day_of(case))
            assert connection.exec_driver_sql("select count(*) from s_case").scalar_one() > 3
            query = "select count(*) from pg_locks where pid = pg_backend_pid() and mode = 'AccessExclusiveLock'"
            held.append(connection.exec_driver_sql(query).scalar_one())
    assert held[1] == held[2]


def test_valuing_again_without_a_change_changes_nothing(database):
    for seed in range(0, WORLDS[database.engine.dialect.name], 5):
        case = build_case(seed, 3 + seed % 7)
        with database.begin() as connection:
            empty(connection)
            save_world(connection, case.world, case.policy)
            revalue(connection, day_of(case))
            before = [tuple(row) for row in connection.exec_driver_sql("select * from credit_line order by line_id")]
            connection.exec_driver_sql("insert into state (key, value) values ('revalue_all', 'asked for')")
            connection.exec_driver_sql("delete from dirty")

            again = revalue(connection, day_of(case, run_id=2))

            after = [tuple(row) for row in connection.exec_driver_sql("select * from credit_line order by line_id")]
            assert (again.moved, after) == (0, before), seed
            assert connection.exec_driver_sql("select count(*) from dirty").scalar_one() == 0


def test_valuing_only_what_a_change_touches_gives_what_a_full_valuation_gives(database):
    """One world changes into another of the same ids: everything in it moves, arrives or disappears."""
    for seed in range(WORLDS[database.engine.dialect.name]):
        case = build_case(seed, 3 + seed % 7)
        other = changed(case, Random(f"change {seed}"))
        with database.begin() as connection:
            empty(connection)
            save_world(connection, case.world, case.policy)
            revalue(connection, day_of(case))
            save_world(connection, other, case.policy, run_id=2, first_load=False)

            done = revalue(connection, day_of(case, run_id=2))

            expected = value_world(other, case.policy, case.as_of)
            assert done.scope != "all" or case.policy.chain.mode == "carve_out"
            assert stored_lines(connection) == sorted(expected.lines, key=line_key), seed
            assert stored_values(connection) == model_values(expected), seed
            assert stored_issues(connection) == model_issues(expected), seed
            assert stored_codes(connection) == model_codes(expected), seed


def test_the_passing_of_days_alone_gives_what_a_full_valuation_of_the_later_day_gives(database):
    for seed in range(0, WORLDS[database.engine.dialect.name], 2):
        case = build_case(seed, 3 + seed % 7)
        with database.begin() as connection:
            empty(connection)
            save_world(connection, case.world, case.policy)
            earlier = case.as_of - timedelta(days=200)
            revalue(connection, replace(day_of(case), as_of=earlier))

            revalue(connection, day_of(case, run_id=2))

            assert stored_lines(connection) == sorted(case.valuation.lines, key=line_key), seed
            assert stored_values(connection) == model_values(case.valuation), seed


@pytest.mark.parametrize("moved", [("EUR", Fraction("0.5")), ("CHF", Fraction("0.9")), ("USD", Fraction("1.25"))])
def test_a_rate_that_moves_converts_corrections_again_whatever_currency_their_deal_has(database, moved):
    sold = date(2025, 3, 1)
    deal = Opportunity("O", "A", Fraction(1000), "USD", sold, sold, is_won=True, is_closed=True)
    refunds = (
        Adjustment("J1", "O", Fraction(-100), "EUR", sold),
        Adjustment("J2", "O", Fraction(-10), "CHF", sold),
    )
    world = World(
        accounts=(Account("A"), Account("B")),
        opportunities=(deal,),
        adjustments=refunds,
        referrals=(Referral("R", "B", sold, opportunity_id="O"),),
        rates=(Rate("EUR", Fraction("0.8")), Rate("USD", Fraction(1))),
    )
    day = Day(Policy(), "p1", sold, 1)
    later = replace(world, rates=(*(one for one in world.rates if one.currency != moved[0]), Rate(*moved)))
    with database.begin() as connection:
        save_world(connection, world, day.policy)
        revalue(connection, day)
        save_world(connection, later, day.policy, run_id=2, first_load=False)
    convert_again(database, day.policy)

    with database.begin() as connection:
        revalue(connection, replace(day, run_id=2))

        expected = value_world(later, day.policy, sold)
        assert expected.lines != value_world(world, day.policy, sold).lines
        assert stored_lines(connection) == sorted(expected.lines, key=line_key)
        assert stored_values(connection) == model_values(expected)
        assert stored_issues(connection) == model_issues(expected)


def test_a_line_tells_the_amount_and_currency_that_it_was_made_of(database):
    sold = date(2025, 3, 1)
    deal = Opportunity("O", "A", Fraction(1000), "EUR", sold, sold, is_won=True, is_closed=True)
    refunds = [Adjustment(f"J{cur}", "O", Fraction(-100), cur, sold) for cur in ("CHF", "EUR", "USD")]
    rates = (Rate("EUR", Fraction("0.8")), Rate("CHF", Fraction("0.5")))
    world = World((Account("A"),), (deal,), tuple(refunds), rates=rates)
    with database.begin() as connection:
        save_world(connection, world, Policy())
        revalue(connection, Day(Policy(), "p1", sold, 1))

        lines = load_lines(connection, ["A"])

    assert [(one.line.event_id, one.line.amount, one.own_amount, one.currency, one.rate) for one in lines] == [
        (None, 125_000, "1000", "EUR", "0.8"),
        ("JCHF", -20_000, "-100", "CHF", "0.5"),
        ("JEUR", -12_500, "-100", "EUR", "0.8"),
        ("JUSD", -10_000, "-100", "USD", None),
    ]


def test_a_merged_account_is_explained_as_the_one_that_has_its_money_in_a_circle_too(database):
    merges = {"C": "B", "B": "A", "A": "B", "X": "Y", "D": "C"}
    accounts = tuple(Account(id_, merged_into_id=merges.get(id_), is_deleted=id_ in merges) for id_ in "ABCDXY")
    sold = date(2025, 3, 1)
    deal = Opportunity("O", "D", Fraction(1000), "USD", sold, sold, is_won=True, is_closed=True)
    with database.begin() as connection:
        save_world(connection, World(accounts, (deal,)), Policy())
        revalue(connection, Day(Policy(), "p1", sold, 1))

        assert [load_survivor(connection, id_) for id_ in "ABCDXYZ"] == list("AAAAYYZ")
        assert load_value(connection, load_survivor(connection, "B")).money["direct"] == 100_000


def test_a_deal_that_is_opened_on_a_later_day_enters_the_pipeline_on_that_day(database):
    opened, close = date(2025, 3, 1), date(2025, 6, 1)
    deal = Opportunity("O", "A", Fraction(1000), "USD", opened, close, False, False, probability=Fraction(1, 2))
    world = World((Account("A"),), (deal, replace(deal, id="unpriced", currency=UNRATED, created_on=date(2025, 2, 25))))
    with database.begin() as connection:
        save_world(connection, world, Policy())
        worth = []
        for run, day in enumerate((opened - timedelta(days=2), opened - timedelta(days=1), opened), start=1):
            revalue(connection, Day(Policy(), "p1", day, run))
            worth.append(load_value(connection, "A").money["pipeline"])

    assert worth == [0, 0, 50_000]


def test_valuing_another_day_stages_it_and_stores_nothing(database):
    for seed in range(0, WORLDS[database.engine.dialect.name], 5):
        case = build_case(seed, 3 + seed % 7)
        with database.begin() as connection:
            empty(connection)
            save_world(connection, case.world, case.policy)

            value_as_of(connection, day_of(case))

            assert stored_lines(connection, "s_line") == sorted(case.valuation.lines, key=line_key), seed
            assert stored_lines(connection) == []


def test_a_line_that_is_wrong_is_found_by_the_rotating_proof_and_by_the_full_one(database):
    case = build_case(7, 8)
    with database.begin() as connection:
        empty(connection)
        save_world(connection, case.world, case.policy)
        revalue(connection, day_of(case))
        assert not prove_valuation(connection, day_of(case, 2), everything=False)
        assert not prove_valuation(connection, day_of(case, 2), everything=True)

        connection.exec_driver_sql("update credit_line set amount = amount + 1 where line_id = 1")

        assert prove_valuation(connection, day_of(case, 2), everything=True).lines == 2
        connection.exec_driver_sql("delete from state")
        assert prove_valuation(connection, day_of(case, 2), everything=False).lines == 2


def test_the_proof_of_a_sample_never_cries_wolf(database):
    for seed in range(0, WORLDS[database.engine.dialect.name], 3):
        case = build_case(seed, 3 + seed % 7)
        with database.begin() as connection:
            empty(connection)
            save_world(connection, case.world, case.policy)
            revalue(connection, day_of(case))

            assert prove_valuation(connection, day_of(case, 2), everything=False) == Differences(), seed
            save_world(connection, changed(case, Random(seed)), case.policy, run_id=2, first_load=False)
            revalue(connection, day_of(case, 2))

            assert prove_valuation(connection, day_of(case, 3), everything=False) == Differences(), seed
            assert prove_valuation(connection, day_of(case, 3), everything=True) == Differences(), seed
