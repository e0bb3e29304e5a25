"""What the database says beside the money, against the pure functions, and valued in part against valued as a whole."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from fractions import Fraction
from random import Random

import pytest
from engaged_worlds import expected_rows, stored_rows
from stored_worlds import changed, empty, event_row, save_deeds, save_world
from worlds import START, build_case

from app.domain.events import Polarity
from app.domain.model import Account, Opportunity, OpportunityType, Policy, Referral, World
from app.domain.rules import EngagementRules, OptionalRules, SegmentRules
from app.store.database import open_database
from app.store.engagement import FACTS, SHOWN
from app.store.values import STORED as VALUE_COLUMNS
from app.sync.revalue import Day, Differences, prove_valuation, revalue, value_as_of

WORLDS = {"sqlite": 40, "postgresql": 12}
TYPES = (
    "referral", "case_study", "reference_call", "complaint", "escalation", "recovered", "nps_response", "x_ours", "follow",
    "beta_membership", "advisory_board_membership", "idea_submitted", "product_feedback", "idea_adopted",
)  # fmt: skip
RULES = EngagementRules(
    half_lives={"case_study": 90, "follow": 7}, points={"x_ours": 9, "reference_call": 31}, cap=2, caps={"follow": 1}
)


@pytest.fixture
def database(migrated_database_url):
    opened = open_database(migrated_database_url)
    yield opened
    opened.close()


def build(seed, size=None):
    draw = Random(f"engagement {seed}")
    case = build_case(seed, size or 3 + seed % 7)
    segments = SegmentRules(draw.choice((None, 0, 100)), draw.choice((None, None, 1, 1000)))
    # Now and then an input is unknown.
    costs = [draw.choice((None, known, known, known, known)) for known in (Fraction(3, 7), 5, 11, 101)]
    optional = OptionalRules(*costs, would_have_come=Fraction(1, 3))
    policy = replace(case.policy, engagement=RULES, segments=segments, optional_measures=optional)
    return replace(case, policy=policy)


def build_deeds(draw, case, count=30):
    """Rows of advocacy events that say nothing about any opportunity."""
    ids = [account.id for account in case.world.accounts] + ["Partner"]
    for number in range(count):
        code = draw.choice(TYPES[1:])
        day = START + timedelta(draw.randrange(0, 480))
        start = draw.choice((None, day - timedelta(draw.randrange(0, 300)), day + timedelta(draw.randrange(0, 60))))
        row = event_row(
            f"deed-{draw.randrange(10**9)}-{number}", code, day, draw.choice(ids),
            polarity=str(draw.choice((Polarity.ADVOCATE, Polarity.ADVOCATE, *Polarity))),
            status=draw.choice(("verified", "verified", "verified", "rejected", "claimed")),
            title=draw.choice((None, "Programme")), contact_id=draw.choice((None, "C1")),
            attributes=json.dumps(draw.choice(({}, {"outcome": "adopted"}, {"outcome": "declined"}, {"outcome": "?"}))),
        )  # fmt: skip
        row["valid_from"] = start and start.isoformat()
        row["valid_to"] = draw.choice((None, ((start or day) + timedelta(draw.randrange(0, 400))).isoformat()))
        row["recorded_at"] = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(draw.randrange(5))
        yield row
        if draw.random() < 0.3:
            # The same membership told again, with another end.
            end = (start or day) + timedelta(draw.randrange(0, 400))
            again = {"recorded_at": row["recorded_at"] + timedelta(1), "valid_to": end.isoformat()}
            yield row | again | {"event_id": row["event_id"] + "-again", "source_event_id": row["event_id"] + "-again"}


def day_of(case, run_id=1):
    return Day(case.policy, "p1", case.as_of, run_id)


def test_a_full_valuation_gives_what_the_pure_functions_give(database):
    met = Counter()
    for seed in range(WORLDS[database.engine.dialect.name]):
        case = build(seed)
        with database.begin() as connection:
            empty(connection)
            save_world(connection, case.world, case.policy)
            save_deeds(connection, list(build_deeds(Random(seed), case)))
            revalue(connection, day_of(case))

            found = stored_rows(connection)
            assert found == expected_rows(connection, case.world, case.policy, case.as_of), seed
        met.update(name for row in found.values() for name, value in row.items() if value)
        met.update(f"{name} {row[name]}" for row in found.values() for name in ("quadrant", "points_band"))

    everything = {*SHOWN, *FACTS, "points", "next_change_on", *(f"direct_{kind}" for kind in OpportunityType)}
    everything |= {f"quadrant {one}" for one in ("champion", "affluent", "advocate", "potential")}
    everything |= {f"points_band {one}" for one in ("light", "active", "strong", None)}
    assert {name for name in everything if not met[name]} == set(), "the worlds were too tame"


def test_valuing_only_what_a_change_touches_gives_what_a_full_valuation_gives(database):
    for seed in range(WORLDS[database.engine.dialect.name]):
        case, draw = build(seed), Random(f"change {seed}")
        other = changed(case, draw)
        with database.begin() as connection:
            empty(connection)
            save_world(connection, case.world, case.policy)
            save_deeds(connection, list(build_deeds(draw, case)))
            revalue(connection, replace(day_of(case), as_of=case.as_of - timedelta(draw.randrange(0, 15))))
            save_world(connection, other, case.policy, run_id=2, first_load=False)
            save_deeds(connection, list(build_deeds(draw, case, 3)))

            revalue(connection, day_of(case, 2))

            assert stored_rows(connection) == expected_rows(connection, other, case.policy, case.as_of), seed
            for everything in (False, True):
                assert prove_valuation(connection, day_of(case, 3), everything=everything) == Differences(), seed


WRONG = (
    ("account_value", "direct", "direct + 1", Differences(sums=1)),
    ("account_value", "group_referred", "group_referred + 1", Differences(sums=1)),
    ("account_value", "pipeline", "-7", Differences(sums=1)),
    ("account_value", "issues", "'intra_group'", Differences(sums=1)),
    ("account_value", "next_change_on", "'2099-01-01'", Differences(sums=1)),
    ("account_engagement", "points", "points + 1", Differences(engagement=1)),
    ("account_engagement", "points_band", "'none'", Differences(engagement=1)),
    ("account_engagement", "is_detractor", "1 - is_detractor", Differences(engagement=1)),
    ("account_engagement", "participation_days", "999", Differences(engagement=1)),
    ("account_engagement", "revenue_at_risk", "revenue_at_risk + 1", Differences(engagement=1)),
    ("account_engagement", "direct_renewal", "direct_renewal - 1", Differences(engagement=1)),
    ("account_engagement", "quadrant", "'elsewhere'", Differences(engagement=1)),
    ("account_engagement", "crv", "coalesce(crv, 0) + 1", Differences(engagement=1)),
    ("account_engagement", "next_change_on", "'2099-01-01'", Differences(engagement=1)),
    (
        "account_standing",
        "commitment_level",
        "case when commitment_level = 0 then 1 else 0 end",
        Differences(standing=1),
    ),
    ("account_standing", "care_bucket", "'elsewhere'", Differences(standing=1)),
    ("account_standing", "next_change_on", "'2099-01-01'", Differences(standing=1)),
)


def test_one_wrong_number_of_one_account_is_found_by_the_rotating_proof_and_by_the_full_one_and_put_right(database):
    case = build(7, 8)
    with database.begin() as connection:
        empty(connection)
        save_world(connection, case.world, case.policy)
        save_deeds(connection, list(build_deeds(Random(7), case)))
        revalue(connection, day_of(case))
        right = stored_rows(connection), stored_rows(connection, "account_value", VALUE_COLUMNS)
    for number, (table, column, wrong, expected) in enumerate(WRONG):
        with database.begin() as connection:
            victim = connection.exec_driver_sql(f"select max(account_id) from {table}").scalar_one()
            connection.exec_driver_sql(f"update {table} set {column} = {wrong} where account_id = '{victim}'")

            found = prove_valuation(connection, day_of(case, 2), everything=number % 2 == 0)
            sampled = prove_valuation(connection, day_of(case, 2), everything=number % 2 == 1)

            assert found == sampled == expected, (table, column)
            assert revalue(connection, day_of(case, 2)).scope == "all"
            assert not prove_valuation(connection, day_of(case, 2), everything=True)
            assert (stored_rows(connection), stored_rows(connection, "account_value", VALUE_COLUMNS)) == right


@pytest.mark.parametrize(
    "wrong",
    [
        "rank = 7 where rank = 1",
        "rank = null where rank = 2",
        "rank = 99 where account_id = (select min(account_id) from account_value where rank is null)",
    ],
)
def test_a_rank_that_is_wrong_missing_or_too_much_is_found_by_both_proofs_and_put_right(database, wrong):
    case = build(7, 8)
    with database.begin() as connection:
        empty(connection)
        save_world(connection, case.world, case.policy)
        revalue(connection, day_of(case))
        right = stored_rows(connection, "account_value", ("rank",))
        connection.exec_driver_sql(f"update account_value set {wrong}")
        assert stored_rows(connection, "account_value", ("rank",)) != right

        found = [prove_valuation(connection, day_of(case, 2), everything=everything) for everything in (True, False)]

        assert found == [Differences(ranks=1)] * 2
        assert revalue(connection, day_of(case, 2)).scope == "all"
        assert stored_rows(connection, "account_value", ("rank",)) == right


def test_an_account_that_lost_its_row_or_got_one_for_nothing_is_found(database):
    case = build(7, 8)
    with database.begin() as connection:
        empty(connection)
        save_world(connection, case.world, case.policy)
        save_deeds(connection, list(build_deeds(Random(7), case)))
        revalue(connection, day_of(case))
        connection.exec_driver_sql("insert into account_value (account_id, direct) values ('no points', 5)")
        connection.exec_driver_sql("insert into account_engagement (account_id, points) values ('no money', 5)")
        for everything in (False, True):
            found = prove_valuation(connection, day_of(case, 2), everything=everything)
            assert (found.sums, found.engagement) == (1, 1)

        connection.exec_driver_sql("delete from account_value")
        connection.exec_driver_sql("delete from account_engagement")
        found = prove_valuation(connection, day_of(case, 2), everything=True)
        assert found.sums > 1
        assert found.engagement > 1


def test_one_small_change_moves_everybody_who_stands_elsewhere_because_of_it(database):
    moved = Counter()
    for seed in range(WORLDS[database.engine.dialect.name]):
        case, draw = build(seed, 16), Random(f"small {seed}")
        other = changed_once(case.world, draw)
        with database.begin() as connection:
            empty(connection)
            save_world(connection, case.world, case.policy)
            revalue(connection, day_of(case))
            before, direct = stored_rows(connection), load_direct(connection)
            save_world(connection, other, case.policy, run_id=2, first_load=False)

            revalue(connection, day_of(case, 2))

            after, untouched = stored_rows(connection), load_direct(connection) & direct
            assert after == expected_rows(connection, other, case.policy, case.as_of), seed
        pairs = [(before[id_], after[id_]) for id_, _ in untouched if id_ in before and id_ in after]
        moved.update(name for old, new in pairs for name in SHOWN if old[name] != new[name])

    assert {"quadrant", "percentile", "revenue_at_risk"} <= set(moved), "nobody moved by comparison alone"


SMALL = World(
    accounts=tuple(Account(id_, id_) for id_ in ("A", "B", "X")),
    opportunities=(
        Opportunity("D1", "X", Fraction(100), "USD", date(2025, 3, 1), date(2025, 3, 9), True, True, OpportunityType.NEW),
        Opportunity("D2", "X", Fraction(7), "USD", date(2025, 3, 1), date(2025, 4, 1), True, True, OpportunityType.RENEWAL),
        Opportunity("D3", "B", Fraction(5), "USD", date(2025, 3, 1), date(2025, 4, 1), True, True, OpportunityType.NEW),
    ),
    referrals=(Referral("R", "A", date(2025, 2, 1), account_id="X"),),
)  # fmt: skip


def value_small(connection, world, run_id):
    save_world(connection, world, Policy(), run_id=run_id, first_load=run_id == 1)
    revalue(connection, Day(Policy(), "p1", date(2025, 12, 31), run_id))
    return stored_rows(connection)


def test_a_renewal_of_a_referred_customer_raises_what_its_referrer_puts_at_risk(database):
    renewed = replace(SMALL.opportunities[1], amount=Fraction(9))
    deals = (SMALL.opportunities[0], renewed, SMALL.opportunities[2])
    with database.begin() as connection:
        before = value_small(connection, SMALL, 1)
        after = value_small(connection, replace(SMALL, opportunities=deals), 2)

    assert (before["A"]["revenue_at_risk"], after["A"]["revenue_at_risk"]) == (107_00, 109_00)
    assert (after["X"]["direct_new"], after["X"]["direct_renewal"]) == (100_00, 9_00)


def test_the_others_move_up_when_a_customer_is_deleted_though_nobodys_value_moves(database):
    accounts = (SMALL.accounts[0], replace(SMALL.accounts[1], is_deleted=True), SMALL.accounts[2])
    with database.begin() as connection:
        before = value_small(connection, SMALL, 1)
        after = value_small(connection, replace(SMALL, accounts=accounts), 2)

    assert {id_: row["percentile"] for id_, row in before.items()} == {"A": 50, "B": 0, "X": 100}
    assert {id_: row["percentile"] for id_, row in after.items()} == {"A": 0, "B": None, "X": 100}
    assert (before["B"]["quadrant"], after["B"]["quadrant"]) == ("affluent", None)


def load_direct(connection):
    return {tuple(row) for row in connection.exec_driver_sql("select account_id, direct from account_value")}


def changed_once(world, draw):
    """One sale is worth something else, or one account is gone."""
    if draw.random() < 0.3:
        gone = draw.choice([one for one in world.accounts if not one.is_deleted])
        accounts = tuple(replace(one, is_deleted=True) if one is gone else one for one in world.accounts)
        return replace(world, accounts=accounts)
    sold = draw.choice([one for one in world.opportunities if one.is_won and one.account_id])
    amount = Fraction(draw.randrange(1, 10**7), 100)
    deals = tuple(replace(one, amount=amount) if one is sold else one for one in world.opportunities)
    return replace(world, opportunities=deals)


def test_days_and_weeks_alone_give_what_a_full_valuation_of_the_later_day_gives(database):
    for seed in range(0, WORLDS[database.engine.dialect.name], 3):
        case, draw = build(seed), Random(f"days {seed}")
        with database.begin() as connection:
            empty(connection)
            save_world(connection, case.world, case.policy)
            save_deeds(connection, list(build_deeds(draw, case)))
            day = case.as_of - timedelta(40)
            while day < case.as_of:
                revalue(connection, replace(day_of(case), as_of=day))
                assert stored_rows(connection) == expected_rows(connection, case.world, case.policy, day), (seed, day)
                day += timedelta(draw.choice((1, 1, 2, 7, 30)))


def test_going_back_a_day_or_changing_the_policy_values_everybody_again(database):
    case = build(3)
    other = replace(case, policy=replace(case.policy, engagement=EngagementRules(), segments=SegmentRules()))
    with database.begin() as connection:
        empty(connection)
        save_world(connection, case.world, case.policy)
        save_deeds(connection, list(build_deeds(Random(3), case)))
        revalue(connection, day_of(case))

        revalue(connection, Day(other.policy, "p2", case.as_of, 2))
        restated = stored_rows(connection)
        revalue(connection, Day(other.policy, "p2", case.as_of - timedelta(90), 3))

        assert restated == expected_rows(connection, case.world, other.policy, case.as_of)
        assert stored_rows(connection) == expected_rows(
            connection, case.world, other.policy, case.as_of - timedelta(90)
        )


def test_another_day_is_staged_and_nothing_is_stored(database):
    for seed in range(0, WORLDS[database.engine.dialect.name], 5):
        case = build(seed)
        with database.begin() as connection:
            empty(connection)
            save_world(connection, case.world, case.policy)
            save_deeds(connection, list(build_deeds(Random(seed), case)))

            value_as_of(connection, day_of(case))

            staged = stored_rows(connection, "s_engagement")
            assert staged == expected_rows(connection, case.world, case.policy, case.as_of), seed
            assert stored_rows(connection) == {}


def test_a_week_that_takes_less_than_a_whole_point_plans_nobody_again(database):
    monday = date(2026, 3, 2)
    case = replace(build_case(1, 3), as_of=monday)
    with database.begin() as connection:
        empty(connection)
        save_world(connection, replace(case.world, opportunities=(), referrals=(), influence=()), case.policy)
        # 20 points lose 0.27 in the first week and 0.26 in the second; 10 of a follow-up lose less.
        rows = [event_row(f"e{at}", "online_review", monday, f"A{at}") for at in range(2)]
        save_deeds(connection, [*rows, event_row("e9", "case_study", monday, "A1")])
        revalue(connection, day_of(case))
        before = stored_rows(connection)
        connection.exec_driver_sql("delete from dirty")

        revalue(connection, replace(day_of(case, 2), as_of=monday + timedelta(6)))
        same_week = stored_rows(connection)
        revalue(connection, replace(day_of(case, 3), as_of=monday + timedelta(7)))
        next_week = stored_rows(connection)

        planned = set(connection.exec_driver_sql("select id from dirty where kind = 'plan'").scalars())
        assert same_week == before
        assert {id_: row["whole_points"] for id_, row in before.items()} == {"A0": 20, "A1": 80}
        assert {id_: row["whole_points"] for id_, row in next_week.items()} == {"A0": 19, "A1": 78}
        assert planned == {"A0", "A1"}

        connection.exec_driver_sql("delete from dirty")
        revalue(connection, replace(day_of(case, 4), as_of=monday + timedelta(14)))

        assert stored_rows(connection)["A0"]["points"] < next_week["A0"]["points"]
        assert set(connection.exec_driver_sql("select id from dirty where kind = 'plan'").scalars()) == {"A1"}


def test_days_of_membership_count_up_without_planning_anybody(database):
    monday = date(2026, 3, 2)
    case = replace(build_case(1, 3), as_of=monday)
    with database.begin() as connection:
        empty(connection)
        save_world(connection, replace(case.world, opportunities=(), referrals=(), influence=()), case.policy)
        save_deeds(connection, [event_row("e", "beta_membership", monday, "A0", valid_to="2026-03-05")])
        revalue(connection, day_of(case))
        seen = []
        for later in range(1, 5):
            connection.exec_driver_sql("delete from dirty")
            revalue(connection, replace(day_of(case, later), as_of=monday + timedelta(later)))
            row = stored_rows(connection)["A0"]
            marked = connection.exec_driver_sql("select count(*) from dirty").scalar_one()
            seen.append((row["participation_days"], row["is_participant"], marked))

        assert seen == [(2, 1, 0), (3, 1, 0), (3, 0, 1), (3, 0, 0)]
