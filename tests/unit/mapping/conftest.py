"""A small mapping and the schema it fits, to be changed one thing at a time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from app.mapping.file import MappingFile, parse_mapping
from connectors.contract import FieldSchema, FieldType, ObjectSchema

GOOD = """\
version: 1
crm: salesforce
policy:
  window_days: 90
accounts:
  object: Account
  where:
    - {field: Type, op: in, value: [Customer, Partner]}
  attributes:
    id: Id
    name: Name
    industry: {field: Industry, optional: true}
opportunities:
  object: Opportunity
  attributes:
    id: Id
    account_id: AccountId
    amount: Amount
    created_on: CreatedDate
    close_on: CloseDate
    is_won: IsWon
    is_closed: IsClosed
    type: {field: Type, transform: [trim, {map: {values: {New: new}}}]}
write_back:
  fields:
    total: Total__c
    rank: {field: Rank__c, optional: true}
    explanation: {field: Why__c, max_length: 500}
"""


def _object(name: str, **types: FieldType) -> ObjectSchema:
    fields = {field: FieldSchema(field, kind, length=255) for field, kind in types.items()}
    return ObjectSchema(name, name, True, fields)


def account_schema() -> ObjectSchema:
    read = _object(
        "Account",
        Id=FieldType.ID,
        Name=FieldType.TEXT,
        Type=FieldType.PICKLIST,
        Industry=FieldType.PICKLIST,
        ParentId=FieldType.REFERENCE,
        CreatedDate=FieldType.DATETIME,
        BillingAddress=FieldType.COMPOUND,
        OwnerId=FieldType.REFERENCE,
    )
    written = {
        "Total__c": FieldSchema("Total__c", FieldType.CURRENCY, precision=18, scale=2, updateable=True),
        "Rank__c": FieldSchema("Rank__c", FieldType.NUMBER, precision=8, updateable=True),
        "Why__c": FieldSchema("Why__c", FieldType.LONG_TEXT, length=2000, updateable=True),
        "Formula__c": FieldSchema("Formula__c", FieldType.NUMBER, scale=2, calculated=True),
        "Locked__c": FieldSchema("Locked__c", FieldType.NUMBER, scale=2),
        "Level__c": FieldSchema(
            "Level__c",
            FieldType.PICKLIST,
            updateable=True,
            picklist_values=("EUR", "Yes", "No"),
            restricted_picklist=True,
        ),
    }
    return replace(read, fields={**read.fields, **written})


def opportunity_schema() -> ObjectSchema:
    found = _object(
        "Opportunity",
        Id=FieldType.ID,
        AccountId=FieldType.REFERENCE,
        Amount=FieldType.CURRENCY,
        CreatedDate=FieldType.DATETIME,
        CloseDate=FieldType.DATE,
        IsWon=FieldType.BOOLEAN,
        IsClosed=FieldType.BOOLEAN,
        Type=FieldType.PICKLIST,
        Probability=FieldType.PERCENT,
    )
    account = FieldSchema("AccountId", FieldType.REFERENCE, reference_to=("Account",))
    campaign = FieldSchema("CampaignId", FieldType.REFERENCE, reference_to=("Campaign",))
    return replace(found, fields={**found.fields, "AccountId": account, "CampaignId": campaign})


@pytest.fixture
def schemas() -> dict[str, ObjectSchema | None]:
    return {"Account": account_schema(), "Opportunity": opportunity_schema()}


@pytest.fixture
def good() -> str:
    return GOOD


@pytest.fixture
def changed() -> Callable[..., MappingFile]:
    """The small mapping with pieces of its text replaced: `changed(("old", "new"), …)`."""

    def build(*replacements: tuple[str, str]) -> MappingFile:
        text = GOOD
        for old, new in replacements:
            assert old in text
            text = text.replace(old, new, 1)
        return parse_mapping(text, "test.yaml")

    return build
