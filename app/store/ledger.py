"""Credit lines: staged, compared with what is stored, and replaced where they differ.

A line is current while `valid_to_run` is null. Replacing closes the old line and opens a new one, so that what was
reported in any run can be read again.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import Any, NamedTuple

import sqlalchemy as sa

from app.domain.model import AccountIssue, CreditLine, Measure
from app.domain.money import Correction
from app.domain.rows import Row
from app.store.bulk import analyze, create_stage, differs, insert_rows, is_sqlite
from app.store.staging import EVERY_SOLD, LINE_COLUMNS, PRICED, SOLD, add_ids, create_temp, stage_ids, text_type

IDENTITY = "measure", "account_id", "opportunity_id", "event_id", "tier"
CONTENT = "buyer_id", "amount", "share_numerator", "share_denominator", "rule", "net", "dated_on"
"""A line that differs in one of these is replaced. A rate that moved and left the amount alone is no reason."""


@dataclass(frozen=True, slots=True)
class Stamp:
    """What every line of one valuation carries."""

    run_id: int
    policy_version: str


def has_current_lines(connection: sa.Connection) -> bool:
    return (
        connection.exec_driver_sql("select 1 from credit_line where valid_to_run is null limit 1").first() is not None
    )


def stage_direct_lines(connection: sa.Connection, table: str, stamp: Stamp, as_of: str, *, scoped: bool) -> None:
    """Insert the direct line of every sale without corrections; those with corrections go through Python."""
    only = " join s_scope on s_scope.id = o.id" if scoped else ""
    # What is summed together lies together: SQLite sums 400,000 lines in a third of the time.
    order = " order by 2" if is_sqlite(connection) and not scoped else ""
    connection.execute(
        sa.text(
            f"insert into {table} ({', '.join(LINE_COLUMNS)}) "
            "select 'direct', coalesce(c.canonical_id, o.account_id), o.id, coalesce(c.canonical_id, o.account_id),"
            " null, 0, 1, 1, coalesce(o.home_amount, 0), o.type, coalesce(o.home_amount, 0), o.close_on,"
            " case when o.rate is not null then o.amount end, case when o.rate is not null then o.currency end,"
            " o.rate, o.rate_on, cast(:policy as text), :run"
            f" from opportunity o{only} left join s_canonical c on c.account_id = o.account_id"
            f" where {SOLD if scoped else EVERY_SOLD} and {PRICED}"
            f" and not exists (select 1 from adjustment a where a.opportunity_id = o.id and a.is_deleted = 0){order}"
        ),
        {"as_of": as_of, "policy": stamp.policy_version, "run": stamp.run_id},
    )


@dataclass(frozen=True, slots=True)
class Corrected:
    """A sale with refunds or corrections: its net has to be computed by the one rounding rule."""

    opportunity_id: str
    buyer_id: str
    amount: str | None
    currency: str | None
    close_on: str
    type: str
    corrections: tuple[Correction, ...]


def load_corrected(connection: sa.Connection, as_of: str, *, scoped: bool) -> list[Corrected]:
    """The sales with corrections dated up to the day. Few: refunds are the exception."""
    only = " join s_scope on s_scope.id = o.id" if scoped else ""
    rows = connection.execute(
        sa.text(
            "select o.id, coalesce(c.canonical_id, o.account_id) as buyer_id, o.amount, o.currency, o.close_on, o.type,"
            " a.id as correction_id, a.amount as correction, a.currency as correction_currency, a.dated_on"
            f" from opportunity o{only} join adjustment a on a.opportunity_id = o.id and a.is_deleted = 0"
            f" left join s_canonical c on c.account_id = o.account_id where {SOLD} order by o.id, a.id"
        ),
        {"as_of": as_of},
    )
    found: dict[str, list[sa.Row[tuple[str, ...]]]] = {}
    for row in rows:
        found.setdefault(row.id, []).append(row)
    return [
        Corrected(
            first.id,
            first.buyer_id,
            first.amount,
            first.currency,
            first.close_on,
            first.type,
            tuple(
                Correction(r.correction_id, Decimal(r.correction), r.correction_currency, r.dated_on)
                for r in group
                if r.correction is not None and r.dated_on is not None and r.dated_on <= as_of
            ),
        )
        for group in found.values()
        for first in group[:1]
    ]


def stage_nets(connection: sa.Connection, nets: Mapping[str, int]) -> None:
    """Remember the net of corrected sales; all others are worth their own amount."""
    create_temp(connection, "s_net", f"opportunity_id {text_type(connection)} primary key, net bigint")
    insert_rows(connection, "s_net", ("opportunity_id", "net"), sorted(nets.items()))
    analyze(connection, "s_net")


class Origin(NamedTuple):
    """Where an amount of the reporting currency comes from; empty when it was in that currency."""

    own_amount: str | None = None
    own_currency: str | None = None
    rate: str | None = None
    rate_on: str | None = None


HOME = Origin()


def stage_lines(
    connection: sa.Connection,
    table: str,
    stamp: Stamp,
    lines: Sequence[CreditLine],
    origin_of: Callable[[CreditLine], Origin],
) -> None:
    rows: list[Row] = [
        (
            line.measure, line.account_id, line.opportunity_id, line.buyer_id, line.event_id, line.tier,
            line.share.numerator, line.share.denominator, line.amount, line.rule, line.net, line.dated_on,
            *origin_of(line), stamp.policy_version, stamp.run_id,
        )
        for line in lines
    ]  # fmt: skip
    insert_rows(connection, table, LINE_COLUMNS, rows)


def stage_issues(connection: sa.Connection, issues: Sequence[AccountIssue]) -> None:
    rows: list[Row] = [(i.code, i.account_id, i.opportunity_id, i.event_id) for i in issues]
    insert_rows(connection, "s_issue", ("code", "account_id", "opportunity_id", "event_id"), rows)


def create_issue_stage(connection: sa.Connection) -> None:
    create_stage(connection, "s_issue", "opportunity_issue")


def stage_amount_issues(connection: sa.Connection, as_of: str, *, scoped: bool) -> None:
    """Sales whose amount or rate is missing count as nothing, and are listed."""
    only = " join s_scope on s_scope.id = o.id" if scoped else ""
    connection.execute(
        sa.text(
            "insert into s_issue (code, account_id, opportunity_id) "
            "select case when o.amount is null then 'amount_missing' else 'rate_missing' end,"
            f" coalesce(c.canonical_id, o.account_id), o.id from opportunity o{only}"
            f" left join s_canonical c on c.account_id = o.account_id"
            f" where {SOLD if scoped else EVERY_SOLD} and o.home_amount is null"
        ),
        {"as_of": as_of},
    )


def stage_domain_issues(connection: sa.Connection, free_mail: Sequence[str]) -> None:
    """A referral that points at nothing but a domain, and the domain does not tell which account."""
    connection.execute(
        sa.text(
            "insert into s_issue (code, account_id, event_id) select 'ambiguous_domain', r.referrer_id, r.event_id"
            " from s_referral r left join s_domain d on d.domain = r.domain"
            " where (d.accounts > 1 or r.domain in :free)"
            " and r.account_id is null and r.contact_id is null and r.opportunity_id is null"
        ).bindparams(sa.bindparam("free", expanding=True)),
        {"free": list(free_mail)},
    )


def count_differences(connection: sa.Connection, *, scoped: bool) -> int:
    """How many current lines a recomputation contradicts, plus how many it adds: nothing but zero is right."""
    only = " and old.opportunity_id in (select id from s_scope)" if scoped else ""
    connection.exec_driver_sql("create index ix_s_line_opportunity_id on s_line (opportunity_id)")
    analyze(connection, "s_line")
    missing = connection.exec_driver_sql(
        f"select count(*) from credit_line old where old.valid_to_run is null{only}"
        f" and not exists (select 1 from s_line new where {_same_line(connection)})"
    ).scalar_one()
    added = connection.exec_driver_sql(
        "select count(*) from s_line new where not exists"
        f" (select 1 from credit_line old where old.valid_to_run is null and {_same_line(connection)})"
    ).scalar_one()
    return int(missing) + int(added)


def _same_line(connection: sa.Connection) -> str:
    """SQL: the staged line `new` is the stored line `old`."""
    same = " and ".join(f"new.{c} = old.{c}" for c in IDENTITY if c != "event_id")
    same += " and coalesce(new.event_id, '') = coalesce(old.event_id, '')"
    return f"{same} and not {differs(connection, 'new', 'old', CONTENT)}"


def merge_lines(connection: sa.Connection, run_id: int, *, scoped: bool) -> None:
    """Close the stored lines that the staged ones contradict and open what is new; equal lines are left alone."""
    only = " and old.opportunity_id in (select id from s_scope)" if scoped else ""
    connection.exec_driver_sql("create index ix_s_line_opportunity_id on s_line (opportunity_id)")
    analyze(connection, "s_line")
    equal = _same_line(connection)
    connection.exec_driver_sql(
        f"update credit_line as old set valid_to_run = {int(run_id)} where old.valid_to_run is null{only}"
        f" and not exists (select 1 from s_line new where {equal})"
    )
    names = ", ".join(LINE_COLUMNS)
    connection.exec_driver_sql(
        f"insert into credit_line ({names}) select {names} from s_line new where not exists"
        f" (select 1 from credit_line old where old.valid_to_run is null and {equal})"
    )


def merge_issues(connection: sa.Connection, *, scoped: bool) -> None:
    """Replace the stored issues; in a scope, add to `s_touched` the accounts for which one came or went."""
    names = "code, account_id, opportunity_id, event_id"
    if scoped:
        _stage_stored_issues(connection, names)
        for one, other in (("s_stored_issue", "s_issue"), ("s_issue", "s_stored_issue")):
            moved = f"select {names} from {one} except select {names} from {other}"
            add_ids(connection, "s_touched", f"select account_id as id from ({moved}) m")
        connection.exec_driver_sql("delete from opportunity_issue where opportunity_id in (select id from s_scope)")
        connection.exec_driver_sql("delete from opportunity_issue where opportunity_id is null")
    else:
        connection.exec_driver_sql("delete from opportunity_issue")
    connection.exec_driver_sql(f"insert into opportunity_issue ({names}) select distinct {names} from s_issue")


def _stage_stored_issues(connection: sa.Connection, names: str) -> None:
    """Of the opportunities in the scope, and those of no opportunity. Apart: joined by `or` no index serves them."""
    create_stage(connection, "s_stored_issue", "opportunity_issue")
    insert = f"insert into s_stored_issue ({names}) select i.code, i.account_id, i.opportunity_id, i.event_id from"
    connection.exec_driver_sql(f"{insert} s_scope s cross join opportunity_issue i where i.opportunity_id = s.id")
    connection.exec_driver_sql(f"{insert} opportunity_issue i where i.opportunity_id is null")


def count_issues(connection: sa.Connection, table: str = "opportunity_issue") -> dict[str, int]:
    rows = connection.exec_driver_sql(f"select code, count(*) from {table} group by code order by code")
    return {code: int(count) for code, count in rows}


@dataclass(frozen=True, slots=True)
class LineRow:
    """A credit line with what a person wants to know beside it."""

    line: CreditLine
    policy_version: str
    opportunity_name: str
    close_on: str | None
    currency: str | None
    own_amount: str | None
    """The amount in its own currency, exact text: of the opportunity, or of the correction that the line is of."""
    rate: str | None
    """The rate the line was computed with, exact text; None where nothing was converted."""
    rate_on: str | None
    event_type: str | None
    event_title: str | None
    occurred_on: str | None


_LINE_QUERY = (
    "select l.measure, l.account_id, l.opportunity_id, l.buyer_id, l.amount, l.event_id, l.tier, l.share_numerator,"
    " l.share_denominator, l.rule, l.net, l.dated_on, l.policy_version, o.name, o.close_on,"
    " coalesce(l.own_currency, case when l.rule = 'adjustment' then j.currency else o.currency end),"
    " coalesce(l.own_amount, case when l.rule = 'adjustment' then j.amount else o.amount end), l.rate, l.rate_on,"
    " e.type, e.title, e.occurred_on from {source} left join opportunity o on o.id = l.opportunity_id"
    " left join adjustment j on j.id = l.event_id and l.rule = 'adjustment'"
    " left join advocacy_event e on e.event_id = l.event_id where l.valid_to_run is null"
)


def load_lines(connection: sa.Connection, account_ids: Collection[str], *, table: str = "credit_line") -> list[LineRow]:
    """Every current line of some accounts, by account, measure and opportunity."""
    stage_ids(connection, "s_explained", account_ids)
    query = _LINE_QUERY.format(source=f"s_explained x join {table} l on l.account_id = x.id")
    rows = connection.exec_driver_sql(
        query + " order by l.account_id, l.measure, l.opportunity_id, l.tier, coalesce(l.event_id, '')"
    ).fetchall()
    return [_line_row(row) for row in rows]


def _line_row(row: Sequence[Any]) -> LineRow:
    measure, account, opportunity, buyer, amount, event, tier, numerator, denominator, rule, net, day, *rest = row
    share = Fraction(numerator, denominator)
    line = CreditLine(Measure(measure), account, opportunity, buyer, amount, event, tier, share, rule, net, day)
    policy, name, *more = rest
    return LineRow(line, policy, name or "", *more)
