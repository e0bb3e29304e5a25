"""The human measures per account: staged by the pure functions of `domain.standing`, stored where they differ.

Part of every valuation, after the engagement: `s_canonical` is staged, and for a part of the accounts `s_engaged`.
Most accounts have bought and done nothing else; what is the same for many of them is computed once.

`s_licence`   account -> term in months (null: the CRM names none) and the latest won sale of that term
`s_given`     account -> the deals it gave references for, and whether they were won (null: open)
`s_standing`  columns of `account_standing`
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import sqlalchemy as sa

from app.domain.commitment import Evidence, rung_of, sale_evidence
from app.domain.events import VerifiedEvent
from app.domain.matching import Readiness
from app.domain.model import Policy
from app.domain.permission_events import RECORD_TYPES
from app.domain.permissions import Permissions, read_record
from app.domain.reference_scopes import ReferenceScope
from app.domain.rows import Cell, Row
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
from app.store.before import keep_before
from app.store.bulk import analyze, differs, insert_rows
from app.store.evidence import load_verified, stage_members, stream_verified
from app.store.references import load_results
from app.store.staging import SOLD, add_ids, create_temp, stage_ids, text_type

PAGE = 5_000

FLAGS = (
    "is_customer", "promise_is_overdue", "offer_is_stale", "personal_is_stale", "is_high_impact", "reference_is_stale",
    "care_is_inferred", "care_is_stale", "care_conflict", "is_in_limbo", "has_agreed_value", "success_is_stale",
)  # fmt: skip
SHOWN = (
    "commitment_level", "commitment_rung", "commitment_gaps", "is_customer", "renewal_on", "permissions",
    "strongest_permission", "permissions_until", "promised_permissions", "promise_is_overdue", "offer_level",
    "offer_before", "offer_is_stale", "personal_level", "personal_latest", "personal_is_stale", "recognitions",
    "reference_low", "reference_high", "reference_coverage", "high_impact_traits", "is_high_impact",
    "reference_is_stale", "references_given", "references_won", "reference_record", "reference_surprise",
    "days_to_accept", "asks_used", "ask_balance", "reference_state", "available_from", "care_bucket", "care_before",
    "care_is_inferred", "care_is_stale", "care_conflict", "care_decision", "is_in_limbo", "has_agreed_value",
    "customer_success", "champion_success", "success_is_stale", "next_call_on", "roles", "stance", "contradictions",
    "urgency",
)  # fmt: skip
"""What people see: an account is planned again when one of these moves."""
STORED = tuple(name for name in SHOWN if name != "commitment_rung")
"""A rung has one name: it is not stored twice."""
_TEXTS = (
    "commitment_gaps", "permissions", "promised_permissions", "customer_success", "champion_success", "roles",
    "contradictions",
)  # fmt: skip
"""Lists of codes, and lines; empty where there are none."""
_COUNTS = (
    "commitment_level", "recognitions", "high_impact_traits", "references_given", "references_won", "asks_used",
    "ask_balance",
)  # fmt: skip
_ABSENT: Mapping[str, Cell] = {
    name: "" if name in _TEXTS else 0 if name in (*_COUNTS, *FLAGS) else None for name in STORED
}
_REFERRING = frozenset({Quadrant.CHAMPION, Quadrant.ADVOCATE})


def refresh_standing(connection: sa.Connection, policy: Policy, as_of: date, run_id: int, *, everything: bool) -> int:
    """Bring the stored measures up to date. Returns the accounts of which people will see something else."""
    stage_standing(connection, policy, as_of, touched=not everything)
    keep_before(connection, "s_standing", as_of, run_id)
    return _merge(connection, run_id, touched=not everything)


def stage_standing(
    connection: sa.Connection,
    policy: Policy,
    as_of: date,
    *,
    touched: bool,
    values: str = "account_value",
    engagement: str = "account_engagement",
) -> None:
    """Fill `s_standing` for all accounts, or for those in `s_engaged`. The tables say whose money is looked at."""
    if touched:
        stage_members(connection, "s_engaged")
    _stage_licences(connection, as_of, touched=touched)
    _stage_given(connection, touched=touched)
    _stage_ids(connection, as_of, touched=touched)
    columns = ", ".join(f"{name} {_type(name)}" for name in (*STORED, "next_change_on"))
    create_temp(connection, "s_standing", f"account_id {text_type(connection)} primary key, {columns}")
    names = ("account_id", *STORED, "next_change_on")
    frame = build_frame(policy, as_of)
    plain: dict[AccountFacts, Row] = {}
    for page in _stream_facts(connection, policy, as_of, touched=touched, values=values, engagement=engagement):
        rows = [(facts.id, *_judge(facts, frame, plain)) for facts in page]
        insert_rows(connection, "s_standing", names, rows)
    analyze(connection, "s_standing")


def _type(name: str) -> str:
    return "int" if isinstance(_ABSENT.get(name, ""), int) or name.endswith("_level") or name in _NUMBERS else "text"


_NUMBERS = (
    "offer_before", "personal_latest", "reference_low", "reference_high", "reference_coverage", "days_to_accept",
)  # fmt: skip


def _judge(facts: AccountFacts, frame: Frame, plain: dict[AccountFacts, Row]) -> Row:
    """The stored columns of one account. Without any event there is little that accounts differ in."""
    if facts.events:
        return _row(assess_account(facts, frame))
    worth = facts.worth if facts.worth.quadrant in _REFERRING else Worth(quadrant=facts.worth.quadrant)
    alike = AccountFacts("", (), facts.sales, facts.bought_on, worth)
    if alike not in plain:
        plain[alike] = _row(assess_account(alike, frame))
    return plain[alike]


def _row(standing: AccountStanding) -> Row:
    cells = shown(standing)
    due = standing.next_change_on
    return (*(cells[name] for name in STORED), due.isoformat() if due else None)


def _stage_licences(connection: sa.Connection, as_of: date, *, touched: bool) -> None:
    """Sales without a term are grouped along their index; the others are few, or a term is known of all."""
    text = text_type(connection)
    create_temp(connection, "s_licence", f"account_id {text} not null, term_months int, last_on text not null")
    source = "opportunity o"
    owner = "coalesce(c.canonical_id, x.account_id)"
    joined = "left join s_canonical c on c.account_id = x.account_id"
    if touched:
        source = "s_member m join opportunity o on o.account_id = m.account_id"
        owner, joined = "w.owner_id", "join s_member w on w.account_id = x.account_id"
    for known, grouped in (
        ("o.term_months is null", "o.account_id"),
        ("o.term_months is not null", "o.account_id, o.term_months"),
    ):
        term = "cast(null as int)" if known.endswith("is null") else "o.term_months"
        connection.execute(
            sa.text(
                f"insert into s_licence select {owner}, x.term_months, max(x.last_on) from"
                f" (select o.account_id, {term} as term_months, max(o.close_on) as last_on from {source}"
                f" where {SOLD} and o.type <> 'refund' and {known} group by {grouped}) x {joined} group by 1, 2"
            ),
            {"as_of": as_of.isoformat()},
        )
    analyze(connection, "s_licence")


def _stage_given(connection: sa.Connection, *, touched: bool) -> None:
    """`s_member` is staged where only a part is touched."""
    text = text_type(connection)
    create_temp(connection, "s_given", f"account_id {text} not null, opportunity_id {text} not null, is_won int")
    owner, joined = ("m.owner_id", "s_member m join advocacy_event e on e.account_id = m.account_id")
    if not touched:
        owner = "coalesce(c.canonical_id, e.account_id)"
        joined = "advocacy_event e left join s_canonical c on c.account_id = e.account_id"
    connection.execute(
        sa.text(
            f"insert into s_given select distinct {owner}, o.id, case when o.is_closed = 1 then o.is_won end"
            f" from {joined} join opportunity o on o.id = e.opportunity_id"
            " where e.status = 'verified' and e.type in :types and o.is_deleted = 0"
        ).bindparams(sa.bindparam("types", expanding=True)),
        {"types": GIVEN_TYPES},
    )
    analyze(connection, "s_given")


def _stage_ids(connection: sa.Connection, as_of: date, *, touched: bool) -> None:
    create_temp(connection, "s_stood", f"id {text_type(connection)} primary key")
    if touched:
        add_ids(connection, "s_stood", "select id from s_engaged")
    else:
        add_ids(connection, "s_stood", "select account_id as id from s_licence")
        add_ids(
            connection,
            "s_stood",
            "select coalesce(c.canonical_id, e.account_id) as id from advocacy_event e"
            " left join s_canonical c on c.account_id = e.account_id"
            f" where e.status = 'verified' and e.occurred_on <= '{as_of.isoformat()}'",
        )
    analyze(connection, "s_stood")


def _stream_facts(
    connection: sa.Connection, policy: Policy, as_of: date, *, touched: bool, values: str, engagement: str
) -> Iterator[list[AccountFacts]]:
    """Pages of accounts by id. Both databases and Python order ids by their bytes, so streams can walk side by side."""
    told = _Beside(stream_verified(connection, as_of, members_only=touched))
    query = sa.text(
        "select s.id, coalesce(v.direct, 0), coalesce(v.referred, 0), coalesce(v.total, 0), e.percentile, e.quadrant"
        f" from s_stood s left join {values} v on v.account_id = s.id left join {engagement} e on e.account_id = s.id"
        f" where s.id > :last order by s.id limit {PAGE}"
    )
    last = ""
    while rows := connection.execute(query, {"last": last}).fetchall():
        sales = _load_sales(connection, policy, last, rows[-1][0])
        deals = _load_deals(connection, last, rows[-1][0])
        last = rows[-1][0]
        yield [
            AccountFacts(
                id_,
                told.of(id_),
                tuple(one for one, _ in sales.get(id_, ()) if one is not None),
                max((day for _, day in sales.get(id_, ())), default=None),
                _worth(worth),
                deals.get(id_, {}),
            )
            for id_, *worth in rows
        ]


def _load_sales(
    connection: sa.Connection, policy: Policy, after: str, last: str
) -> Mapping[str, list[tuple[Evidence | None, date]]]:
    rows = connection.execute(
        sa.text(
            "select account_id, term_months, last_on from s_licence where account_id > :after and account_id <= :last"
            " order by account_id, term_months"
        ),
        {"after": after, "last": last},
    )
    found: defaultdict[str, list[tuple[Evidence | None, date]]] = defaultdict(list)
    for account, term, last_on in rows:
        day = date.fromisoformat(last_on)
        found[account].append((sale_evidence(day, term, "", policy.commitment), day))
    return found


def _load_deals(connection: sa.Connection, after: str, last: str) -> Mapping[str, dict[str, bool | None]]:
    rows = connection.execute(
        sa.text(
            "select account_id, opportunity_id, is_won from s_given where account_id > :after and account_id <= :last"
        ),
        {"after": after, "last": last},
    )
    found: defaultdict[str, dict[str, bool | None]] = defaultdict(dict)
    for account, deal, is_won in rows:
        found[account][deal] = None if is_won is None else bool(is_won)
    return found


class _Beside:
    """The events of one account after the other, for a caller who asks for ids in order."""

    def __init__(self, stream: Iterator[tuple[str, list[VerifiedEvent]]]) -> None:
        self._stream = stream
        self._next = next(stream, None)

    def of(self, account_id: str) -> Sequence[VerifiedEvent]:
        while self._next is not None and self._next[0] < account_id:
            self._next = next(self._stream, None)
        return self._next[1] if self._next is not None and self._next[0] == account_id else ()


def _merge(connection: sa.Connection, run_id: int, *, touched: bool) -> int:
    """Store the staged rows that differ; mark for the plan those that people see differ. Returns how many of these."""
    if not touched:
        _stage_absent(connection)
    joined = _joined()
    seen = joined + differs(connection, "new", "old", STORED)
    moved = int(connection.exec_driver_sql(f"select count(*) from {seen}").scalar_one())
    connection.exec_driver_sql(
        f"insert into dirty (kind, id) select 'plan', new.account_id from {seen} on conflict (kind, id) do nothing"
    )
    stored = (*STORED, "next_change_on")
    connection.exec_driver_sql(
        f"insert into account_standing (account_id, run_id, {', '.join(stored)})"
        f" select new.account_id, {int(run_id)}, {', '.join(f'new.{name}' for name in stored)}"
        f" from {joined}{differs(connection, 'new', 'old', stored)}"
        " on conflict (account_id) do update set run_id = excluded.run_id, "
        + ", ".join(f"{name} = excluded.{name}" for name in stored)
    )
    return moved


def count_differences(
    connection: sa.Connection, policy: Policy, as_of: date, *, touched: bool, values: str, engagement: str
) -> int:
    """How many accounts' stored measures a computation from scratch contradicts: of all, or of those in `s_engaged`."""
    stage_standing(connection, policy, as_of, touched=touched, values=values, engagement=engagement)
    if not touched:
        _stage_absent(connection)
    different = _joined() + differs(connection, "new", "old", (*STORED, "next_change_on"))
    return int(connection.exec_driver_sql(f"select count(*) from {different}").scalar_one())


