"""Credit and value: from the mirror and the advocacy events to stored lines and sums.

A full valuation and an incremental one take the same steps over more or fewer opportunities. Both compare what they
computed with what is stored and replace only what differs, so a full one over an unchanged world changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from functools import partial

from app.domain.chain import credit_chain
from app.domain.credit import credit_opportunity
from app.domain.domains import FREE_MAIL
from app.domain.model import AccountIssue, ChainMode, CreditLine, Issue, Measure, Policy
from app.domain.money import RateBook, net_steps
from app.mapping.policy import policy_content
from app.store import before, cases, engagement, hierarchy, ledger, plain_sales, segments, staging, standing, values
from app.store.bulk import ensure_indexes, suspend_indexes
from app.store.cases import Case
from app.store.closure import clear_dirty, is_anything_dirty, mark_due, stage_sample, stage_scope, touch_accounts
from app.store.connection import Connection
from app.store.ledger import HOME, Corrected, Origin, Stamp
from app.store.rates import load_rates
from app.store.runs import save_policy
from app.store.state import REPLAN_ALL, REVALUE_ALL, VALUED_AS_OF, VALUED_BY, load_flag, save_flag
from app.store.tables import account_value, credit_line, opportunity_issue

STAGED = "s_line"
STORED = "credit_line"
STAGED_LINES = values.LineSource(STAGED, "s_issue", "s_value")
SAMPLE = 200
"""Accounts whose lines every run proves; the rotation comes round in as many runs as it takes."""
PROVEN_TO = "proven_to"
"""State: the last account of the sample proven last."""


@dataclass(frozen=True, slots=True)
class Revaluation:
    """What a valuation did. `moved`: accounts whose value changed."""

    scope: str
    """`all`, `changed` or `nothing`."""
    moved: int
    restated: bool = False
    """A changed policy restates values that had been reported."""


@dataclass(frozen=True, slots=True)
class Day:
    """The rules and the day of one valuation."""

    policy: Policy
    policy_version: str
    as_of: date
    run_id: int

    @property
    def iso(self) -> str:
        return self.as_of.isoformat()

    @property
    def stamp(self) -> Stamp:
        return Stamp(self.run_id, self.policy_version)


def revalue(connection: Connection, day: Day) -> Revaluation:
    """Bring the ledger and the sums up to date with everything that changed, in the caller's transaction."""
    valued_by, valued_as_of = load_flag(connection, VALUED_BY), load_flag(connection, VALUED_AS_OF)
    restated = valued_by is not None and valued_by != day.policy_version
    everything = load_flag(connection, REVALUE_ALL) is not None or valued_by != day.policy_version
    backwards = valued_as_of is not None and valued_as_of > day.iso
    if not everything and not backwards:
        if valued_as_of is not None and valued_as_of < day.iso:
            mark_due(connection, valued_as_of, day.iso)
            engagement.mark_engagement_due(connection, day.iso)
            standing.mark_standing_due(connection, day.iso)
        if not is_anything_dirty(connection) and not engagement.is_new_week(connection, day.as_of):
            save_flag(connection, VALUED_AS_OF, day.iso)
            return Revaluation("nothing", 0)
        everything = day.policy.chain.mode is ChainMode.CARVE_OUT
    if valued_by != day.policy_version:
        save_policy(connection, day.policy_version, policy_content(day.policy))
    moved = _revalue_all(connection, day) if everything or backwards else _revalue_scope(connection, day)
    clear_dirty(connection)
    before.forget_before(connection, day.as_of)
    save_flag(connection, REVALUE_ALL, None)
    save_flag(connection, VALUED_BY, day.policy_version)
    save_flag(connection, VALUED_AS_OF, day.iso)
    if restated:
        save_flag(connection, REPLAN_ALL, "policy")
    return Revaluation("all" if everything or backwards else "changed", moved, restated)


def _revalue_all(connection: Connection, day: Day) -> int:
    first = not ledger.has_current_lines(connection)
    # Nothing is stored yet: the lines go straight where they belong.
    table = STORED if first else STAGED
    if first:
        suspend_indexes(connection, credit_line, opportunity_issue, account_value)
    _stage_everything(connection, day, table, scoped=False)
    if not first:
        ledger.merge_lines(connection, day.run_id, scoped=False)
    ledger.merge_issues(connection, scoped=False)
    if first:
        ensure_indexes(connection, credit_line, opportunity_issue)
    if values.is_anything_stored(connection):
        values.stage_values(connection, values.LineSource(), day.policy, day.iso, touched=False)
        before.keep_before(connection, "s_value", day.as_of, day.run_id)
        moved = values.merge_values(connection, day.run_id, day.policy_version, touched=False)
    else:
        moved = values.store_first_values(connection, day.policy, day.iso, day.run_id, day.policy_version)
    if first:
        ensure_indexes(connection, account_value)
    values.update_ranks(connection, touched=False)
    engagement.refresh_engagement(connection, day.policy, day.as_of, day.run_id, everything=True)
    standing.refresh_standing(connection, day.policy, day.as_of, day.run_id, everything=True)
    return moved


