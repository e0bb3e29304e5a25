"""Questions about what is stored: values, explanations, runs. Nothing here talks to the CRM or writes a value."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from app.domain.model import Measure
from app.domain.money import major_units
from app.domain.rows import Entity
from app.errors import ConfigError
from app.store import rates, runs, state, value_rows, writes
from app.store.connection import Connection
from app.store.engagement_rows import load_engagement
from app.store.ledger import LineRow, load_lines
from app.store.standing_rows import load_standing, load_standing_now
from app.sync.beside import Plain, PointedEvent, explain_points, read_measures
from app.sync.explanations import Explainer
from app.sync.pull import ACCEPT_VANISHED
from app.sync.report import RunReport, read_report
from app.sync.restated import Restated, compare_to_come, find_restated, is_ahead
from app.sync.revalue import Day, value_as_of
from app.sync.services import Services
from app.sync.standing import StandingView, tell_standing
from app.sync.undo import undo_run

__all__ = [
    "AccountView", "ExplainedLine", "Explanation", "Portfolio", "RunView", "approve_run", "explain_account",
    "find_account", "list_accounts", "list_runs", "load_accounts", "portfolio", "retry_run", "show_run", "undo_run",
]  # fmt: skip

CANDIDATES = 8


@dataclass(frozen=True, slots=True)
class AccountView:
    """One account's measures. Money in major units of the reporting currency."""

    id: str
    name: str
    rank: int | None
    currency: str
    money: Mapping[str, Decimal]
    issues: tuple[str, ...]
    beside: Mapping[str, Plain] = field(default_factory=dict)
    """The measures beside the money, ready to be shown."""

    def as_json(self) -> dict[str, Any]:
        """The documented object: money as decimal text."""
        return {
            "id": self.id,
            "name": self.name,
            "rank": self.rank,
            "currency": self.currency,
            **{measure: str(amount) for measure, amount in self.money.items()},
            "issues": list(self.issues),
            **self.beside,
        }


@dataclass(frozen=True, slots=True)
class ExplainedLine:
    """One credit line, with everything a person needs to check it. `share`: a fraction as text; rates as text."""

    measure: str
    amount: Decimal
    opportunity: str
    opportunity_name: str
    opportunity_url: str
    event: str | None
    event_title: str | None
    occurred_on: str | None
    dated_on: str | None
    """The day of the event, of the correction, or of the opportunity's close."""
    tier: int
    share: str
    net: Decimal
    """What the share was taken of: the opportunity's value after refunds."""
    currency: str | None
    own_amount: str | None
    rate: str | None
    rate_on: str | None
    rule: str
    policy_version: str

    def as_json(self) -> dict[str, Any]:
        """Every field, the amounts as decimal text."""
        return {name: getattr(self, name) for name in self.__dataclass_fields__} | {
            "amount": str(self.amount),
            "net": str(self.net),
        }


@dataclass(frozen=True, slots=True)
class Explanation:
    account: AccountView
    lines: tuple[ExplainedLine, ...]
    sentence: str
    """Several sentences, one a line, as they stand in the CRM."""
    policy_version: str
    computed: datetime
    activity: tuple[PointedEvent, ...] = ()
    """The events behind the points."""
    standing: StandingView | None = None
    """The human measures, in words."""
    restated: Restated | None = None
    """What had been reported, where a change of the policy moved it since."""

    def as_json(self) -> dict[str, Any]:
        """The account's object plus `lines` and `activity`, under the documented keys."""
        return {
            **self.account.as_json(),
            "sentence": self.sentence,
            "policy_version": self.policy_version,
            "computed": self.computed,
            "lines": [line.as_json() for line in self.lines],
            "activity": [event.as_json() for event in self.activity],
            "standing": self.standing and self.standing.as_json(),
            "restated": self.restated and self.restated.as_json(),
        }


@dataclass(frozen=True, slots=True)
class Portfolio:
    """The whole company. Only `conserved` may be compared with revenue; totals of accounts are never summed."""

    currency: str
    direct: Decimal
    referred: Decimal
    overlap: Decimal
    """How much a sum of totals would count twice."""
    conserved: Decimal
    unassigned: Decimal
    accounts: int


@dataclass(frozen=True, slots=True)
class RunView:
    run_id: int
    status: str
    trigger: str
    mode: str
    slot: str | None
    as_of: str
    started_at: datetime
    finished_at: datetime | None
    counts: Mapping[str, int]
    error: str | None


