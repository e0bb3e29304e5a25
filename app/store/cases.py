"""The sales on which several claims compete, with everything that decides between them, in pages.

Memory follows the page, not the ledger: claims, advocates and the referrers above them are loaded for a page at a time.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import sqlalchemy as sa

from app.domain.chain import Edge
from app.domain.credit import Advocate, Claim, Sale
from app.domain.model import ChainMode
from app.store.bulk import analyze
from app.store.ledger import Origin
from app.store.staging import PRICED, SOLD, create_temp, fill_temp, renew_temp, stage_ids, text_type

CASES = 2_000
"""Opportunities credited at a time: enough to amortise a query, few enough to stay flat in memory."""
_EDGES = (
    "select l.buyer_id, l.account_id, l.share_numerator, l.share_denominator, e.occurred_on,"
    " l.event_id, l.tier from {source} l join advocacy_event e on e.event_id = l.event_id"
    " where l.opportunity_id = f.opportunity_id and l.measure = 'referred' and l.valid_to_run is null"
)


@dataclass(frozen=True, slots=True)
class Case:
    """One sale with everything that may earn credit on it."""

    sale: Sale
    net: int
    origin: Origin
    claims: tuple[Claim, ...] = ()
    advocates: tuple[Advocate, ...] = ()
    reference_share: Fraction | None = None


def stream_cases(connection: sa.Connection, as_of: str) -> Iterator[list[Case]]:
    """The staged cases in pages, by opportunity id."""
    for _ in _pages(connection, "s_case"):
        yield _load_cases(connection, as_of)


def stream_chained(connection: sa.Connection, table: str) -> Iterator[tuple[list[Case], dict[str, list[Edge]]]]:
    """The sales in `s_chained` in pages, without their claims, and the edges of each from its lines in `table`."""
    _stage_direct_edges(connection, table)
    for _ in _pages(connection, "s_chained"):
        sales = [Case(Sale._make(r[:7]), r[7], Origin._make(r[8:12])) for r in _load_sales(connection)]
        yield sales, _load_edges(connection)


def _pages(connection: sa.Connection, table: str) -> Iterator[None]:
    """Fill `s_page` with the next opportunities of a staged table, again and again."""
    page = sa.text(f"select opportunity_id from {table} where opportunity_id > :last order by opportunity_id limit :n")
    last = ""
    while ids := list(connection.execute(page, {"last": last, "n": CASES}).scalars()):
        stage_ids(connection, "s_page", ids)
        yield
        last = ids[-1]


def _stage_direct_edges(connection: sa.Connection, table: str) -> None:
    """Fill `s_direct_edge` with the referred lines on the sales in `s_chained`.

    Once: while the first lines are written, their table has no index to look pages up by.
    """
    text = text_type(connection)
    fill_temp(
        connection,
        "s_direct_edge",
        f"opportunity_id {text}, referrer_id {text}, share_numerator bigint, share_denominator bigint,"
        f" occurred_on {text}, event_id {text}, tier smallint",
        "select l.opportunity_id, l.account_id, l.share_numerator, l.share_denominator,"
        f" e.occurred_on, l.event_id, l.tier from {table} l join s_chained c on c.opportunity_id = l.opportunity_id"
        " join advocacy_event e on e.event_id = l.event_id"
        " where l.measure = 'referred' and l.valid_to_run is null",
        indexes=("opportunity_id",),
    )


def _load_edges(connection: sa.Connection) -> dict[str, list[Edge]]:
    """The edges of the opportunities in `s_page`."""
    found: dict[str, list[Edge]] = {}
    for row in connection.exec_driver_sql(
        "select d.opportunity_id, d.referrer_id, d.share_numerator, d.share_denominator, d.occurred_on, d.event_id,"
        " d.tier from s_page join s_direct_edge d on d.opportunity_id = s_page.id"
        " order by d.opportunity_id, d.occurred_on, d.event_id"
    ).fetchall():
        edge = Edge(row[1], Fraction(row[2], row[3]), row[4], row[5], row[6])
        found.setdefault(row[0], []).append(edge)
    return found


def stage_chained(connection: sa.Connection, table: str, mode: ChainMode, *, scoped: bool) -> bool:
    """Fill `s_chained` with the sales whose direct referrer was itself referred; False when there is none.

    Beside the credit only those count that were referred before they referred. In a scope, the referrer's own first
    sale may be outside: every credited sale is looked at.
    """
    before = "" if mode is ChainMode.CARVE_OUT else " and e.occurred_on <= l.dated_on"
    create_temp(connection, "s_chained", f"opportunity_id {text_type(connection)} primary key")
    connection.exec_driver_sql(
        f"insert into s_chained select distinct l.opportunity_id from {table} l"
        " where l.measure = 'referred' and l.valid_to_run is null"
        + ("" if scoped else f" and exists (select 1 from s_edge e where e.buyer_id = l.account_id{before})")
    )
    analyze(connection, "s_chained")
    return connection.exec_driver_sql("select 1 from s_chained limit 1").first() is not None


def delete_carved(connection: sa.Connection, table: str) -> None:
    """Take the direct referred lines of the sales in `s_page` out again: carved ones replace them."""
    connection.exec_driver_sql(
        f"delete from {table} where measure = 'referred' and valid_to_run is null"
        " and opportunity_id in (select id from s_page)"
    )


def _load_cases(connection: sa.Connection, as_of: str) -> list[Case]:
    """The cases of the opportunities in `s_page`."""
    claims: dict[str, list[Claim]] = {}
    for row in connection.execute(
        sa.text(
            "select a.opportunity_id, r.event_id, r.referrer_id, coalesce(g.group_id, r.referrer_id), r.occurred_on,"
            " r.recorded_on, a.tier, r.status, r.share_percent, r.is_referrer_deleted"
            " from s_claim a join s_referral r on r.event_id = a.event_id"
            " left join s_group g on g.account_id = r.referrer_id"
            " join s_page on s_page.id = a.opportunity_id"
        )
    ).fetchall():
        share = None if row[8] is None else Fraction(row[8]) / 100
        claims.setdefault(row[0], []).append(Claim._make((*row[1:8], share, row[9])))
    advocates = _load_advocates(connection)
    surveys = _load_surveys(connection, as_of)
    return [
        Case(
            Sale._make(row[:7]),
            row[7],
            Origin._make(row[8:12]),
            tuple(claims.get(row[0], ())),
            tuple(advocates.get(row[0], ())),
            surveys.get(row[0]),
        )
        for row in _load_sales(connection)
    ]


def _load_sales(connection: sa.Connection) -> Sequence[Sequence[Any]]:
    """What is known of the opportunities in `s_page` themselves."""
    return connection.execute(
        sa.text(
            "select o.id, coalesce(c.canonical_id, o.account_id), "
            " coalesce(g.group_id, c.canonical_id, o.account_id), coalesce(o.created_on, o.close_on), o.close_on,"
            " o.type, case when f.opportunity_id is null then 0 else 1 end, coalesce(n.net, o.home_amount, 0),"
            " case when o.rate is not null then o.amount end, case when o.rate is not null then o.currency end,"
            " o.rate, o.rate_on"
            " from s_page join opportunity o on o.id = s_page.id"
            " left join s_canonical c on c.account_id = o.account_id"
            " left join s_group g on g.account_id = coalesce(c.canonical_id, o.account_id)"
            " left join s_first f on f.opportunity_id = o.id left join s_net n on n.opportunity_id = o.id"
            f" where {PRICED}"
        )
    ).fetchall()


def _load_advocates(connection: sa.Connection) -> dict[str, list[Advocate]]:
    found: dict[str, list[Advocate]] = {}
    for row in connection.execute(
        sa.text(
            "select v.opportunity_id, e.event_id, coalesce(c.canonical_id, e.account_id), e.occurred_on,"
            " coalesce(e.weight, 1), case when a.is_deleted = 1 and a.merged_into_id is null then 1 else 0 end"
            " from s_advocate v join advocacy_event e on e.event_id = v.event_id"
            " left join s_canonical c on c.account_id = e.account_id"
            " left join account a on a.id = coalesce(c.canonical_id, e.account_id)"
            " join s_page on s_page.id = v.opportunity_id"
        )
    ):
        found.setdefault(row[0], []).append(Advocate._make(row[1:]))
    return found


def _load_surveys(connection: sa.Connection, as_of: str) -> dict[str, Fraction]:
    """The latest answer for each sale; of two on one day the one with the larger id."""
    rows = connection.execute(
        sa.text(
            "select e.opportunity_id, e.reference_share from s_page"
            " join advocacy_event e on e.opportunity_id = s_page.id and e.type = 'won_survey'"
            " where e.status = 'verified' and e.occurred_on <= :as_of and e.reference_share is not null"
            " order by e.occurred_on, e.event_id"
        ),
        {"as_of": as_of},
    )
    return {row[0]: Fraction(row[1]) for row in rows}


def stage_edges(connection: sa.Connection, table: str) -> None:
    """Fill `s_edge` with the referred lines, just written to `table`, of the first sales in `s_first`."""
    text = text_type(connection)
    fill_temp(
        connection,
        "s_edge",
        f"buyer_id {text}, referrer_id {text}, share_numerator bigint, share_denominator bigint,"
        f" occurred_on {text}, event_id {text}, tier smallint",
        _EDGES.format(source=f"s_first f, {table}"),
        indexes=("buyer_id",),
    )


def extend_edges(connection: sa.Connection, as_of: str) -> None:
    """Add the edges of the accounts in `s_wanted` from the stored ledger, where their first sale is not in scope."""
    text = text_type(connection)
    renew_temp(connection, "s_above", f"buyer_id {text} primary key, opportunity_id {text}")
    connection.execute(
        sa.text(
            "insert into s_above select w.buyer_id, substr(min(o.close_on || o.id), 11) from ("
            " select id as account_id, id as buyer_id from s_wanted union"
            " select c.account_id, c.canonical_id from s_canonical c join s_wanted on s_wanted.id = c.canonical_id"
            f") w join opportunity o on o.account_id = w.account_id where {SOLD} group by w.buyer_id"
        ),
        {"as_of": as_of},
    )
    analyze(connection, "s_above")
    outside = "not exists (select 1 from s_scope where s_scope.id = l.opportunity_id)"
    edges = _EDGES.format(source="s_above f cross join credit_line")
    connection.exec_driver_sql(f"insert into s_edge {edges} and {outside}")


def load_upstream(
    connection: sa.Connection, accounts: Collection[str], depth: int, *, as_of: str, scoped: bool
) -> dict[str, list[Edge]]:
    """The edges above some accounts, `depth` steps up; memory follows the page, not the ledger."""
    found: dict[str, list[Edge]] = {}
    wanted = set(accounts)
    for _ in range(depth):
        if not wanted:
            break
        stage_ids(connection, "s_wanted", wanted)
        if scoped:
            extend_edges(connection, as_of)
        rows = connection.exec_driver_sql(
            "select distinct e.buyer_id, e.referrer_id, e.share_numerator, e.share_denominator, e.occurred_on,"
            " e.event_id, e.tier from s_wanted w join s_edge e on e.buyer_id = w.id"
        )
        for row in rows:
            edge = Edge(row[1], Fraction(row[2], row[3]), row[4], row[5], row[6])
            found.setdefault(row[0], []).append(edge)
        wanted = {edge.referrer_id for one in wanted for edge in found.get(one, ())} - found.keys()
    return found
