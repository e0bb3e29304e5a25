"""Temporary tables a valuation works in. Each is filled, indexed and analysed before the next one reads it.

Stacked common table expressions would say the same in one statement, but the planners know nothing about them and go
quadratic at ten thousand accounts. Names start with `s_`; all live in one transaction.

`s_scope`         the opportunities to value again; without it (`scoped=False`) all of them are
`s_owned`         the buyers of these and everybody merged into them -> the buyer
`s_referral`      the referrals that count on the day, ends resolved through merges
`s_target`        the accounts that a referral can reach by tier 3 and 4
`s_first`         the first sale of every buyer
`s_line`          credit lines; columns of `credit_line`
`s_issue`         columns of `opportunity_issue`
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import sqlalchemy as sa

from app.domain.model import Policy, Scope
from app.store.bulk import analyze, create_stage, insert_rows, is_sqlite, run_together

SOLD = "o.is_won = 1 and o.is_closed = 1 and o.is_deleted = 0 and o.close_on <= :as_of and o.account_id is not null"
"""SQL: opportunity `o` counts as a sale on the day `:as_of`."""

EVERY_SOLD = SOLD.replace("o.is_won", "+o.is_won")
"""SQL: the same over all opportunities. The plus keeps SQLite from the index of sales, which costs a look-up a row."""

LIVE = "a.is_deleted = 0 and a.merged_into_id is null"
"""SQL: account `a` is neither deleted nor merged away."""

PRICED = "(o.home_amount is not null or o.amount is null)"
"""SQL: the value of `o` is known; no amount at all counts as nothing, a missing rate holds it back."""


def create_temp(connection: sa.Connection, name: str, columns: str, *indexes: str) -> None:
    run_together(
        connection,
        f"drop table if exists {name}",
        _create(connection, name, columns),
        *(f"create index ix_{name}_{column} on {name} ({column})" for column in indexes),
    )


def renew_temp(connection: sa.Connection, name: str, columns: str) -> None:
    """Create an empty table, or empty it: for what is filled again for each page.

    PostgreSQL keeps a lock on every table that was dropped till its transaction ends, and has room for some thousands.
    """
    empty = f"delete from {name}" if is_sqlite(connection) else f"truncate {name}"
    run_together(connection, _create(connection, f"if not exists {name}", columns), empty)


def _create(connection: sa.Connection, name: str, columns: str) -> str:
    # SQLite would keep a key beside the rows: one tree is filled, and searched, in two thirds of the time.
    kept = " without rowid" if is_sqlite(connection) and " primary key" in columns else ""
    return f"create temp table {name} ({columns}){kept}"


def fill_temp(
    connection: sa.Connection,
    name: str,
    columns: str,
    *queries: str,
    key: str = "",
    indexes: Sequence[str] = (),
    given: Mapping[str, Any] = MappingProxyType({}),
) -> None:
    """Create a staged table, fill it with what queries find one after the other, and analyse it.

    `key`: the columns of its primary key. SQLite fills its tree, PostgreSQL sorts once what is there, as is cheaper for
    each. `indexes`: columns that have one of their own. `given`: the parameters of the queries.
    """
    keyed = f"{columns}, primary key ({key})" if key and is_sqlite(connection) else columns
    create_temp(connection, name, keyed)
    for query in queries:
        connection.execute(sa.text(f"insert into {name} {query}"), given)
    keys = [f"alter table {name} add primary key ({key})"] if key and not is_sqlite(connection) else []
    run_together(
        connection,
        *keys,
        *(f"create index ix_{name}_{column} on {name} ({column})" for column in indexes),
        f"analyze {name}",
    )


def text_type(connection: sa.Connection) -> str:
    """Ids compare byte by byte in temporary tables too.

    They are short: PostgreSQL needs no second table for what is too long for the first, which halves the price of
    creating it. Before 16 it cannot be told.
    """
    if is_sqlite(connection):
        return "text"
    plain = " storage plain" if (connection.dialect.server_version_info or ()) >= (16,) else ""
    return f'text{plain} collate "C"'


def add_ids(connection: sa.Connection, table: str, query: str) -> None:
    """Add what a query finds in its column `id` to a staged table of ids."""
    connection.exec_driver_sql(
        f"insert into {table} select id from ({query}) q where id is not null on conflict do nothing"
    )


def stage_ids(connection: sa.Connection, name: str, ids: Collection[str]) -> None:
    renew_temp(connection, name, f"id {text_type(connection)} primary key")
    insert_rows(connection, name, ("id",), [(one,) for one in sorted(ids)])
    analyze(connection, name)


def stage_buyers(connection: sa.Connection) -> None:
    """Fill `s_owned`: the buyers of the scope and everybody merged into them -> the buyer."""
    text = text_type(connection)
    create_temp(connection, "s_buyer", f"id {text} primary key")
    add_ids(
        connection,
        "s_buyer",
        "select coalesce(c.canonical_id, o.account_id) as id from s_scope s cross join opportunity o"
        " left join s_canonical c on c.account_id = o.account_id where o.id = s.id",
    )
    create_temp(connection, "s_owned", f"account_id {text} primary key, buyer_id {text}")
    connection.exec_driver_sql(
        "insert into s_owned select id, id from s_buyer union"
        " select c.account_id, c.canonical_id from s_canonical c join s_buyer b on b.id = c.canonical_id"
    )
    analyze(connection, "s_owned")


def stage_referrals(
    connection: sa.Connection, policy: Policy, as_of: str, free_mail: Sequence[str], *, scoped: bool
) -> None:
    """Fill `s_referral` and `s_target` (the accounts a referral can reach by tier 3 and 4).

    In a scope only the referrals that can reach its buyers, and those whose domain nobody can tell, wherever they lead.
    """
    text = text_type(connection)
    only = ""
    if scoped:
        _stage_relevant(connection)
        only = " join s_relevant on s_relevant.id = e.event_id"
    until = _window_end(connection, policy)
    # Few accounts are deleted: they are found once, not asked after for every referral.
    create_temp(connection, "s_gone", f"id {text} primary key")
    add_ids(connection, "s_gone", "select id from account where is_deleted = 1 and merged_into_id is null")
    fill_temp(
        connection,
        "s_referral",
        f"event_id {text}, referrer_id {text}, is_referrer_deleted smallint, account_id {text}, "
        f"opportunity_id {text}, contact_id {text}, domain {text}, occurred_on {text}, recorded_on {text}, "
        f"status {text}, share_percent {text}, window_until {text}",
        "select e.event_id, coalesce(f.canonical_id, e.account_id),"
        " case when coalesce(f.canonical_id, e.account_id) in (select id from s_gone) then 1 else 0 end,"
        " coalesce(t.canonical_id, e.referred_account_id), e.opportunity_id, e.referred_contact_id,"
        f" lower(e.referred_domain), e.occurred_on, e.recorded_on, e.status, e.share_percent, {until}"
        f" from advocacy_event e{only} left join s_canonical f on f.account_id = e.account_id"
        " left join s_canonical t on t.account_id = e.referred_account_id"
        " where e.type = 'referral' and e.status in ('verified', 'claimed') and e.occurred_on <= :as_of",
        key="event_id",
        given={"as_of": as_of},
    )
    _stage_targets(connection, free_mail)


def _stage_relevant(connection: sa.Connection) -> None:
    """Fill `s_relevant` with the referrals that name anything in the scope, or nothing but a domain."""
    text = text_type(connection)
    create_temp(connection, "s_relevant", f"id {text} primary key")
    # The staged table first, by `cross join`: see `closure`.
    event, joined = "select e.event_id as id from", "cross join advocacy_event e"
    by_role = "cross join contact_role r"
    nothing_else = "e.referred_account_id is null and e.referred_contact_id is null and e.opportunity_id is null"
    for query in (
        f"{event} s_scope s {joined} where e.opportunity_id = s.id",
        f"{event} s_owned b {joined} where e.referred_account_id = b.account_id",
        f"{event} s_scope s {by_role} {joined} where r.opportunity_id = s.id and e.referred_contact_id = r.contact_id",
        f"{event} s_owned b cross join account a {joined} where a.id = b.account_id and e.referred_domain = a.domain",
        f"{event} advocacy_event e where e.referred_domain is not null and {nothing_else}",
    ):
        add_ids(connection, "s_relevant", query)
    analyze(connection, "s_relevant")


def _window_end(connection: sa.Connection, policy: Policy) -> str:
    """SQL for the last day on which an opportunity may be created to be the referral's."""
    return later(connection, "e.occurred_on", policy.window_days) if policy.scope is Scope.WINDOW else "'9999-12-31'"


