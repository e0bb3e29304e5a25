"""The human measures per account: staged by the pure functions of `domain.standing`, stored where they differ.

Part of every valuation, after the engagement: `s_canonical` is staged, and for a part of the accounts `s_engaged`.
Most accounts have bought, or done plain deeds, and nothing else: of those that hold up the same (`plain_standing`) one
is judged for all. The others are judged one by one.

`s_judged`     accounts that are judged: those in `s_told`, and the examples
`s_given`      account -> the deals it gave references for, and whether they were won (null: open)
`s_judgement`  how those in `s_judged` stand
`s_standing`   columns of `account_standing`
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from itertools import groupby
from operator import itemgetter
from typing import Any, Generic, TypeVar

import sqlalchemy as sa

from app.domain.commitment import sale_evidence
from app.domain.days import iso
from app.domain.model import Policy
from app.domain.plain_standing import list_plain_types, prove_sales
from app.domain.rows import Row
from app.domain.segments import Quadrant
from app.domain.standing import (
    GIVEN_TYPES,
    AccountFacts,
    AccountStanding,
    Frame,
    Worth,
    assess_account,
    build_frame,
    shown,
)
from app.store.bulk import analyze, insert_rows
from app.store.dirty import mark_moved
from app.store.evidence import Told, load_verified, stage_members, stream_verified, told_of
from app.store.measures import Measures, are_first, count_different, merge_measures
from app.store.plain_standing import sale_of, stage_alike, stage_gems, stage_sales, stage_spells, stage_told
from app.store.references import load_results
from app.store.staging import SOLD, add_ids, create_temp, text_type
from app.store.standing_rows import NO_STANDING, STORED

PAGE = 5_000
One = TypeVar("One")

STANDING = Measures("account_standing", "s_standing", {**NO_STANDING.measures, "next_change_on": None}, STORED)
_NAMES = tuple(STANDING.nothing)


def refresh_standing(connection: sa.Connection, policy: Policy, as_of: date, run_id: int, *, everything: bool) -> None:
    """Bring the stored measures up to date; plan the accounts again of which people will see something else."""
    values, engagement = "account_value", "account_engagement"
    if everything and are_first(connection, STANDING, run_id):
        _judge(connection, policy, as_of, touched=False, values=values, engagement=engagement)
        _spread(connection, STANDING.stored, run_id)
        mark_moved(connection, f"select account_id from {STANDING.stored}", touched=False)
    else:
        stage_standing(connection, policy, as_of, touched=not everything, values=values, engagement=engagement)
        merge_measures(connection, STANDING, as_of, run_id, touched=not everything)


def stage_standing(
    connection: sa.Connection, policy: Policy, as_of: date, *, touched: bool, values: str, engagement: str
) -> None:
    """Fill `s_standing` for all accounts, or for those in `s_engaged`. The tables say whose money is looked at."""
    _judge(connection, policy, as_of, touched=touched, values=values, engagement=engagement)
    create_temp(connection, "s_standing", f"{_columns(connection)}, run_id bigint")
    _spread(connection, "s_standing", 0)
    analyze(connection, "s_standing")


def count_differences(
    connection: sa.Connection, policy: Policy, as_of: date, *, touched: bool, values: str, engagement: str
) -> int:
    """How many accounts' stored measures a computation from scratch contradicts: of all, or of those in `s_engaged`."""
    stage_standing(connection, policy, as_of, touched=touched, values=values, engagement=engagement)
    return count_different(connection, STANDING, touched=touched)


def _columns(connection: sa.Connection) -> str:
    return ", ".join((f"account_id {text_type(connection)} primary key", *(f"{name} {_type(name)}" for name in _NAMES)))


def _type(name: str) -> str:
    return (
        "int"
        if isinstance(NO_STANDING.measures.get(name, ""), int) or name.endswith("_level") or name in _NUMBERS
        else "text"
    )


