"""Exchange rates, and the amounts that are converted again when one changes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date
from decimal import Decimal
from fractions import Fraction

import sqlalchemy as sa

from app.domain.model import Rate
from app.domain.money import minor_places
from app.domain.rows import Row
from app.store.bulk import create_stage, differs, drop_stage, insert_rows
from app.store.dirty import mark


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
    # A correction in a currency of its own is converted with it, whatever currency its opportunity has.
    corrected = "adjustment a where 1 = 1"
    if reporting_currency not in found:
        corrected = "adjustment a join dirty d on d.kind = 'rate' and d.id = a.currency where 1 = 1"
    connection.exec_driver_sql(mark("opportunity", "a.opportunity_id", corrected))
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
    connection.exec_driver_sql(mark("opportunity", "new.id", changed))
    connection.exec_driver_sql(mark("value", "old.account_id", changed))
    connection.exec_driver_sql(
        "update opportunity set home_amount = c.home_amount, rate = c.rate, rate_on = c.rate_on "
        "from converted c where c.id = opportunity.id and "
        + differs(connection, "c", "opportunity", ("home_amount", "rate", "rate_on"))
    )
    drop_stage(connection, "converted")