def _stage_absent(connection: sa.Connection) -> None:
    """Accounts that have a stored row and nothing any more."""
    absent = ", ".join("null" if value is None else repr(value) for value in _ABSENT.values())
    connection.exec_driver_sql(
        f"insert into s_standing (account_id, {', '.join(STORED)}) select old.account_id, {absent}"
        " from account_standing old"
        " where not exists (select 1 from s_standing n where n.account_id = old.account_id)"
    )


def _joined() -> str:
    """SQL: every staged row beside its stored one. Whoever was nothing and still is needs no row."""
    nothing = " and ".join(
        f"new.{name} is null" if value is None else f"new.{name} = {value!r}"
        for name, value in {**_ABSENT, "next_change_on": None}.items()
    )
    return (
        "s_standing new left join account_standing old on old.account_id = new.account_id"
        f" where (old.account_id is not null or not ({nothing})) and "
    )


def mark_standing_due(connection: sa.Connection, as_of: str) -> None:
    """Mark what time alone changes by that day: evidence that lapses, consents that end, rests that are over."""
    connection.execute(
        sa.text(
            "insert into dirty (kind, id) select 'engagement', account_id from account_standing"
            " where next_change_on <= :as_of on conflict (kind, id) do nothing"
        ),
        {"as_of": as_of},
    )


