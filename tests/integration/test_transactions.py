"""How hard a transaction is to undo, and what a run does with memory that is not its own."""

from __future__ import annotations

import gc

import pytest

from app.store.database import open_database
from app.sync.heap import set_heap_aside


@pytest.fixture
def database(migrated_database_url):
    opened = open_database(migrated_database_url)
    yield opened
    opened.close()


def safety(connection):
    """Whether a commit waits for the disk, in the words of the database."""
    asked = "PRAGMA synchronous" if connection.dialect.name == "sqlite" else "show synchronous_commit"
    return str(connection.exec_driver_sql(asked).scalar_one())


def test_only_what_can_be_had_again_waits_for_no_disk(database):
    with database.begin() as connection:
        before = safety(connection)
    for end in (None, ValueError):
        try:
            with database.begin(durable=False) as connection:
                during = safety(connection)
                if end:
                    raise end
        except ValueError:
            pass
        with database.begin() as connection:
            after = safety(connection)

        assert (during, after) == ("1" if database.is_sqlite else "off", before)
    assert before == "2" or not database.is_sqlite


def test_the_heap_is_set_aside_until_the_block_ends():
    threshold = gc.get_threshold()

    with set_heap_aside():
        during = gc.get_freeze_count()
        seldom = gc.get_threshold()[0]

    assert during > 0
    assert seldom > threshold[0]
    assert (gc.get_freeze_count(), gc.get_threshold()) == (0, threshold)
