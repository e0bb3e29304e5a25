"""Sales on which one claim stands, or several that share alike: nearly all that have any, credited where they are.

What `domain.credit` decides, said in SQL for the cases in which nothing has to be weighed. It stays the judge: the
database's lines are held against the model's in the tests, and every other sale is credited by it, in `cases`.

`s_claim`   referral x sale x tier where there is anything to say; `verdict` is `sourced`, `late` or an issue code
`s_case`    the sales that are not plain
`s_rival`   the claims of plain sales that have several; `parts` is 0 for those that get nothing
"""

from __future__ import annotations

from collections.abc import Collection, Iterator

import sqlalchemy as sa

from app.domain.model import Issue, Policy, Scope, Split, Tier
from app.store.bulk import analyze
from app.store.ledger import Stamp
from app.store.staging import LINE_COLUMNS, SOLD, create_temp, fill_temp, later, stage_ids, text_type

_STANDS = "verdict in ('sourced', 'late')"
_SEVERAL = f"select opportunity_id from s_claim where {_STANDS} group by opportunity_id having count(*) > 1"
_PLAIN = "not exists (select 1 from s_case s where s.opportunity_id = c.opportunity_id)"


def stage_claims(connection: sa.Connection, policy: Policy, as_of: str, held: Collection[str], *, scoped: bool) -> None:
    """Fill `s_claim`: every way in which a referral reaches a sale, where there is anything to say about it.

    `held`: the sales without a known net, on which nothing stands.
    """
    text = text_type(connection)
    fill_temp(
        connection,
        "s_claim",
        f"opportunity_id {text}, event_id {text}, tier smallint, referrer_id {text}, buyer_id {text},"
        f" occurred_on {text}, share_percent {text}, net bigint, verdict {text}",
        *(
            "select * from ("
            f" select o.id, r.event_id, {tier}, r.referrer_id, {_BUYER}, r.occurred_on, r.share_percent,"
            f" o.home_amount, {verdict} as verdict from {source}"
            f" left join s_canonical b on b.account_id = o.account_id where {where}"
            ") judged where verdict is not null"
            for tier, source, where, verdict in _routes(connection, policy, scoped=scoped)
        ),
        indexes=("opportunity_id",),
        given={"as_of": as_of},
    )
    if held:
        _forget(connection, "s_claim", held)


def _routes(connection: sa.Connection, policy: Policy, *, scoped: bool) -> Iterator[tuple[str, str, str, str]]:
    """SQL: a tier, the referrals `r` beside the sales `o` that they reach, a condition, and the verdict."""
    only = " join s_scope on s_scope.id = o.id" if scoped else ""
    by_contact = "s_referral r join contact_role cr on cr.contact_id = r.contact_id and cr.is_deleted = 0"
    named = _verdict(connection, policy, is_named=True)
    # Few referrals name a sale or a contact: said aloud, so that PostgreSQL does not hash all sales for them.
    yield (
        f"{Tier.OPPORTUNITY:d}",
        f"s_referral r join opportunity o on o.id = r.opportunity_id{only}",
        f"r.opportunity_id is not null and {SOLD}",
        named,
    )
    yield (
        f"{Tier.CONTACT:d}",
        f"{by_contact} join opportunity o on o.id = cr.opportunity_id{only}",
        f"r.contact_id is not null and {SOLD}",
        named,
    )
    # An account's or domain's referral can only touch what it bought within the window; what it bought before is
    # history unless it is the very first deal, which is worth an issue.
    types = ", ".join(f"'{one}'" for one in sorted(policy.credited_types))
    reached = f"{SOLD} and o.type in ({types}) and o.created_on <= r.window_until"
    verdict = _verdict(connection, policy, is_named=False)
    yield "r.tier", f"s_target r join opportunity o on o.account_id = r.account_id{only}", reached, verdict


_BUYER = "coalesce(b.canonical_id, o.account_id)"
_CREATED = "coalesce(o.created_on, o.close_on)"


def _verdict(connection: sa.Connection, policy: Policy, *, is_named: bool) -> str:
    """SQL: what `domain.credit` says of one claim alone; null where it says nothing.

    `is_named`: it names the sale or a contact on it. What else a claim must meet to reach a sale is met before.
    What has to be looked up is looked up where it is asked for: most claims are judged by their dates.
    """
    is_first = "exists (select 1 from s_first f where f.opportunity_id = o.id)"
    same_group = (
        "exists (select 1 from s_group rg cross join s_group bg where rg.account_id = r.referrer_id"
        f" and bg.account_id = {_BUYER} and bg.group_id = rg.group_id)"
    )
    silent = "" if is_named else f" when r.occurred_on > o.close_on and not {is_first} then null"
    if not is_named and policy.scope is Scope.FIRST_WON:
        silent = f" when not {is_first} then null"
    until = later(connection, _CREATED, policy.grace_days) if policy.grace_days else _CREATED
    backdated = f"r.occurred_on <= {_CREATED} and {_CREATED} < r.recorded_on"
    intra_group = "" if policy.intra_group else f" when {same_group} then '{Issue.INTRA_GROUP}'"
    in_time = "" if is_named else f" when r.occurred_on > {until} then 'late'"
    return (
        f"case{silent} when r.is_referrer_deleted = 1 then '{Issue.REFERRER_DELETED}'"
        f" when r.referrer_id = {_BUYER} then '{Issue.SELF_REFERRAL}'{intra_group}"
        f" when r.occurred_on > o.close_on then '{Issue.AFTER_CLOSE}'"
        f" when r.status = 'claimed' then case when {backdated} then '{Issue.BACKDATED_CLAIM}' end{in_time}"
        " else 'sourced' end"
    )