def list_accounts(
    services: Services,
    *,
    top: int | None = None,
    sort: str = "total",
    as_of: date | None = None,
    include_all: bool = False,
    after: tuple[str, str] | None = None,
) -> list[AccountView]:
    """Customers by a measure, highest first. `as_of`: computed for that day with what is known today.

    `after`: only those behind an account with this value of the measure, in major units, and this id.
    """
    if sort not in value_rows.SORTS:
        raise ConfigError(f"accounts cannot be sorted by {sort}", hint=f"choose one of {', '.join(value_rows.SORTS)}")
    with _valued(services, as_of) as (connection, staged):
        behind: tuple[str | int, str] | None = after
        if after is not None and sort != "name":
            places = rates.load_places(connection, services.mapping.policy.reporting_currency)
            behind = int(Decimal(after[0]).scaleb(places)), after[1]
        rows = value_rows.load_values(
            connection, sort=sort, top=top, everybody=include_all, staged=staged, after=behind
        )
        return _views(services, connection, rows, staged=staged)


def load_accounts(services: Services, account_ids: Collection[str]) -> dict[str, AccountView]:
    """Id -> the account, for those that live; without their ranks."""
    with _valued(services, None) as (connection, staged):
        rows = value_rows.load_named(connection, account_ids, staged=staged)
        return {view.id: view for view in _views(services, connection, rows, staged=staged)}


def find_account(services: Services, text: str) -> AccountView:
    """The account with this id, this name, or the only one whose name contains it. Raises ConfigError otherwise."""
    with _valued(services, None) as (connection, staged):
        survivor = value_rows.load_survivor(connection, services.canonical_id(text))
        row = value_rows.load_value(connection, survivor, staged=staged)
        if row is None:
            candidates = value_rows.find_accounts(connection, text, CANDIDATES + 1)
            if len(candidates) == 1:
                row = value_rows.load_value(connection, candidates[0][0], staged=staged)
        if row is None:
            raise _unclear(text, candidates)
        return _views(services, connection, [row], staged=staged)[0]


def _unclear(text: str, candidates: Sequence[tuple[str, str]]) -> ConfigError:
    if not candidates:
        return ConfigError(
            f"no account has the id or the name '{text}'", hint="list them with: advocacy accounts --all"
        )
    named = ", ".join(f"{name} ({id_})" for id_, name in candidates[:CANDIDATES])
    more = " and more" if len(candidates) > CANDIDATES else ""
    return ConfigError(f"'{text}' can mean several accounts: {named}{more}", hint="use the id")


def explain_account(services: Services, account_id: str, *, as_of: date | None = None) -> Explanation:
    """Why an account is worth what it is worth, line by line."""
    with _valued(services, as_of) as (connection, staged):
        row = value_rows.load_value(connection, account_id, staged=staged)
        if row is None:
            raise ConfigError(f"no account has the id {account_id}")
        lines = load_lines(connection, [account_id], table="s_line" if staged else "credit_line")
        places = _places(services, connection)
        view = _views(services, connection, [row], staged=staged)[0]
        # Money is what the last run made of it; points, and whether a customer may be named, are of this moment.
        day, policy = as_of or services.today, services.mapping.policy
        activity, points = explain_points(connection, account_id, policy.engagement, day)
        standing = tell_standing(connection, account_id, policy, day)
        compare = compare_to_come if staged else find_restated
        restated = None if as_of else compare(services, connection, account_id)
    explainer = Explainer(view.currency, places)
    order = list(Measure)
    lines.sort(key=lambda one: (order.index(one.line.measure), -abs(one.line.amount), one.line.opportunity_id))
    return Explanation(
        account=replace(view, beside={**view.beside, **points}),
        lines=tuple(_explained(services, one, places) for one in lines),
        sentence="\n".join(explainer.sentences(lines)),
        policy_version=services.mapping.policy_version,
        computed=services.now(),
        activity=activity,
        standing=standing,
        restated=restated,
    )


@contextmanager
def _valued(services: Services, as_of: date | None) -> Iterator[tuple[Connection, bool]]:
    """A connection on which values can be read; True: they were staged for another day or another policy."""
    mapping = services.mapping
    with services.database.read() as connection:
        staged = as_of is not None or is_ahead(services, connection)
        if staged:
            value_as_of(connection, Day(mapping.policy, mapping.policy_version, as_of or services.today, 0))
        yield connection, staged


