"""Moving many rows quickly: the only place where the two databases are spoken to differently.

SQLite takes rows by `executemany`, PostgreSQL by COPY, which is the fastest safe way each of them has. Both are fed
from whole columns where there are any: most of the price is paid for each value, and a column that holds the same
everywhere need not be sent to SQLite, nor one without odd characters be looked through for PostgreSQL.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import chain, islice
from typing import Any

import sqlalchemy as sa

from app.domain.rows import Cell, Columns, Row, turned

BLOCK = 2_000
"""Rows that are sent to PostgreSQL at a time."""
SORTED_KIB = 2_000
"""How much SQLite sorts at a time while it builds indexes."""
TOGETHER = 20
"""Rows in a statement of SQLite: it starts and ends once for all of them."""
_NULL = r"\N"
_ESCAPED = {"\\": r"\\", "\t": r"\t", "\n": r"\n", "\r": r"\r"}
_ESCAPES = str.maketrans(_ESCAPED)
"""The text format of COPY."""


def is_sqlite(connection: sa.Connection) -> bool:
    return connection.dialect.name == "sqlite"


def run_together(connection: sa.Connection, *statements: str) -> None:
    """Statements without parameters, one after the other: PostgreSQL takes them in one message."""
    if is_sqlite(connection):
        for statement in statements:
            connection.exec_driver_sql(statement)
    else:
        connection.exec_driver_sql("; ".join(statements), execution_options={"no_parameters": True})


def create_stage(connection: sa.Connection, name: str, like: str) -> None:
    """An empty temporary table `name` with the columns of table `like`, no keys and no checks."""
    run_together(
        connection,
        f"drop table if exists {name}",
        f"create temp table {name} as select * from {like} where 1 = 0",
    )


def drop_stage(connection: sa.Connection, name: str) -> None:
    connection.exec_driver_sql(f"drop table if exists {name}")


def insert_rows(connection: sa.Connection, table: str, columns: Sequence[str], rows: Sequence[Row]) -> None:
    """Append rows to a table. `table` and `columns` are our own names, never input."""
    if not rows:
        return
    if is_sqlite(connection):
        _insert_together(connection, f"insert into {table} ({', '.join(columns)})", "?" * len(columns), rows)
    else:
        _copy(connection, table, columns, turned(rows, len(columns)))


def insert_columns(connection: sa.Connection, table: str, names: Sequence[str], columns: Columns) -> None:
    """Append rows that are given as columns, none of them empty."""
    if is_sqlite(connection):
        _insert_columns(connection, table, names, columns)
    else:
        _copy(connection, table, names, columns)


def _insert_columns(
    connection: sa.Connection, table: str, names: Sequence[str], columns: Columns, clause: str = ""
) -> None:
    marks = [_literal(column) for column in columns]
    if "?" not in marks:
        marks[0] = "?"
    varying = [column for column, mark in zip(columns, marks, strict=True) if mark == "?"]
    rows = list(zip(*varying, strict=True))
    _insert_together(connection, f"insert into {table} ({', '.join(names)})", marks, rows, clause)


def _insert_together(
    connection: sa.Connection, insert: str, marks: Sequence[str], rows: Sequence[Row], clause: str = ""
) -> None:
    full = len(rows) - len(rows) % TOGETHER
    groups = [tuple(chain.from_iterable(rows[at : at + TOGETHER])) for at in range(0, full, TOGETHER)]
    row = f"({', '.join(marks)})"
    for given, count in ((groups, TOGETHER), (list(rows[full:]), 1)):
        if given:
            connection.exec_driver_sql(f"{insert} values {', '.join([row] * count)} {clause}", given)


def _literal(column: Sequence[Cell]) -> str:
    """The one number, or null, that a column holds everywhere, as SQL; otherwise the mark of a parameter."""
    first = column[0]
    if (first is None or type(first) is int) and column.count(first) == len(column):
        return "null" if first is None else str(first)
    return "?"


def _copy(connection: sa.Connection, table: str, names: Sequence[str], columns: Columns) -> None:
    lines = map("\t".join, zip(*map(_rendered, columns), strict=True))
    driver: Any = connection.connection.driver_connection
    with driver.cursor() as cursor, cursor.copy(f"copy {table} ({', '.join(names)}) from stdin") as copy:
        # In blocks: the server stores one while the next is put together.
        while block := list(islice(lines, BLOCK)):
            copy.write("\n".join(block) + "\n")


def _rendered(column: Sequence[Cell]) -> Sequence[str]:
    """A column in the text format of COPY; what repeats is rendered once. The first values tell whether it does."""
    first = column[:100]
    if 2 * len(set(first)) > len(first):
        return _rendered_each(column)
    repeated = list(set(column))
    words = dict(zip(repeated, _rendered_each(repeated), strict=True))
    return [words[value] for value in column]


def _rendered_each(column: Sequence[Cell]) -> Sequence[str]:
    """Every value by itself. A column holds either numbers or texts, as the table does."""
    texts: Any = column
    there = [value for value in texts if value is not None] if None in column else texts
    if there and isinstance(there[0], int):
        return [_NULL if value is None else f"{value:d}" for value in column]
    whole = "".join(there)
    if any(odd in whole for odd in _ESCAPED):
        return [_NULL if text is None else text.translate(_ESCAPES) for text in texts]
    return there if there is texts else [_NULL if text is None else text for text in texts]


def load_numbers(connection: sa.Connection, columns: Sequence[str], source: str) -> Iterator[tuple[int, ...]]:
    """Rows of whole numbers, none of them null, in no order. `source`: what follows `from`.

    The database sends each column as one text: with a row at a time, most of the price is paid for the rows.
    """
    joined = "group_concat({})" if is_sqlite(connection) else "string_agg(cast({} as text), ',')"
    texts = connection.exec_driver_sql(f"select {', '.join(map(joined.format, columns))} from {source}").one()
    return zip(*(map(int, text.split(",") if text else ()) for text in texts), strict=True)


def upsert_clause(key: Sequence[str], columns: Sequence[str]) -> str:
    changed = ", ".join(f"{c} = excluded.{c}" for c in columns if c not in key)
    return f"on conflict ({', '.join(key)}) do update set {changed}"


def upsert_rows(
    connection: sa.Connection, table: str, key: Sequence[str], columns: Sequence[str], rows: Sequence[Row]
) -> None:
    """Insert rows, or replace the columns of those that are there. Of several with one key the last one counts."""
    if not rows:
        return
    places = [columns.index(name) for name in key]
    last = {tuple(row[place] for place in places): row for row in rows}
    upsert_columns(connection, table, key, columns, turned(list(last.values()), len(columns)))


def upsert_columns(
    connection: sa.Connection, table: str, key: Sequence[str], names: Sequence[str], columns: Columns
) -> None:
    """The same of rows that are given as columns, none of them empty and no key twice among them.

    PostgreSQL is first asked to take them as new, which is what they are in a first load.
    """
    clause = upsert_clause(key, names)
    if is_sqlite(connection):
        _insert_columns(connection, table, names, columns, clause)
        return
    try:
        with connection.begin_nested():
            _copy(connection, table, names, columns)
    except connection.dialect.loaded_dbapi.IntegrityError:
        stage = f"upsert_{table}"
        create_stage(connection, stage, table)
        _copy(connection, stage, names, columns)
        listed = ", ".join(names)
        connection.exec_driver_sql(f"insert into {table} ({listed}) select {listed} from {stage} {clause}")
        drop_stage(connection, stage)


def suspend_indexes(connection: sa.Connection, *tables: sa.Table) -> None:
    """Before the first rows: an index built afterwards costs half."""
    for table in tables:
        for index in table.indexes:
            index.drop(connection, checkfirst=True)


def ensure_indexes(connection: sa.Connection, *tables: sa.Table) -> None:
    for table in tables:
        for index in sorted(table.indexes, key=lambda one: str(one.name)):
            index.create(connection, checkfirst=True)
        analyze(connection, table.name)


@contextmanager
def sort_in_small_runs(connection: sa.Connection) -> Iterator[None]:
    """For building indexes on SQLite, which sorts as much at a time as it may keep of its pages.

    Runs that fit the processor's own cache are sorted, and merged, in two thirds of the time.
    """
    if not is_sqlite(connection):
        yield
        return
    usual = connection.exec_driver_sql("PRAGMA cache_size").scalar_one()
    connection.exec_driver_sql(f"PRAGMA cache_size = -{SORTED_KIB}")
    try:
        yield
    finally:
        connection.exec_driver_sql(f"PRAGMA cache_size = {usual}")


def analyze(connection: sa.Connection, table: str) -> None:
    """Give the planner the statistics of a table that was just filled; without them joins go quadratic."""
    connection.exec_driver_sql(f"analyze {table}")


def differs(connection: sa.Connection, left: str, right: str, columns: Iterable[str]) -> str:
    """SQL that is true where any column differs, null counting as a value."""
    operator = "is not" if is_sqlite(connection) else "is distinct from"
    return "(" + " or ".join(f"{left}.{c} {operator} {right}.{c}" for c in columns) + ")"
