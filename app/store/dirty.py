"""Dirty marks: the ids of what has to be looked at again, by kind."""

from __future__ import annotations

import sqlalchemy as sa

from app.store.state import REPLAN_ALL, load_flag


def mark(kind: str, column: str, source: str) -> str:
    """A statement that marks every id in `column` of `source`, a table with joins and a `where` behind it."""
    return (
        f"insert into dirty (kind, id) select distinct '{kind}', {column} from {source} "
        f"and {column} is not null on conflict (kind, id) do nothing"
    )


def mark_moved(connection: sa.Connection, query: str, *, touched: bool) -> None:
    """Mark for the plan the accounts that a query finds.

    `touched`: of a valuation of some. One of all accounts marks nobody where the next night plans all of them anyway.
    """
    if touched or load_flag(connection, REPLAN_ALL) is None:
        connection.exec_driver_sql(
            f"insert into dirty (kind, id) select 'plan', account_id from ({query}) moved where 1 = 1"
            " on conflict (kind, id) do nothing"
        )
