"""The reference model: what every account is worth on one day, from plain values.

Simple and obviously right rather than fast: the database engine must give the same lines. Both call the same
`credit_opportunity`, so they can differ only in what they hand to it.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from fractions import Fraction

from app.domain.chain import Edge, credit_chain, edges_of
from app.domain.credit import Advocate, Claim, Sale, credit_opportunity
from app.domain.domains import DomainBook, build_domain_book
from app.domain.hierarchy import Hierarchy, build_hierarchy, ultimate_parents
from app.domain.model import (
    AccountIssue,
    AccountValue,
    ChainMode,
    CreditLine,
    Issue,
    Measure,
    Opportunity,
    Policy,
    Referral,
    ReferralStatus,
    Tier,
    Valuation,
    World,
)
from app.domain.money import WHOLE, Correction, NetStep, RateBook, net_steps, round_half_up

_OPEN_STATUSES = (ReferralStatus.VERIFIED, ReferralStatus.CLAIMED)
_MEASURES = tuple(Measure)


@dataclass(frozen=True, slots=True)
class _Day:
    """A world seen on one day: only what is dated up to it, with ids and rates ready to be looked up."""

    world: World
    policy: Policy
    as_of: date
    hierarchy: Hierarchy
    groups: Mapping[str, str]
    domains: DomainBook
    book: RateBook

    def group(self, account_id: str) -> str:
        return self.groups.get(account_id, account_id)


def value_world(world: World, policy: Policy, as_of: date) -> Valuation:
    """Lines, values of every account, and issues, as of the end of the day `as_of` of the policy's time zone.

    Accounts that are deleted appear only where a line names them. Nothing depends on the order of the rows.
    """
    hierarchy = build_hierarchy(world.accounts)
    domains = build_domain_book(world.accounts, hierarchy)
    book = RateBook(world.rates, policy.reporting_currency)
    day = _Day(world, policy, as_of, hierarchy, ultimate_parents(hierarchy.parents), domains, book)
    direct, issues = _direct(day)
    credited, more = _credit(day, _nets(direct))
    lines = sorted(direct + credited, key=_line_order)
    issues += more + list(hierarchy.issues) + _domain_issues(day)
    return Valuation(tuple(lines), _values(day, lines), tuple(sorted(set(issues), key=_issue_order)))


def won_by(world: World, as_of: date) -> list[Opportunity]:
    """The opportunities of the hard ledger: won, closed, of an account, not deleted, closed by `as_of`."""
    return [
        one
        for one in world.opportunities
        if one.is_won and one.is_closed and not one.is_deleted and one.account_id is not None and one.close_on <= as_of
    ]


def _direct(day: _Day) -> tuple[list[CreditLine], list[AccountIssue]]:
    """One line per opportunity and per correction; what has no rate is held back and reported."""
    corrections = _corrections(day)
    lines: list[CreditLine] = []
    issues: list[AccountIssue] = []
    for won in won_by(day.world, day.as_of):
        buyer = day.hierarchy.account(won.account_id or "")
        steps = net_steps(day.book, won.amount, won.currency, won.close_on.isoformat(), corrections[won.id])
        if won.amount is None:
            issues.append(AccountIssue(Issue.AMOUNT_MISSING, buyer, won.id))
        issues += [AccountIssue(Issue.RATE_MISSING, buyer, won.id, missing) for missing in _without_rate(steps)]
        days = {one.id: one.dated_on for one in corrections[won.id]}
        lines += [_direct_line(buyer, won, step, step.amount, days) for step in steps if step.amount is not None]
    return lines, issues


def _corrections(day: _Day) -> Mapping[str, list[Correction]]:
    found: defaultdict[str, list[Correction]] = defaultdict(list)
    for one in day.world.adjustments:
        if one.dated_on <= day.as_of:
            found[one.opportunity_id].append(Correction(one.id, one.amount, one.currency, one.dated_on.isoformat()))
    return found


def _without_rate(steps: list[NetStep]) -> list[str | None]:
    """The corrections without a rate, or just None where the opportunity itself has none."""
    missing = [step.correction_id for step in steps if step.amount is None]
    return [None] if None in missing else missing


def _direct_line(buyer: str, won: Opportunity, step: NetStep, amount: int, days: Mapping[str, str]) -> CreditLine:
    rule = str(won.type) if step.correction_id is None else "adjustment"
    day = won.close_on.isoformat() if step.correction_id is None else days[step.correction_id]
    return CreditLine(Measure.DIRECT, buyer, won.id, buyer, amount, step.correction_id, 0, WHOLE, rule, amount, day)


def _nets(direct: Iterable[CreditLine]) -> Counter[str]:
    nets: Counter[str] = Counter()
    for line in direct:
        nets[line.opportunity_id] += line.amount
    return nets


def _credit(day: _Day, nets: Counter[str]) -> tuple[list[CreditLine], list[AccountIssue]]:
    """The soft ledger: every opportunity on its own, then the chains over the edges of first won ones."""
    sales = _sales(day)
    dates = {referral.id: referral.occurred_on.isoformat() for referral in day.world.referrals}
    issues: list[AccountIssue] = []
    lines: dict[str, list[CreditLine]] = {}
    for id_ in nets:
        lines[id_], found = _credit_one(day, sales[id_], nets[id_])
        issues += found
    edges = {id_: edges_of(found, dates) for id_, found in lines.items()}
    upstream = {sale.buyer_id: edges.get(sale.id, []) for sale in sales.values() if sale.is_first_won}
    chained = [_with_chain(day, sales[id_], nets[id_], lines[id_], edges[id_], upstream) for id_ in lines]
    return [line for found in chained for line in found], issues


def _sales(day: _Day) -> dict[str, Sale]:
    won = won_by(day.world, day.as_of)
    first: dict[str, tuple[date, str]] = {}
    for one in won:
        buyer = day.hierarchy.account(one.account_id or "")
        first[buyer] = min(first.get(buyer, (date.max, one.id)), (one.close_on, one.id))
    return {one.id: _sale(day, one, first) for one in won}


def _sale(day: _Day, won: Opportunity, first: Mapping[str, tuple[date, str]]) -> Sale:
    buyer = day.hierarchy.account(won.account_id or "")
    created, close = won.created_on.isoformat(), won.close_on.isoformat()
    return Sale(won.id, buyer, day.group(buyer), created, close, won.type, first[buyer][1] == won.id)


def _credit_one(day: _Day, sale: Sale, net: int) -> tuple[list[CreditLine], list[AccountIssue]]:
    contacts = next(one.contact_ids for one in day.world.opportunities if one.id == sale.id)
    claims = [claim for one in day.world.referrals for claim in _claims(day, one, sale, contacts)]
    return credit_opportunity(sale, net, claims, day.policy, _advocates(day, sale), _reference_share(day, sale))


def _claims(day: _Day, referral: Referral, sale: Sale, contacts: frozenset[str]) -> Iterator[Claim]:
    if not _counts(day, referral):
        return
    referrer = day.hierarchy.account(referral.referrer_id)
    for tier in _routes(day, referral, sale, contacts):
        yield Claim(
            referral.id,
            referrer,
            day.group(referrer),
            referral.occurred_on.isoformat(),
            referral.recorded_on.isoformat() if referral.recorded_on else None,
            tier,
            referral.status,
            referral.share,
            referrer in day.hierarchy.deleted,
        )


def _counts(day: _Day, referral: Referral) -> bool:
    return referral.status in _OPEN_STATUSES and referral.occurred_on <= day.as_of


def _routes(day: _Day, referral: Referral, sale: Sale, contacts: frozenset[str]) -> Iterator[Tier]:
    if referral.opportunity_id == sale.id:
        yield Tier.OPPORTUNITY
    if referral.contact_id in contacts:
        yield Tier.CONTACT
    if referral.account_id is not None and day.hierarchy.account(referral.account_id) == sale.buyer_id:
        yield Tier.ACCOUNT
    if referral.domain is not None and day.domains.owner(referral.domain) == sale.buyer_id:
        yield Tier.DOMAIN


def _advocates(day: _Day, sale: Sale) -> list[Advocate]:
    return [
        Advocate(one.id, account, one.occurred_on.isoformat(), one.weight, account in day.hierarchy.deleted)
        for one in day.world.influence
        if one.opportunity_id == sale.id and one.occurred_on <= day.as_of
        for account in (day.hierarchy.account(one.account_id),)
    ]


def _reference_share(day: _Day, sale: Sale) -> Fraction | None:
    """The latest answer of the buyer."""
    answers = [one for one in day.world.surveys if one.opportunity_id == sale.id and one.occurred_on <= day.as_of]
    return max(answers, key=lambda one: (one.occurred_on, one.id)).reference_share if answers else None


def _with_chain(
    day: _Day, sale: Sale, net: int, lines: list[CreditLine], edges: list[Edge], upstream: Mapping[str, list[Edge]]
) -> list[CreditLine]:
    if not any(upstream.get(edge.referrer_id) for edge in edges):
        return lines
    if day.policy.chain.mode is ChainMode.CARVE_OUT:
        lines = [line for line in lines if line.measure is not Measure.REFERRED]
    return lines + credit_chain(sale, net, edges, upstream, day.policy)


def _domain_issues(day: _Day) -> list[AccountIssue]:
    """A referral that points at nothing but a domain, and the domain does not tell which account."""
    return [
        AccountIssue(Issue.AMBIGUOUS_DOMAIN, day.hierarchy.account(one.referrer_id), None, one.id)
        for one in day.world.referrals
        if one.domain is not None and day.domains.is_ambiguous(one.domain) and _counts(day, one)
        if one.opportunity_id is None and one.contact_id is None and one.account_id is None
    ]


def _values(day: _Day, lines: Iterable[CreditLine]) -> dict[str, AccountValue]:
    sums = _sums(day, lines)
    sums["pipeline"] = _pipeline(day)
    named = {account for measure in sums.values() for account in measure}
    survivors = {day.hierarchy.account(account.id) for account in day.world.accounts} - day.hierarchy.deleted
    return {id_: _value(day, id_, sums) for id_ in sorted(named | survivors)}


def _sums(day: _Day, lines: Iterable[CreditLine]) -> defaultdict[str, Counter[str]]:
    """Measure -> account -> sum of its lines."""
    sums: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for line in lines:
        sums[line.measure][line.account_id] += line.amount
        above = day.hierarchy.line_of(line.account_id)
        if line.measure is Measure.DIRECT:
            sums["group_direct"].update(dict.fromkeys(above, line.amount))
        elif line.measure is Measure.REFERRED:
            sums["given"][line.buyer_id] += line.amount
            # Inside one group the money is already in somebody's direct revenue: consolidation takes it out.
            outside = [group for group in above if group not in day.hierarchy.line_of(line.buyer_id)]
            sums["group_referred"].update(dict.fromkeys(outside, line.amount))
    return sums


def _value(day: _Day, id_: str, sums: Mapping[str, Counter[str]]) -> AccountValue:
    of = {measure: amounts[id_] for measure, amounts in sums.items()}
    direct, referred, given = of.get("direct", 0), of.get("referred", 0), of.get("given", 0)
    total = direct + referred + (of.get("influence", 0) if day.policy.influence.include else 0)
    return AccountValue(id_, total=total, conserved=direct + referred - given, **of)


def _pipeline(day: _Day) -> Counter[str]:
    """Expected revenue of open opportunities: net value times probability, each rounded half up."""
    found: Counter[str] = Counter()
    for one in day.world.opportunities:
        if one.is_closed or one.is_deleted or one.account_id is None or one.created_on > day.as_of:
            continue
        net, _, _ = day.book.convert(one.amount or 0, one.currency, one.close_on.isoformat())
        if net is not None and one.probability is not None:
            expected = net * one.probability
            found[day.hierarchy.account(one.account_id)] += round_half_up(*expected.as_integer_ratio())
    return found


def _line_order(line: CreditLine) -> tuple[str, int, str, int, str]:
    return line.account_id, _MEASURES.index(line.measure), line.opportunity_id, line.tier, line.event_id or ""


def _issue_order(issue: AccountIssue) -> tuple[str, str, str, str]:
    return issue.account_id or "", issue.code, issue.opportunity_id or "", issue.event_id or ""
