"""Moving many rows quickly: the only place where the two databases are spoken to differently.

Rows are plain tuples and go to the driver as they are. SQLite takes them by `executemany`, PostgreSQL by COPY into
a staging table, which is the fastest safe way each of them has.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import sqlalchemy as sa

from app.domain.rows import Row


def is_sqlite(connection: sa.Connection) -> bool:
    return connection.dialect.name == "sqlite"


def create_stage(connection: sa.Connection, name: str, like: str) -> None:
    """An empty temporary table `name` with the columns of table `like`, no keys and no checks."""
    drop_stage(connection, name)
    connection.exec_driver_sql(f"create temp table {name} as select * from {like} where 1 = 0")


def drop_stage(connection: sa.Connection, name: str) -> None:
    connection.exec_driver_sql(f"drop table if exists {name}")


def insert_rows(connection: sa.Connection, table: str, columns: Sequence[str], rows: Sequence[Row]) -> None:
    """Append rows to a table. `table` and `columns` are our own names, never input."""
    if not rows:
        return
    if is_sqlite(connection):
        marks = ", ".join("?" * len(columns))
        statement = f"insert into {table} ({', '.join(columns)}) values ({marks})"
        connection.exec_driver_sql(statement, list(rows))
    else:
        _copy(connection, table, columns, rows)


def _copy(connection: sa.Connection, table: str, columns: Sequence[str], rows: Iterable[Row]) -> None:
    driver: Any = connection.connection.driver_connection
    with driver.cursor() as cursor, cursor.copy(f"copy {table} ({', '.join(columns)}) from stdin") as copy:
        for row in rows:
            copy.write_row(row)


def upsert_clause(key: Sequence[str], columns: Sequence[str]) -> str:
    changed = ", ".join(f"{c} = excluded.{c}" for c in columns if c not in key)
    return f"on conflict ({', '.join(key)}) do update set {changed}"


def upsert_rows(
    connection: sa.Connection, table: str, key: Sequence[str], columns: Sequence[str], rows: Sequence[Row]
) -> None:
    """Insert rows, or replace the columns of those that are there."""
    if not rows:
        return
    clause = upsert_clause(key, columns)
    names = ", ".join(columns)
    if is_sqlite(connection):
        marks = ", ".join("?" * len(columns))
        connection.exec_driver_sql(f"insert into {table} ({names}) values ({marks}) {clause}", list(rows))
        return
    stage = f"upsert_{table}"
    create_stage(connection, stage, table)
    _copy(connection, stage, columns, rows)
    # One page may name a record twice; PostgreSQL refuses to touch a row twice in one statement.
    keys = ", ".join(key)
    connection.exec_driver_sql(
        f"insert into {table} ({names}) select distinct on ({keys}) {names} from {stage} {clause}"
    )
    drop_stage(connection, stage)


def analyze(connection: sa.Connection, table: str) -> None:
    """Give the planner the statistics of a table that was just filled; without them joins go quadratic."""
    connection.exec_driver_sql(f"analyze {table}")


def differs(connection: sa.Connection, left: str, right: str, columns: Iterable[str]) -> str:
    """SQL that is true where any column differs, null counting as a value."""
    operator = "is not" if is_sqlite(connection) else "is distinct from"
    return "(" + " or ".join(f"{left}.{c} {operator} {right}.{c}" for c in columns) + ")"
