"""The CRM's records as rows, and what their changes make dirty.

A page, its watermark and its dirty marks commit together: a crash costs one page, never a gap. The first load takes a
shorter way, because everything is dirty then and will be valued as a whole.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from fractions import Fraction

import sqlalchemy as sa

from app.domain.model import Rate
from app.domain.money import minor_places
from app.domain.rows import COLUMNS, Batch, Columns, Entity, Row, RowIssue, RowProblem, batch_of
from app.store.bulk import (
    analyze,
    create_stage,
    differs,
    drop_stage,
    insert_columns,
    insert_rows,
    upsert_clause,
    upsert_columns,
    upsert_rows,
)
from app.store.tables import metadata, problem_overflow, row_problem, state, watermark

KEYS: Mapping[Entity, tuple[str, ...]] = {
    Entity.ACCOUNT: ("id",),
    Entity.OPPORTUNITY: ("id",),
    Entity.CONTACT_ROLE: ("id",),
    Entity.CURRENCY_RATE: ("currency", "start_on"),
    Entity.ADJUSTMENT: ("id",),
}
STRUCTURE = ("parent_id", "merged_into_id", "domain", "is_deleted")
"""The columns of an account that other accounts' values depend on."""
VALUED = (
    "account_id", "amount", "currency", "created_on", "close_on", "is_won", "is_closed", "is_deleted", "type",
    "probability", "term_months", "home_amount",
)  # fmt: skip
"""The columns of an opportunity that a value depends on."""
STATED = tuple(name for name in VALUED if name != "home_amount")
"""Those that the CRM states; the rest follows from rates."""

EXAMPLES = 100
"""Records kept by name that are wrong in the same way (entity, attribute, code). The others are only counted: one
mistake in the mapping makes every record wrong.
"""
SHOWN_KEY = 100
"""Characters of a record's key that a problem keeps."""

REVALUE_ALL = "revalue_all"
"""State flag: the next valuation covers everything, single dirty marks do not matter."""
REPLAN_ALL = "replan_all"
VALUED_AS_OF = "valued_as_of"
VALUED_BY = "valued_by"
"""State: the version of the policy that the stored values follow."""
CONVERTED_TO = "converted_to"
"""State: the reporting currency, and its decimal places, that the stored amounts were converted to."""
_LIVE_COUNT = "live_count:"
"""State, with the entity behind it: how many live records we hold, as long as that is known."""
ORGANISATION = "organisation"
"""State: the CRM organisation this database belongs to; another one behind the same address is refused."""


@dataclass(frozen=True, slots=True)
class Position:
    """How far the pull of one source got."""

    source: str
    fields_digest: str = ""
    watermark: datetime | None = None
    resume: str | None = None
    full_in_run: int | None = None
    """The run that is reading (or has last read) everything; rows it did not see are gone."""
    full_done_on: str | None = None


def load_position(connection: sa.Connection, source: str) -> Position:
    row = connection.execute(sa.select(watermark).where(watermark.c.source == source)).mappings().first()
    return Position(**row) if row else Position(source)


def save_position(connection: sa.Connection, position: Position) -> None:
    values = {c.name: getattr(position, c.name) for c in watermark.columns}
    done = connection.execute(sa.update(watermark).where(watermark.c.source == position.source).values(values))
    if done.rowcount == 0:
        connection.execute(sa.insert(watermark).values(values))


def load_flag(connection: sa.Connection, key: str) -> str | None:
    return connection.execute(sa.select(state.c.value).where(state.c.key == key)).scalar()


def save_flag(connection: sa.Connection, key: str, value: str | None) -> None:
    """Set a state flag; None removes it."""
    connection.execute(sa.delete(state).where(state.c.key == key))
    if value is not None:
        connection.execute(sa.insert(state).values(key=key, value=value))


def is_empty(connection: sa.Connection, entity: Entity) -> bool:
    return connection.exec_driver_sql(f"select 1 from {entity} limit 1").first() is None


def save_batch(connection: sa.Connection, batch: Batch, *, run_id: int, first_load: bool, full: bool = False) -> None:
    """Save one translated page. `first_load`: everything will be revalued, so nothing is marked.

    `full`: the page is part of a read of everything, which counts problems anew.
    """
    entity = batch.entity
    count = len(batch.columns[0])
    if count:
        names = (*COLUMNS[entity], "pulled_in")
        columns = (*batch.columns, [run_id] * count)
        (_fill if first_load else _merge)(connection, entity, names, columns)
    if batch.contacts is not None:
        _save_contacts(connection, batch.contacts, run_id=run_id, first_load=first_load)
    if batch.problems:
        save_problems(connection, entity, batch.problems, run_id, full=full)


