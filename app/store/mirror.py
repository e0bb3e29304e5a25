"""The CRM's records as rows, and what their changes make dirty.

A page, its watermark and its dirty marks commit together: a crash costs one page, never a gap. The first load takes a
shorter way, because everything is dirty then and will be valued as a whole.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from app.domain.rows import COLUMNS, Batch, Columns, Entity, Row, batch_of
from app.store.bulk import (
    analyze,
    create_stage,
    differs,
    drop_stage,
    insert_columns,
    insert_rows,
    sort_in_small_runs,
    upsert_clause,
    upsert_columns,
)
from app.store.dirty import mark
from app.store.row_problems import SHOWN_KEY, save_problems
from app.store.state import load_flag, save_flag
from app.store.tables import metadata, watermark

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

_LIVE_COUNT = "live_count:"
"""State, with the entity behind it: how many live records we hold, as long as that is known."""


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


def _dirty_statements(connection: sa.Connection, entity: Entity, stage: str) -> Iterator[str]:
    """What a page changes, found by comparing it with what is stored, before it is stored."""
    on = " and ".join(f"old.{k} = new.{k}" for k in KEYS[entity])
    joined = f"{stage} new left join {entity} old on {on}"
    absent = f"old.{KEYS[entity][0]} is null"

    def changed(columns: Sequence[str]) -> str:
        return f"{joined} where ({absent} or {differs(connection, 'new', 'old', columns)})"

    match entity:
        case Entity.OPPORTUNITY:
            yield mark("opportunity", "new.id", changed(VALUED))
            yield mark("value", "new.account_id", changed(VALUED))
            yield mark("value", "old.account_id", changed(VALUED))
        case Entity.ACCOUNT:
            yield mark("plan", "new.id", changed(("shown", "is_deleted", "name")))
            # Somebody may have repaired what a rule refused, in a field that we do not read.
            refused = "select 1 from write_intent i where i.account_id = new.id and i.outcome = 'rejected'"
            yield mark("plan", "new.id", f"{stage} new where exists ({refused})")
            for column in ("new.id", "new.parent_id", "old.parent_id", "new.merged_into_id", "old.merged_into_id"):
                yield mark("account", column, changed(STRUCTURE))
            for column in ("new.domain", "old.domain"):
                yield mark("domain", column, changed(("domain", "merged_into_id", "is_deleted")))
        case Entity.CONTACT_ROLE:
            for column in ("new.opportunity_id", "old.opportunity_id"):
                yield mark("opportunity", column, changed(("opportunity_id", "contact_id", "is_deleted")))
        case Entity.ADJUSTMENT:
            for column in ("new.opportunity_id", "old.opportunity_id"):
                yield mark(
                    "opportunity", column, changed(("opportunity_id", "amount", "currency", "dated_on", "is_deleted"))
                )
        case Entity.CURRENCY_RATE:
            yield mark("rate", "new.currency", changed(("rate", "decimal_places")))


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


def suspend_indexes(connection: sa.Connection, entity: Entity) -> None:
    """Drop the secondary indexes of an empty table before its first load: building them afterwards is twice as fast."""
    for index in metadata.tables[entity].indexes:
        index.drop(connection, checkfirst=True)


def ensure_indexes(connection: sa.Connection) -> None:
    """Build whatever index a first load left out. Cheap when all are there; a killed run heals here."""
    present = {name for entity in Entity for name in (i["name"] for i in sa.inspect(connection).get_indexes(entity))}
    for entity in Entity:
        missing = [index for index in metadata.tables[entity].indexes if index.name not in present]
        with sort_in_small_runs(connection):
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
                connection.exec_driver_sql(mark(kind, column, gone))
        case Entity.OPPORTUNITY:
            connection.exec_driver_sql(mark("opportunity", "id", gone))
            connection.exec_driver_sql(mark("value", "account_id", gone))
        case Entity.CONTACT_ROLE | Entity.ADJUSTMENT:
            connection.exec_driver_sql(mark("opportunity", "opportunity_id", gone))
        case Entity.CURRENCY_RATE:
            return
    connection.exec_driver_sql(f"update {entity} set is_deleted = 1 where {condition} and is_deleted = 0")


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