def _revalue_scope(connection: Connection, day: Day) -> int:
    issues = stage_scope(connection, day.policy)
    _stage_everything(connection, day, STAGED, scoped=True, structure=issues)
    ledger.merge_lines(connection, day.run_id, scoped=True)
    ledger.merge_issues(connection, scoped=True)
    touch_accounts(connection, day.run_id)
    values.stage_values(connection, values.LineSource(), day.policy, day.iso, touched=True)
    before.keep_before(connection, "s_value", day.as_of, day.run_id)
    moves = segments.load_moves(connection)
    moved = values.merge_values(connection, day.run_id, day.policy_version, touched=True)
    values.update_ranks(connection, touched=True)
    engagement.refresh_engagement(connection, day.policy, day.as_of, day.run_id, everything=False, moves=moves)
    standing.refresh_standing(connection, day.policy, day.as_of, day.run_id, everything=False)
    return moved


def value_as_of(connection: Connection, day: Day) -> None:
    """Stage lines, values and measures (`s_line`, `s_value`, `s_engagement`, `s_standing`) for another day or policy.

    Nothing stored is touched.
    """
    _stage_everything(connection, day, STAGED, scoped=False)
    values.stage_values(connection, STAGED_LINES, day.policy, day.iso, touched=False)
    engagement.stage_engagement_as_of(connection, STAGED_LINES, day.policy, day.as_of)
    standing.stage_standing(
        connection, day.policy, day.as_of, touched=False, values="s_value", engagement="s_engagement"
    )


@dataclass(frozen=True, slots=True)
class Differences:
    """What a computation from scratch contradicts: credit lines, and accounts by their value and what is beside it."""

    lines: int = 0
    sums: int = 0
    engagement: int = 0
    standing: int = 0
    ranks: int = 0

    def __bool__(self) -> bool:
        return any((self.lines, self.sums, self.engagement, self.standing, self.ranks))


def prove_valuation(connection: Connection, day: Day, *, everything: bool) -> Differences:
    """Compute what is stored from scratch and count the differences: all of it, or the next part of a rotation.

    Lines from the mirror and the events, sums and measures from the lines, ranks from the stored totals. Any difference
    means that an incremental valuation missed something, here or in the data: the next run values all.
    """
    structure = hierarchy.stage_structure(connection)
    if not everything:
        last = stage_sample(connection, load_flag(connection, PROVEN_TO) or "", SAMPLE)
        save_flag(connection, PROVEN_TO, last or None)
        staging.create_temp(connection, "s_touched", f"id {staging.text_type(connection)} primary key")
        staging.add_ids(connection, "s_touched", "select id from s_sample")
    lines = 0
    # Carved lines do not tell the shares they were carved from, so there is no part of them that stands alone.
    if everything or day.policy.chain.mode is not ChainMode.CARVE_OUT:
        _stage_everything(connection, day, STAGED, scoped=not everything, structure=structure)
        lines = ledger.count_differences(connection, scoped=not everything)
    values.stage_values(connection, values.LineSource(), day.policy, day.iso, touched=not everything)
    sums = values.count_differences(connection, touched=not everything)
    engaged = engagement.count_differences(
        connection, day.policy, day.as_of, accounts=None if everything else "s_sample"
    )
    stood = standing.count_differences(
        connection, day.policy, day.as_of, touched=not everything, values="s_value", engagement="s_engagement"
    )
    different = Differences(lines, sums, engaged, stood, values.count_wrong_ranks(connection))
    if different:
        save_flag(connection, REVALUE_ALL, "proof failed")
    return different


def _stage_everything(
    connection: Connection, day: Day, table: str, *, scoped: bool, structure: list[AccountIssue] | None = None
) -> None:
    issues = hierarchy.stage_structure(connection) if structure is None else structure
    staging.stage_lines_table(connection)
    ledger.create_issue_stage(connection)
    ledger.stage_issues(connection, issues)
    held = _stage_direct(connection, day, table, scoped=scoped)
    if scoped:
        staging.stage_buyers(connection)
    staging.stage_referrals(connection, day.policy, day.iso, sorted(FREE_MAIL), scoped=scoped)
    ledger.stage_domain_issues(connection, sorted(FREE_MAIL))
    staging.stage_first_sales(connection, day.iso, scoped=scoped)
    plain_sales.stage_claims(connection, day.policy, day.iso, held, scoped=scoped)
    plain_sales.stage_cases(connection, day.policy, day.iso, held, scoped=scoped)
    plain_sales.credit_plain_sales(connection, table, day.stamp, day.policy)
    for page in cases.stream_cases(connection, day.iso):
        lines, found = _credit(page, day.policy)
        ledger.stage_lines(connection, table, day.stamp, lines, _origins(page))
        ledger.stage_issues(connection, found)
    if day.policy.chain.mode is not ChainMode.NONE:
        _stage_chains(connection, day, table, scoped=scoped)


