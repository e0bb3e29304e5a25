"""The two databases as anybody would use them by hand: executemany, COPY, and SQL that both understand.

This is also the judge of every total: nothing here knows how the project computes one.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Protocol

Rows = Sequence[Sequence[Any]]

TABLES = {
    "account": (
        "id text primary key, name text, parent_id text, domain text, currency text, owner_id text, industry text,"
        " is_deleted smallint, shown_total bigint, shown_direct bigint, shown_referred bigint"
    ),
    "opportunity": (
        "id text primary key, account_id text, name text, amount text, currency text, created_on text, close_on text,"
        " is_won smallint, is_closed smallint, is_deleted smallint, type text, probability text, home_amount bigint"
    ),
    "referral": "event_id text primary key, referrer text, referred text, occurred_on text, until text",
    "top": "id text primary key, top text",
    "value": "account_id text primary key, direct bigint, referred bigint",
}
INDEXES = {"opportunity": "account_id", "account": "parent_id", "referral": "referred"}

TOPS = """
insert into top with recursive up (id, top) as (
  select id, id from account where parent_id is null
  union all select a.id, up.top from account a join up on a.parent_id = up.id
) select id, top from up
"""

# A referral earns what its account opened within the window after it, unless both belong to one group. Of several
# referrals by one account the first counts; several accounts share to the cent, the first of them takes what is left.
VALUES = """
insert into value
with sold as (
  select id, account_id, home_amount, created_on, close_on from opportunity
  where is_won = 1 and is_closed = 1 and is_deleted = 0 and close_on <= '{today}'
), claim as (
  select o.id, o.home_amount, r.referrer, r.occurred_on, r.event_id,
    row_number() over (partition by o.id, r.referrer order by r.occurred_on, r.event_id) as nth
  from referral r join sold o on o.account_id = r.referred
  join top a on a.id = r.referrer join top b on b.id = r.referred
  where a.top <> b.top and r.occurred_on <= o.created_on and o.created_on <= r.until and r.occurred_on <= o.close_on
), share as (
  select referrer, home_amount, count(*) over (partition by id) as claims,
    row_number() over (partition by id order by occurred_on, event_id) as place
  from claim where nth = 1
), line as (
  select account_id, home_amount as direct, 0 as referred from sold
  union all
  select referrer, 0, home_amount / claims + case when place <= home_amount % claims then 1 else 0 end from share
)
select account_id, sum(direct), sum(referred) from line where account_id is not null group by account_id
"""

STALE = """
select a.id, coalesce(v.direct + v.referred, 0), coalesce(v.direct, 0), coalesce(v.referred, 0)
from account a left join value v on v.account_id = a.id
where coalesce(a.shown_total, 0) <> coalesce(v.direct + v.referred, 0)
  or coalesce(a.shown_direct, 0) <> coalesce(v.direct, 0) or coalesce(a.shown_referred, 0) <> coalesce(v.referred, 0)
order by a.id
"""
SUMS = "select sum(direct), sum(referred) from value"


class PlainStore(Protocol):
    def execute(self, statement: str) -> None: ...
    def insert(self, table: str, rows: Rows) -> None: ...
    def stream(self, query: str) -> Iterator[Sequence[Any]]: ...
    def commit(self) -> None: ...


class SqliteStore:
    """The standard library's driver with its defaults: a rollback journal, and every commit waits for the disk."""

    def __init__(self, path: str) -> None:
        self._connection = sqlite3.connect(path)

    def execute(self, statement: str) -> None:
        self._connection.execute(statement)

    def insert(self, table: str, rows: Rows) -> None:
        if rows:
            self._connection.executemany(f"insert into {table} values ({', '.join('?' * len(rows[0]))})", rows)

    def stream(self, query: str) -> Iterator[Sequence[Any]]:
        yield from self._connection.execute(query)

    def commit(self) -> None:
        self._connection.commit()


class PostgresStore:
    """psycopg: COPY in, a server-side cursor out."""

    def __init__(self, url: str) -> None:
        import psycopg

        self._connection = psycopg.connect(url.replace("+psycopg", ""))

    def execute(self, statement: str) -> None:
        self._connection.execute(statement)

    def insert(self, table: str, rows: Rows) -> None:
        with self._connection.cursor() as cursor, cursor.copy(f"copy {table} from stdin") as copy:
            for row in rows:
                copy.write_row(row)

    def stream(self, query: str) -> Iterator[Sequence[Any]]:
        with self._connection.cursor("stream") as cursor:
            cursor.execute(query)
            yield from cursor

    def commit(self) -> None:
        self._connection.commit()


def open_plain_store(target: str) -> PlainStore:
    """`target`: the URL that the project is given, too."""
    return PostgresStore(target) if target.startswith("postgresql") else SqliteStore(target.removeprefix("sqlite:///"))


def create_tables(store: PlainStore) -> None:
    for name, columns in TABLES.items():
        store.execute(f"create table {name} ({columns.replace(' text', ' text' + _collation(store))})")


def finish_load(store: PlainStore, tables: Iterable[str]) -> None:
    """Indexes after the load, and statistics."""
    for table in tables:
        if table in INDEXES:
            store.execute(f"create index ix_{table} on {table} ({INDEXES[table]})")
        store.execute(f"analyze {table}")
    store.commit()


def _collation(store: PlainStore) -> str:
    return ' collate "C"' if isinstance(store, PostgresStore) else ""
