"""The shape of a translated row, per entity: what the mapping produces and the store saves.

Whole columns in these orders, because a million rows pass through every first night.
Dates are ISO text (`2025-06-01`), checked; flags are 0 or 1; money is as `money` documents it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum

Cell = str | int | None
Row = tuple[Cell, ...]
Columns = Sequence[Sequence[Cell]]


class Entity(StrEnum):
    ACCOUNT = "account"
    OPPORTUNITY = "opportunity"
    CONTACT_ROLE = "contact_role"
    CURRENCY_RATE = "currency_rate"
    ADJUSTMENT = "adjustment"


ACCOUNT_COLUMNS = (
    "id",
    "name",
    "parent_id",
    "merged_into_id",
    "domain",
    "currency",
    "owner_id",
    "industry",
    "employees",
    "region",
    "is_deleted",
    "shown",  # canonical JSON: measure -> text as the CRM shows it now, or null; what a plan compares against
)
OPPORTUNITY_COLUMNS = (
    "id",
    "account_id",
    "name",
    "amount",  # exact decimal text in `currency`, null where the CRM has none
    "currency",
    "created_on",
    "close_on",
    "is_won",
    "is_closed",
    "is_deleted",
    "type",  # an OpportunityType
    "probability",  # in millionths, null where the CRM has none
    "home_amount",  # minor units of the reporting currency, null where amount or rate is missing
    "rate",  # exact decimal text, null where the amount is in the reporting currency
    "rate_on",  # first day of that rate, null for a static rate
    "product",
    "term_months",  # how long what was bought lasts, null where the CRM does not say
)
CONTACT_ROLE_COLUMNS = ("id", "opportunity_id", "contact_id", "role", "is_deleted")
CURRENCY_RATE_COLUMNS = ("currency", "start_on", "rate", "decimal_places")
"""`start_on` is `''` for a static rate, so that it can be part of the key."""
ADJUSTMENT_COLUMNS = ("id", "opportunity_id", "amount", "currency", "dated_on", "is_deleted")

COLUMNS: dict[Entity, tuple[str, ...]] = {
    Entity.ACCOUNT: ACCOUNT_COLUMNS,
    Entity.OPPORTUNITY: OPPORTUNITY_COLUMNS,
    Entity.CONTACT_ROLE: CONTACT_ROLE_COLUMNS,
    Entity.CURRENCY_RATE: CURRENCY_RATE_COLUMNS,
    Entity.ADJUSTMENT: ADJUSTMENT_COLUMNS,
}


class RowIssue(StrEnum):
    """What can be wrong with one record. The record is kept wherever it can be keyed, without the bad value."""

    BAD_ID = "bad_id"
    """The record cannot be keyed: it is listed and not stored."""
    DUPLICATE_ID = "duplicate_id"
    BAD_REFERENCE = "bad_reference"
    BAD_AMOUNT = "bad_amount"
    BAD_DATE = "bad_date"
    BAD_FLAG = "bad_flag"
    BAD_NUMBER = "bad_number"
    BAD_CURRENCY = "bad_currency"
    REQUIRED_MISSING = "required_missing"
    TEXT_CLEANED = "text_cleaned"
    """NUL or a lone surrogate was removed from a text."""


@dataclass(frozen=True, slots=True)
class RowProblem:
    entity: Entity
    record_id: str
    """As the CRM wrote it, cut to 100 characters."""
    code: RowIssue
    attribute: str
    message: str


@dataclass(frozen=True, slots=True)
class Batch:
    """One translated page, column by column in the order of `COLUMNS`: that is how it was read and how it is stored."""

    entity: Entity
    columns: Columns
    problems: list[RowProblem] = field(default_factory=list)
    contacts: Sequence[tuple[str, tuple[str, ...]]] | None = None
    """Opportunities only, where the mapping names contacts on the opportunity itself: (opportunity id, contact ids).
    None: contacts come as records of their own."""

    @property
    def rows(self) -> list[Row]:
        return list(zip(*self.columns, strict=True))


def batch_of(entity: Entity, rows: Sequence[Row]) -> Batch:
    """A page of rows that did not come as columns."""
    return Batch(entity, turned(rows, len(COLUMNS[entity])))


def turned(rows: Sequence[Row], width: int) -> Columns:
    """Rows of `width` cells, turned on their side."""
    return list(zip(*rows, strict=True)) or [()] * width
