"""What a CRM connector promises. Everything a connector and the application say to each other is here.

Values cross this border as text, exactly as the CRM wrote them (`"950000000.0"`, `"true"`,
`"2020-10-22T21:03:23.000+0000"`), or `None` for null and for the empty string. Nothing is guessed:
types come from `describe` and from the mapping, never from the look of a value. Values on their way
*out* are typed (`WriteValue`), because the connector has to render them for its own wire format.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Protocol

RawValue = str | None
RawRow = Sequence[RawValue]
WriteValue = str | Decimal | int | bool | date | datetime | None
"""`None` clears the field. A field that is not in the update is left alone."""

Fence = Callable[[], None]
"""Called before every attempt of every write; raises when this process no longer holds the lease."""

Trace = Callable[[str], None]
"""Called before the CRM gets work of a push that may outlive this process, with what it takes to end that work: kept by
the caller in place of what it was told before. Empty: the CRM has nothing left to do."""

Afford = Callable[[int], None]
"""Called with the API calls a pull is going to take, about; raises when they are kept for others."""


def free(_calls: int) -> None:
    """Whatever it costs."""


def untraced(_trace: str) -> None:
    """Nobody looks after what a killed push leaves."""


class FieldType(StrEnum):
    """The kinds of field the application tells apart; a connector maps its own types onto these."""

    ID = "id"
    TEXT = "text"
    LONG_TEXT = "long_text"
    PICKLIST = "picklist"
    MULTI_PICKLIST = "multi_picklist"
    REFERENCE = "reference"
    BOOLEAN = "boolean"
    INTEGER = "integer"
    NUMBER = "number"
    CURRENCY = "currency"
    PERCENT = "percent"
    DATE = "date"
    DATETIME = "datetime"
    COMPOUND = "compound"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class FieldSchema:
    """One field as the connecting user sees it. A field hidden from the user is absent."""

    name: str
    type: FieldType
    label: str = ""
    length: int = 0
    precision: int = 0
    scale: int = 0
    nillable: bool = True
    createable: bool = False
    updateable: bool = False
    calculated: bool = False
    external_id: bool = False
    picklist_values: tuple[str, ...] = ()
    restricted_picklist: bool = False
    reference_to: tuple[str, ...] = ()
    compound_parts: tuple[str, ...] = ()
    """For a compound field: the fields to ask for instead of it."""


@dataclass(frozen=True, slots=True)
class ObjectSchema:
    name: str
    label: str
    updateable: bool
    fields: Mapping[str, FieldSchema]
    """Keyed by the exact field name."""


class Operator(StrEnum):
    EQ = "="
    NE = "!="
    LT = "<"
    LE = "<="
    GT = ">"
    GE = ">="
    IN = "in"
    NOT_IN = "not in"
    LIKE = "like"


@dataclass(frozen=True, slots=True)
class Condition:
    """`field op value`; the connector quotes it for its query language. `value` is a tuple for IN and NOT_IN."""

    field: str
    op: Operator
    value: WriteValue | tuple[WriteValue, ...]


@dataclass(frozen=True, slots=True)
class AnyOf:
    conditions: tuple[Condition, ...]


Filter = tuple[Condition | AnyOf, ...]
"""All must hold."""


@dataclass(frozen=True, slots=True)
class PullRequest:
    """Which records of one CRM object to yield.

    `since`: only records changed at or after this instant of the CRM's clock; None means all of them.
    `resume`: the `Page.resume` of the last page that was stored, to go on where a killed run stopped.
    `ids`: only these records (a re-read); then `since` and `resume` are None.
    Deleted records are included whenever the CRM still shows them.
    """

    object: str
    fields: tuple[str, ...]
    since: datetime | None = None
    resume: str | None = None
    where: Filter = ()
    ids: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class Page:
    """Records of one object, in the order of `request.fields`.

    `resume`: hand it back in `PullRequest.resume` to continue after this page (None: cannot resume here). A page may
    hold nothing else: then it says that the CRM has begun to work on the request.
    `watermark`: everything changed up to this instant of the CRM's clock is in this page or an earlier one
    of the same pull; None: not known yet. The last page of a completed pull always carries it, even without rows.
    `complete`: this is the last page of its request and the connector has proven that no row is missing.
    `gone`: ids of records of this object that the CRM says were deleted for good; they have no row any more.
    """

    request: PullRequest
    rows: Sequence[RawRow]
    resume: str | None = None
    watermark: datetime | None = None
    complete: bool = False
    gone: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Update:
    """New values for fields of one record. Three states: a value sets, None clears, absent leaves alone.

    `family`: records of one family contend for the same lock (their parent's); a connector that writes in parallel
    keeps them together. Empty: of no family.
    """

    record_id: str
    values: Mapping[str, WriteValue]
    family: str = ""


class Outcome(StrEnum):
    OK = "ok"
    REJECTED = "rejected"
    """The CRM refused this record; sending the same again cannot help."""
    GONE = "gone"
    """The record was deleted or merged away."""
    RETRY = "retry"
    """Refused for a passing reason and still refused after the connector's own retries."""
    UNKNOWN = "unknown"
    """Sent, never acknowledged: re-read before sending again."""


@dataclass(frozen=True, slots=True)
class UpdateResult:
    record_id: str
    outcome: Outcome
    code: str = ""
    message: str = ""
    fields: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Allowance:
    """API calls the CRM grants in its rolling day; None where the CRM does not say."""

    used: int | None = None
    limit: int | None = None

    @property
    def left(self) -> int | None:
        return None if self.used is None or self.limit is None else max(0, self.limit - self.used)


@dataclass(frozen=True, slots=True)
class Identity:
    """Who we are and where: pinned at the first run, so that another org behind the same address is refused."""

    organisation_id: str
    organisation_name: str = ""
    user_id: str = ""
    username: str = ""
    is_production: bool | None = None
    base_url: str = ""
    """For links to records in the CRM's own pages."""


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What this connector can do. The conformance suite tests exactly what is claimed here."""

    incremental: bool
    """`since` narrows a pull. Without it every pull is the full snapshot."""
    deletions: bool
    """Deleted records are yielded with their deletion mark. Without it, absence from a full pull means deleted."""
    resumable: bool
    setup: bool
    """Custom fields and permissions can be created by `apply_setup`."""
    users: bool = True
    """Who connects has rights, so that what exists may be hidden. Without it, everybody sees the same."""
    currency_per_record: bool = False
    """A currency field holds its number in the record's own currency; plain numbers mean what they say."""


@dataclass(frozen=True, slots=True)
class SetupStep:
    """One thing `apply_setup` would create, or found in place."""

    kind: str
    name: str
    present: bool
    note: str = ""
    partial: bool = False
    """It exists, but not with everything it needs: `apply_setup` would repair it. Then `present` is false."""
    differs: bool = False
    """It exists in another shape, see `note`: only a person may change that. Then `present` is false."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One result of a connector's own health check (`doctor --live`)."""

    level: str
    """`ok`, `warning` or `error`."""
    subject: str
    message: str
    action: str = ""


@dataclass(slots=True)
class Usage:
    """What one connector object has spent so far. Mutable: the connector counts as it goes."""

    api_calls: int = 0
    bytes_in: int = 0
    bytes_out: int = 0
    by_kind: dict[str, int] = field(default_factory=dict)


class CrmConnector(Protocol):
    """One CRM. Every method may raise a `connectors.errors.ConnectorError`; nothing else."""

    capabilities: Capabilities
    usage: Usage

    def identify(self) -> Identity: ...

    def organisation_id(self) -> str:
        """Which organisation this is, at no extra call where the login already said so: checked before every run."""

    def normalise_id(self, text: str) -> str:
        """The one canonical form of a record id; raises ValueError with a reason for what cannot be one."""

    def describe(self, objects: Sequence[str]) -> Mapping[str, ObjectSchema | None]:
        """The schema of each object; None for one that does not exist or is hidden from the user."""

    def shows_several_currencies(self) -> bool:
        """Whether the last `describe` showed that there are several currencies, visible to the user or not."""

    def pull(self, requests: Sequence[PullRequest], *, afford: Afford = free) -> Iterator[Page]:
        """Yield the pages of each request, one request after another, in the order given.

        Pages without rows that carry nothing but `resume` may come before. All requests are handed over at once so that
        a connector can probe them with a single call; then `afford` is asked, and only then the rest is spent.
        A page is yielded before the next is fetched: memory does not grow with the number of records.
        """

    def abandon(self, positions: Sequence[str]) -> None:
        """Free what the CRM still holds for these `Page.resume`: nobody will go on from them. Never fails."""

    def count(self, objects: Mapping[str, Filter]) -> Mapping[str, int]:
        """How many live (not deleted) records of each object the CRM says it holds, under the object's filter."""

    def push(
        self, object_name: str, updates: Iterable[Update], *, expected: int, fence: Fence, trace: Trace = untraced
    ) -> Iterator[UpdateResult]:
        """Write `updates` (about `expected` of them) and yield exactly one result for each, in any order.

        A refused record is a result. An exception means that the run cannot go on; updates without
        a result by then are unknown to the caller.
        """

    def end_push(self, trace: str, *, fence: Fence) -> None:
        """End what a push that was killed left in the CRM, by the last `trace` of it.

        When this returns, nothing of that push will be written any more; what has been written stays.
        """

    def allowance(self) -> Allowance: ...

    def check_health(self, written: Sequence[str] = ()) -> Sequence[Finding]:
        """Findings for people; `written`: the objects whose records will be changed."""

    def plan_setup(self, *, user: str = "", viewers: Sequence[str] = ()) -> Sequence[SetupStep]:
        """What `apply_setup` would do. `user`: who gets the rights; empty: the connecting user.

        `viewers`: who gets the right to see what is written.
        """

    def apply_setup(self, *, check_only: bool, user: str = "", viewers: Sequence[str] = ()) -> Sequence[SetupStep]:
        """Create what is missing, after the CRM has tried it; with `check_only` the CRM only tries."""

    def record_url(self, object_name: str, record_id: str) -> str:
        """Where a person opens this record in the CRM; empty when there is no such page."""

    def close(self) -> None: ...
