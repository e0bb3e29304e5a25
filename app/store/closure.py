"""From what changed to every opportunity whose credit may change, and every account whose sums may change.

Sound rather than tight: an opportunity too many costs microseconds, one too few would be a wrong number that nobody
notices. What was true before comes from the stored ledger, because the mirror has already been overwritten.

`cross join` with the staged table in front, and `analyze` before it is read: SQLite knows nothing of a table that is
empty or was just filled, and would rather read a million rows than look up a few, if only for a Bloom filter of them.
PostgreSQL chooses for itself.
"""

from __future__ import annotations

import sqlalchemy as sa

from app.domain.model import AccountIssue, ChainMode, Issue, Policy
from app.store import hierarchy
from app.store.bulk import analyze
from app.store.staging import add_ids, create_temp, text_type

CREDITED = (
    "select l.opportunity_id as id from {kin} k cross join credit_line l"
    " where l.account_id = k.id and l.valid_to_run is null"
)
OLD_REACH = (
    "select l.opportunity_id as id from credit_line l join s_event s on s.id = l.event_id"
    " where l.valid_to_run is null and l.measure <> 'direct'"
)


def mark_due(connection: sa.Connection, last_as_of: str, as_of: str) -> None:
    """Mark what time alone changes between two days: future close dates, referrals and corrections that are due now."""
    days = {"last": last_as_of, "as_of": as_of}
    due = "from account_value where next_change_on > :last and next_change_on <= :as_of"
    owned = (
        f"select account_id {due} union select a.id from account a where a.merged_into_id in (select account_id {due})"
    )
    arrived = "o.is_won = 1 and o.close_on > :last and o.close_on <= :as_of"
    for statement in (
        f"select 'opportunity', o.id from opportunity o where o.account_id in ({owned}) and {arrived}",
        f"select 'value', account_id {due}",
        "select 'event', event_id from advocacy_event where occurred_on > :last and occurred_on <= :as_of",
        "select distinct 'opportunity', opportunity_id from adjustment where dated_on > :last and dated_on <= :as_of",
    ):
        connection.execute(sa.text(f"insert into dirty (kind, id) {statement} on conflict (kind, id) do nothing"), days)


def is_anything_dirty(connection: sa.Connection) -> bool:
    return connection.exec_driver_sql("select 1 from dirty where kind <> 'plan' limit 1").first() is not None


def stage_scope(connection: sa.Connection, policy: Policy) -> list[AccountIssue]:
    """Fill `s_scope` (opportunities) and `s_touched` (accounts) from the dirty marks, and stage what hierarchies
    decide on these opportunities. The issues are the circles of all accounts.
    """
    circles = hierarchy.stage_merges(connection)
    text = text_type(connection)
    create_temp(connection, "s_scope", f"id {text} primary key")
    create_temp(connection, "s_touched", f"id {text} primary key")
    create_temp(connection, "s_kin", f"id {text} primary key")
    reaching = "select distinct kind from dirty where kind in ('account', 'domain', 'event')"
    marked = set(connection.exec_driver_sql(reaching).scalars())
    if "account" in marked:
        _add_kin(connection)
        _add_opportunities_of(connection, "s_kin")
    if marked:
        _add_reached_by_events(connection)
    add_ids(connection, "s_touched", "select id from dirty where kind = 'value'")
    add_ids(connection, "s_scope", "select id from dirty where kind = 'opportunity'")
    analyze(connection, "s_scope")
    if policy.chain.mode is not ChainMode.NONE or policy.scope != "lifetime":
        _add_siblings(connection)
    for _ in range(policy.chain.depth - 1 if policy.chain.mode is not ChainMode.NONE else 0):
        analyze(connection, "s_scope")
        _add_downstream(connection)
    analyze(connection, "s_scope")
    return circles + _stage_scope_families(connection)


