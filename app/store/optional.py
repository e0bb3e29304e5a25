"""The optional money measures of referring, where the policy knows what they need. Otherwise this costs nothing.

`s_optional`   per account that brought or influenced anything; null where an input is unknown
"""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from itertools import groupby

import sqlalchemy as sa

from app.domain.model import Policy
from app.domain.referral_value import (
    Acquisition,
    Part,
    acquired_value,
    acquisition_savings,
    reference_value,
    referral_value,
)
from app.domain.rules import OptionalRules
from app.store.bulk import analyze, insert_rows
from app.store.rates import load_places
from app.store.staging import SOLD, add_ids, create_temp, text_type
from app.store.values import LineSource

OPTIONAL = ("crv", "acquisition_savings", "brv")


def stage_optional(connection: sa.Connection, lines: LineSource, policy: Policy, as_of: str, *, touched: bool) -> None:
    """Fill `s_optional` for all accounts, or for those in `s_engaged`."""
    columns = ", ".join(f"{name} bigint" for name in OPTIONAL)
    create_temp(connection, "s_optional", f"account_id {text_type(connection)} primary key, {columns}")
    rules = policy.optional_measures
    if rules == OptionalRules(would_have_come=rules.would_have_come):
        return
    _stage_first_sales(connection, lines, as_of, touched=touched)
    brought = list(_load_acquisitions(connection, lines))
    per_unit = 10 ** load_places(connection, policy.reporting_currency)
    acquired, saved = acquired_value(brought, rules, per_unit), acquisition_savings(brought, rules, per_unit)
    only = " join s_engaged t on t.id = v.account_id" if touched else ""
    sums = connection.exec_driver_sql(
        f"select v.account_id, v.referred, v.influence from {lines.values} v{only} where v.account_id in"
        f" (select l.account_id from {lines.table} l where {lines.current('l')}"
        " and l.measure in ('referred', 'influence'))"
    )
    rows = [
        (
            account,
            referral_value(referred, None if acquired is None else acquired[account], rules),
            None if saved is None else saved[account],
            reference_value(influence, rules),
        )
        for account, referred, influence in sums
    ]
    insert_rows(connection, "s_optional", ("account_id", *OPTIONAL), rows)
    analyze(connection, "s_optional")


def _stage_first_sales(connection: sa.Connection, lines: LineSource, as_of: str, *, touched: bool) -> None:
    """Fill `s_won` with the first sale, by (close date, id), of everybody who was brought by the accounts at hand."""
    text = text_type(connection)
    only = "s_engaged t join {0} l on l.account_id = t.id" if touched else "{0} l"
    create_temp(connection, "s_brought", f"id {text} primary key")
    add_ids(
        connection,
        "s_brought",
        f"select distinct l.buyer_id as id from {only.format(lines.table)}"
        f" where {lines.current('l')} and l.measure = 'referred'",
    )
    create_temp(connection, "s_won", f"buyer_id {text} primary key, opportunity_id {text}")
    connection.execute(
        sa.text(
            "insert into s_won select w.buyer_id, substr(min(o.close_on || o.id), 11) from"
            " (select id as account_id, id as buyer_id from s_brought union"
            " select c.account_id, c.canonical_id from s_canonical c join s_brought b on b.id = c.canonical_id) w"
            f" join opportunity o on o.account_id = w.account_id where {SOLD} group by w.buyer_id"
        ),
        {"as_of": as_of},
    )
    analyze(connection, "s_won")


def _load_acquisitions(connection: sa.Connection, lines: LineSource) -> Iterator[Acquisition]:
    """Who brought whom, with the shares of the credit for the first sale, in the order of the referrals."""
    rows = connection.exec_driver_sql(
        "select w.buyer_id, l.account_id, l.share_numerator, l.share_denominator from s_won w"
        f" join {lines.table} l on l.opportunity_id = w.opportunity_id"
        f" where {lines.current('l')} and l.measure = 'referred'"
        " order by w.buyer_id, l.dated_on, l.event_id, l.account_id"
    )
    for _, claims in groupby(rows, key=lambda row: row[0]):
        yield [Part(account, Fraction(numerator, denominator)) for _, account, numerator, denominator in claims]