_NUMBERS = (
    "offer_before", "personal_latest", "reference_low", "reference_high", "reference_coverage", "days_to_accept",
)  # fmt: skip


def _judge(
    connection: sa.Connection, policy: Policy, as_of: date, *, touched: bool, values: str, engagement: str
) -> None:
    """Fill `s_alike`, `s_example` and `s_judgement`: together they say how every account stands."""
    if touched:
        stage_members(connection, "s_engaged")
    frame, told = build_frame(policy, as_of), told_of(members_only=touched)
    stage_sales(connection, as_of, touched=touched)
    plain = list_plain_types(frame)
    stage_told(connection, told, plain, as_of)
    _stage_given(connection, told)
    bits = stage_spells(connection, frame, told, plain)
    stage_gems(connection, policy, values, engagement, touched=touched)
    stage_alike(connection, told, bits, as_of)
    create_temp(connection, "s_judged", f"id {text_type(connection)} primary key")
    for query in ("select id from s_told", "select account_id as id from s_example"):
        add_ids(connection, "s_judged", query)
    _stage_judgements(connection, frame, values, engagement)


def _spread(connection: sa.Connection, table: str, run_id: int) -> None:
    """Insert how everybody stands: whoever was judged, and whoever stands like one of them but for days of its own."""
    own = {"renewal_on": "a.renewal_on", "next_change_on": "a.next_change_on"}
    insert = f"insert into {table} (account_id, run_id, {', '.join(_NAMES)})"
    connection.exec_driver_sql(
        f"{insert} select a.account_id, {int(run_id)}, {', '.join(own.get(name, f'j.{name}') for name in _NAMES)}"
        " from s_alike a join s_example x on x.held = a.held join s_judgement j on j.account_id = x.account_id"
    )
    connection.exec_driver_sql(
        f"{insert} select j.account_id, {int(run_id)}, {', '.join(f'j.{name}' for name in _NAMES)}"
        " from s_told t join s_judgement j on j.account_id = t.id"
    )


def _stage_given(connection: sa.Connection, told: Told) -> None:
    """Fill `s_given`."""
    text = text_type(connection)
    create_temp(connection, "s_given", f"account_id {text} not null, opportunity_id {text} not null, is_won int")
    connection.execute(
        sa.text(
            f"insert into s_given select distinct {told.owner}, o.id, case when o.is_closed = 1 then o.is_won end"
            f" from {told.source} join opportunity o on o.id = e.opportunity_id"
            " where e.status = 'verified' and e.type in :types and o.is_deleted = 0"
        ).bindparams(sa.bindparam("types", expanding=True)),
        {"types": GIVEN_TYPES},
    )
    analyze(connection, "s_given")


def _stage_judgements(connection: sa.Connection, frame: Frame, values: str, engagement: str) -> None:
    """Fill `s_judgement`, but for whoever has nothing to show."""
    create_temp(connection, "s_judgement", _columns(connection))
    stage_members(connection, "s_judged")
    # Both databases and Python order ids by their bytes, so streams can walk side by side.
    told = _Beside(stream_verified(connection, frame.as_of, members_only=True))
    sales = _Beside(_stream(connection, "s_sale", "last_on", "term_months"))
    deals = _Beside(_stream(connection, "s_given", "opportunity_id", "is_won"))
    last = ""
    while page := _load_worths(connection, values, engagement, last):
        last = page[-1][0]
        rows: list[Row] = []
        for id_, *worth in page:
            bought = [sale_of(day, term) for _, day, term in sales.of(id_)]
            facts = AccountFacts(
                id_,
                told.of(id_),
                prove_sales(bought, frame.policy),
                max((one.closed_on for one in bought), default=None),
                _worth(worth),
                {deal: None if is_won is None else bool(is_won) for _, deal, is_won in deals.of(id_)},
            )
            row = _cells(assess_account(facts, frame))
            if row != tuple(STANDING.nothing.values()):
                rows.append((id_, *row))
        insert_rows(connection, "s_judgement", ("account_id", *_NAMES), rows)


