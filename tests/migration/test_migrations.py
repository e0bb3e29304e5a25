"""The schema that the migrations make is the one that the tables describe, on both databases, whoever starts first."""

from __future__ import annotations

import threading

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from app.errors import ConfigError
from app.store.database import (
    alembic_config,
    check_revision,
    current_revision,
    newest_revision,
    open_database,
    upgrade_database,
)
from app.store.tables import metadata


@pytest.fixture
def database(database_url):
    opened = open_database(database_url)
    yield opened
    opened.close()


def test_migrating_an_empty_database_gives_exactly_the_described_tables(database):
    upgrade_database(database)

    with database.read() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, metadata) == []
        assert sorted(sa.inspect(connection).get_table_names()) == sorted([*metadata.tables, "alembic_version"])


def test_the_way_down_leaves_nothing_behind_and_the_way_up_works_again(database):
    upgrade_database(database)
    config = alembic_config()
    with database.begin() as connection:
        config.attributes["connection"] = connection
        command.downgrade(config, "base")

    assert current_revision(database) is None
    with database.read() as connection:
        assert sa.inspect(connection).get_table_names() == ["alembic_version"]
    assert upgrade_database(database) == newest_revision()


def test_migrating_twice_changes_nothing(database):
    upgrade_database(database)

    assert upgrade_database(database) == newest_revision()
    check_revision(database)


def test_a_database_of_another_revision_is_refused_with_the_command_that_helps(database):
    with pytest.raises(ConfigError) as caught:
        check_revision(database)

    assert "advocacy db upgrade" in caught.value.hint


def test_several_processes_that_migrate_at_once_wait_for_each_other(database_url):
    databases = [open_database(database_url) for _ in range(4)]
    failures: list[Exception] = []

    def migrate(database):
        try:
            upgrade_database(database)
        except Exception as failure:
            failures.append(failure)

    threads = [threading.Thread(target=migrate, args=(database,)) for database in databases]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert failures == []
    assert current_revision(databases[0]) == newest_revision()
    for database in databases:
        database.close()


@pytest.mark.parametrize(
    ("statement", "rule"),
    [
        ("insert into opportunity (id, is_won) values ('O', 2)", "a flag is 0 or 1"),
        ("insert into opportunity (id, close_on) values ('O', '1.2.25')", "a day is ISO text"),
        (("insert into sync_run (trigger, mode, status, as_of, epoch, policy_version, mapping_digest, started_at,"
         " heartbeat_at) values ('t', 'm', 'great', '2026-01-01', 1, 'p', 'd', '2026-01-01T00:00:00+00:00',"
         " '2026-01-01T00:00:00+00:00')"), "a run has a known status"),
    ],
)  # fmt: skip
def test_the_database_itself_refuses_nonsense(database, statement, rule):
    upgrade_database(database)

    with pytest.raises(sa.exc.IntegrityError), database.begin() as connection:
        connection.exec_driver_sql(statement)
    assert rule
