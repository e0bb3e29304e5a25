"""The verified advocacy events of accounts, resolved through merges: what people told us, in the order it happened."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Sequence
from datetime import date, datetime
from itertools import groupby
from operator import itemgetter
from typing import Any, NamedTuple

import sqlalchemy as sa

from app.domain.events import Polarity, VerifiedEvent
from app.store.bulk import analyze, is_sqlite
from app.store.staging import create_temp, renew_temp, stage_ids, text_type

PAGE = 2_000

VERIFIED = "e.status = 'verified' and e.occurred_on <= :as_of"
"""SQL: event `e` counts on the day `:as_of`."""

_COLUMNS = (
    "e.event_id, e.type, e.occurred_on, e.occurred_at, e.contact_id, e.opportunity_id, e.valid_from, e.valid_to,"
    " e.polarity, e.title, e.url, e.attributes"
)
_ORDER = "owner, e.occurred_on, coalesce(cast(e.occurred_at as text), ''), e.event_id"


class Told(NamedTuple):
    """SQL: advocacy events `e`, and the account that each counts for."""

    source: str
    owner: str


def told_of(*, members_only: bool) -> Told:
    """The events of all accounts (`hierarchy.stage_structure` ran before), or of those in `s_member`."""
    if members_only:
        return Told("s_member m join advocacy_event e on e.account_id = m.account_id", "m.owner_id")
    source = "advocacy_event e left join s_canonical c on c.account_id = e.account_id"
    return Told(source, "coalesce(c.canonical_id, e.account_id)")


def load_verified(
    connection: sa.Connection,
    account_ids: Collection[str],
    as_of: date,
    types: Collection[str] = (),
    *,
    or_against: bool = False,
) -> dict[str, list[VerifiedEvent]]:
    """Account id -> its verified events up to a day, oldest first, with those of accounts merged into it.

    `types`: only these; none means all. `or_against`: and words against us of any type. Every id that is asked for is
    in the answer.
    """
    stage_asked(connection, account_ids)
    found = dict(stream_verified(connection, as_of, types, members_only=True, or_against=or_against))
    return {id_: found.get(id_, []) for id_ in account_ids}


def stream_verified(
    connection: sa.Connection,
    as_of: date,
    types: Collection[str] = (),
    *,
    members_only: bool,
    or_against: bool = False,
) -> Iterator[tuple[str, list[VerifiedEvent]]]:
    """(account id, its verified events) by account id; accounts without any are left out.

    `members_only`: of the accounts in `s_member`; otherwise of all, and `hierarchy.stage_structure` ran before.
    """
    told = told_of(members_only=members_only)
    yield from _grouped(connection, told, as_of, types, or_against=or_against)


def stage_members(connection: sa.Connection, accounts: str) -> None:
    """Fill `s_member`: the accounts of a staged table and all that were merged into them, with whom each counts for.

    Needs `s_canonical` of `hierarchy.stage_structure`. An account that was merged away itself has no members.
    """
    text = text_type(connection)
    create_temp(connection, "s_member", f"account_id {text} primary key, owner_id {text}")
    connection.exec_driver_sql(
        f"insert into s_member select t.id, t.id from {accounts} t"
        " where not exists (select 1 from s_canonical c where c.account_id = t.id)"
        f" union select c.account_id, c.canonical_id from s_canonical c join {accounts} t on t.id = c.canonical_id"
    )
    analyze(connection, "s_member")


def stage_asked(connection: sa.Connection, account_ids: Collection[str]) -> None:
    """The same for some accounts that live, which `s_asked` holds then; without the structure of all others."""
    stage_ids(connection, "s_asked", account_ids)
    text = text_type(connection)
    collation = "" if is_sqlite(connection) else ' collate "C"'
    renew_temp(connection, "s_member", f"account_id {text} primary key, owner_id {text}")
    connection.exec_driver_sql(
        "insert into s_member with recursive whole (account_id, owner_id) as ("
        f" select id{collation}, id{collation} from s_asked union"
        " select a.id, w.owner_id from account a join whole w on a.merged_into_id = w.account_id)"
        " select account_id, min(owner_id) from whole group by account_id"
    )
    analyze(connection, "s_member")


def _grouped(
    connection: sa.Connection,
    told: Told,
    as_of: date,
    types: Collection[str],
    *,
    or_against: bool,
) -> Iterator[tuple[str, list[VerifiedEvent]]]:
    against = f" or e.polarity = '{Polarity.DETRACTOR.value}'" if or_against else ""
    kind = f" and (e.type in :types{against})" if types else ""
    query = sa.text(
        f"select {told.owner} as owner, {_COLUMNS} from {told.source} where {VERIFIED}{kind} order by {_ORDER}"
    )
    given: dict[str, Any] = {"as_of": as_of.isoformat()}
    if types:
        query = query.bindparams(sa.bindparam("types", expanding=True))
        given["types"] = sorted(types)
    rows = connection.execute(query, given, execution_options={"yield_per": PAGE})
    for account, group in groupby(rows, key=itemgetter(0)):
        yield account, [_read(row[1:]) for row in group]


def _read(cells: Sequence[Any]) -> VerifiedEvent:
    id_, code, occurred_on, occurred_at, contact, opportunity, start, end, polarity, title, url, attributes = cells
    return VerifiedEvent(
        id_,
        code,
        date.fromisoformat(occurred_on),
        _instant(occurred_at),
        contact,
        opportunity,
        _day(start),
        _day(end),
        Polarity(polarity),
        title,
        url,
        {} if attributes == "{}" else json.loads(attributes),
    )


def _instant(value: Any) -> datetime | None:
    if value is None:
        return None
    return datetime.fromisoformat(value) if isinstance(value, str) else value


def _day(text: str | None) -> date | None:
    return None if text is None else date.fromisoformat(text)
