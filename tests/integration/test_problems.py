"""Records with a value that cannot be used: counted one by one, kept by name only as far as somebody would look."""

from __future__ import annotations

from dataclasses import replace

import pytest
from exports import GOOD, open_exports

from app.domain.rows import Entity, RowIssue, RowProblem, batch_of
from app.store import mirror, row_problems
from app.store.database import open_database
from app.store.row_problems import EXAMPLES

MANY = 3 * EXAMPLES + 50


@pytest.fixture
def exports(migrated_database_url, tmp_path):
    opened = open_exports(tmp_path / "exports", migrated_database_url)
    opened.files["opportunities"] = [
        {**GOOD["opportunities"][0], "id": f"D-{n}", "amount": "much"} for n in range(MANY)
    ]
    yield opened
    opened.services.database.close()


@pytest.fixture
def connection(migrated_database_url):
    database = open_database(migrated_database_url)
    with database.begin() as connection:
        yield connection
    database.close()


def kept(database):
    with database.read() as connection:
        return connection.exec_driver_sql("select count(*) from row_problem").scalar_one()


def test_a_field_that_is_wrong_in_every_row_is_counted_exactly_and_keeps_some_examples(exports):
    database = exports.services.database

    assert exports.sync().issues["bad_amount"] == MANY
    assert kept(database) == EXAMPLES
    assert exports.sync().issues["bad_amount"] == MANY
    assert kept(database) == EXAMPLES


def test_what_is_put_right_is_not_counted_any_more(exports):
    exports.sync()
    for row in exports.files["opportunities"][: MANY - 70]:
        row["amount"] = "5"

    assert exports.sync().issues["bad_amount"] == 70
    assert kept(exports.services.database) == 70
    for row in exports.files["opportunities"]:
        row["amount"] = "5"
    assert "bad_amount" not in exports.sync().issues


def test_records_without_an_id_are_counted_one_by_one_and_against_the_folder(exports):
    for row in exports.files["opportunities"]:
        row["id"] = ""

    report = exports.sync()

    assert report.issues["bad_id"] == MANY
    assert "count_mismatch" not in report.issues
    assert exports.sync().issues["bad_id"] == MANY


def page(first, count, code=RowIssue.BAD_AMOUNT, name="O{}"):
    ids = [name.format(n) for n in range(first, first + count)]
    problems = [RowProblem(Entity.OPPORTUNITY, id_, code, "amount", "not a number") for id_ in ids]
    rows = [(id_, "A", "", None, "USD", None, None, 0, 0, 0, "new", None, None, None, None, *spare(15)) for id_ in ids]
    return replace(batch_of(Entity.OPPORTUNITY, [] if code is RowIssue.BAD_ID else rows), problems=problems)


def spare(known):
    from app.domain.rows import COLUMNS

    return (None,) * (len(COLUMNS[Entity.OPPORTUNITY]) - known)


def read_all(connection, run_id, *pages):
    row_problems.forget_overflow(connection, Entity.OPPORTUNITY)
    for one in pages:
        mirror.save_batch(connection, one, run_id=run_id, first_load=run_id == 1, full=True)
    row_problems.forget_unseen_problems(connection, Entity.OPPORTUNITY, run_id)
    return row_problems.count_problems(connection)


def test_pages_add_up_and_another_full_read_counts_anew(connection):
    pages = [page(first, 90) for first in range(0, 900, 90)]

    assert read_all(connection, 1, *pages) == {"bad_amount": 900}
    assert read_all(connection, 2, *pages) == {"bad_amount": 900}
    assert read_all(connection, 3, *pages[:4]) == {"bad_amount": 360}
    assert read_all(connection, 4, *pages[3:]) == {"bad_amount": 630}
    assert read_all(connection, 5, page(0, 30)) == {"bad_amount": 30}


def test_between_full_reads_examples_come_and_go_and_what_is_beyond_them_stays_counted(connection):
    read_all(connection, 1, page(0, 300))
    right = batch_of(Entity.OPPORTUNITY, page(0, 40).rows)

    mirror.save_batch(connection, right, run_id=2, first_load=False)
    assert row_problems.count_problems(connection) == {"bad_amount": 260}
    mirror.save_batch(connection, page(0, 40), run_id=3, first_load=False)
    assert row_problems.count_problems(connection) == {"bad_amount": 300}
    mirror.save_batch(connection, page(250, 20), run_id=4, first_load=False)
    assert row_problems.count_problems(connection) == {"bad_amount": 300}, "they were counted among the others before"


def test_records_without_an_id_on_several_pages_are_as_many_records(connection):
    unnamed = page(0, 60, RowIssue.BAD_ID, name="")

    for run_id in (1, 2):
        assert read_all(connection, run_id, unnamed, unnamed, unnamed) == {"bad_id": 180}
        assert row_problems.count_unkeyed(connection) == {"opportunity": 180}
