"""A local org and connectors to it that do not wait between attempts."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from connectors.salesforce.auth import REFUSED, SESSIONS
from connectors.salesforce.connector import SalesforceConnector, build_salesforce
from connectors.salesforce.sandbox import Org, Sandbox
from connectors.salesforce.settings import SalesforceSettings


class Waits(list[float]):
    """Stands in for `time.sleep`, and for the clock that sleeping moves."""

    def sleep(self, seconds: float) -> None:
        self.append(seconds)

    def clock(self) -> float:
        return sum(self)


@pytest.fixture(autouse=True)
def new_process() -> Iterator[None]:
    """No test goes on with the session of another, or with what was refused to it."""
    REFUSED.clear()
    SESSIONS.clear()
    yield
    REFUSED.clear()
    SESSIONS.clear()


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(Org()) as made:
        made.org.clock.freeze()
        made.manners.job_polls = 0
        yield made


@pytest.fixture
def org(sandbox: Sandbox) -> Org:
    return sandbox.org


@pytest.fixture
def waits() -> Waits:
    return Waits()


Connect = Callable[..., SalesforceConnector]


@pytest.fixture
def connect(sandbox: Sandbox, waits: Waits) -> Iterator[Connect]:
    opened: list[SalesforceConnector] = []

    def make(**options: object) -> SalesforceConnector:
        known = sandbox.credentials
        settings = SalesforceSettings(
            **{
                "login_url": sandbox.url,
                "client_id": known.client_id,
                "client_secret": known.client_secret,
                **options,
            }
        )
        opened.append(build_salesforce(settings, sleep=waits.sleep, clock=waits.clock))
        return opened[-1]

    yield make
    for connector in opened:
        connector.close()


@pytest.fixture
def by_rest(connect: Connect) -> SalesforceConnector:
    return connect()


@pytest.fixture
def by_bulk(connect: Connect) -> SalesforceConnector:
    """Every pull goes through bulk jobs, ten rows to a page."""
    return connect(rest_limit=0, page_rows=10)
