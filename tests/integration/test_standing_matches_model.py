"""The human measures as they are stored, against the pure functions, and valued in part against valued as a whole."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from dataclasses import replace
from datetime import date, timedelta
from random import Random

import pytest
import sqlalchemy as sa
from stored_worlds import changed, empty, event_row, save_deeds, save_world, term_of
from told import tell
from worlds import START, build_case

from app.domain.commitment import sale_evidence
from app.domain.event_attributes import READERS, check_attributes
from app.domain.events import Polarity, VerifiedEvent
from app.domain.hierarchy import build_hierarchy
from app.domain.model import OpportunityType, World
from app.domain.segments import Quadrant
from app.domain.standing import GIVEN_TYPES, AccountFacts, Worth, assess_account, build_frame, shown
from app.store.before import WorthBefore, load_before
from app.store.database import open_database
from app.store.standing import load_facts
from app.store.standing_rows import SHOWN, STORED, load_standing
from app.store.state import REVALUE_ALL, save_flag
from app.store.tables import advocacy_event
from app.sync.revalue import Day, revalue, value_as_of

WORLDS = {"sqlite": 40, "postgresql": 10}
DEALT = {*GIVEN_TYPES, "permission_promised", "ask_sent", "ask_accepted"}


@pytest.fixture
def database(migrated_database_url):
    opened = open_database(migrated_database_url)
    yield opened
    opened.close()


def build_told(draw, case, count=60):
    ids = [account.id for account in case.world.accounts]
    deals = [deal.id for deal in case.world.opportunities] or ["unknown"]
    for number in range(count):
        code, attributes = tell(draw)
        check_attributes(code, attributes)
        day = draw.choice((START + timedelta(draw.randrange(0, 400)), case.as_of - timedelta(draw.randrange(0, 80))))
        row = event_row(
            f"told-{draw.randrange(10**9)}-{number}", code, day, draw.choice(ids),
            status=draw.choice(("verified", "verified", "verified", "rejected")),
            contact_id="C1" if code == "contact_left" else draw.choice((None, "C1", "C2")),
            opportunity_id=draw.choice(deals) if code in DEALT else None,
            polarity=str(draw.choice((Polarity.ADVOCATE, Polarity.ADVOCATE, Polarity.DETRACTOR))),
            attributes=json.dumps(attributes),
        )  # fmt: skip
        row["valid_to"] = draw.choice((None, None, (day + timedelta(draw.randrange(0, 400))).isoformat()))
        yield row


def verified(row):
    day = lambda name: row[name] and date.fromisoformat(row[name])  # noqa: E731 - twice, below
    return VerifiedEvent(
        row["event_id"], row["type"], date.fromisoformat(row["occurred_on"]), row["occurred_at"], row["contact_id"],
        row["opportunity_id"], day("valid_from"), day("valid_to"), Polarity(row["polarity"]), row["title"], row["url"],
        json.loads(row["attributes"]),
    )  # fmt: skip


def expected_rows(connection, world, policy, as_of):
    """What the pure functions say about every account, from all its events and all its sales."""
    account = build_hierarchy(world.accounts).account
    events, sales, worths = defaultdict(list), defaultdict(list), {}
    for row in connection.execute(sa.select(advocacy_event)).mappings():
        if row["status"] == "verified" and row["occurred_on"] <= as_of.isoformat():
            events[account(row["account_id"])].append(verified(row))
    for one in world.opportunities:
        is_sold = one.is_won and one.is_closed and not one.is_deleted and one.close_on <= as_of
        if is_sold and one.account_id is not None and one.type is not OpportunityType.REFUND:
            sales[account(one.account_id)].append(one)
    for id_, direct, referred, total, percentile, quadrant in connection.exec_driver_sql(
        "select v.account_id, v.direct, v.referred, v.total, e.percentile, e.quadrant from account_value v"
        " left join account_engagement e on e.account_id = v.account_id"
    ):
        worths[id_] = Worth(direct, referred, total, percentile, Quadrant(quadrant) if quadrant else None)
    frame, found = build_frame(policy, as_of), {}
    deals = {one.id: one.is_won if one.is_closed else None for one in world.opportunities if not one.is_deleted}
    for id_ in {*events, *sales}:
        proofs = [sale_evidence(one.close_on, term_of(one.id), one.id, policy.commitment) for one in sales[id_]]
        facts = AccountFacts(
            id_, events[id_], [one for one in proofs if one],
            max((one.close_on for one in sales[id_]), default=None), worths.get(id_, Worth()), deals,
        )  # fmt: skip
        standing = assess_account(facts, frame)
        due = standing.next_change_on
        found[id_] = {**shown(standing), "next_change_on": due and due.isoformat()}
    return keep_told(found)


def keep_told(rows):
    names = (*STORED, "next_change_on")
    cut = {id_: {name: row[name] for name in names} for id_, row in rows.items()}
    return {id_: row for id_, row in cut.items() if any(value not in (None, 0, "") for value in row.values())}


def stored_rows(connection, table="account_standing"):
    names = (*STORED, "next_change_on")
    rows = connection.exec_driver_sql(f"select account_id, {', '.join(names)} from {table}")
    return keep_told({row[0]: dict(zip(names, row[1:], strict=True)) for row in rows})


def day_of(case, run_id=1):
    return Day(case.policy, "p1", case.as_of, run_id)


def test_a_full_valuation_gives_what_the_pure_functions_give(database):
    met = Counter()
    for seed in range(WORLDS[database.engine.dialect.name]):
        case = build_case(seed, 3 + seed % 7)
        with database.begin() as connection:
            empty(connection)
            save_world(connection, case.world, case.policy)
            save_deeds(connection, list(build_told(Random(seed), case, 100)))
            revalue(connection, day_of(case))

            found = stored_rows(connection)
            assert found == expected_rows(connection, case.world, case.policy, case.as_of), seed
            views = load_standing(connection, list(found))
        met.update(name for view in views.values() for name, value in view.facts().items() if value)

    assert {*SHOWN, "commitment_rung"} - set(met) == set(), "the worlds were too tame"


def test_valuing_only_what_a_change_touches_gives_what_a_full_valuation_gives(database):
    for seed in range(WORLDS[database.engine.dialect.name]):
        case, draw = build_case(seed, 3 + seed % 7), Random(f"change {seed}")
        other = changed(case, draw)
        with database.begin() as connection:
            empty(connection)
            save_world(connection, case.world, case.policy)
            save_deeds(connection, list(build_told(draw, case)))
            revalue(connection, replace(day_of(case), as_of=case.as_of - timedelta(draw.randrange(0, 60))))
            save_world(connection, other, case.policy, run_id=2, first_load=False)
            save_deeds(connection, list(build_told(draw, case, 3)))

            revalue(connection, day_of(case, 2))

            assert stored_rows(connection) == expected_rows(connection, other, case.policy, case.as_of), seed


@pytest.mark.parametrize("after", [(True, True), (False, True), (False, False)])
@pytest.mark.parametrize("before", [(True, True), (False, True), (False, False)])
def test_what_becomes_of_a_deal_reaches_the_record_of_who_gave_a_reference_for_it(database, before, after):
    """Nothing but what was told of the reference ties the customer to the deal: no claim, no credit."""
    case = build_case(3, 6)
    deal = next(one for one in case.world.opportunities if one.account_id is not None and not one.is_deleted)
    giver = next(one.id for one in case.world.accounts if one.id != deal.account_id and one.merged_into_id is None)

    def world(is_won, is_closed):
        became = replace(deal, is_won=is_won, is_closed=is_closed)
        return World(case.world.accounts, (became, *(one for one in case.world.opportunities if one != deal)))

    with database.begin() as connection:
        save_world(connection, world(*before), case.policy)
        told = event_row(
            "o", "reference_outcome", case.as_of, giver, opportunity_id=deal.id, attributes='{"minutes": 30}'
        )
        save_deeds(connection, [told])
        revalue(connection, day_of(case))
        save_world(connection, world(*after), case.policy, run_id=2, first_load=False)
        revalue(connection, day_of(case, 2))
        measures = load_standing(connection, [giver])[giver].measures

    assert (measures["references_given"], measures["references_won"]) == (1, int(after[0]))


def test_time_alone_changes_nothing_before_the_day_it_was_announced_for(database):
    for seed in range(WORLDS[database.engine.dialect.name] // 2):
        case = build_case(seed, 5)
        with database.begin() as connection:
            empty(connection)
            save_world(connection, case.world, case.policy)
            save_deeds(connection, list(build_told(Random(f"time {seed}"), case)))
            revalue(connection, day_of(case))
            for run_id, days in enumerate((1, 20, 45, 90, 200, 400), start=2):
                later = case.as_of + timedelta(days)
                revalue(connection, replace(day_of(case, run_id), as_of=later))
                assert stored_rows(connection) == expected_rows(connection, case.world, case.policy, later), (
                    seed,
                    days,
                )


@pytest.mark.parametrize("everything", [True, False])
def test_whoever_has_nothing_left_is_remembered_as_what_it_was(database, everything):
    case = build_case(3, 6)
    lone = replace(
        case.world.accounts[0], id="LONE", domain=None, parent_id=None, merged_into_id=None, is_deleted=False
    )
    world = World((*case.world.accounts, lone), case.world.opportunities)
    with database.begin() as connection:
        save_world(connection, world, case.policy)
        save_deeds(connection, [event_row("signed", "annual_license_signed", case.as_of - timedelta(9), "LONE")])
        revalue(connection, day_of(case))
        assert stored_rows(connection)["LONE"]["is_customer"] == 1

        connection.exec_driver_sql("update advocacy_event set status = 'rejected' where event_id = 'signed'")
        connection.exec_driver_sql("insert into dirty (kind, id) values ('event', 'signed')")
        save_flag(connection, REVALUE_ALL, "test" if everything else None)
        tomorrow = case.as_of + timedelta(1)
        valued = revalue(connection, replace(day_of(case, 2), as_of=tomorrow))

        assert valued.scope == ("all" if everything else "changed")
        assert "LONE" not in stored_rows(connection)
        assert load_before(connection, tomorrow)["LONE"] == WorthBefore(0, None, was_customer=True)


def test_another_day_is_staged_without_touching_what_is_stored(database):
    case = build_case(3, 6)
    earlier = case.as_of - timedelta(100)
    with database.begin() as connection:
        save_world(connection, case.world, case.policy)
        save_deeds(connection, list(build_told(Random("as of"), case)))
        revalue(connection, day_of(case))
        before = stored_rows(connection)

        value_as_of(connection, replace(day_of(case), as_of=earlier))

        assert stored_rows(connection) == before
        staged = stored_rows(connection, "s_standing")
    assert staged
    assert staged != before


def test_who_explains_one_account_sees_what_is_stored(database):
    for seed in range(6):
        case = build_case(seed, 5)
        with database.begin() as connection:
            empty(connection)
            save_world(connection, case.world, case.policy)
            save_deeds(connection, list(build_told(Random(f"explain {seed}"), case)))
            revalue(connection, day_of(case))
            stored = stored_rows(connection)
            frame = build_frame(case.policy, case.as_of)
            for id_, row in stored.items():
                told = shown(assess_account(load_facts(connection, id_, case.policy, case.as_of), frame))
                assert {name: told[name] for name in STORED} == {name: row[name] for name in STORED}, (seed, id_)


def test_every_type_with_typed_attributes_occurs_in_these_worlds_or_elsewhere():
    told = {tell(Random(seed))[0] for seed in range(3000)}

    assert set(READERS) - told == {
        "ask_unanswered", "evaluation_effort", "permission_used", "problem_closed", "project_data_shared",
        "reference_profile",
    }  # fmt: skip