def _fill(connection: sa.Connection, entity: Entity, names: Sequence[str], columns: Columns) -> None:
    save_flag(connection, _LIVE_COUNT + entity, None)
    upsert_columns(connection, entity, KEYS[entity], names, columns)


def _merge(connection: sa.Connection, entity: Entity, names: Sequence[str], columns: Columns) -> None:
    stage = f"page_{entity}"
    create_stage(connection, stage, entity)
    insert_columns(connection, stage, names, columns)
    for statement in _dirty_statements(connection, entity, stage):
        connection.exec_driver_sql(statement)
    if entity is not Entity.CURRENCY_RATE:  # a currency has many rates, and a page may hold a part of them
        connection.exec_driver_sql(
            f"delete from row_problem where entity = '{entity}'"
            f" and record_id in (select substr(id, 1, {SHOWN_KEY}) from {stage})"
        )
        _shift_live_count(connection, entity, stage)
    clause = upsert_clause(KEYS[entity], names)
    told = run = ", ".join(names)
    if entity is Entity.OPPORTUNITY:
        # A sale that shows up in the ledger without having changed was brought by time, not by anybody.
        told, run = f"{told}, changed_in", f"{run}, pulled_in"
        changed = differs(connection, "excluded", entity, STATED)
        clause += f", changed_in = case when {changed} then excluded.changed_in else {entity}.changed_in end"
    connection.exec_driver_sql(f"insert into {entity} ({told}) select {run} from {stage} where 1 = 1 {clause}")
    drop_stage(connection, stage)


def _shift_live_count(connection: sa.Connection, entity: Entity, stage: str) -> None:
    """Keep the remembered count true by what a page changes, instead of counting a million again for a hundred."""
    remembered = load_flag(connection, _LIVE_COUNT + entity)
    if remembered is None:
        return
    more = connection.exec_driver_sql(
        f"select coalesce(sum(1 - new.is_deleted), 0) - coalesce(sum(1 - old.is_deleted), 0)"
        f" from {stage} new left join {entity} old on old.id = new.id"
    ).scalar_one()
    save_flag(connection, _LIVE_COUNT + entity, str(int(remembered) + int(more)))


def _mark(kind: str, column: str, source: str) -> str:
    """A statement that marks every id in `column` of `source` as dirty."""
    return (
        f"insert into dirty (kind, id) select distinct '{kind}', {column} from {source} "
        f"and {column} is not null on conflict (kind, id) do nothing"
    )


def _dirty_statements(connection: sa.Connection, entity: Entity, stage: str) -> Iterator[str]:
    """What a page changes, found by comparing it with what is stored, before it is stored."""
    on = " and ".join(f"old.{k} = new.{k}" for k in KEYS[entity])
    joined = f"{stage} new left join {entity} old on {on}"
    absent = f"old.{KEYS[entity][0]} is null"

    def changed(columns: Sequence[str]) -> str:
        return f"{joined} where ({absent} or {differs(connection, 'new', 'old', columns)})"

    match entity:
        case Entity.OPPORTUNITY:
            yield _mark("opportunity", "new.id", changed(VALUED))
            yield _mark("value", "new.account_id", changed(VALUED))
            yield _mark("value", "old.account_id", changed(VALUED))
        case Entity.ACCOUNT:
            yield _mark("plan", "new.id", changed(("shown", "is_deleted", "name")))
            for column in ("new.id", "new.parent_id", "old.parent_id", "new.merged_into_id", "old.merged_into_id"):
                yield _mark("account", column, changed(STRUCTURE))
            for column in ("new.domain", "old.domain"):
                yield _mark("domain", column, changed(("domain", "merged_into_id", "is_deleted")))
        case Entity.CONTACT_ROLE:
            for column in ("new.opportunity_id", "old.opportunity_id"):
                yield _mark("opportunity", column, changed(("opportunity_id", "contact_id", "is_deleted")))
        case Entity.ADJUSTMENT:
            for column in ("new.opportunity_id", "old.opportunity_id"):
                yield _mark(
                    "opportunity", column, changed(("opportunity_id", "amount", "currency", "dated_on", "is_deleted"))
                )
        case Entity.CURRENCY_RATE:
            yield _mark("rate", "new.currency", changed(("rate", "decimal_places")))


