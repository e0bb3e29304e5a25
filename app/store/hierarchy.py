"""Merges and hierarchies of accounts, staged: of all, or of whole families. `domain.hierarchy` says the same.

`s_canonical`   merged account -> surviving account, only where they differ
`s_family`      the accounts whose hierarchies are looked at, where not all are: with everybody above and below
`s_ancestor`    account -> itself and everything above it, only for accounts with somebody above or below
`s_group`       account -> ultimate parent, only for accounts that have a parent
"""

from __future__ import annotations

from collections.abc import Collection

import sqlalchemy as sa

from app.domain.hierarchy import canonical_ids, ultimate_parents
from app.domain.model import AccountIssue, Issue
from app.store.bulk import analyze, insert_rows
from app.store.staging import create_temp, fill_temp, text_type


def stage_structure(connection: sa.Connection) -> list[AccountIssue]:
    """Fill `s_canonical`, `s_ancestor` and `s_group`; the issues are the circles found on the way."""
    issues = stage_merges(connection)
    return issues + _stage_groups(connection, _stage_ancestors(connection, families=False))


def stage_families(connection: sa.Connection, accounts: str) -> list[AccountIssue]:
    """Fill `s_ancestor` and `s_group` for the accounts that a query finds in its column `id`, and all above and below.

    The merges are staged. The issues are the circles among them.
    """
    return _stage_groups(connection, stage_ancestors(connection, accounts))


def stage_ancestors(connection: sa.Connection, accounts: str) -> set[str]:
    """Of the same, `s_ancestor` alone; returns the accounts that are above each other."""
    _stage_family(connection, accounts)
    return _stage_ancestors(connection, families=True)


def stage_merges(connection: sa.Connection) -> list[AccountIssue]:
    """Fill `s_canonical`; the issues are the circles."""
    merged = {
        row.id: row.merged_into_id
        for row in connection.exec_driver_sql("select id, merged_into_id from account where merged_into_id is not null")
    }
    canonical = canonical_ids(merged)
    text = text_type(connection)
    create_temp(
        connection, "s_canonical", f"account_id {text} primary key, canonical_id {text} not null", "canonical_id"
    )
    insert_rows(connection, "s_canonical", ("account_id", "canonical_id"), sorted(canonical.items()))
    analyze(connection, "s_canonical")
    circular = [one for one in merged if _leads_back(one, merged)]
    return [AccountIssue(Issue.MERGE_CYCLE, one) for one in sorted(circular)]


def _leads_back(start: str, onwards: dict[str, str]) -> bool:
    at, seen = onwards.get(start), set[str]()
    while at is not None and at != start and at not in seen:
        seen.add(at)
        at = onwards.get(at)
    return at == start


def _stage_family(connection: sa.Connection, accounts: str) -> None:
    """Fill `s_family`: step by step upwards until nobody is above, then downwards."""
    create_temp(connection, "s_family", f"id {text_type(connection)} primary key, step int not null")
    insert = "insert into s_family"
    connection.exec_driver_sql(
        f"{insert} select distinct coalesce(c.canonical_id, q.id), 0 from ({accounts}) q"
        " left join s_canonical c on c.account_id = q.id where q.id is not null"
    )
    analyze(connection, "s_family")
    step = 0
    while _added(
        connection,
        f"{insert} select distinct coalesce(c.canonical_id, a.parent_id), {step + 1} from s_family f"
        " cross join account a left join s_canonical c on c.account_id = a.parent_id"
        f" where f.step = {step} and a.id = f.id and a.parent_id is not null on conflict do nothing",
    ):
        step += 1
    since = 0
    while _added(
        connection,
        f"{insert} select distinct a.id, {step + 1} from (select id from s_family where step >= {since} union"
        f" select c.account_id from s_family f join s_canonical c on c.canonical_id = f.id where f.step >= {since}) p"
        " cross join account a where a.parent_id = p.id"
        " and not exists (select 1 from s_canonical own where own.account_id = a.id) on conflict do nothing",
    ):
        step += 1
        since = step


def _added(connection: sa.Connection, insert: str) -> int:
    return connection.exec_driver_sql(insert).rowcount


def _stage_ancestors(connection: sa.Connection, *, families: bool) -> set[str]:
    """Of all accounts, or of those in `s_family`.

    UNION, not UNION ALL: in a circle everybody ends up above everybody, and the recursion stops.
    """
    text = text_type(connection)
    source, only = ("s_family f cross join account a", "a.id = f.id and") if families else ("account a", "")
    fill_temp(
        connection,
        "s_parent",
        f"account_id {text}, parent_id {text} not null",
        f"select a.id, coalesce(c.canonical_id, a.parent_id) from {source}"
        " left join s_canonical c on c.account_id = a.parent_id"
        " left join s_canonical own on own.account_id = a.id"
        f" where {only} a.parent_id is not null and own.account_id is null"
        " and coalesce(c.canonical_id, a.parent_id) <> a.id",
        key="account_id",
    )
    fill_temp(
        connection,
        "s_ancestor",
        f"account_id {text} not null, ancestor_id {text} not null",
        "with recursive up (account_id, ancestor_id) as ("
        " select account_id, parent_id from s_parent union"
        " select up.account_id, p.parent_id from up join s_parent p on p.account_id = up.ancestor_id"
        ") select account_id, ancestor_id from up where account_id <> ancestor_id "
        "union all select account_id, account_id from s_parent "
        "union all select distinct p.parent_id, p.parent_id from s_parent p "
        "where p.parent_id not in (select account_id from s_parent)",
        indexes=("account_id", "ancestor_id"),
    )
    return _parent_circles(connection)


def _parent_circles(connection: sa.Connection) -> set[str]:
    """Accounts that are above each other."""
    return set(
        connection.exec_driver_sql(
            "select a.account_id from s_ancestor a join s_ancestor b "
            "on b.account_id = a.ancestor_id and b.ancestor_id = a.account_id where a.account_id <> a.ancestor_id"
        ).scalars()
    )


def _stage_groups(connection: sa.Connection, circular: Collection[str]) -> list[AccountIssue]:
    """The ultimate parent is the ancestor without a parent; above a circle there is none, so Python decides."""
    text = text_type(connection)
    fill_temp(
        connection,
        "s_group",
        f"account_id {text}, group_id {text} not null",
        "select a.account_id, a.ancestor_id from s_ancestor a "
        "left join s_parent p on p.account_id = a.ancestor_id where p.account_id is null",
        key="account_id",
    )
    if circular:
        parents = {row.account_id: row.parent_id for row in connection.exec_driver_sql("select * from s_parent")}
        grouped = set(connection.exec_driver_sql("select account_id from s_group").scalars())
        rows = [(a, g) for a, g in sorted(ultimate_parents(parents).items()) if a not in grouped]
        insert_rows(connection, "s_group", ("account_id", "group_id"), rows)
        alone = [(a, a) for a in sorted(set(parents) - grouped - {row[0] for row in rows})]
        insert_rows(connection, "s_group", ("account_id", "group_id"), alone)
    return [AccountIssue(Issue.PARENT_CYCLE, one) for one in sorted(circular)]
