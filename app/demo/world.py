"""What the demo's made-up world is made of: records and advocacy events under short keys."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any

FIRST_DAY = date(2023, 10, 2)
LAST_DAY = date(2026, 9, 30)
TODAY = date(2026, 10, 1)
"""The day on which the demo plays."""
SOURCE = "demo"
Fields = dict[str, Any]


@dataclass(slots=True)
class DemoWorld:
    """Records by a short key of ours. References between them are keys too; `load` turns them into ids."""

    accounts: dict[str, Fields] = field(default_factory=dict)
    contacts: dict[str, Fields] = field(default_factory=dict)
    opportunities: dict[str, Fields] = field(default_factory=dict)
    contact_roles: dict[str, Fields] = field(default_factory=dict)
    merges: list[tuple[str, str]] = field(default_factory=list)
    """(survivor, merged away)."""
    events: list[Fields] = field(default_factory=list)
    """Columns of an import file; accounts, contacts and opportunities by key."""

    def add_account(self, key: str, name: str, industry: str = "Other", **more: Any) -> None:
        slug = "".join(character for character in name.lower() if character.isalnum())
        self.accounts[key] = {"Name": name, "Industry": industry, "Website": f"https://www.{slug}.example", **more}

    def add_contact(self, key: str, account: str, name: str, title: str) -> None:
        first, _, last = name.partition(" ")
        self.contacts[key] = {"FirstName": first, "LastName": last, "AccountId": account, "Title": title}

    def add_deal(self, key: str, account: str, name: str, amount: int, created: date, **more: Any) -> None:
        """A won deal of new business unless `more` says otherwise."""
        won = {"StageName": "Closed Won", "Type": "New Business", "CloseDate": created + timedelta(days=45)}
        described = f"{self.accounts[account]['Name']} - {name}"
        self.opportunities[key] = {
            "AccountId": account, "Name": described, "Amount": amount, "CreatedDate": created, **won, **more
        }  # fmt: skip

    def add_event(self, number: str, kind: str, account: str, day: date, **more: Any) -> None:
        self.events.append(
            {"source_system": SOURCE, "source_event_id": number, "type": kind, "account": account, "occurred_on": day}
            | more
        )