_WORTH = "coalesce(v.direct, 0), coalesce(v.referred, 0), coalesce(v.total, 0), e.percentile, e.quadrant"


def _load_worths(connection: sa.Connection, values: str, engagement: str, last: str) -> Sequence[Sequence[Any]]:
    """The next accounts in `s_judged`, by id, each with its worth."""
    query = sa.text(
        f"select s.id, {_WORTH}"
        f" from s_judged s left join {values} v on v.account_id = s.id"
        f" left join {engagement} e on e.account_id = s.id where s.id > :last order by s.id limit {PAGE}"
    )
    return connection.execute(query, {"last": last}).fetchall()


def _stream(connection: sa.Connection, table: str, *columns: str) -> Iterator[tuple[str, list[Sequence[Any]]]]:
    """(account id, rows) of a staged table by account id, of those in `s_judged`."""
    names = ", ".join(f"t.{name}" for name in columns)
    rows = connection.execute(
        sa.text(f"select t.account_id, {names} from s_judged j join {table} t on t.account_id = j.id order by 1, 2"),
        execution_options={"yield_per": PAGE},
    )
    for account, group in groupby(rows, key=itemgetter(0)):
        yield account, list(group)


def _cells(standing: AccountStanding) -> Row:
    cells = {**shown(standing), "next_change_on": iso(standing.next_change_on)}
    return tuple(cells[name] for name in _NAMES)


class _Beside(Generic[One]):
    """What is known of one account after the other, for a caller who asks for ids in order."""

    def __init__(self, stream: Iterator[tuple[str, list[One]]]) -> None:
        self._stream = stream
        self._next = next(stream, None)

    def of(self, account_id: str) -> Sequence[One]:
        while self._next is not None and self._next[0] < account_id:
            self._next = next(self._stream, None)
        return self._next[1] if self._next is not None and self._next[0] == account_id else ()


def mark_standing_due(connection: sa.Connection, as_of: str) -> None:
    """Mark what time alone changes by that day: evidence that lapses, consents that end, rests that are over."""
    connection.execute(
        sa.text(
            "insert into dirty (kind, id) select 'engagement', account_id from account_standing"
            " where next_change_on <= :as_of on conflict (kind, id) do nothing"
        ),
        {"as_of": as_of},
    )


def load_facts(connection: sa.Connection, account_id: str, policy: Policy, as_of: date) -> AccountFacts:
    """Everything known of one account, with every sale of its own: for whoever explains it."""
    events = load_verified(connection, [account_id], as_of)[account_id]
    rows = connection.execute(
        sa.text(
            "select o.id, o.close_on, o.term_months from s_member m join opportunity o on o.account_id = m.account_id"
            f" where {SOLD} and o.type <> 'refund' order by o.close_on, o.id"
        ),
        {"as_of": as_of.isoformat()},
    ).fetchall()
    evidence = [sale_evidence(date.fromisoformat(day), term, id_, policy.commitment) for id_, day, term in rows]
    worth = connection.execute(
        sa.text(
            f"select {_WORTH}"
            " from (select cast(:id as text) as id) i left join account_value v on v.account_id = i.id"
            " left join account_engagement e on e.account_id = i.id"
        ),
        {"id": account_id},
    ).one()
    return AccountFacts(
        account_id,
        tuple(events),
        tuple(one for one in evidence if one is not None),
        date.fromisoformat(rows[-1][1]) if rows else None,
        _worth(worth),
        load_results(connection, {one.opportunity for one in events if one.opportunity and one.type in GIVEN_TYPES}),
    )


_QUADRANTS: Mapping[str | None, Quadrant] = {str(one): one for one in Quadrant}


def _worth(cells: Sequence[Any]) -> Worth:
    direct, referred, total, percentile, quadrant = cells
    return Worth(direct, referred, total, percentile, _QUADRANTS.get(quadrant))
