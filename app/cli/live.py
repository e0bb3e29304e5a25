"""What `doctor --live` asks the CRM: the connector's own findings, then whether the mapping fits what the user sees."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from app.errors import MappingError, Problem
from connectors.contract import Finding

if TYPE_CHECKING:
    from app.bootstrap import Services
    from app.mapping.check import ReadPlan
    from app.mapping.file import WriteField
    from connectors.contract import CrmConnector, FieldSchema

MONEY_DIGITS = 9
"""Digits before the point that a money field should have room for."""


def examine_crm(services: Services) -> Iterator[Finding]:
    """Everything that can be found out before a run. Raises AppError where nothing further can be asked."""
    from app.sync.failures import as_app_error
    from connectors.errors import ConnectorError

    try:
        connector = services.connect()
        try:
            yield from connector.check_health([services.mapping.write_back.object])
            yield from _examine_organisation(services, connector)
            yield from _examine_mapping(services, connector)
        finally:
            connector.close()
    except ConnectorError as error:
        raise as_app_error(error) from error


def _examine_organisation(services: Services, connector: CrmConnector) -> Iterator[Finding]:
    from app.store import state

    with services.database.read() as connection:
        pinned = state.load_flag(connection, state.ORGANISATION)
    found = connector.organisation_id()
    if pinned not in (None, found):
        said = f"this database belongs to organisation {pinned}, the login leads to {found}"
        yield Finding("error", "database", said, "use another ADVOCACY_DATABASE_URL for another organisation")


def _examine_mapping(services: Services, connector: CrmConnector) -> Iterator[Finding]:
    from app.cli.mapping import compare_with_crm

    try:
        plan = compare_with_crm(services, services.mapping, connector)
    except MappingError as error:
        yield from map(finding_of, error.problems)
        return
    said = f"fits the CRM: {len(plan.entities)} entities to read, {len(plan.writes)} fields to write"
    yield Finding("ok", "mapping", said)
    for warning in plan.warnings:
        yield finding_of(warning, "warning")
    yield from map(_left_out, plan.dropped)
    yield from _examine_written(services, connector, plan)
    yield from _examine_currencies(services, connector, plan)


def finding_of(problem: Problem, level: str = "error") -> Finding:
    """A problem of the mapping, on one line."""
    at = f"{problem.path}:{problem.line}: " if problem.path and problem.line else ""
    action = problem.hint or f"see: advocacy errors {problem.code}"
    return Finding(level, "mapping", f"{at}{problem.message} [{problem.code}]", action)


def _left_out(line: str) -> Finding:
    part = line.partition(":")[0]
    if part == "write_back":
        return Finding("warning", "mapping", f"not written, because this CRM lacks it: {line}", "advocacy crm setup")
    return Finding("ok", "mapping", f"not read, because this CRM lacks it: {line}")


def _examine_written(services: Services, connector: CrmConnector, plan: ReadPlan) -> Iterator[Finding]:
    """What a field would do to values that fit it by type."""
    name = services.mapping.write_back.object
    schema = connector.describe([name]).get(name)
    for write in plan.writes.values():
        found = schema.fields.get(write.field) if schema else None
        if found is not None:
            yield from _examine_field(name, write, found)


def _examine_field(object_name: str, write: WriteField, found: FieldSchema) -> Iterator[Finding]:
    from app.mapping.measures import MeasureKind

    field = f"{object_name}.{write.field}"
    digits = found.precision - found.scale
    if write.kind is MeasureKind.MONEY and 0 < digits < MONEY_DIGITS:
        said = f"{field} holds {digits} digits before the point; a larger {write.measure} will be refused"
        yield Finding("warning", "fields", said, f"make it longer: {MONEY_DIGITS} digits or more")
    if found.external_id:
        said = f"{field} is an external id: other programs find records by it, and it may have to be unique"
        yield Finding("warning", "fields", said, f"write {write.measure} to a field of its own")


def _examine_currencies(services: Services, connector: CrmConnector, plan: ReadPlan) -> Iterator[Finding]:
    """Without a rate of its own a reporting currency passes for the CRM's main one: that has to be meant."""
    from app.domain.rows import Entity
    from app.sync.fit import pull_currencies

    wanted = services.mapping.policy.reporting_currency
    if Entity.CURRENCY_RATE not in plan.entities:
        yield _without_rates(wanted, plan)
        return
    known = pull_currencies(connector, plan)
    dated = " and by date" if plan.dated_rates else ""
    if wanted in known:
        yield Finding("ok", "currencies", f"{', '.join(known)}, converted to {wanted} at fixed rates{dated}")
        return
    said = f"results are to be in {wanted}, and the CRM has no rate for it: it has {', '.join(known)}"
    yield Finding("error", "currencies", said, f"add {wanted} to the CRM's currencies, or change reporting_currency")


def _without_rates(wanted: str, plan: ReadPlan) -> Finding:
    from app.domain.rows import Entity

    deals = plan.entities.get(Entity.OPPORTUNITY)
    if deals is not None and "currency" in deals.attributes:
        said = "amounts have currencies, but no exchange rates can be read: what is in another one counts for nothing"
        return Finding("error", "currencies", said, "let the user see the rates, and map them under currency_rates")
    return Finding("ok", "currencies", f"one currency: every amount is taken for {wanted}, the reporting_currency")