def _stage_scope_families(connection: sa.Connection) -> list[AccountIssue]:
    """Of the buyers in the scope, to know who is of their group, and of everybody whose place has changed."""
    circles = hierarchy.stage_families(
        connection,
        "select o.account_id as id from s_scope s cross join opportunity o where o.id = s.id"
        " union select id from s_kin",
    )
    # A circle can neither close nor open but through kin.
    kept = connection.exec_driver_sql(
        f"select account_id from opportunity_issue where opportunity_id is null and code = '{Issue.PARENT_CYCLE}'"
        " and account_id not in (select id from s_kin) order by account_id"
    )
    return circles + [AccountIssue(Issue.PARENT_CYCLE, account) for account in kept.scalars()]


def _add_kin(connection: sa.Connection) -> None:
    """Everybody in the hierarchies and merges of the accounts whose structure changed."""
    add_ids(connection, "s_kin", "select id from dirty where kind = 'account'")
    while True:
        before = _count(connection, "s_kin")
        for query in (
            "select a.parent_id as id from account a join s_kin k on k.id = a.id",
            "select a.id from account a join s_kin k on k.id = a.parent_id",
            "select a.merged_into_id as id from account a join s_kin k on k.id = a.id",
            "select a.id from account a join s_kin k on k.id = a.merged_into_id",
        ):
            add_ids(connection, "s_kin", query)
        if _count(connection, "s_kin") == before:
            break
    analyze(connection, "s_kin")
    add_ids(connection, "s_touched", "select id from s_kin")


def _count(connection: sa.Connection, table: str) -> int:
    return int(connection.exec_driver_sql(f"select count(*) from {table}").scalar_one())


def _add_opportunities_of(connection: sa.Connection, accounts: str) -> None:
    """What the accounts bought, what they were credited for, and where they were an issue."""
    for query in (
        "select o.id from {kin} k cross join opportunity o where o.account_id = k.id",
        CREDITED,
        "select i.opportunity_id as id from {kin} k cross join opportunity_issue i where i.account_id = k.id",
    ):
        add_ids(connection, "s_scope", query.format(kin=accounts))


def _add_reached_by_events(connection: sa.Connection) -> None:
    """Events that are new or due, that belong to kin, or whose domain means somebody else now: where they reach."""
    text = text_type(connection)
    create_temp(connection, "s_event", f"id {text} primary key")
    by_domain = "where d.kind = 'domain' and e.referred_domain = d.id"
    for query in (
        "select id from dirty where kind = 'event'",
        "select e.event_id as id from s_kin k cross join advocacy_event e where e.account_id = k.id",
        "select e.event_id as id from s_kin k cross join advocacy_event e where e.referred_account_id = k.id",
        f"select e.event_id as id from dirty d cross join advocacy_event e {by_domain}",
    ):
        add_ids(connection, "s_event", query)
    if not _count(connection, "s_event"):
        return
    analyze(connection, "s_event")
    event = "from advocacy_event e join s_event s on s.id = e.event_id"
    by_domain = "join account a on a.domain = e.referred_domain"
    create_temp(connection, "s_reached", f"id {text} primary key")
    for query in (
        f"select e.referred_account_id as id {event}",
        f"select c.canonical_id as id {event} join s_canonical c on c.account_id = e.referred_account_id",
        f"select a.id {event} {by_domain}",
        f"select c.canonical_id as id {event} {by_domain} join s_canonical c on c.account_id = a.id",
    ):
        add_ids(connection, "s_reached", query)
    add_ids(
        connection,
        "s_reached",
        "select c.account_id as id from s_canonical c join s_reached r on r.id = c.canonical_id",
    )
    analyze(connection, "s_reached")
    for query in (
        f"select e.opportunity_id as id {event}",
        f"select cr.opportunity_id as id {event} join contact_role cr on cr.contact_id = e.referred_contact_id",
        "select o.id from s_reached r cross join opportunity o where o.account_id = r.id and o.is_won = 1",
        OLD_REACH,
        "select i.opportunity_id as id from opportunity_issue i join s_event s on s.id = i.event_id",
    ):
        add_ids(connection, "s_scope", query)
    add_ids(connection, "s_touched", f"select e.account_id as id {event}")
    add_ids(
        connection,
        "s_touched",
        f"select c.canonical_id as id {event} join s_canonical c on c.account_id = e.account_id",
    )


