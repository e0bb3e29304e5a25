"""What the measures beside the money have in common: a row for every account that has any, stored where it differs.

They are staged, compared with what is stored, and stored. Only the very first ones go straight where they belong: there
is nothing to compare them with, and nothing that anybody could look back at.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import NamedTuple

import sqlalchemy as sa

from app.domain.rows import Cell
from app.store.before import keep_before, was_valued
from app.store.bulk import differs
from app.store.dirty import mark_moved


class Measures(NamedTuple):
    """Two tables with the same columns. Whoever is staged has something to show.

    `nothing`: what every stored column says of an account that has nothing to show. `shown`: those that people see; an
    account is planned again when one of these moves.
    """

    stored: str
    staged: str
    nothing: Mapping[str, Cell]
    shown: tuple[str, ...]


def are_first(connection: sa.Connection, measures: Measures, run_id: int) -> bool:
    """Whether nothing was stored before this run."""
    stored = connection.exec_driver_sql(f"select 1 from {measures.stored} limit 1").first()
    return stored is None and not was_valued(connection, run_id)


def merge_measures(connection: sa.Connection, measures: Measures, as_of: date, run_id: int, *, touched: bool) -> None:
    """Store the staged rows that differ, keep what was before, and mark those for the plan that people see differ.

    `touched`: only the accounts in `s_engaged` were computed; whoever of them is not staged has nothing any more.
    """
    _stage_absent(connection, measures, touched=touched)
    keep_before(connection, measures.staged, as_of, run_id)
    mark_moved(
        connection, f"select new.account_id from {_different(connection, measures, measures.shown)}", touched=touched
    )
    names = tuple(measures.nothing)
    connection.exec_driver_sql(
        f"insert into {measures.stored} (account_id, run_id, {', '.join(names)})"
        f" select new.account_id, {int(run_id)}, {', '.join(f'new.{name}' for name in names)}"
        f" from {_different(connection, measures, names)} on conflict (account_id) do update set "
        + ", ".join(f"{name} = excluded.{name}" for name in ("run_id", *names))
    )


def count_different(connection: sa.Connection, measures: Measures, *, touched: bool) -> int:
    """How many accounts' stored rows the staged ones contradict."""
    _stage_absent(connection, measures, touched=touched)
    different = _different(connection, measures, tuple(measures.nothing))
    return int(connection.exec_driver_sql(f"select count(*) from {different}").scalar_one())


def _stage_absent(connection: sa.Connection, measures: Measures, *, touched: bool) -> None:
    """Stage nothing for whoever has a stored row and nothing any more."""
    only = " join s_engaged t on t.id = old.account_id" if touched else ""
    nothing = ", ".join("null" if value is None else repr(value) for value in measures.nothing.values())
    connection.exec_driver_sql(
        f"insert into {measures.staged} (account_id, {', '.join(measures.nothing)})"
        f" select old.account_id, {nothing} from {measures.stored} old{only}"
        f" where not exists (select 1 from {measures.staged} n where n.account_id = old.account_id)"
    )


def _different(connection: sa.Connection, measures: Measures, names: tuple[str, ...]) -> str:
    """SQL: every staged row beside its stored one, where they differ."""
    return (
        f"{measures.staged} new left join {measures.stored} old on old.account_id = new.account_id"
        f" where {differs(connection, 'new', 'old', names)}"
    )
