"""The Salesforce connector: the contract's methods, each one call into the module that knows how."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from connectors.contract import (
    Afford,
    Allowance,
    Capabilities,
    Fence,
    Filter,
    Finding,
    Identity,
    ObjectSchema,
    Page,
    PullRequest,
    SetupStep,
    Trace,
    Update,
    UpdateResult,
    Usage,
    free,
    untraced,
)
from connectors.errors import ResumeError
from connectors.http import build_client, require
from connectors.retry import RetryPolicy
from connectors.salesforce import identity
from connectors.salesforce.auth import TokenSource
from connectors.salesforce.composite import MAX_QUERIES, in_groups, query_path, read_composite
from connectors.salesforce.describe import describe
from connectors.salesforce.ids import normalise_id
from connectors.salesforce.ingest_jobs import end_left_behind
from connectors.salesforce.jobs import Jobs
from connectors.salesforce.links import record_linker
from connectors.salesforce.position import read_position
from connectors.salesforce.pull import Puller
from connectors.salesforce.push import Pusher
from connectors.salesforce.session import RestSession
from connectors.salesforce.settings import SalesforceSettings, check_settings
from connectors.salesforce.setup import Setup
from connectors.salesforce.soql import count_query
from connectors.salesforce.transport import Transport


@dataclass(slots=True)
class SalesforceConnector:
    settings: SalesforceSettings
    transport: Transport
    jobs: Jobs
    usage: Usage
    capabilities: Capabilities = field(
        default_factory=lambda: Capabilities(
            incremental=True, deletions=True, resumable=True, setup=True, currency_per_record=True
        )
    )
    _schemas: dict[str, ObjectSchema | None] = field(default_factory=dict)
    _several_currencies: bool = False

    def identify(self) -> Identity:
        return identity.identify(self.transport, self.settings.username)

    def organisation_id(self) -> str:
        named = identity.organisation_of(self.transport.tokens.current())
        return identity.canonical(named) if named else self.identify().organisation_id

    normalise_id = staticmethod(normalise_id)

    def describe(self, objects: Sequence[str]) -> Mapping[str, ObjectSchema | None]:
        found = describe(self.transport, objects)
        self._schemas |= found.objects
        self._several_currencies = found.several_currencies
        return found.objects

    def shows_several_currencies(self) -> bool:
        return self._several_currencies

    def pull(self, requests: Sequence[PullRequest], *, afford: Afford = free) -> Iterator[Page]:
        puller = Puller(
            self.transport, self.jobs, self.settings.rest_limit, self.settings.page_rows, dict(self._schemas)
        )
        return puller.pages(requests, afford)

    def abandon(self, positions: Sequence[str]) -> None:
        for text in positions:
            with suppress(ResumeError):
                position = read_position(text)
                if position.job:
                    self.jobs.discard(position.job, position.api)

    def count(self, objects: Mapping[str, Filter]) -> Mapping[str, int]:
        counts: dict[str, int] = {}
        for group in in_groups(objects.items(), MAX_QUERIES):
            paths = [query_path(self.transport, count_query(*item), deleted=False) for item in group]
            parts = read_composite(self.transport, paths, "count").parts
            counts |= {
                name: require(part.settled(), "totalSize", int) for (name, _), part in zip(group, parts, strict=True)
            }
        return counts

    def push(
        self, object_name: str, updates: Iterable[Update], *, expected: int, fence: Fence, trace: Trace = untraced
    ) -> Iterator[UpdateResult]:
        return Pusher(self.transport, self.jobs, object_name, fence, trace).results(updates, expected)

    def end_push(self, trace: str, *, fence: Fence) -> None:
        end_left_behind(self.jobs, trace, fence)

    def allowance(self) -> Allowance:
        return identity.read_allowance(self.transport)

    def check_health(self, written: Sequence[str] = ()) -> Sequence[Finding]:
        return identity.Checkup(self.transport, self.settings, written).findings()

    def plan_setup(self, *, user: str = "", viewers: Sequence[str] = ()) -> Sequence[SetupStep]:
        return Setup(self.transport, self.jobs, user, viewers).plan()

    def apply_setup(self, *, check_only: bool, user: str = "", viewers: Sequence[str] = ()) -> Sequence[SetupStep]:
        return Setup(self.transport, self.jobs, user, viewers).apply(check_only=check_only)

    def record_url(self, object_name: str, record_id: str) -> str:
        return record_linker(self.transport.tokens.current().instance_url)(object_name, record_id)

    def close(self) -> None:
        self.transport.client.close()
        self.transport.rest.close()


def build_salesforce(
    settings: SalesforceSettings,
    *,
    sleep: Callable[[float], None] = time.sleep,
    clock: Callable[[], float] = time.monotonic,
) -> SalesforceConnector:
    """A connector that has not talked to anyone yet. `sleep` and `clock` (monotonic seconds) are there for tests."""
    check_settings(settings)
    retry = RetryPolicy(first=settings.retry_seconds, sleep=sleep)
    client = build_client(settings.instance_url or settings.login_url)
    tokens = TokenSource(settings, client, retry)
    transport = Transport(tokens, client, RestSession(settings.api_version), retry, settings.api_version)
    jobs = Jobs(transport, settings.poll_seconds, settings.job_hours * 3600, clock)
    return SalesforceConnector(settings, transport, jobs, transport.usage)