def _places(services: Services, connection: Connection) -> int:
    return rates.load_places(connection, services.mapping.policy.reporting_currency)


def _views(
    services: Services, connection: Connection, rows: Sequence[value_rows.ValueRow], *, staged: bool
) -> list[AccountView]:
    currency, places = services.mapping.policy.reporting_currency, _places(services, connection)
    ids = [row.account_id for row in rows]
    beside = load_engagement(connection, ids, staged=staged)
    standings = (
        load_standing(connection, ids, staged=True) if staged else load_standing_now(connection, ids, services.today)
    )
    return [
        AccountView(
            row.account_id,
            row.name,
            row.rank,
            currency,
            {measure: major_units(amount, places) for measure, amount in row.money.items()},
            tuple(row.issues.split()),
            {**read_measures(beside[row.account_id], places), **standings[row.account_id].facts()},
        )
        for row in rows
    ]


def _explained(services: Services, one: LineRow, places: int) -> ExplainedLine:
    line = one.line
    return ExplainedLine(
        measure=line.measure,
        amount=major_units(line.amount, places),
        opportunity=line.opportunity_id,
        opportunity_name=one.opportunity_name,
        opportunity_url=services.record_url(_opportunity_object(services), line.opportunity_id),
        event=line.event_id,
        event_title=one.event_title,
        occurred_on=one.occurred_on,
        dated_on=line.dated_on,
        tier=line.tier,
        share=str(line.share),
        net=major_units(line.net, places),
        currency=one.currency,
        own_amount=one.own_amount,
        rate=one.rate,
        rate_on=one.rate_on,
        rule=line.rule,
        policy_version=one.policy_version,
    )


def _opportunity_object(services: Services) -> str:
    section = services.mapping.entities.get(Entity.OPPORTUNITY)
    return section.object if section else ""


def portfolio(services: Services) -> Portfolio:
    """Sums over all accounts that count nothing twice."""
    currency = services.mapping.policy.reporting_currency
    with services.database.read() as connection:
        row = value_rows.load_portfolio(connection, services.today.isoformat())
        places = _places(services, connection)
    amounts = (row.direct, row.referred, row.overlap, row.conserved, row.unassigned)
    direct, referred, overlap, conserved, unassigned = (major_units(amount, places) for amount in amounts)
    return Portfolio(currency, direct, referred, overlap, conserved, unassigned, row.accounts)


def list_runs(services: Services, top: int = 20, *, before: int | None = None) -> list[RunView]:
    """Runs, newest first. `before`: only older ones than this."""
    with services.database.read() as connection:
        found = runs.load_runs(connection, limit=top, before=before)
    return [
        RunView(
            one.run_id, one.status, one.trigger, one.mode, one.slot, one.as_of, one.started_at, one.finished_at,
            one.report.get("counts", {}), one.error,
        )
        for one in found
    ]  # fmt: skip


def show_run(services: Services, run_id: int) -> RunReport:
    """What a run did, or would have done. Raises ConfigError for an unknown one."""
    with services.database.read() as connection:
        found = runs.load_run(connection, run_id)
    if found is None:
        raise ConfigError(f"there is no run {run_id}", hint="list them with: advocacy runs list")
    if not found.report:
        return RunReport(run_id, found.status, found.trigger, date.fromisoformat(found.as_of))
    return read_report({**found.report, "status": found.status})


def approve_run(services: Services, run_id: int, who: str) -> None:
    """Release a held run: the next sync may write exactly its plan, and delete what had vanished."""
    report = show_run(services, run_id)
    with services.database.begin() as connection:
        if not runs.approve_run(connection, run_id):
            raise ConfigError(f"run {run_id} is {report.status}, only a held run can be approved")
        if any("no longer visible" in reason for reason in report.guard.reasons):
            state.save_flag(connection, ACCEPT_VANISHED, str(run_id))
        runs.save_audit(
            connection,
            now=services.now(),
            who=who,
            action="approve",
            subject=f"run {run_id}",
            detail={"reasons": list(report.guard.reasons), "plan_digest": report.plan_digest},
        )


def retry_run(services: Services, run_id: int) -> int:
    """Mark what the CRM refused in a run for the next one; returns how many accounts."""
    show_run(services, run_id)
    with services.database.begin() as connection:
        refused = [
            intent.account_id
            for outcome in ("rejected", "gone", "retry")
            for intent in writes.load_intents(connection, run_id, outcome=outcome)
        ]
        writes.mark_for_plan(connection, refused)
    return len(refused)
