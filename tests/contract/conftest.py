"""The CRMs that the conformance suite runs against. A connector's author adds one factory to `WORLDS`.

A world is a CRM that a test can change from outside, and the connector that looks at it. What a connector cannot do is
said by its `capabilities`; the suite asks them and nothing else.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

import pytest

from connectors.catalogue import build_connector
from connectors.contract import CrmConnector, WriteValue
from connectors.salesforce.sandbox import Manners, Org, Sandbox


@dataclass(frozen=True)
class Names:
    """What the suite's two objects and their fields are called in one CRM."""

    account: str
    opportunity: str
    id: str
    name: str
    number: str
    """A writable number of the account, with two decimals."""
    text: str
    """A writable text of the account."""
    moment: str = ""
    """A writable moment of the account; empty: there is none."""
    amount: str = ""
    """Money of the opportunity."""
    won: str = ""
    """A yes-or-no field of the opportunity."""
    stamp: str = ""
    """When a record last changed; empty when the CRM does not say."""
    deleted: str = ""
    """The deletion mark; empty when the CRM has none."""


class World(Protocol):
    names: Names

    def connect(self) -> CrmConnector:
        """A new connector; it shares nothing with those before it."""

    def create_account(self, name: str) -> str: ...

    def create_opportunity(self, account_id: str, name: str, amount: str | None, *, won: bool) -> str: ...

    def rename(self, account_id: str, name: str) -> None: ...

    def delete_account(self, account_id: str) -> None: ...

    def refuse(self, account_id: str) -> bool:
        """From now on no write to this account is accepted; False when this CRM refuses nothing."""

    def shown(self, account_id: str, field: str) -> WriteValue:
        """What the CRM holds in a writable field."""

    def pass_time(self, seconds: float) -> None: ...

    def now(self) -> datetime:
        """The CRM's clock."""


@dataclass
class SalesforceWorld:
    sandbox: Sandbox
    options: Mapping[str, object]
    names: Names = field(
        default_factory=lambda: Names(
            account="Account",
            opportunity="Opportunity",
            id="Id",
            name="Name",
            number="Total_Customer_Value__c",
            text="Advocacy_Explanation__c",
            moment="Advocacy_Synced_At__c",
            amount="Amount",
            won="IsWon",
            stamp="SystemModstamp",
            deleted="IsDeleted",
        )
    )
    opened: list[CrmConnector] = field(default_factory=list)

    def connect(self) -> CrmConnector:
        options = {"access_token": self.sandbox.login(), "instance_url": self.sandbox.url, **self.options}
        connector = build_connector("salesforce", options)
        self.opened.append(connector)
        return connector

    def create_account(self, name: str) -> str:
        return self.sandbox.org.create("Account", {"Name": name})

    def create_opportunity(self, account_id: str, name: str, amount: str | None, *, won: bool) -> str:
        values = {"AccountId": account_id, "Name": name, "StageName": "Closed Won" if won else "Prospecting"}
        return self.sandbox.org.create("Opportunity", {**values, "CloseDate": "2024-05-01", "Amount": amount})

    def rename(self, account_id: str, name: str) -> None:
        self.sandbox.org.update("Account", account_id, {"Name": name})

    def delete_account(self, account_id: str) -> None:
        self.sandbox.org.delete("Account", account_id)

    def refuse(self, account_id: str) -> bool:
        self.sandbox.org.refuse(account_id)
        return True

    def shown(self, account_id: str, field: str) -> WriteValue:
        value: WriteValue = self.sandbox.org.record("Account", account_id)[field]
        return value

    def pass_time(self, seconds: float) -> None:
        self.sandbox.org.clock.advance(seconds)

    def now(self) -> datetime:
        return self.sandbox.org.clock.now()


@contextmanager
def _salesforce(**options: object) -> Iterator[World]:
    with Sandbox(Org()) as sandbox:
        sandbox.org.clock.freeze()
        _be_difficult(sandbox.manners)
        world = SalesforceWorld(sandbox, {"poll_seconds": 0.001, "retry_seconds": 0.001, **options})
        yield world
        for connector in world.opened:
            connector.close()


def _be_difficult(manners: Manners) -> None:
    """Small pages, so that a handful of records crosses every border."""
    manners.page_size = manners.largest_page = 4
    manners.bulk_page_rows = 7


def salesforce_by_rest() -> AbstractContextManager[World]:
    return _salesforce()


def salesforce_by_bulk() -> AbstractContextManager[World]:
    return _salesforce(rest_limit=0, page_rows=3)


WORLDS: Mapping[str, Callable[[], AbstractContextManager[World]]] = {
    "salesforce by rest": salesforce_by_rest,
    "salesforce by bulk": salesforce_by_bulk,
}


@pytest.fixture(params=WORLDS.values(), ids=WORLDS.keys())
def world(request: pytest.FixtureRequest) -> Iterator[World]:
    with request.param() as made:
        yield made


@pytest.fixture
def crm(world: World) -> CrmConnector:
    return world.connect()