def _save_contacts(
    connection: sa.Connection, contacts: Sequence[tuple[str, tuple[str, ...]]], *, run_id: int, first_load: bool
) -> None:
    """Contacts named on the opportunity itself: the full set each time, so what is no longer named is deleted."""
    rows: list[Row] = [
        (f"{opportunity}|{contact}", opportunity, contact, None, 0)
        for opportunity, named in contacts
        for contact in dict.fromkeys(named)
    ]
    if not first_load:
        rows += _dropped_contacts(connection, contacts, rows)
    save_batch(connection, batch_of(Entity.CONTACT_ROLE, rows), run_id=run_id, first_load=first_load)


def _dropped_contacts(
    connection: sa.Connection, contacts: Sequence[tuple[str, tuple[str, ...]]], named: Sequence[Row]
) -> list[Row]:
    present = {row[0] for row in named}
    dropped: list[Row] = []
    ids = [opportunity for opportunity, _ in contacts]
    for start in range(0, len(ids), 500):
        query = sa.text(
            "select id, opportunity_id, contact_id, role from contact_role"
            " where is_deleted = 0 and opportunity_id in :ids"
        ).bindparams(sa.bindparam("ids", expanding=True))
        found = connection.execute(query, {"ids": ids[start : start + 500]})
        dropped += [(r.id, r.opportunity_id, r.contact_id, r.role, 1) for r in found if r.id not in present]
    return dropped


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


def suspend_indexes(connection: sa.Connection, entity: Entity) -> None:
    """Drop the secondary indexes of an empty table before its first load: building them afterwards is twice as fast."""
    for index in metadata.tables[entity].indexes:
        index.drop(connection, checkfirst=True)


def ensure_indexes(connection: sa.Connection) -> None:
    """Build whatever index a first load left out. Cheap when all are there; a killed run heals here."""
    present = {name for entity in Entity for name in (i["name"] for i in sa.inspect(connection).get_indexes(entity))}
    for entity in Entity:
        missing = [index for index in metadata.tables[entity].indexes if index.name not in present]
        for index in sorted(missing, key=lambda one: str(one.name)):
            index.create(connection)
        if missing:
            analyze(connection, entity)


def count_unseen(connection: sa.Connection, entity: Entity, run_id: int) -> tuple[int, int]:
    """(live rows that a full pull in this run did not see, all live rows)."""
    row = connection.execute(
        sa.text(
            f"select coalesce(sum(case when pulled_in < :run then 1 else 0 end), 0), count(*) "
            f"from {entity} where is_deleted = 0"
        ),
        {"run": run_id},
    ).one()
    return int(row[0]), int(row[1])


def delete_unseen(connection: sa.Connection, entity: Entity, run_id: int) -> None:
    """Mark as deleted what a completed full pull did not see, and everything that depends on it as dirty."""
    _delete_where(connection, entity, f"pulled_in < {int(run_id)}")


def delete_gone(connection: sa.Connection, entity: Entity, ids: Sequence[str]) -> None:
    """The same for records that the CRM says it has no more."""
    create_stage(connection, "s_gone", entity)
    insert_rows(connection, "s_gone", KEYS[entity], [(key,) for key in dict.fromkeys(ids)])
    _delete_where(connection, entity, "id in (select id from s_gone)")
    drop_stage(connection, "s_gone")


def _delete_where(connection: sa.Connection, entity: Entity, condition: str) -> None:
    save_flag(connection, _LIVE_COUNT + entity, None)
    gone = f"{entity} where {condition} and is_deleted = 0"
    match entity:
        case Entity.ACCOUNT:
            for kind, column in (("account", "id"), ("account", "parent_id"), ("domain", "domain"), ("plan", "id")):
                connection.exec_driver_sql(_mark(kind, column, gone))
        case Entity.OPPORTUNITY:
            connection.exec_driver_sql(_mark("opportunity", "id", gone))
            connection.exec_driver_sql(_mark("value", "account_id", gone))
        case Entity.CONTACT_ROLE | Entity.ADJUSTMENT:
            connection.exec_driver_sql(_mark("opportunity", "opportunity_id", gone))
        case Entity.CURRENCY_RATE:
            return
    connection.exec_driver_sql(f"update {entity} set is_deleted = 1 where {condition} and is_deleted = 0")


def load_rates(connection: sa.Connection) -> list[Rate]:
    """Every stored rate; deleted ones do not exist, a rate only ever changes."""
    rows = connection.exec_driver_sql("select currency, start_on, rate, decimal_places from currency_rate")
    return [Rate(row[0], Fraction(row[2]), date.fromisoformat(row[1]) if row[1] else None, row[3]) for row in rows]