def later(connection: sa.Connection, day: str, days: int) -> str:
    """SQL for the ISO day `days` after another: `domain.credit.later`."""
    if is_sqlite(connection):
        return f"coalesce(date({day}, '+{int(days)} days'), '9999-12-31')"
    return f"(cast({day} as date) + {int(days)})::text"


def _stage_targets(connection: sa.Connection, free_mail: Sequence[str]) -> None:
    text = text_type(connection)
    # Merged accounts lend their domain to the survivor; deleted ones count for nothing.
    create_temp(connection, "s_domain", f"domain {text} primary key, account_id {text}, accounts bigint")
    connection.execute(
        sa.text(
            "insert into s_domain select d.domain, min(d.owner), count(distinct d.owner) from ("
            " select a.domain, coalesce(c.canonical_id, a.id) as owner from account a"
            " left join s_canonical c on c.account_id = a.id"
            " where a.domain in (select domain from s_referral where domain is not null) and a.domain not in :free"
            ") d left join account o on o.id = d.owner"
            " where not coalesce(o.is_deleted = 1 and o.merged_into_id is null, false) group by d.domain"
        ).bindparams(sa.bindparam("free", expanding=True)),
        {"free": list(free_mail)},
    )
    # With what the rules ask of the referral, in the order of the accounts: their sales lie together.
    told = (
        "r.referrer_id, r.is_referrer_deleted, r.occurred_on, r.recorded_on, r.status, r.share_percent, r.window_until"
    )
    fill_temp(
        connection,
        "s_target",
        f"account_id {text}, event_id {text}, tier smallint, referrer_id {text}, is_referrer_deleted smallint,"
        f" occurred_on {text}, recorded_on {text}, status {text}, share_percent {text}, window_until {text}",
        *(
            f"select {account}, r.event_id, {tier}, {told} from {source} order by 1"
            for account, tier, source in (
                ("r.account_id", "3", "s_referral r where r.account_id is not null"),
                ("d.account_id", "4", "s_referral r join s_domain d on d.domain = r.domain where d.accounts = 1"),
                # Opportunities may still hang on a merged account: the surviving one stands for all of them.
                ("c.account_id", "r.tier", "s_target r join s_canonical c on c.canonical_id = r.account_id"),
            )
        ),
        key="account_id, event_id, tier",
    )