@dataclass(frozen=True, slots=True)
class StandingRow:
    """The human measures of one account as they are stored: measure -> plain value."""

    measures: Mapping[str, Cell]

    @property
    def is_nothing(self) -> bool:
        """Whether there is nothing to show of it."""
        return self == NO_STANDING

    def facts(self) -> dict[str, Cell]:
        """Measure -> what a CRM is given; texts without anything in them are empty."""
        level = self.measures["commitment_level"]
        rung = rung_of(int(level)).code if level else None
        texts = {name: self.measures[name] or None for name in _TEXTS}
        flags = {name: bool(self.measures[name]) for name in FLAGS}
        return {**self.measures, **texts, **flags, "commitment_rung": rung}

    def narrowed(self, permissions: Permissions) -> StandingRow:
        """The same with those permissions only that still hold: what was stored says what held at the last run."""
        known = str(self.measures["permissions"]).split()
        held = [scope for scope in known if scope in permissions.valid]
        until = permissions.lapses_on.isoformat() if held and permissions.lapses_on else None
        kept: dict[str, Cell] = {
            "permissions": " ".join(held),
            "strongest_permission": held[-1] if held else None,
            "permissions_until": until,
        }
        took_calls = ReferenceScope.BASIC in known and ReferenceScope.BASIC not in held
        if took_calls and self.measures["reference_state"] != Readiness.OPTED_OUT:
            kept |= {"reference_state": Readiness.NO_CONSENT, "available_from": None}
        return StandingRow({**self.measures, **kept})


