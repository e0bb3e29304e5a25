"""The databases that the other tests stand on."""

from __future__ import annotations

import psycopg
import pytest
from databases import PostgresServer, name_of
from sqlalchemy import create_engine, inspect, text


def test_a_database_is_new_and_empty(database_url: str) -> None:
    engine = create_engine(database_url)

    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE only_in_this_test (id INTEGER PRIMARY KEY)"))

    assert inspect(engine).get_table_names() == ["only_in_this_test"]
    engine.dispose()


def test_a_database_is_dropped_even_while_somebody_is_connected(postgres_server: PostgresServer) -> None:
    url = postgres_server.create_database()
    engine = create_engine(url)
    connection = engine.connect()

    postgres_server.drop_database(url)

    with psycopg.connect(postgres_server.url.replace("+psycopg", "")) as other:
        found = other.execute("SELECT count(*) FROM pg_database WHERE datname = %s", [name_of(url)]).fetchone()
    assert found == (0,)
    connection.invalidate()
    connection.close()
    engine.dispose()


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_test_may_ask_for_one_kind_only(database_url: str) -> None:
    assert database_url.startswith("sqlite:///")