def _stage_direct(connection: Connection, day: Day, table: str, *, scoped: bool) -> list[str]:
    """The hard ledger; returns the sales that are held back because the rate of a correction is missing."""
    ledger.stage_direct_lines(connection, table, day.stamp, day.iso, scoped=scoped)
    ledger.stage_amount_issues(connection, day.iso, scoped=scoped)
    corrected = ledger.load_corrected(connection, day.iso, scoped=scoped)
    book = RateBook(load_rates(connection), day.policy.reporting_currency)
    nets: dict[str, int] = {}
    for sale in corrected:
        lines, issues = _correct(sale, book)
        ledger.stage_lines(connection, table, day.stamp, lines, partial(_origin_of_step, sale, book))
        ledger.stage_issues(connection, issues)
        if lines:
            nets[sale.opportunity_id] = sum(line.amount for line in lines)
    ledger.stage_nets(connection, nets)
    return [sale.opportunity_id for sale in corrected if sale.opportunity_id not in nets]


def _correct(sale: Corrected, book: RateBook) -> tuple[list[CreditLine], list[AccountIssue]]:
    amount = None if sale.amount is None else Decimal(sale.amount)
    steps = net_steps(book, amount, sale.currency, sale.close_on, sale.corrections)
    held = [step.correction_id for step in steps if step.amount is None]
    missing = [None] if None in held else held
    lines = [_step_line(sale, step.correction_id, step.amount) for step in steps if step.amount is not None]
    return lines, [AccountIssue(Issue.RATE_MISSING, sale.buyer_id, sale.opportunity_id, one) for one in missing]


def _step_line(sale: Corrected, correction_id: str | None, amount: int) -> CreditLine:
    dated_on = next((one.dated_on for one in sale.corrections if one.id == correction_id), sale.close_on)
    return CreditLine(
        Measure.DIRECT,
        sale.buyer_id,
        sale.opportunity_id,
        sale.buyer_id,
        amount,
        correction_id,
        rule=sale.type if correction_id is None else "adjustment",
        net=amount,
        dated_on=dated_on,
    )


def _origin_of_step(sale: Corrected, book: RateBook, line: CreditLine) -> Origin:
    """A correction in the opportunity's own currency was converted with it, any other on its own day."""
    amount, currency, day = sale.amount, sale.currency, sale.close_on
    for one in sale.corrections:
        if one.id == line.event_id:
            is_netted = (one.currency or book.currency) == (sale.currency or book.currency)
            amount, currency, day = str(one.amount), one.currency, sale.close_on if is_netted else one.dated_on
    _, rate, rate_on = book.convert(Decimal(amount or 0), currency, day)
    return HOME if rate is None else Origin(amount, currency, rate, rate_on)


def _origins(page: Sequence[Case]) -> Callable[[CreditLine], Origin]:
    by_id = {case.sale.id: case.origin for case in page}
    return lambda line: by_id[line.opportunity_id]


def _credit(page: Iterable[Case], policy: Policy) -> tuple[list[CreditLine], list[AccountIssue]]:
    lines: list[CreditLine] = []
    issues: list[AccountIssue] = []
    for case in page:
        found, wrong = credit_opportunity(
            case.sale, case.net, case.claims, policy, case.advocates, case.reference_share
        )
        lines += found
        issues += wrong
    return lines, issues


def _stage_chains(connection: Connection, day: Day, table: str, *, scoped: bool) -> None:
    """Second pass: the sales whose direct referrer was itself referred."""
    cases.stage_edges(connection, table)
    if not cases.stage_chained(connection, table, day.policy.chain.mode, scoped=scoped):
        return
    for page, direct in cases.stream_chained(connection, table):
        if day.policy.chain.mode is ChainMode.CARVE_OUT:
            cases.delete_carved(connection, table)
        referrers = {edge.referrer_id for edges in direct.values() for edge in edges}
        depth = day.policy.chain.depth - 1
        upstream = cases.load_upstream(connection, referrers, depth, as_of=day.iso, scoped=scoped)
        lines = [
            line
            for case in page
            for line in credit_chain(case.sale, case.net, direct.get(case.sale.id, ()), upstream, day.policy)
        ]
        ledger.stage_lines(connection, table, day.stamp, lines, _origins(page))