def _add_siblings(connection: sa.Connection) -> None:
    """What else the buyers of the scope bought: which sale is the first one may have changed."""
    create_temp(connection, "s_buyers", f"id {text_type(connection)} primary key")
    scoped = "s_scope s cross join"
    add_ids(connection, "s_buyers", f"select o.account_id as id from {scoped} opportunity o where o.id = s.id")
    add_ids(
        connection,
        "s_buyers",
        f"select l.buyer_id as id from {scoped} credit_line l where l.opportunity_id = s.id and l.valid_to_run is null",
    )
    add_ids(
        connection, "s_buyers", "select c.canonical_id as id from s_canonical c join s_buyers b on b.id = c.account_id"
    )
    add_ids(
        connection, "s_buyers", "select c.account_id as id from s_canonical c join s_buyers b on b.id = c.canonical_id"
    )
    analyze(connection, "s_buyers")
    add_ids(
        connection,
        "s_scope",
        "select o.id from s_buyers b cross join opportunity o where o.account_id = b.id and o.is_won = 1",
    )


def _add_downstream(connection: sa.Connection) -> None:
    """Sales credited to the buyers of the scope: their chains run through what may have changed."""
    create_temp(connection, "s_bringer", f"id {text_type(connection)} primary key")
    add_ids(
        connection,
        "s_bringer",
        "select l.buyer_id as id from s_scope s cross join credit_line l"
        " where l.opportunity_id = s.id and l.valid_to_run is null",
    )
    add_ids(
        connection,
        "s_bringer",
        "select coalesce(c.canonical_id, o.account_id) as id from s_scope s cross join opportunity o"
        " left join s_canonical c on c.account_id = o.account_id where o.id = s.id",
    )
    analyze(connection, "s_bringer")
    add_ids(
        connection,
        "s_scope",
        "select l.opportunity_id as id from s_bringer b cross join credit_line l"
        " where l.account_id = b.id and l.valid_to_run is null and l.measure = 'referred'",
    )


def stage_sample(connection: sa.Connection, after: str, size: int) -> str:
    """Fill `s_sample` with the next accounts that have a stored value or measures, and `s_scope` with all that they
    bought or are credited for; returns the last account's id, or nothing when there is none after them.
    """
    text = text_type(connection)
    create_temp(connection, "s_scope", f"id {text} primary key")
    create_temp(connection, "s_sample", f"id {text} primary key")
    following = "select account_id from {} where account_id > :after order by account_id limit :size"
    connection.execute(
        sa.text(
            f"insert into s_sample select account_id from ({following.format('account_value')}) v"
            f" union select account_id from ({following.format('account_engagement')}) e"
            f" union select account_id from ({following.format('account_standing')}) s order by 1 limit :size"
        ),
        {"after": after, "size": size},
    )
    _add_opportunities_of(connection, "s_sample")
    analyze(connection, "s_scope")
    found, last = connection.exec_driver_sql("select count(*), max(id) from s_sample").one()
    return str(last) if found == size else ""


def touch_accounts(connection: sa.Connection, run_id: int) -> None:
    """Add to `s_touched` every account that has, or had until this run, a line in the scope, and everybody above it."""
    moved = f"(l.valid_from_run = {int(run_id)} or l.valid_to_run = {int(run_id)})"
    for whose in ("account_id", "buyer_id"):
        add_ids(
            connection,
            "s_touched",
            f"select l.{whose} as id from s_scope s cross join credit_line l where l.opportunity_id = s.id and {moved}",
        )
    add_ids(
        connection, "s_touched", "select o.account_id as id from s_scope s cross join opportunity o where o.id = s.id"
    )
    add_ids(
        connection,
        "s_touched",
        "select c.canonical_id as id from s_canonical c join s_touched t on t.id = c.account_id",
    )
    hierarchy.stage_ancestors(connection, "select id from s_touched")
    add_ids(
        connection, "s_touched", "select a.ancestor_id as id from s_ancestor a join s_touched t on t.id = a.account_id"
    )
    analyze(connection, "s_touched")


def clear_dirty(connection: sa.Connection) -> None:
    """Forget the marks that a finished valuation has answered; `plan` marks stay until the plan is settled."""
    connection.exec_driver_sql("delete from dirty where kind <> 'plan'")
