"""Records with a value that cannot be used: counted one by one, kept by name only as far as somebody would look."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

import sqlalchemy as sa

from app.domain.rows import Entity, Row, RowIssue, RowProblem
from app.store.bulk import upsert_rows
from app.store.tables import problem_overflow, row_problem

EXAMPLES = 100
"""Records kept by name that are wrong in the same way (entity, attribute, code). The others are only counted: one
mistake in the mapping makes every record wrong.
"""
SHOWN_KEY = 100
"""Characters of a record's key that a problem keeps."""


def save_problems(
    connection: sa.Connection, entity: Entity, problems: Sequence[RowProblem], run_id: int, *, full: bool
) -> None:
    """Keep the first EXAMPLES of each kind by name, and count the rest.

    What is beyond them is counted by a full read only: whether a changed record was among them is not known. A mistake
    in the mapping is corrected in the mapping, and a changed mapping reads everything.
    """
    key = ("entity", "record_id", "code", "attribute")
    stored = connection.execute(
        sa.text("select attribute, code, record_id, run_id from row_problem where entity = :entity"), {"entity": entity}
    )
    known: dict[tuple[str, str], dict[str, int]] = {}
    for attribute, code, record_id, seen_in in stored:
        known.setdefault((attribute, code), {})[record_id] = seen_in
    rows: list[Row] = []
    beyond: Counter[tuple[str, str]] = Counter()
    for problem, record_id in _told_apart(problems):
        kind = (problem.attribute, str(problem.code))
        examples = known.setdefault(kind, {})
        # Without an id of its own, the record of an earlier page that was called the same is another one.
        is_another = full and problem.code is RowIssue.BAD_ID and examples.get(record_id) == run_id
        if is_another or (record_id not in examples and len(examples) >= EXAMPLES):
            beyond[kind] += 1
            continue
        examples[record_id] = run_id
        rows.append((entity, record_id, problem.code, problem.attribute, problem.message, run_id))
    upsert_rows(connection, row_problem.name, key, (*key, "message", "run_id"), rows)
    if full and beyond:
        connection.execute(
            sa.text(
                "insert into problem_overflow (entity, attribute, code, records)"
                " values (:entity, :attribute, :code, :records) on conflict (entity, attribute, code)"
                " do update set records = problem_overflow.records + excluded.records"
            ),
            [{"entity": entity, "attribute": a, "code": c, "records": n} for (a, c), n in sorted(beyond.items())],
        )


def forget_overflow(connection: sa.Connection, entity: Entity) -> None:
    """Before everything is read, and counted, again."""
    connection.execute(sa.delete(problem_overflow).where(problem_overflow.c.entity == str(entity)))


def _told_apart(problems: Sequence[RowProblem]) -> Iterator[tuple[RowProblem, str]]:
    """Ten records without an id are ten problems: the second of a page gets a number, and so on."""
    seen: Counter[str] = Counter()
    for problem in problems:
        number = 1
        if problem.code is RowIssue.BAD_ID:
            seen[problem.record_id] += 1
            number = seen[problem.record_id]
        yield problem, problem.record_id if number == 1 else f"{problem.record_id} ({number})".strip()


def forget_unseen_problems(connection: sa.Connection, entity: Entity, run_id: int) -> None:
    """After a completed full pull: problems that it did not meet again are solved, or their records are gone."""
    connection.execute(sa.delete(row_problem).where(row_problem.c.entity == str(entity), row_problem.c.run_id < run_id))


def count_problems(connection: sa.Connection) -> dict[str, int]:
    """Records with a value that could not be used, by code."""
    return _count_problems(connection, "code", "count(*)")


def count_unkeyed(connection: sa.Connection) -> dict[str, int]:
    """Records that exist in the CRM and could not be stored because their id is none, by entity."""
    return _count_problems(connection, "entity", "count(distinct record_id)", "code = 'bad_id'")


def _count_problems(connection: sa.Connection, by: str, records: str, where: str = "1 = 1") -> dict[str, int]:
    rows = connection.exec_driver_sql(
        f"select {by}, sum(records) from ("
        f"select {by}, {records} as records from row_problem where {where} group by {by}"
        f" union all select {by}, records from problem_overflow where {where}) p group by {by} order by {by}"
    )
    return {name: int(count) for name, count in rows}
