"""What a run means to write, and what became of it.

An intent is stored before anything is sent. What the CRM shows moves in our books only on an acknowledged success; an
intent without an outcome is unknown, and is re-read before anything is sent again.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from types import MappingProxyType
from typing import NamedTuple

import sqlalchemy as sa

from app.domain.rows import Row
from app.store.bulk import analyze, create_stage, drop_stage, insert_rows
from app.store.staging import create_temp, stage_ids, text_type

Shown = Mapping[str, str | None]
COLUMNS = ("run_id", "account_id", "before", "after", "movement", "shown_then", "written_then")
PAGE = 5_000
UNSETTLED = "(outcome is null or outcome = 'unknown')"


class Intent(NamedTuple):
    """`before` and `after`: measure -> canonical text, only the measures that change. `movement`: minor units."""

    account_id: str
    before: Shown
    after: Shown
    movement: int
    shown: Shown = MappingProxyType({})
    """Everything of ours that the account shows before."""
    written: Shown = MappingProxyType({})
    """Everything of ours that we wrote to it before."""
    texts: tuple[str, str] | None = None
    """`before` and `after` as text, where somebody has made it already."""
    outcome: str | None = None
    code: str | None = None
    message: str | None = None


_decode = lru_cache(maxsize=1024)(json.JSONDecoder().decode)
_encode = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode
_encode_known = lru_cache(maxsize=1024)(lambda pairs: _encode(dict(pairs)))


def read_shown(text: str) -> Shown:
    """What `shown_text` gave as text. Most accounts show the same nothing, so the last results are remembered."""
    shown: Shown = _decode(text)
    return shown


def shown_text(shown: Shown) -> str:
    """The one text form, so that equal content is equal text. Most accounts showed the same nothing before."""
    return _encode(shown) if any(shown.values()) else str(_encode_known(tuple(shown.items())))


def save_intents(connection: sa.Connection, run_id: int, intents: Sequence[Intent]) -> None:
    insert_rows(connection, "write_intent", COLUMNS, [_intent_row(run_id, intent) for intent in intents])


def _intent_row(run_id: int, intent: Intent) -> Row:
    before, after = intent.texts or (_encode(intent.before), _encode(intent.after))
    shown_then = _then(intent.shown, intent.after, after)
    written_then = _then(intent.written, intent.after, after)
    return run_id, intent.account_id, before, after, intent.movement, shown_then, written_then


def _then(earlier: Shown, after: Shown, after_text: str) -> str:
    """The text of everything after the write; where everything is written, that is what was written."""
    return after_text if earlier.keys() <= after.keys() else _encode({**earlier, **after})


def unplan(connection: sa.Connection, run_id: int) -> None:
    """Take back the intents of a plan that may not be sent; its accounts stay marked."""
    connection.exec_driver_sql(
        f"insert into dirty (kind, id) select 'plan', account_id from write_intent where run_id = {int(run_id)}"
        " on conflict (kind, id) do nothing"
    )
    connection.execute(sa.text("delete from write_intent where run_id = :run"), {"run": run_id})


START = (2**62, "")
"""The position before the biggest mover."""


class Unsent(NamedTuple):
    account_id: str
    after: Shown
    movement: int
    parent_id: str


def load_unsent_after(connection: sa.Connection, run_id: int, position: tuple[int, str]) -> list[Unsent]:
    """The next unsent intents of a run, the biggest movers first.

    `position`: (movement, account id) of the last one, or START.
    """
    query = sa.text(
        "select i.account_id, i.after, i.movement, a.parent_id from ("
        "select account_id, after, movement from write_intent where run_id = :run and outcome is null"
        " and movement <= :movement and (movement < :movement or account_id > :account)"
        " order by movement desc, account_id limit :n"
        ") i left join account a on a.id = i.account_id order by i.movement desc, i.account_id"
    )
    given = {"run": run_id, "movement": position[0], "account": position[1], "n": PAGE}
    rows = connection.execute(query, given)
    return [Unsent(row[0], json.loads(row[1]), row[2], row[3] or "") for row in rows.fetchall()]


def load_names(connection: sa.Connection, account_ids: Sequence[str]) -> dict[str, str]:
    if not account_ids:
        return {}
    query = sa.text("select id, name from account where id in :ids").bindparams(sa.bindparam("ids", expanding=True))
    return {row.id: row.name for row in connection.execute(query, {"ids": list(account_ids)})}


def save_outcomes(connection: sa.Connection, run_id: int, outcomes: Sequence[tuple[str, str, str, str]]) -> None:
    """Record (account id, outcome, code, message); what the CRM acknowledged is what it shows from now on.

    Large writes are answered in the order of ids. A chunk is a short stretch of every table then, which has to be said
    for PostgreSQL to look at no more than that; the key is there for whatever order it joins in.
    """
    if not outcomes:
        return
    text = text_type(connection)
    create_temp(connection, "s_outcome", f"account_id {text} primary key, outcome text, code text, message text")
    rows = list({outcome[0]: outcome for outcome in outcomes}.values())
    insert_rows(connection, "s_outcome", ("account_id", "outcome", "code", "message"), rows)
    analyze(connection, "s_outcome")
    ids, run = [row[0] for row in rows], int(run_id)
    _execute_within(
        connection,
        ids,
        "update write_intent set outcome = s.outcome, code = s.code, message = s.message from s_outcome s"
        f" where s.account_id = write_intent.account_id and write_intent.run_id = {run}"
        " and write_intent.account_id between :first and :last",
    )
    _execute_within(
        connection,
        ids,
        "update account set shown = s.shown_then, written = s.written_then from ("
        "select i.account_id, i.shown_then, i.written_then from s_outcome o join write_intent i"
        f" on i.account_id = o.account_id and i.run_id = {run} and i.account_id between :first and :last"
        " where o.outcome = 'ok') s where s.account_id = account.id",
    )
    _execute_within(
        connection,
        ids,
        "delete from dirty where kind = 'plan' and id between :first and :last"
        " and id in (select account_id from s_outcome where outcome in ('ok', 'rejected', 'gone'))",
    )
    # Where all were planned, nobody was marked: who has to be asked again is, before that is forgotten.
    connection.exec_driver_sql(
        "insert into dirty (kind, id) select 'plan', account_id from s_outcome"
        " where outcome not in ('ok', 'rejected', 'gone') on conflict (kind, id) do nothing"
    )
    drop_stage(connection, "s_outcome")


def settle_unchanged(connection: sa.Connection, accounts: Sequence[str]) -> None:
    """The plan has looked at these and found nothing to write. They are a page in the order of ids."""
    if not accounts:
        return
    marked = sa.text("select id from dirty where kind = 'plan' and id between :first and :last")
    found = connection.execute(marked, {"first": min(accounts), "last": max(accounts)}).scalars()
    settled = sorted(set(accounts).intersection(found))
    if settled:  # nobody is where all are planned
        stage_ids(connection, "s_settled", settled)
        _execute_within(
            connection,
            settled,
            "delete from dirty"
            " where kind = 'plan' and id between :first and :last and id in (select id from s_settled)",
        )
        drop_stage(connection, "s_settled")


def _execute_within(connection: sa.Connection, ids: Sequence[str], statement: str) -> None:
    """Execute a statement about some ids that looks no further than from the `:first` of them to the `:last`."""
    connection.execute(sa.text(statement), {"first": min(ids), "last": max(ids)})


def settle_absent(connection: sa.Connection) -> None:
    """Nothing is written to an account that is not there; one that comes (back) is marked anew by its page."""
    connection.exec_driver_sql(
        "delete from dirty where kind = 'plan' and not exists"
        " (select 1 from account a where a.id = dirty.id and a.is_deleted = 0)"
    )


def load_unsettled(connection: sa.Connection) -> list[str]:
    """Accounts of earlier intents whose outcome nobody knows: sent without an answer, or never sent."""
    query = f"select distinct account_id from write_intent where {UNSETTLED} order by account_id"
    return list(connection.exec_driver_sql(query).scalars())


def settle_reread(connection: sa.Connection) -> None:
    """After the re-read: what the CRM shows was written, though nobody heard so; the rest is planned afresh.

    Without this our own value would later pass for somebody's edit, and could not be taken back.
    """
    connection.exec_driver_sql(
        f"insert into dirty (kind, id) select distinct 'plan', account_id from write_intent where {UNSETTLED}"
        " on conflict (kind, id) do nothing"
    )
    create_stage(connection, "s_found", "write_intent")
    insert_rows(connection, "s_found", ("run_id", "account_id"), list(_found_written(connection)))
    connection.exec_driver_sql(
        "update write_intent set outcome = 'ok', code = 'FOUND_WRITTEN' from s_found s"
        " where s.run_id = write_intent.run_id and s.account_id = write_intent.account_id"
    )
    connection.exec_driver_sql(
        "update account set written = i.written_then from write_intent i"
        " join (select account_id, max(run_id) as run_id from s_found group by account_id) s"
        " on s.account_id = i.account_id and s.run_id = i.run_id where i.account_id = account.id"
    )
    drop_stage(connection, "s_found")
    connection.exec_driver_sql(f"update write_intent set outcome = 'reread' where {UNSETTLED}")


def _found_written(connection: sa.Connection) -> Iterator[Row]:
    """(run id, account id) of the unsettled intents whose every value the CRM shows now."""
    rows = connection.exec_driver_sql(
        "select i.run_id, i.account_id, i.after, a.shown from write_intent i join account a on a.id = i.account_id"
        f" where a.is_deleted = 0 and {UNSETTLED}"
    )
    for row in rows:
        if json.loads(row.after).items() <= json.loads(row.shown).items():
            yield row.run_id, row.account_id


def load_intents(connection: sa.Connection, run_id: int, *, outcome: str | None = None) -> list[Intent]:
    where = "" if outcome is None else " and outcome = :outcome"
    rows = connection.execute(
        sa.text(
            "select account_id, before, after, movement, outcome, code, message from write_intent"
            f" where run_id = :run{where} order by movement desc, account_id"
        ),
        {"run": run_id} | ({"outcome": outcome} if outcome else {}),
    )
    return [Intent(r[0], json.loads(r[1]), json.loads(r[2]), r[3], outcome=r[4], code=r[5], message=r[6]) for r in rows]


def mark_for_plan(connection: sa.Connection, accounts: Sequence[str]) -> None:
    if accounts:
        connection.execute(
            sa.text("insert into dirty (kind, id) values ('plan', :id) on conflict (kind, id) do nothing"),
            [{"id": account} for account in accounts],
        )


def count_showing(connection: sa.Connection) -> int:
    """How many live accounts show any of our values in the CRM."""
    # A shown value is text in the JSON; an empty field is null.
    query = sa.text("select count(*) from account where is_deleted = 0 and shown like :pattern")
    return int(connection.execute(query, {"pattern": '%":"%'}).scalar_one())


def sum_shown(connection: sa.Connection, measure: str) -> int:
    """The sum of what the CRM shows for a money measure, in units of its last decimal place."""
    if connection.dialect.name == "sqlite":
        shown = f"json_extract(shown, '$.{measure}')"
    else:
        shown = f"(shown::jsonb ->> '{measure}')"
    query = f"select coalesce(sum(cast(replace({shown}, '.', '') as bigint)), 0) from account where is_deleted = 0"
    return int(connection.exec_driver_sql(query).scalar_one())
