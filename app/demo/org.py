"""The demo's Salesforce org: built from the made-up data, kept in one file, served over loopback while it is needed."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, time
from decimal import Decimal
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from app.demo.world import DemoWorld, Fields
from app.errors import ConfigError
from connectors.salesforce.sandbox import Org, Sandbox, open_org
from connectors.salesforce.sandbox.ids import new_id

ORG_NAME = "advocacy-sync demo"
USERNAME = "sync@demo.example"
EURO_PER_DOLLAR = Decimal("0.92")
_FIRST_NUMBER = 1_000
_REFERENCES = {"AccountId": "001", "ParentId": "001", "ContactId": "003", "OpportunityId": "006"}
_EVENT_REFERENCES = {
    "account": "001",
    "referred_account": "001",
    "contact": "003",
    "referred_contact": "003",
    "opportunity": "006",
}


def number_records(world: DemoWorld) -> dict[tuple[str, str], str]:
    """(object prefix, key) -> record id, the same in every org built from the same world."""
    kinds = (
        ("001", world.accounts),
        ("003", world.contacts),
        ("006", world.opportunities),
        ("00K", world.contact_roles),
    )
    return {
        (prefix, key): new_id(prefix, _FIRST_NUMBER + number)
        for prefix, records in kinds
        for number, key in enumerate(records)
    }


def build_org(world: DemoWorld) -> Org:
    """An org that holds the world's customers and deals."""
    org = Org(multi_currency=True, name=ORG_NAME, username=USERNAME)
    org.create("CurrencyType", {"IsoCode": "EUR", "ConversionRate": EURO_PER_DOLLAR, "IsActive": True})
    ids = number_records(world)
    _fill(org, "Account", "001", world.accounts, ids)
    _fill(org, "Contact", "003", world.contacts, ids)
    _fill(org, "Opportunity", "006", world.opportunities, ids)
    _fill(org, "OpportunityContactRole", "00K", world.contact_roles, ids)
    for survivor, merged in world.merges:
        org.merge("Account", ids["001", survivor], ids["001", merged])
    return org


def _fill(org: Org, name: str, prefix: str, records: Mapping[str, Fields], ids: Mapping[tuple[str, str], str]) -> None:
    for key, fields in records.items():
        values: Fields = {
            field: ids[_REFERENCES[field], value] if field in _REFERENCES else value for field, value in fields.items()
        }
        if "CreatedDate" in values:
            values["CreatedDate"] = datetime.combine(values["CreatedDate"], time(9), UTC)
        org.create(name, {"Id": ids[prefix, key], **values})


def build_events(world: DemoWorld) -> list[dict[str, str]]:
    """The world's advocacy events as rows of an import file."""
    ids = number_records(world)
    return [
        {
            column: ids[_EVENT_REFERENCES[column], value] if column in _EVENT_REFERENCES else _cell(value)
            for column, value in event.items()
        }
        for event in world.events
    ]


def _cell(value: object) -> str:
    return json.dumps(value) if isinstance(value, dict) else str(value)


@contextmanager
def run_org(path: Path) -> Iterator[dict[str, Any]]:
    """Serve the org kept in the file while the block runs, and keep its changes.

    Yields the settings that lead to it.
    """
    if not path.is_file():
        raise ConfigError(f"{path} is not there", hint="make it with: advocacy demo")
    token = secrets.token_urlsafe(24)
    with Sandbox(open_org(path), token=token, state_file=path) as sandbox:
        yield {"salesforce_instance_url": sandbox.url, "salesforce_access_token": SecretStr(token)}