def _forget(connection: sa.Connection, table: str, held: Collection[str]) -> None:
    stage_ids(connection, "s_held", held)
    connection.exec_driver_sql(f"delete from {table} where opportunity_id in (select id from s_held)")


def stage_cases(connection: sa.Connection, policy: Policy, as_of: str, held: Collection[str], *, scoped: bool) -> None:
    """Fill `s_case` with the sales that are not plain, and `s_advocate` with who else took part in a sale."""
    text = text_type(connection)
    only = " join s_scope on s_scope.id = o.id" if scoped else ""
    fill_temp(
        connection,
        "s_advocate",
        f"opportunity_id {text}, event_id {text}",
        f"select o.id, e.event_id from advocacy_event e join opportunity o on o.id = e.opportunity_id{only}"
        " where e.type not in ('referral', 'won_survey') and e.polarity <> 'detractor' and e.status = 'verified'"
        f" and e.occurred_on <= :as_of and {SOLD}",
        indexes=("opportunity_id",),
        given={"as_of": as_of},
    )
    create_temp(connection, "s_case", f"opportunity_id {text} primary key")
    surveyed = "on c.opportunity_id = e.opportunity_id where e.type = 'won_survey'"
    # Who came too late has another part in a sale than those who brought it in.
    uneven = " and min(verdict) = 'late'" if policy.split is Split.EQUAL else ""
    queries = (
        "select opportunity_id from s_advocate",
        f"{_SEVERAL}{uneven}",
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
    _stage_rivals(connection, policy)
    told = "opportunity_id, event_id, tier, referrer_id, buyer_id, occurred_on, net, verdict"
    connection.execute(
        sa.text(
            f"insert into {table} ({', '.join(LINE_COLUMNS)})"
            " select case verdict when 'sourced' then 'referred' else 'touched' end, c.referrer_id, c.opportunity_id,"
            " c.buyer_id, c.event_id, case verdict when 'sourced' then c.tier else 0 end, 1, c.parts,"
            " c.net / c.parts + case when c.place <= c.net % c.parts then 1 else 0 end,"
            f" case verdict when 'sourced' then '{policy.split}' else 'took part' end, c.net, c.occurred_on,"
            " case when o.rate is not null then o.amount end, case when o.rate is not null then o.currency end,"
            f" o.rate, o.rate_on, cast(:policy as text), :run from (select {told}, 1 as parts, 1 as place"
            f" from s_claim c where {_STANDS} and {_PLAIN}"
            " and not exists (select 1 from s_rival r where r.opportunity_id = c.opportunity_id)"
            f" union all select {told}, parts, place from s_rival where parts > 0) c"
            " join opportunity o on o.id = c.opportunity_id where c.net > 0"
        ),
        {"policy": stamp.policy_version, "run": stamp.run_id},
    )
    issue = "insert into s_issue (code, account_id, opportunity_id, event_id) select"
    connection.exec_driver_sql(
        f"{issue} case verdict when 'late' then '{Issue.REFERRAL_AFTER_CREATED}' else verdict end,"
        f" c.referrer_id, c.opportunity_id, c.event_id from s_claim c where verdict <> 'sourced' and {_PLAIN}"
    )
    connection.exec_driver_sql(
        f"{issue} '{Issue.DUPLICATE_CLAIM}', referrer_id, opportunity_id, event_id from s_rival"
        " where event_id <> strongest"
    )


def _stage_rivals(connection: sa.Connection, policy: Policy) -> None:
    """One claim of every referrer competes, the strongest; `place` is where it stands among them in time."""
    of_referrer = "over (partition by c.opportunity_id, c.referrer_id order by c.tier, c.occurred_on, c.event_id)"
    best = "c.tier = min(c.tier) over (partition by c.opportunity_id)" if policy.exclusive else "1 = 1"
    text = text_type(connection)
    fill_temp(
        connection,
        "s_rival",
        f"opportunity_id {text}, event_id {text}, tier smallint, referrer_id {text}, buyer_id {text},"
        f" occurred_on {text}, net bigint, verdict {text}, strongest {text}, parts bigint, place bigint",
        "select opportunity_id, event_id, tier, referrer_id, buyer_id, occurred_on, net, verdict, strongest,"
        " case competes when 1 then sum(competes) over (partition by opportunity_id) else 0 end,"
        " row_number() over (partition by opportunity_id, competes order by occurred_on, event_id) from (select c.*,"
        f" first_value(c.event_id) {of_referrer} as strongest,"
        f" case when row_number() {of_referrer} = 1 and {best} then 1 else 0 end as competes"
        f" from s_claim c join ({_SEVERAL}) m on m.opportunity_id = c.opportunity_id"
        f" where c.verdict = 'sourced' and {_PLAIN}) ranked",
        indexes=("opportunity_id",),
    )
