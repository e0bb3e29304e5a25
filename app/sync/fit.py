"""The mapping against the CRM as it is now: its fields, and whether every amount comes with its currency.

In a CRM with several currencies a number whose currency is not read would be taken for one in the reporting currency:
wrong by the exchange rate, and no other check would notice.
"""

from __future__ import annotations

from collections.abc import Iterator

from app.domain.rows import Entity
from app.errors import MappingError
from app.mapping.check import ReadPlan, check_mapping, objects_of
from app.mapping.file import MappingFile
from connectors.contract import CrmConnector, PullRequest


def check_against_crm(
    mapping: MappingFile, connector: CrmConnector, username: str | None, *, writing: bool = True
) -> ReadPlan:
    """What will be read and written. Raises MappingError with what does not fit; see `check_mapping`."""
    objects = dict.fromkeys((*objects_of(mapping), mapping.write_back.object))
    plan = check_mapping(mapping, connector.describe(tuple(objects)), username, writing=writing)
    missing = list(_missing_currencies(mapping, plan, per_record=connector.capabilities.currency_per_record))
    # Only then does it matter how many currencies there are, and only then is a call spent on it.
    has = _say_several(connector, plan) if missing else ""
    if has:
        raise MappingError([mapping.problem("ADV-MAP-063", has + said, at, hint) for said, at, hint in missing])
    return plan


def _say_several(connector: CrmConnector, plan: ReadPlan) -> str:
    """Empty when the CRM has one currency, as far as it shows."""
    if Entity.CURRENCY_RATE not in plan.entities:
        hidden = "the CRM has several currencies, of which it shows neither names nor rates, and "
        return hidden if connector.shows_several_currencies() else ""
    known = pull_currencies(connector, plan)
    return f"the CRM has several currencies ({', '.join(known)}), but " if len(known) > 1 else ""


def pull_currencies(connector: CrmConnector, plan: ReadPlan) -> list[str]:
    """The codes that the CRM has rates for, sorted; empty where it shows no rates."""
    rates = plan.entities.get(Entity.CURRENCY_RATE)
    field = rates.attributes["currency"].field if rates else ""
    if rates is None or not field:
        return []
    pages = connector.pull([PullRequest(rates.object, (field,), where=rates.where)])
    return sorted({row[0] for page in pages for row in page.rows if row[0]})


def _missing_currencies(
    mapping: MappingFile, plan: ReadPlan, *, per_record: bool
) -> Iterator[tuple[str, tuple[str, ...], str]]:
    """(what is wrong, where in the file, what to do); `per_record`: the CRM shows money in the record's currency."""
    if "currency" not in plan.entities[Entity.OPPORTUNITY].attributes:
        said = "the currency of the opportunities is not read: every amount would be taken for one in "
        said += mapping.policy.reporting_currency
        yield said, ("opportunities", "attributes", "currency"), _advice(mapping, Entity.OPPORTUNITY)
    corrections = plan.entities.get(Entity.ADJUSTMENT)
    if corrections is not None and "currency" not in corrections.attributes:
        said = "the currency of the adjustments is not read: every correction would be taken for one in "
        said += mapping.policy.reporting_currency
        yield said, ("adjustments", "attributes", "currency"), _advice(mapping, Entity.ADJUSTMENT)
    shown = [write.field for write in plan.writes.values() if write.in_record_currency]
    if per_record and shown and "currency" not in plan.entities[Entity.ACCOUNT].attributes:
        said = f"the currency of the accounts is not read: {', '.join(shown)} would show numbers in "
        said += f"{mapping.policy.reporting_currency} as if they were in each account's currency"
        yield said, ("accounts", "attributes", "currency"), _advice(mapping, Entity.ACCOUNT)


def _advice(mapping: MappingFile, entity: Entity) -> str:
    section = mapping.entities[entity]
    mapped = section.attributes.get("currency")
    if mapped is None:
        return f"map currency under {section.section}"
    return f"give the connecting user read access to {section.object}.{', '.join(mapped.crm_fields())}"