def stage_first_sales(connection: sa.Connection, as_of: str, *, scoped: bool) -> None:
    """Fill `s_first`: the first sale, by (close date, id), of every buyer of a sale; in a scope of those in it."""
    source, buyer = "opportunity o", "coalesce(c.canonical_id, x.account_id)"
    joined = "left join s_canonical c on c.account_id = x.account_id"
    if scoped:
        source, buyer = "s_owned s join opportunity o on o.account_id = s.account_id", "w.buyer_id"
        joined = "join s_owned w on w.account_id = x.account_id"
    fill_temp(
        connection,
        "s_first",
        f"opportunity_id {text_type(connection)}",
        # Along the index of sales first: merged accounts are few.
        "select substr(min(x.first), 11) from"
        f" (select o.account_id, min(o.close_on || o.id) as first from {source} where {SOLD} group by o.account_id)"
        f" x {joined} group by {buyer}",
        key="opportunity_id",
        given={"as_of": as_of},
    )


def stage_lines_table(connection: sa.Connection) -> None:
    create_stage(connection, "s_line", "credit_line")


LINE_COLUMNS = (
    "measure", "account_id", "opportunity_id", "buyer_id", "event_id", "tier", "share_numerator", "share_denominator",
    "amount", "rule", "net", "dated_on", "own_amount", "own_currency", "rate", "rate_on", "policy_version",
    "valid_from_run",
)  # fmt: skip
