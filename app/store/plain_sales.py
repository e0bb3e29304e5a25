"""Sales on which at most one claim stands: most of all that have any, judged and credited where they are.

What `domain.credit` decides, said in SQL for the case in which nothing has to be split. It stays the judge: the
database's lines are held against the model's in the tests, and every other sale is credited by it, in `cases`.

`s_claim`   attachments with something to say about them; `verdict` is `sourced`, `late` or an issue code
`s_case`    the sales that are not plain
"""

from __future__ import annotations

from collections.abc import Collection

import sqlalchemy as sa

from app.domain.model import Issue, Policy, Scope, Tier
from app.store.bulk import analyze
from app.store.ledger import Stamp
from app.store.staging import LINE_COLUMNS, SOLD, create_temp, later, stage_ids, text_type

_STANDS = "verdict in ('sourced', 'late')"


def stage_claims(connection: sa.Connection, policy: Policy, held: Collection[str]) -> None:
    """Fill `s_claim` from the attachments; `held`: the sales without a known net, on which nothing stands."""
    text = text_type(connection)
    create_temp(
        connection,
        "s_claim",
        f"opportunity_id {text}, event_id {text}, tier smallint, referrer_id {text}, buyer_id {text},"
        f" occurred_on {text}, share_percent text, net bigint, verdict text",
    )
    connection.exec_driver_sql(
        "insert into s_claim select * from ("
        " select a.opportunity_id, r.event_id, a.tier, r.referrer_id, coalesce(b.canonical_id, a.account_id),"
        f" r.occurred_on, r.share_percent, a.home_amount, {_verdict(connection, policy)} as verdict"
        " from s_attachment a join s_referral r on r.event_id = a.event_id"
        " left join s_canonical b on b.account_id = a.account_id"
        " left join s_first f on f.opportunity_id = a.opportunity_id"
        " left join s_group bg on bg.account_id = coalesce(b.canonical_id, a.account_id)"
        " left join s_group rg on rg.account_id = r.referrer_id"
        ") judged where verdict is not null"
    )
    if held:
        _forget(connection, "s_claim", held)
    connection.exec_driver_sql("create index ix_s_claim_opportunity_id on s_claim (opportunity_id)")
    analyze(connection, "s_claim")


def _verdict(connection: sa.Connection, policy: Policy) -> str:
    """SQL: what `domain.credit` says of one claim alone; null where it says nothing."""
    buyer, group = "coalesce(b.canonical_id, a.account_id)", "coalesce(bg.group_id, b.canonical_id, a.account_id)"
    named = f"a.tier <= {Tier.CONTACT:d}"
    types = ", ".join(f"'{one}'" for one in sorted(policy.credited_types))
    in_scope = {
        Scope.WINDOW: "a.created_on <= r.window_until",
        Scope.LIFETIME: "1 = 1",
        Scope.FIRST_WON: "f.opportunity_id is not null",
    }[policy.scope]
    too_late = "(r.occurred_on > a.close_on and f.opportunity_id is null)"
    until = later(connection, "a.created_on", policy.grace_days) if policy.grace_days else "a.created_on"
    backdated = "r.occurred_on <= a.created_on and a.created_on < r.recorded_on"
    intra_group = (
        "" if policy.intra_group else f" when coalesce(rg.group_id, r.referrer_id) = {group} then '{Issue.INTRA_GROUP}'"
    )
    return (
        f"case when not {named} and (a.type not in ({types}) or {too_late} or not {in_scope}) then null"
        f" when r.is_referrer_deleted = 1 then '{Issue.REFERRER_DELETED}'"
        f" when r.referrer_id = {buyer} then '{Issue.SELF_REFERRAL}'{intra_group}"
        f" when r.occurred_on > a.close_on then '{Issue.AFTER_CLOSE}'"
        f" when r.status = 'claimed' then case when {backdated} then '{Issue.BACKDATED_CLAIM}' end"
        f" when {named} or r.occurred_on <= {until} then 'sourced' else 'late' end"
    )


def _forget(connection: sa.Connection, table: str, held: Collection[str]) -> None:
    stage_ids(connection, "s_held", held)
    connection.exec_driver_sql(f"delete from {table} where opportunity_id in (select id from s_held)")


def stage_cases(connection: sa.Connection, as_of: str, held: Collection[str], *, scoped: bool) -> None:
    """Fill `s_case` with the sales that are not plain, and `s_advocate` with who else took part in a sale."""
    text = text_type(connection)
    create_temp(connection, "s_advocate", f"opportunity_id {text}, event_id {text}")
    only = " join s_scope on s_scope.id = o.id" if scoped else ""
    connection.execute(
        sa.text(
            "insert into s_advocate select o.id, e.event_id from advocacy_event e"
            f" join opportunity o on o.id = e.opportunity_id{only}"
            " where e.type not in ('referral', 'won_survey') and e.polarity <> 'detractor' and e.status = 'verified'"
            f" and e.occurred_on <= :as_of and {SOLD}"
        ),
        {"as_of": as_of},
    )
    connection.exec_driver_sql("create index ix_s_advocate_opportunity_id on s_advocate (opportunity_id)")
    analyze(connection, "s_advocate")
    create_temp(connection, "s_case", f"opportunity_id {text} primary key")
    surveyed = "on c.opportunity_id = e.opportunity_id where e.type = 'won_survey'"
    queries = (
        "select opportunity_id from s_advocate",
        f"select opportunity_id from s_claim where {_STANDS} group by opportunity_id having count(*) > 1",
        "select opportunity_id from s_claim where share_percent is not null or net is null",
        "select n.opportunity_id from s_net n join s_claim c on c.opportunity_id = n.opportunity_id",
        f"select e.opportunity_id from advocacy_event e join s_claim c {surveyed}",
    )
    connection.exec_driver_sql(f"insert into s_case {' union '.join(queries)}")
    if held:
        _forget(connection, "s_case", held)
    analyze(connection, "s_case")


def credit_plain_sales(connection: sa.Connection, table: str, stamp: Stamp, policy: Policy) -> None:
    """Insert the lines and issues of all sales with claims but those in `s_case`."""
    plain = "not exists (select 1 from s_case s where s.opportunity_id = c.opportunity_id)"
    connection.execute(
        sa.text(
            f"insert into {table} ({', '.join(LINE_COLUMNS)})"
            " select case verdict when 'sourced' then 'referred' else 'touched' end, c.referrer_id, c.opportunity_id,"
            " c.buyer_id, c.event_id, case verdict when 'sourced' then c.tier else 0 end, 1, 1, c.net,"
            f" case verdict when 'sourced' then '{policy.split}' else 'took part' end, c.net, c.occurred_on,"
            " case when o.rate is not null then o.amount end, case when o.rate is not null then o.currency end,"
            " o.rate, o.rate_on, cast(:policy as text), :run"
            f" from s_claim c join opportunity o on o.id = c.opportunity_id where {_STANDS} and c.net > 0 and {plain}"
        ),
        {"policy": stamp.policy_version, "run": stamp.run_id},
    )
    connection.exec_driver_sql(
        "insert into s_issue (code, account_id, opportunity_id, event_id) select distinct"
        f" case verdict when 'late' then '{Issue.REFERRAL_AFTER_CREATED}' else verdict end,"
        f" c.referrer_id, c.opportunity_id, c.event_id from s_claim c where verdict <> 'sourced' and {plain}"
    )
