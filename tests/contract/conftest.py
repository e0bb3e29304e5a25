"""The CRMs that the conformance suite runs against. A connector's author adds one factory to `WORLDS`.

A world is a CRM that a test can change from outside, and the connector that looks at it. What a connector cannot do is
said by its `capabilities`; the suite asks them and nothing else.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
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


@dataclass
class FilesWorld:
    """A folder of exports; creating or deleting an account is a new export."""

    folder: Path
    names: Names = field(
        default_factory=lambda: Names(
            account="accounts",
            opportunity="opportunities",
            id="id",
            name="name",
            number="total",
            text="explanation",
            moment="synced_at",
            amount="amount",
            won="is_won",
        )
    )
    accounts: list[list[str]] = field(default_factory=list)
    opportunities: list[list[str | None]] = field(default_factory=list)

    def connect(self) -> CrmConnector:
        return build_connector("files", {"folder": self.folder, "page_rows": 4})

    def export(self) -> None:
        self._write("accounts", ["id", "name"], self.accounts)
        self._write("opportunities", ["id", "account_id", "name", "amount", "is_won"], self.opportunities)

    def _write(self, name: str, columns: Sequence[str], rows: Sequence[Sequence[str | None]]) -> None:
        with (self.folder / f"{name}.csv").open("w", encoding="utf-8", newline="") as stream:
            csv.writer(stream).writerows([columns, *rows])

    def create_account(self, name: str) -> str:
        self.accounts.append([f"acc {len(self.accounts) + 1}", name])
        self.export()
        return self.accounts[-1][0]

    def create_opportunity(self, account_id: str, name: str, amount: str | None, *, won: bool) -> str:
        key = f"opp {len(self.opportunities) + 1}"
        self.opportunities.append([key, account_id, name, amount, "true" if won else "false"])
        self.export()
        return key

    def rename(self, account_id: str, name: str) -> None:
        next(row for row in self.accounts if row[0] == account_id)[1] = name
        self.export()

    def delete_account(self, account_id: str) -> None:
        self.accounts = [row for row in self.accounts if row[0] != account_id]
        self.export()

    def refuse(self, account_id: str) -> bool:
        return False

    def shown(self, account_id: str, field: str) -> WriteValue:
        path = self.folder / "scores.csv"
        if not path.exists():
            return None
        with path.open(encoding="utf-8", newline="") as stream:
            found = next((row for row in csv.DictReader(stream) if row["id"] == account_id), {})
        return found.get(field) or None

    def pass_time(self, seconds: float) -> None:
        """Files keep no time of their own."""

    def now(self) -> datetime:
        return datetime.now(UTC)


@contextmanager
def a_folder() -> Iterator[World]:
    with TemporaryDirectory() as folder:
        world = FilesWorld(Path(folder))
        world.export()
        yield world


WORLDS: Mapping[str, Callable[[], AbstractContextManager[World]]] = {
    "a folder of files": a_folder,
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


@pytest.fixture
def every_crm() -> Iterator[list[CrmConnector]]:
    """A connector of each world, all at once."""
    with ExitStack() as worlds:
        yield [worlds.enter_context(make()).connect() for make in WORLDS.values()]