NO_STANDING = StandingRow(_ABSENT)
MEASURES = frozenset(NO_STANDING.facts())
"""The measures that can be written back from here."""


def load_standing(
    connection: sa.Connection, account_ids: Collection[str], *, staged: bool = False
) -> dict[str, StandingRow]:
    """Account id -> its measures, for every id that is asked for."""
    stage_ids(connection, "s_asked", account_ids)
    rows = connection.exec_driver_sql(
        f"select t.account_id, {', '.join(f't.{name}' for name in STORED)} from s_asked q"
        f" join {'s_standing' if staged else 'account_standing'} t on t.account_id = q.id"
    )
    found = {row[0]: StandingRow(dict(zip(STORED, row[1:], strict=True))) for row in rows}
    return {id_: found.get(id_, NO_STANDING) for id_ in account_ids}


def load_standing_now(connection: sa.Connection, account_ids: Collection[str], today: date) -> dict[str, StandingRow]:
    """The stored measures, without permissions that were taken back or ran out since: these are asked for anew."""
    stored = load_standing(connection, account_ids)
    consenting = [id_ for id_, row in stored.items() if row.measures["permissions"]]
    told = load_verified(connection, consenting, today, RECORD_TYPES) if consenting else {}
    return stored | {id_: stored[id_].narrowed(read_record(told[id_]).on(today)) for id_ in consenting}


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
            "select coalesce(v.direct, 0), coalesce(v.referred, 0), coalesce(v.total, 0), e.percentile, e.quadrant"
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


def _worth(cells: Sequence[Any]) -> Worth:
    direct, referred, total, percentile, quadrant = cells
    return Worth(direct, referred, total, percentile, Quadrant(quadrant) if quadrant else None)
