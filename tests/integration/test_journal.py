"""The journal of writes: in whatever order and portions the CRM answers, each outcome lands on its own account."""

from __future__ import annotations

import random

import pytest

from app.store import value_rows, writes
from app.store.bulk import insert_rows
from app.store.database import open_database
from app.store.writes import Intent

RUN = 7
ACCOUNTS = [f"0015g00000{number:05d}AAA" for number in range(60)]
OUTCOMES = ("ok", "rejected", "gone", "retry", "unknown")
SETTLED = ("ok", "rejected", "gone")


@pytest.fixture
def connection(migrated_database_url):
    database = open_database(migrated_database_url)
    with database.begin() as opened:
        yield opened
    database.close()


@pytest.fixture
def planned(connection):
    """Sixty accounts with an intent each, of few movements so that many are equal; all are marked."""
    insert_rows(connection, "account", ("id", "name", "parent_id"), [(one, one, ACCOUNTS[0]) for one in ACCOUNTS])
    insert_rows(connection, "dirty", ("kind", "id"), [("plan", one) for one in ACCOUNTS])
    intents = [Intent(one, {"total": None}, {"total": f"{at}.00"}, at % 4) for at, one in enumerate(ACCOUNTS)]
    writes.save_intents(connection, RUN, intents)
    writes.save_intents(connection, RUN - 1, [Intent(ACCOUNTS[5], {"total": None}, {"total": "1.00"}, 3)])
    return connection


@pytest.mark.parametrize("seed", range(3))
def test_outcomes_in_any_order_reach_their_own_accounts(planned, seed):
    chance = random.Random(seed)
    answers = [(one, chance.choice(OUTCOMES), "", "") for one in chance.sample(ACCOUNTS, 50)]
    first = [(account, "unknown", "", "") for account, *_ in answers[:3]]

    writes.save_outcomes(planned, RUN, [*first, *answers[:20]])  # of two about one account the later one counts
    writes.save_outcomes(planned, RUN, answers[20:])

    expected = {account: outcome for account, outcome, *_ in answers}
    stored = planned.exec_driver_sql(f"select account_id, outcome from write_intent where run_id = {RUN}")
    assert dict(map(tuple, stored)) == {one: expected.get(one) for one in ACCOUNTS}
    shown = planned.exec_driver_sql("select id, shown, written from account where written is not null")
    texts = {one: f'{{"total":"{at}.00"}}' for at, one in enumerate(ACCOUNTS)}
    assert sorted(map(tuple, shown)) == [(one, texts[one], texts[one]) for one in ACCOUNTS if expected.get(one) == "ok"]
    marked = planned.exec_driver_sql("select id from dirty where kind = 'plan'").scalars()
    assert sorted(marked) == [one for one in ACCOUNTS if expected.get(one) not in SETTLED]
    assert planned.exec_driver_sql(f"select outcome from write_intent where run_id < {RUN}").scalar_one() is None


def test_no_outcomes_change_nothing(planned):
    writes.save_outcomes(planned, RUN, [])

    assert planned.exec_driver_sql("select count(*) from write_intent where outcome is not null").scalar_one() == 0


@pytest.mark.parametrize("size", [1, 7, 60, 100])
def test_what_is_unsent_comes_once_and_the_biggest_movers_first(planned, monkeypatch, size):
    monkeypatch.setattr(writes, "PAGE", size)
    writes.save_outcomes(planned, RUN, [(ACCOUNTS[0], "ok", "", "")])

    found, position = [], writes.START
    while page := writes.load_unsent_after(planned, RUN, position):
        assert len(page) <= size
        found += page
        position = (page[-1].movement, page[-1].account_id)

    by_movement = sorted(enumerate(ACCOUNTS), key=lambda one: (-(one[0] % 4), one[1]))
    assert [one.account_id for one in found] == [account for at, account in by_movement if at]
    assert {one.parent_id for one in found} == {ACCOUNTS[0]}
    assert all(one.after == {"total": f"{ACCOUNTS.index(one.account_id)}.00"} for one in found)


@pytest.mark.parametrize("only_dirty", [True, False])
def test_a_plan_sees_every_account_with_its_own_value(planned, only_dirty):
    valued = ACCOUNTS[::3]
    rows = [(one, "v1", RUN, at) for at, one in enumerate(valued, start=1)]
    insert_rows(planned, "account_value", ("account_id", "policy_version", "run_id", "total"), rows)
    more = [(f"0015g00001{number:05d}AAA",) for number in range(2_100)]
    insert_rows(planned, "account", ("id",), more)
    insert_rows(planned, "dirty", ("kind", "id"), [("plan", one) for (one,) in more])

    seen = [row for page in value_rows.stream_planned(planned, only_dirty=only_dirty) for row in page]

    assert [row.account_id for row in seen] == [*ACCOUNTS, *(one for (one,) in more)]
    totals = {row.account_id: row.money["total"] for row in seen if row.money["total"]}
    assert totals == {one: at for at, one in enumerate(valued, start=1)}


def test_accounts_without_a_change_are_settled_and_no_others(planned):
    for _ in range(2):  # the second time nobody is marked any more
        writes.settle_unchanged(planned, ACCOUNTS[10:20])

    marked = planned.exec_driver_sql("select id from dirty where kind = 'plan'").scalars()
    assert sorted(marked) == [*ACCOUNTS[:10], *ACCOUNTS[20:]]
