"""The human measures per account: staged by the pure functions of `domain.standing`, stored where they differ.

Part of every valuation, after the engagement: `s_canonical` is staged, and for a part of the accounts `s_engaged`.
Most accounts have bought, or done plain deeds, and nothing else (`domain.plain_standing`): what they hold up is joined
and summed in the database, and of those that hold up the same one is judged for all. The others are judged one by one.

`s_told`       accounts of which more is known than sales and plain deeds
`s_sale`       the latest won sale of each term of any account; a term is `UNNAMED` where the CRM names none
`s_spell`      type and day of a plain deed, or term and day of a sale -> what it holds up, a bit each, until when
`s_alike`      account that is not in `s_told` -> all that it holds up on the day, and the days of its own
`s_gem`        accounts that are hidden gems
`s_example`    what is held up -> one account that does
`s_judged`     accounts that are judged: those in `s_told`, and the examples
`s_given`      account -> the deals it gave references for, and whether they were won (null: open)
`s_judgement`  how those in `s_judged` stand
`s_standing`   columns of `account_standing`
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import groupby
from operator import itemgetter
from typing import Any, Generic, TypeVar

import sqlalchemy as sa

from app.domain.availability import Readiness
from app.domain.commitment import rung_of, sale_evidence
from app.domain.contradictions import is_hidden_gem
from app.domain.days import iso
from app.domain.model import Policy
from app.domain.permission_events import RECORD_TYPES
from app.domain.permissions import Permissions, read_record
from app.domain.plain_standing import (
    HIDDEN_GEM,
    LICENCE_RUNG,
    Deed,
    Fact,
    Sale,
    list_plain_types,
    list_spells,
    prove_sales,
)
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
from app.store.bulk import analyze, insert_rows
from app.store.dirty import mark_moved
from app.store.evidence import VERIFIED, Told, load_verified, stage_members, stream_verified, told_of
from app.store.measures import Measures, are_first, count_different, merge_measures
from app.store.references import load_results
from app.store.staging import SOLD, add_ids, create_temp, fill_temp, stage_ids, text_type

PAGE = 5_000
One = TypeVar("One")

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


STANDING = Measures("account_standing", "s_standing", {**_ABSENT, "next_change_on": None}, STORED)
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
    return "int" if isinstance(_ABSENT.get(name, ""), int) or name.endswith("_level") or name in _NUMBERS else "text"


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
    _stage_sales(connection, as_of, touched=touched)
    plain = list_plain_types(frame)
    _stage_told(connection, told, plain, as_of)
    _stage_given(connection, told)
    bits = _stage_spells(connection, frame, told, plain)
    _stage_gems(connection, policy, values, engagement, touched=touched)
    _stage_alike(connection, told, bits, as_of)
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


UNNAMED = -1
"""In `s_sale`: the CRM names no term."""


def _sale(day: str, term: int) -> Sale:
    return Sale(date.fromisoformat(day), None if term == UNNAMED else term)


def _stage_sales(connection: sa.Connection, as_of: date, *, touched: bool) -> None:
    """Fill `s_sale`. Sales without a term are grouped along their index; others are few, or a term is known of all."""
    text = text_type(connection)
    source = "opportunity o"
    owner = "coalesce(c.canonical_id, x.account_id)"
    joined = "left join s_canonical c on c.account_id = x.account_id"
    if touched:
        source = "s_member m join opportunity o on o.account_id = m.account_id"
        owner, joined = "w.owner_id", "join s_member w on w.account_id = x.account_id"
    fill_temp(
        connection,
        "s_sale",
        f"account_id {text} not null, term_months int not null, last_on {text} not null",
        *(
            f"select {owner}, x.term_months, max(x.last_on) from"
            f" (select o.account_id, {term} as term_months, max(o.close_on) as last_on from {source}"
            f" where {SOLD} and o.type <> 'refund' and {known} group by {grouped}) x {joined} group by 1, 2"
            for term, known, grouped in (
                (str(UNNAMED), "o.term_months is null", "o.account_id"),
                ("o.term_months", "o.term_months is not null", "o.account_id, o.term_months"),
            )
        ),
        given={"as_of": as_of.isoformat()},
    )


_PLAIN = (
    "e.type in :plain and e.polarity = 'advocate' and e.attributes = '{}'"
    " and e.valid_from is null and e.valid_to is null"
)


def _stage_told(connection: sa.Connection, told: Told, plain: Sequence[str], as_of: date) -> None:
    """Fill `s_told`."""
    create_temp(connection, "s_told", f"id {text_type(connection)} primary key")
    connection.execute(
        sa.text(
            f"insert into s_told select distinct {told.owner} from {told.source} where {VERIFIED} and not ({_PLAIN})"
        ).bindparams(sa.bindparam("plain", expanding=True)),
        {"as_of": as_of.isoformat(), "plain": plain},
    )
    analyze(connection, "s_told")


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


_SALE = "sale"
"""In `s_spell`: no type of an event."""


def _stage_spells(connection: sa.Connection, frame: Frame, told: Told, plain: Sequence[str]) -> Mapping[str, int]:
    """Fill `s_spell`; returns the bit of everything that may be held up."""
    text = text_type(connection)
    create_temp(
        connection,
        "s_spell",
        f"type {text}, day {text}, term_months int, bit bigint, until {text} not null,"
        " primary key (type, day, term_months, bit)",
    )
    deeds = connection.execute(
        sa.text(
            f"select distinct e.type, e.occurred_on from {told.source} where {VERIFIED} and e.type in :plain"
        ).bindparams(sa.bindparam("plain", expanding=True)),
        {"as_of": frame.as_of.isoformat(), "plain": plain},
    )
    facts: list[tuple[str, str, int, Fact]] = [
        (code, day, UNNAMED, Deed(code, date.fromisoformat(day))) for code, day in deeds
    ]
    sales = connection.exec_driver_sql("select distinct last_on, term_months from s_sale")
    facts += [(_SALE, day, term, _sale(day, term)) for day, term in sales]
    longest: dict[tuple[str, str, int, str], str] = {}
    for code, day, term, fact in facts:
        for held, until in list_spells(fact, frame):
            key = code, day, term, held
            longest[key] = max(longest.get(key, ""), until.isoformat())
    bits = {held: 1 << place for place, held in enumerate(sorted({HIDDEN_GEM, *(held for *_, held in longest)}))}
    rows = [(code, day, term, bits[held], until) for (code, day, term, held), until in sorted(longest.items())]
    columns = ("type", "day", "term_months", "bit", "until")
    insert_rows(connection, "s_spell", columns, rows)
    analyze(connection, "s_spell")
    return bits


def _stage_gems(connection: sa.Connection, policy: Policy, values: str, engagement: str, *, touched: bool) -> None:
    """Fill `s_gem` with the hidden gems: to compare shares of large amounts takes more than 64 bits."""
    # The staged table first, by `cross join`: see `closure`.
    only, joined = ("s_engaged t cross join ", " and e.account_id = t.id") if touched else ("", "")
    rows = connection.exec_driver_sql(
        f"select e.account_id, v.direct, v.referred, e.quadrant from {only}{engagement} e cross join {values} v"
        f" where e.quadrant in ('advocate', 'champion') and v.account_id = e.account_id{joined}",
        execution_options={"yield_per": PAGE},
    )
    gems = [
        (account,)
        for account, direct, referred, quadrant in rows
        if is_hidden_gem(direct, referred, Quadrant(quadrant), policy.triage)
    ]
    create_temp(connection, "s_gem", f"id {text_type(connection)} primary key")
    insert_rows(connection, "s_gem", ("id",), sorted(gems))
    analyze(connection, "s_gem")


_EVER = date.max.isoformat()


def _stage_alike(connection: sa.Connection, told: Told, bits: Mapping[str, int], as_of: date) -> None:
    """Fill `s_alike` and `s_example`. What several facts hold up is held up by the one that does so for longest."""
    text = text_type(connection)
    licence = bits.get(LICENCE_RUNG, 0)
    fill_temp(
        connection,
        "s_alike",
        f"account_id {text}, held bigint, renewal_on text, next_change_on text",
        "select h.account_id, cast(sum(h.bit) as bigint),"
        f" nullif(max(case when h.bit = {licence} then h.until end), '{_EVER}'), nullif(min(h.until), '{_EVER}')"
        " from (select f.account_id, f.bit, max(f.until) as until from ("
        f"select {told.owner} as account_id, p.bit, p.until from {told.source}"
        f" join s_spell p on p.type = e.type and p.day = e.occurred_on where {VERIFIED}"
        " union all select s.account_id, p.bit, p.until from s_sale s join s_spell p"
        f" on p.type = '{_SALE}' and p.day = s.last_on and p.term_months = s.term_months"
        f" union all select id, {bits[HIDDEN_GEM]}, '{_EVER}' from s_gem"
        ") f where not exists (select 1 from s_told t where t.id = f.account_id) group by 1, 2) h group by 1",
        given={"as_of": as_of.isoformat()},
    )
    example = "select held, min(account_id) from s_alike group by held"
    fill_temp(connection, "s_example", f"held bigint, account_id {text}", example, key="held")


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
            bought = [_sale(day, term) for _, day, term in sales.of(id_)]
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


def _load_worths(connection: sa.Connection, values: str, engagement: str, last: str) -> Sequence[Sequence[Any]]:
    """The next accounts in `s_judged`, by id, each with its worth."""
    query = sa.text(
        "select s.id, coalesce(v.direct, 0), coalesce(v.referred, 0), coalesce(v.total, 0), e.percentile, e.quadrant"
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
    due = standing.next_change_on
    cells = {**shown(standing), "next_change_on": iso(due)}
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
