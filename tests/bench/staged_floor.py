"""The floor of a valuation: staged SQL by hand over the mirror that a night has filled, both ledgers and nothing else.

Canonical accounts, groups, sales, first sales, domains, referrals with their ends resolved, candidates, attachments,
credit split to the cent by largest remainder, totals, and the consolidated sums of groups; every stage is a table that
is indexed and analysed before the next one reads it. It knows neither issues nor chains, keeps no lines, no history and
no explanation, and the numbers it ends with are what the project's are held against.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from company import WINDOW_DAYS
from plain_store import PlainStore, SqliteStore

STAGES: tuple[tuple[str, str, tuple[str, ...]], ...] = (
    (
        "canon",
        """with recursive merge (id, onto) as (
            select id, merged_into_id from account where merged_into_id is not null
            union select m.id, a.merged_into_id from merge m join account a on a.id = m.onto
            where a.merged_into_id is not null)
        select m.id as id, m.onto as canon from merge m join account a on a.id = m.onto where a.merged_into_id is null
        """,
        ("id",),
    ),
    (
        "hier",
        """with recursive up (id, top) as (
            select id, parent_id from account where parent_id is not null
            union select up.id, a.parent_id from up join account a on a.id = up.top where a.parent_id is not null)
        select up.id as id, up.top as top from up join account a on a.id = up.top where a.parent_id is null
        """,
        ("id",),
    ),
    (
        "net",
        """select o.id as id, coalesce(c.canon, o.account_id) as buyer, o.home_amount as amount, o.type as type,
            o.created_on as created_on, o.close_on as close_on
        from opportunity o left join w_canon c on c.id = o.account_id
        where o.is_won = 1 and o.is_closed = 1 and o.is_deleted = 0 and o.close_on <= '{today}'
            and o.account_id is not null and o.home_amount is not null
        """,
        ("buyer", "id"),
    ),
    (
        "firstwon",
        "select buyer, substr(min(close_on || id), 11) as id from w_net group by buyer",
        ("id",),
    ),
    (
        "dom",
        """select domain, min(id) as account from account
        where domain is not null and is_deleted = 0 and merged_into_id is null group by domain having count(*) = 1
        """,
        ("domain",),
    ),
    (
        "rres",
        """select e.event_id as event, coalesce(f.canon, e.account_id) as referrer, e.occurred_on as day,
            coalesce(t.canon, e.referred_account_id, d.account) as target,
            case when e.referred_account_id is null then 4 else 3 end as tier, e.opportunity_id as deal,
            e.referred_contact_id as contact, {until} as until
        from advocacy_event e left join w_canon f on f.id = e.account_id
        left join w_canon t on t.id = e.referred_account_id left join w_dom d on d.domain = e.referred_domain
        where e.type = 'referral' and e.status = 'verified' and e.occurred_on <= '{today}'
        """,
        ("target", "event"),
    ),
    (
        "cand",
        """select n.id as deal, r.event as event, r.referrer as referrer, r.day as day, 1 as tier
        from w_rres r join w_net n on n.id = r.deal where r.day <= n.close_on
        union all select n.id, r.event, r.referrer, r.day, 2
        from w_rres r join contact_role k on k.contact_id = r.contact join w_net n on n.id = k.opportunity_id
        where r.day <= n.close_on and k.is_deleted = 0
        union all select n.id, r.event, r.referrer, r.day, r.tier
        from w_rres r join w_net n on n.buyer = r.target
        where r.day <= n.created_on and n.created_on <= r.until and n.type in ('new', 'upsell', 'unknown')
        """,
        ("deal",),
    ),
    (
        "att",
        """select deal, event, referrer, day, tier from (
            select c.deal, c.event, c.referrer, c.day, c.tier,
                row_number() over (partition by c.deal, c.referrer order by c.tier, c.day, c.event) as place,
                min(c.tier) over (partition by c.deal) as best
            from w_cand c join w_net n on n.id = c.deal
            left join w_hier a on a.id = c.referrer left join w_hier b on b.id = n.buyer
            where coalesce(a.top, c.referrer) <> coalesce(b.top, n.buyer)) x
        where place = 1 and tier = best
        """,
        ("deal",),
    ),
    (
        "cred",
        """select x.deal as deal, x.referrer as referrer, x.buyer as buyer,
            x.amount / x.claims + case when x.place <= x.amount % x.claims then 1 else 0 end as amount
        from (select a.deal, a.referrer, n.buyer, n.amount, count(*) over (partition by a.deal) as claims,
            row_number() over (partition by a.deal order by a.day, a.event) as place
            from w_att a join w_net n on n.id = a.deal where n.amount > 0) x
        """,
        ("referrer",),
    ),
    (
        "total",
        """select id, sum(direct) as direct, sum(referred) as referred, sum(given) as given from (
            select buyer as id, amount as direct, 0 as referred, 0 as given from w_net
            union all select referrer, 0, amount, 0 from w_cred
            union all select buyer, 0, 0, amount from w_cred) x group by id
        """,
        ("id",),
    ),
    (
        "above",
        """with recursive up (id, above) as (
            select id, parent_id from account where parent_id is not null
            union select up.id, a.parent_id from up join account a on a.id = up.above where a.parent_id is not null)
        select id, above from up union select distinct above, above from up union select id, id from up
        """,
        ("id", "above"),
    ),
    (
        "grp",
        """select id, sum(direct) as direct, sum(referred) as referred from (
            select u.above as id, t.direct as direct, 0 as referred from w_above u join w_total t on t.id = u.id
            union all select u.above, 0, c.amount from w_above u join w_cred c on c.referrer = u.id
            where not exists (select 1 from w_above b where b.id = c.buyer and b.above = u.above)) x group by id
        """,
        ("id",),
    ),
)


def value_by_hand(store: PlainStore, today: str) -> None:
    """Run all stages. `store`: a database whose mirror is filled; nothing of it is changed."""
    sqlite = isinstance(store, SqliteStore)
    day = "e.occurred_on"
    until = f"date({day}, '+{WINDOW_DAYS} days')" if sqlite else f"(cast({day} as date) + {WINDOW_DAYS})::text"
    for name, query, indexed in STAGES:
        store.execute(f"create temp table w_{name} as {query.format(today=today, until=until)}")
        for column in indexed:
            store.execute(f"create index ix_w_{name}_{column} on w_{name} ({column})")
        store.execute(f"analyze w_{name}")


def list_differences(store: PlainStore) -> Iterator[Sequence[Any]]:
    """The accounts for which the stored values say something else: id, then by hand and stored, each measure."""
    yield from store.stream(
        "select coalesce(t.id, v.account_id), t.direct, v.direct, t.referred, v.referred, t.given, v.given,"
        " g.direct, v.group_direct, g.referred, v.group_referred"
        " from account_value v full join w_total t on t.id = v.account_id left join w_grp g on g.id = v.account_id"
        " where coalesce(t.direct, 0) <> coalesce(v.direct, 0) or coalesce(t.referred, 0) <> coalesce(v.referred, 0)"
        " or coalesce(t.given, 0) <> coalesce(v.given, 0)"
        " or coalesce(g.direct, t.direct, 0) <> coalesce(v.group_direct, 0)"
        " or coalesce(g.referred, t.referred, 0) <> coalesce(v.group_referred, 0)"
    )
