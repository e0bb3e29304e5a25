"""The floor of a valuation: staged SQL by hand over the mirror that a night has filled, and plain Python for chains.

Canonical accounts, groups, sales, first sales, domains, referrals with their ends resolved, claims, attachments, credit
split to the cent by largest remainder, who came too late, what is wrong with claims and sales, chains, the lines of it
all, found by account and by sale, pipelines, totals summed from the lines, and the consolidated sums of groups; every
stage is a table that is indexed and analysed before the next one reads it. It keeps no history, no explanation and
nothing after its session, has no rules but those of the defaults, and is what the project's numbers are held against.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from fractions import Fraction
from itertools import groupby
from operator import itemgetter
from typing import Any

from company import CHAIN_DELTA, CHAIN_DEPTH, WINDOW_DAYS
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
        """select o.id as id, coalesce(c.canon, o.account_id) as buyer, coalesce(o.home_amount, 0) as amount,
            case when o.amount is null then 1 else 0 end as lacks_amount, o.type as type,
            o.created_on as created_on, o.close_on as close_on
        from opportunity o left join w_canon c on c.id = o.account_id
        where o.is_won + 0 = 1 and o.is_closed = 1 and o.is_deleted = 0 and o.close_on <= '{today}'
            and o.account_id is not null and (o.home_amount is not null or o.amount is null)
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
        "claim",
        """select x.deal as deal, x.event as event, x.referrer as referrer, x.day as day, x.tier as tier,
            case when x.referrer = x.buyer then 'self_referral'
                when coalesce(a.top, x.referrer) = coalesce(b.top, x.buyer) then 'intra_group'
                when x.day > x.close_on then 'after_close'
                when x.tier > 2 and x.day > x.created_on then 'late' else 'sourced' end as verdict
        from (
            select n.id as deal, r.event, r.referrer, r.day, 1 as tier, n.buyer, n.created_on, n.close_on
            from w_rres r join w_net n on n.id = r.deal
            union all select n.id, r.event, r.referrer, r.day, 2, n.buyer, n.created_on, n.close_on
            from w_rres r join contact_role k on k.contact_id = r.contact join w_net n on n.id = k.opportunity_id
            where k.is_deleted = 0
            union all select n.id, r.event, r.referrer, r.day, r.tier, n.buyer, n.created_on, n.close_on
            from w_rres r join w_net n on n.buyer = r.target left join w_firstwon f on f.id = n.id
            where (r.day <= n.close_on or f.id is not null) and n.created_on <= r.until
                and n.type in ('new', 'upsell', 'unknown')
        ) x left join w_hier a on a.id = x.referrer left join w_hier b on b.id = x.buyer
        """,
        ("deal",),
    ),
    (
        "att",
        """select deal, event, referrer, day, tier from (
            select c.deal, c.event, c.referrer, c.day, c.tier,
                row_number() over (partition by c.deal, c.referrer order by c.tier, c.day, c.event) as place,
                min(c.tier) over (partition by c.deal) as best
            from w_claim c where c.verdict = 'sourced') x
        where place = 1 and tier = best
        """,
        ("deal",),
    ),
    (
        "late",
        """select deal, event, referrer, day from (
            select c.deal, c.event, c.referrer, c.day,
                row_number() over (partition by c.deal, c.referrer order by c.tier, c.day, c.event) as place
            from w_claim c where c.verdict = 'late' and not exists (
                select 1 from w_claim s where s.deal = c.deal and s.referrer = c.referrer and s.verdict = 'sourced')) x
        where place = 1
        """,
        ("deal",),
    ),
    (
        "issue",
        """select verdict as code, referrer as account, deal, event from w_claim where verdict not in ('sourced', 'late')
        union select 'referral_after_created', referrer, deal, event from w_late
        union select 'duplicate_claim', c.referrer, c.deal, c.event from w_claim c
        where c.verdict = 'sourced' and exists (
            select 1 from w_claim s where s.deal = c.deal and s.referrer = c.referrer and s.verdict = 'sourced'
                and (s.tier, s.day, s.event) < (c.tier, c.day, c.event))
        union select 'amount_missing', buyer, id, null from w_net where lacks_amount = 1
        """,
        ("account", "deal"),
    ),
    (
        "cred",
        """select x.deal as deal, x.event as event, x.referrer as referrer, x.buyer as buyer, x.day as day,
            x.claims as claims, x.net as net,
            x.net / x.claims + case when x.place <= x.net % x.claims then 1 else 0 end as amount
        from (select a.deal, a.event, a.referrer, a.day, n.buyer, n.amount as net,
            count(*) over (partition by a.deal) as claims,
            row_number() over (partition by a.deal order by a.day, a.event) as place
            from w_att a join w_net n on n.id = a.deal where n.amount > 0) x
        """,
        ("referrer",),
    ),
    (
        "line",
        """select 'direct' as measure, buyer as account, id as deal, buyer, null as event, amount from w_net
        union all select 'referred', referrer, deal, buyer, event, amount from w_cred
        union all select 'touched', l.referrer, l.deal, n.buyer, l.event, n.amount
        from w_late l join w_net n on n.id = l.deal where n.amount > 0
        union all select 'network', account, deal, buyer, event, amount from w_chain
        """,
        ("account", "deal"),
    ),
    (
        "open",
        """select coalesce(c.canon, o.account_id) as id,
            sum((o.home_amount * o.probability + 500000) / 1000000) as pipeline
        from opportunity o left join w_canon c on c.id = o.account_id
        where o.is_closed = 0 and o.is_deleted = 0 and o.probability is not null and o.home_amount is not null
            and coalesce(o.account_id, '') <> '' and coalesce(o.created_on, '') <= '{today}'
        group by coalesce(c.canon, o.account_id)
        """,
        ("id",),
    ),
    (
        "total",
        """select id, sum(direct) as direct, sum(referred) as referred, sum(network) as network,
            sum(touched) as touched, sum(given) as given, sum(pipeline) as pipeline from (
            select account as id, case measure when 'direct' then amount else 0 end as direct,
                case measure when 'referred' then amount else 0 end as referred,
                case measure when 'network' then amount else 0 end as network,
                case measure when 'touched' then amount else 0 end as touched, 0 as given, 0 as pipeline from w_line
            union all select buyer, 0, 0, 0, 0, amount, 0 from w_line where measure = 'referred'
            union all select id, 0, 0, 0, 0, 0, pipeline from w_open) x group by id
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
        if name == "line":
            store.execute("create temp table w_chain (account text, deal text, buyer text, event text, amount bigint)")
            store.insert("w_chain", list(_chains(store)))
        store.execute(f"create temp table w_{name} as {query.format(today=today, until=until)}")
        for column in indexed:
            store.execute(f"create index ix_w_{name}_{column} on w_{name} ({column})")
        store.execute(f"analyze w_{name}")


def _chains(store: PlainStore) -> Iterator[Sequence[Any]]:
    """What those further up get of a sale whose referrer was referred: account, sale, buyer, event, cents."""
    credit = "select c.deal, c.buyer, c.net, c.referrer, c.claims, c.day, c.event from w_cred c"
    above: dict[str, list[tuple[str, int, str, str]]] = {}
    for _, buyer, _, *edge in store.stream(f"{credit} join w_firstwon f on f.id = c.deal"):
        above.setdefault(buyer, []).append((edge[0], edge[1], edge[2], edge[3]))
    sold = store.stream(f"{credit} order by c.deal")
    for (deal, buyer, net), claims in groupby(sold, key=itemgetter(0, 1, 2)):
        ways = [((buyer, claim[3]), Fraction(1, claim[4]), claim[5]) for claim in claims]
        for distance in range(2, CHAIN_DEPTH + 1):
            steps = sorted(
                (up_day, event, up, share / parts, path)
                for path, share, day in ways
                for up, parts, up_day, event in above.get(path[-1], ())
                if up_day <= day and up not in path
            )
            yield from _split(deal, buyer, net, steps, CHAIN_DELTA ** (distance - 1)) if steps else ()
            ways = [((*path, up), share, up_day) for up_day, _, up, share, path in steps]


def _split(
    deal: str, buyer: str, net: int, steps: Iterable[tuple[str, str, str, Fraction, Any]], faded: Fraction
) -> Iterator[Sequence[Any]]:
    """One step of the chains above a sale, to the cent; the largest remainders take what is left."""
    shares: dict[str, Fraction] = {}
    events: dict[str, str] = {}
    for _, event, account, share, _ in steps:
        shares[account] = shares.get(account, Fraction(0)) + share * faded
        events.setdefault(account, event)
    whole = sum(shares.values())
    pool = int(net * whole)
    exact = {account: pool * share / whole for account, share in shares.items()}
    left = pool - sum(map(int, exact.values()))
    lucky = sorted(exact, key=lambda account: int(exact[account]) - exact[account])[:left]
    for account, amount in exact.items():
        yield account, deal, buyer, events[account], int(amount) + (account in lucky)


SUMS = "direct", "referred", "network", "touched", "given", "pipeline"


def list_differences(store: PlainStore) -> Iterator[Sequence[Any]]:
    """What the stored values and issues say otherwise: accounts with the sums by hand and stored, and issues."""
    told = ", ".join(f"t.{name}, v.{name}" for name in SUMS)
    differs = " or ".join(f"coalesce(t.{name}, 0) <> coalesce(v.{name}, 0)" for name in SUMS)
    yield from store.stream(
        f"select coalesce(t.id, v.account_id), {told}, g.direct, v.group_direct, g.referred, v.group_referred"
        f" from account_value v full join w_total t on t.id = v.account_id left join w_grp g on g.id = v.account_id"
        f" where {differs} or coalesce(g.direct, t.direct, 0) <> coalesce(v.group_direct, 0)"
        " or coalesce(g.referred, t.referred, 0) <> coalesce(v.group_referred, 0)"
    )
    by_hand = "select code, account, deal, event from w_issue"
    stored = "select code, account_id, opportunity_id, event_id from opportunity_issue"
    for one, other in ((by_hand, stored), (stored, by_hand)):
        yield from store.stream(f"{one} except {other}")