def load_places(connection: sa.Connection, currency: str) -> int:
    """Decimal places of a currency: as the CRM keeps it, otherwise after ISO 4217."""
    told = connection.execute(
        sa.text(
            "select decimal_places from currency_rate where currency = :currency and decimal_places is not null"
            " order by start_on limit 1"
        ),
        {"currency": currency},
    ).scalar()
    return minor_places(currency) if told is None else int(told)


def take_dirty_currencies(connection: sa.Connection, reporting_currency: str) -> list[str] | None:
    """The currencies whose rate changed since the last conversion; None, meaning all, when the reporting one did."""
    found = sorted(connection.exec_driver_sql("select id from dirty where kind = 'rate'").scalars())
    if not found:
        return []
    # What is written to a record of that currency moves with its rate, too.
    connection.exec_driver_sql(
        "insert into dirty (kind, id) select 'plan', a.id from account a"
        " join dirty d on d.kind = 'rate' and d.id = a.currency where 1 = 1 on conflict (kind, id) do nothing"
    )
    connection.exec_driver_sql("delete from dirty where kind = 'rate'")
    return None if reporting_currency in found else found


Amount = tuple[str, Decimal, str | None, str]
"""(opportunity id, amount, currency, close date)."""


def pages_of_amounts(connection: sa.Connection, currencies: Sequence[str] | None) -> Iterator[list[Amount]]:
    """The amounts to convert again, by id, in pages; None means every currency."""
    where = "" if currencies is None else " and currency in :currencies"
    query = sa.text(
        "select id, amount, currency, close_on from opportunity"
        f" where amount is not null and close_on is not null and id > :last{where} order by id limit 10000"
    )
    given: dict[str, object] = {}
    if currencies is not None:
        query = query.bindparams(sa.bindparam("currencies", expanding=True))
        given["currencies"] = list(currencies)
    last = ""
    while rows := connection.execute(query, {**given, "last": last}).fetchall():
        yield [(row[0], Decimal(row[1]), row[2], row[3]) for row in rows]
        last = rows[-1][0]


def save_amounts(connection: sa.Connection, rows: Sequence[Row]) -> None:
    """Store converted amounts, rows of (id, home_amount, rate, rate_on), and mark what changed."""
    create_stage(connection, "converted", "opportunity")
    insert_rows(connection, "converted", ("id", "home_amount", "rate", "rate_on"), rows)
    changed = "converted new join opportunity old on old.id = new.id where " + differs(
        connection, "new", "old", ("home_amount", "rate", "rate_on")
    )
    connection.exec_driver_sql(_mark("opportunity", "new.id", changed))
    connection.exec_driver_sql(_mark("value", "old.account_id", changed))
    connection.exec_driver_sql(
        "update opportunity set home_amount = c.home_amount, rate = c.rate, rate_on = c.rate_on "
        "from converted c where c.id = opportunity.id and "
        + differs(connection, "c", "opportunity", ("home_amount", "rate", "rate_on"))
    )
    drop_stage(connection, "converted")


def count_live(connection: sa.Connection, entity: Entity) -> int:
    """The live records we hold. Counted once and remembered until a page changes something."""
    remembered = load_flag(connection, _LIVE_COUNT + entity)
    if remembered is not None:
        return int(remembered)
    count = int(connection.exec_driver_sql(f"select count(*) from {entity} where is_deleted = 0").scalar_one())
    save_flag(connection, _LIVE_COUNT + entity, str(count))
    return count


def load_marked(connection: sa.Connection, kind: str, limit: int) -> list[str]:
    """The ids with a dirty mark of a kind, at most `limit`."""
    query = sa.text("select id from dirty where kind = :kind order by id limit :limit")
    return list(connection.execute(query, {"kind": kind, "limit": limit}).scalars())


def forget_position(connection: sa.Connection, source: str) -> None:
    """The next run reads this source in full."""
    connection.execute(sa.delete(watermark).where(watermark.c.source == source))


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


def load_shown(connection: sa.Connection, account_ids: Sequence[str]) -> dict[str, tuple[str, str]]:
    """Account id -> (name, canonical JSON of what the CRM shows), for live accounts."""
    found: dict[str, tuple[str, str]] = {}
    query = sa.text("select id, name, shown from account where is_deleted = 0 and id in :ids").bindparams(
        sa.bindparam("ids", expanding=True)
    )
    for start in range(0, len(account_ids), 500):
        rows = connection.execute(query, {"ids": list(account_ids[start : start + 500])})
        found |= {row.id: (row.name, row.shown) for row in rows}
    return found
