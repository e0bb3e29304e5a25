"""Many rows at once: every value comes out as it went in, on both databases, by whichever way it is sent."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.domain.rows import turned
from app.store import bulk
from app.store.bulk import (
    create_stage,
    insert_columns,
    insert_rows,
    load_numbers,
    sort_in_small_runs,
    upsert_columns,
    upsert_rows,
)
from app.store.database import open_database
from app.store.staging import stage_ids, text_type

NAMES = ("id", "name", "employees", "is_deleted", "pulled_in")
ODD = ["\\", "\\N", "\t", "a\tb\nc\r", "\\.", '"', "'", "", "null", "😀", "\\t", "\x01\x7f"]

many = settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
texts = st.sampled_from(ODD) | st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=6)
rows_of_the_table = st.lists(
    st.tuples(texts, texts, st.none() | st.integers(0, 3), st.integers(0, 1), st.integers(-(2**63), 2**63 - 1)),
    min_size=1,
    max_size=12,
    unique_by=lambda row: row[0],
)


@pytest.fixture
def connection(migrated_database_url, monkeypatch):
    monkeypatch.setattr(bulk, "TOGETHER", 5)  # full groups and a rest, of few rows already
    monkeypatch.setattr(bulk, "BLOCK", 3)
    database = open_database(migrated_database_url)
    with database.begin() as opened:
        yield opened
    database.close()


def stored(connection, table="account"):
    found = connection.exec_driver_sql(f"select {', '.join(NAMES)} from {table}")
    return sorted((tuple(row) for row in found), key=repr)


@many
@given(rows_of_the_table)
def test_rows_and_columns_are_appended_as_they_are(connection, rows):
    for send in (
        lambda: insert_rows(connection, "s_bulk", NAMES, rows),
        lambda: insert_columns(connection, "s_bulk", NAMES, turned(rows, len(NAMES))),
    ):
        create_stage(connection, "s_bulk", "account")
        send()

        assert stored(connection, "s_bulk") == sorted(rows, key=repr)


@many
@given(st.lists(st.tuples(st.integers(0, 3), st.integers(-(2**63), 2**63 - 1)), max_size=12))
def test_numbers_come_out_side_by_side(connection, numbers):
    create_stage(connection, "s_bulk", "account")
    rows = [("id", "name", employees, 0, pulled_in) for employees, pulled_in in numbers]
    insert_rows(connection, "s_bulk", NAMES, rows)

    assert sorted(load_numbers(connection, ("employees", "pulled_in"), "s_bulk")) == sorted(numbers)


@many
@given(rows_of_the_table, rows_of_the_table)
def test_rows_replace_those_with_their_key_and_join_the_others(connection, before, after):
    connection.exec_driver_sql("delete from account")
    upsert_columns(connection, "account", ("id",), NAMES, turned(before, len(NAMES)))

    upsert_columns(connection, "account", ("id",), NAMES, turned(after, len(NAMES)))

    expected = {row[0]: row for row in (*before, *after)}
    assert stored(connection) == sorted(expected.values(), key=repr)


def test_of_several_rows_with_one_key_the_last_one_counts(connection):
    rows = [("A", "first", None, 0, 1), ("B", "other", None, 0, 1), ("A", "last", 5, 1, 2)]

    upsert_rows(connection, "account", ("id",), NAMES, rows)

    assert stored(connection) == [("A", "last", 5, 1, 2), ("B", "other", None, 0, 1)]


@pytest.mark.parametrize("migrated_database_url", ["postgresql"], indirect=True)
def test_a_text_in_a_column_of_numbers_is_refused_rather_than_sent_as_it_is(connection):
    with pytest.raises(ValueError, match="format code"):
        insert_rows(connection, "account", NAMES, [("A", "", 1, 0, 1), ("B", "", "\t", 0, 1)])


@pytest.mark.parametrize("migrated_database_url", ["sqlite"], indirect=True)
def test_sqlite_sorts_in_small_runs_until_the_block_ends(connection):
    def pages():
        return connection.exec_driver_sql("PRAGMA cache_size").scalar_one()

    usual = pages()
    with sort_in_small_runs(connection):
        during = pages()

    assert abs(during) < abs(usual)
    assert pages() == usual


def locks(connection):
    """How many PostgreSQL holds until the end of the transaction; SQLite has one for all."""
    if connection.dialect.name == "sqlite":
        return 1
    query = "select count(*) from pg_locks where pid = pg_backend_pid() and mode = 'AccessExclusiveLock'"
    return connection.exec_driver_sql(query).scalar_one()


def test_what_is_staged_for_each_page_is_emptied_and_keeps_no_lock_for_each(connection):
    for first in ("a", "b"):
        stage_ids(connection, "s_page", [first])
    held = locks(connection)

    for page in range(30):
        stage_ids(connection, "s_page", [f"{page}", "last"])

    assert connection.exec_driver_sql("select id from s_page order by id").scalars().all() == ["29", "last"]
    assert locks(connection) == held


def test_staged_ids_need_no_second_table_on_a_server_that_can_be_told_so(connection, monkeypatch):
    if connection.dialect.name == "sqlite":
        assert text_type(connection) == "text"
        return
    stage_ids(connection, "s_page", ["a"])

    beside = connection.exec_driver_sql(
        "select reltoastrelid from pg_class where oid = 's_page'::regclass"
    ).scalar_one()

    assert (beside == 0) == (connection.dialect.server_version_info >= (16,))
    monkeypatch.setattr(connection.dialect, "server_version_info", (14, 9))
    assert text_type(connection) == 'text collate "C"'
