"""The human measures per account: staged by the pure functions of `domain.standing`, stored where they differ.

Part of every valuation, after the engagement: `s_canonical` is staged, and for a part of the accounts `s_engaged`.
Most accounts have bought, or done plain deeds, and nothing else (`domain.plain_standing`): whoever is alike is judged
once. The others are judged one by one.

`s_told`      accounts of which more is known than sales and plain deeds
`s_plain`     all others that have anything
`s_known`     the latest won sale of each term of any account, and the latest plain deed of each type of those in
              `s_plain`; `type` is null for a sale, `term_months` where the CRM names none
`s_given`     account -> the deals it gave references for, and whether they were won (null: open)
`s_alike`     account in `s_plain` -> the row in `s_likeness` that says how it stands, but for days of its own
`s_standing`  columns of `account_standing`
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Any, NamedTuple

import sqlalchemy as sa

from app.domain.commitment import rung_of, sale_evidence
from app.domain.event_types import EVENT_TYPES
from app.domain.events import VerifiedEvent
from app.domain.matching import Readiness
from app.domain.model import Policy
from app.domain.permission_events import RECORD_TYPES
from app.domain.permissions import Permissions, read_record
from app.domain.plain_standing import Deed, Fact, Likeness, Likenesses, Sale, is_plain, plain_account
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
from app.store.dirty import mark_moved
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
    frame = build_frame(policy, as_of)
    _stage_sales(connection, as_of, touched=touched)
    _stage_deeds(connection, frame, touched=touched)
    _stage_given(connection, touched=touched)
    _stage_plain_ids(connection, touched=touched)
    columns = ", ".join(f"{name} {_type(name)}" for name in STORED)
    text = text_type(connection)
    create_temp(connection, "s_standing", f"account_id {text} primary key, {columns}, next_change_on text")
    worths = _Worths(values, engagement)
    _stage_plain(connection, frame, worths, columns)
    _stage_told(connection, frame, worths)
    analyze(connection, "s_standing")


def _type(name: str) -> str:
    return "int" if isinstance(_ABSENT.get(name, ""), int) or name.endswith("_level") or name in _NUMBERS else "text"


_NUMBERS = (
    "offer_before", "personal_latest", "reference_low", "reference_high", "reference_coverage", "days_to_accept",
)  # fmt: skip


class _Worths(NamedTuple):
    """The tables that say what accounts are worth and where they stand among all."""

    values: str
    engagement: str

    def page(self, connection: sa.Connection, accounts: str, last: str) -> Sequence[Sequence[Any]]:
        """The next accounts of a staged table, by id, each with its worth."""
        query = sa.text(
            "select s.id, coalesce(v.direct, 0), coalesce(v.referred, 0), coalesce(v.total, 0), e.percentile,"
            f" e.quadrant from {accounts} s left join {self.values} v on v.account_id = s.id"
            f" left join {self.engagement} e on e.account_id = s.id"
            f" where s.id > :last order by s.id limit {PAGE}"
        )
        return connection.execute(query, {"last": last}).fetchall()


def _stage_plain(connection: sa.Connection, frame: Frame, worths: _Worths, columns: str) -> None:
    """Stage the accounts in `s_plain`: those that are alike share one row of `s_likeness`."""
    text = text_type(connection)
    own = ("renewal_on", "next_change_on")
    create_temp(connection, "s_alike", f"account_id {text}, likeness int, {', '.join(f'{name} text' for name in own)}")
    create_temp(connection, "s_likeness", f"id int primary key, {columns}")
    likenesses, known = Likenesses(frame), _Known(connection)
    numbers: dict[Likeness, int] = {}
    judged: list[Row] = []
    last = ""
    while page := worths.page(connection, "s_plain", last):
        facts_of = known.of(last, page[-1][0])
        last = page[-1][0]
        alike: list[Row] = []
        for id_, *cells in page:
            worth, facts = _worth(cells), facts_of.get(id_, ())
            likeness, *days = likenesses.of(facts, worth)
            if likeness not in numbers:
                numbers[likeness] = len(numbers)
                standing = assess_account(plain_account(facts, worth, frame.policy), frame)
                judged.append((numbers[likeness], *_cells(standing)))
            alike.append((id_, numbers[likeness], *(day.isoformat() if day else None for day in days)))
        insert_rows(connection, "s_alike", ("account_id", "likeness", *own), alike)
    insert_rows(connection, "s_likeness", ("id", *STORED), judged)
    names = (*STORED, "next_change_on")
    sources = (f"{'a' if name in own else 'l'}.{name}" for name in names)
    connection.exec_driver_sql(
        f"insert into s_standing (account_id, {', '.join(names)}) select a.account_id, {', '.join(sources)}"
        " from s_alike a join s_likeness l on l.id = a.likeness"
    )


def _stage_told(connection: sa.Connection, frame: Frame, worths: _Worths) -> None:
    """Stage the accounts in `s_told`, each judged by itself."""
    stage_members(connection, "s_told")
    # Both databases and Python order ids by their bytes, so streams can walk side by side.
    told = _Beside(stream_verified(connection, frame.as_of, members_only=True))
    known, last = _Known(connection), ""
    while page := worths.page(connection, "s_told", last):
        sales_of = known.of(last, page[-1][0])
        deals_of = _load_deals(connection, last, page[-1][0])
        last = page[-1][0]
        rows: list[Row] = []
        for id_, *cells in page:
            bought = plain_account(sales_of.get(id_, ()), _worth(cells), frame.policy)
            facts = replace(bought, id=id_, events=told.of(id_), deals=deals_of.get(id_, {}))
            standing = assess_account(facts, frame)
            due = standing.next_change_on
            rows.append((id_, *_cells(standing), due.isoformat() if due else None))
        insert_rows(connection, "s_standing", ("account_id", *STORED, "next_change_on"), rows)


def _cells(standing: AccountStanding) -> Row:
    cells = shown(standing)
    return tuple(cells[name] for name in STORED)


def _stage_sales(connection: sa.Connection, as_of: date, *, touched: bool) -> None:
    """Fill `s_known`. Sales without a term are grouped along their index; others are few, or a term is known of all."""
    text = text_type(connection)
    create_temp(connection, "s_known", f"account_id {text} not null, type text, term_months int, last_on text not null")
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
                f"insert into s_known select {owner}, cast(null as text), x.term_months, max(x.last_on) from"
                f" (select o.account_id, {term} as term_months, max(o.close_on) as last_on from {source}"
                f" where {SOLD} and o.type <> 'refund' and {known} group by {grouped}) x {joined} group by 1, 3"
            ),
            {"as_of": as_of.isoformat()},
        )


def _stage_deeds(connection: sa.Connection, frame: Frame, *, touched: bool) -> None:
    """Fill `s_told`, and add the plain deeds of all others to `s_known`."""
    if touched:
        source, owner = "s_member m join advocacy_event e on e.account_id = m.account_id", "m.owner_id"
    else:
        source = "advocacy_event e left join s_canonical c on c.account_id = e.account_id"
        owner = "coalesce(c.canonical_id, e.account_id)"
    verified = f"from {source} where e.status = 'verified' and e.occurred_on <= :as_of"
    plain = (
        "e.type in :plain and e.polarity = 'advocate' and e.attributes = '{}'"
        " and e.valid_from is null and e.valid_to is null"
    )
    types: sa.BindParameter[Any] = sa.bindparam(
        "plain", [code for code in EVENT_TYPES if is_plain(code, frame)], expanding=True
    )
    create_temp(connection, "s_told", f"id {text_type(connection)} primary key")
    telling = f"insert into s_told select distinct {owner} {verified} and not ({plain})"
    latest = (
        f"insert into s_known select d.owner, d.type, null, d.last_on from (select {owner} as owner, e.type as type,"
        f" max(e.occurred_on) as last_on {verified} and {plain} group by 1, 2) d"
        " where not exists (select 1 from s_told t where t.id = d.owner)"
    )
    for statement in (telling, latest):
        connection.execute(sa.text(statement).bindparams(types), {"as_of": frame.as_of.isoformat()})
    connection.exec_driver_sql("create index ix_s_known_account_id on s_known (account_id)")
    for table in ("s_told", "s_known"):
        analyze(connection, table)


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


def _stage_plain_ids(connection: sa.Connection, *, touched: bool) -> None:
    """Fill `s_plain`."""
    create_temp(connection, "s_plain", f"id {text_type(connection)} primary key")
    ids = "select id from s_engaged" if touched else "select account_id as id from s_known"
    add_ids(
        connection, "s_plain", f"select id from ({ids}) i where not exists (select 1 from s_told t where t.id = i.id)"
    )
    analyze(connection, "s_plain")


class _Known:
    """What `s_known` holds of accounts, by id, a page at a time. Days and terms repeat: each is read once."""

    def __init__(self, connection: sa.Connection) -> None:
        self._connection = connection
        self._read: dict[tuple[str | None, int | None, str], Fact] = {}

    def of(self, after: str, last: str) -> Mapping[str, list[Fact]]:
        rows = self._connection.execute(
            sa.text(
                "select account_id, type, term_months, last_on from s_known"
                " where account_id > :after and account_id <= :last order by account_id, type, term_months"
            ),
            {"after": after, "last": last},
        )
        found: defaultdict[str, list[Fact]] = defaultdict(list)
        for account, *cells in rows:
            found[account].append(self._fact(*cells))
        return found

    def _fact(self, code: str | None, term: int | None, last_on: str) -> Fact:
        key = code, term, last_on
        if key not in self._read:
            day = date.fromisoformat(last_on)
            self._read[key] = Sale(day, term) if code is None else Deed(code, day)
        return self._read[key]


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
    mark_moved(connection, f"select new.account_id from {seen}")
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


_QUADRANTS: Mapping[str | None, Quadrant] = {str(one): one for one in Quadrant}


def _worth(cells: Sequence[Any]) -> Worth:
    direct, referred, total, percentile, quadrant = cells
    return Worth(direct, referred, total, percentile, _QUADRANTS.get(quadrant))
