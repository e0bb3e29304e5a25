"""`scores.csv`: our results beside the exports. Rewritten whole, by renaming a finished file over the old one."""

from __future__ import annotations

import csv
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

from connectors.contract import RawValue, Update, WriteValue
from connectors.errors import ConfigurationError
from connectors.files.ids import normalise_id
from connectors.files.table import read_header, read_rows

FILE = "scores.csv"
ID = "id"

SCORE_COLUMNS = (
    "direct",
    "referred",
    "total",
    "given",
    "conserved",
    "network",
    "influence",
    "touched",
    "pipeline",
    "group_direct",
    "group_referred",
    "direct_new",
    "direct_upsell",
    "direct_renewal",
    "direct_refund",
    "direct_unknown",
    "revenue_at_risk",
    "crv",
    "acquisition_savings",
    "brv",
    "rank",
    "percentile",
    "quadrant",
    "points",
    "points_band",
    "is_detractor",
    "is_participant",
    "participation_days",
    "feedback_adopted",
    "feedback_declined",
    "feedback_open",
    "commitment_level",
    "commitment_rung",
    "commitment_gaps",
    "is_customer",
    "renewal_on",
    "permissions",
    "strongest_permission",
    "permissions_until",
    "promised_permissions",
    "promise_is_overdue",
    "offer_level",
    "offer_before",
    "offer_is_stale",
    "personal_level",
    "personal_latest",
    "personal_is_stale",
    "recognitions",
    "reference_low",
    "reference_high",
    "reference_coverage",
    "high_impact_traits",
    "is_high_impact",
    "reference_is_stale",
    "references_given",
    "references_won",
    "reference_record",
    "reference_surprise",
    "days_to_accept",
    "asks_used",
    "ask_balance",
    "reference_state",
    "available_from",
    "care_bucket",
    "care_before",
    "care_is_inferred",
    "care_is_stale",
    "care_conflict",
    "care_decision",
    "is_in_limbo",
    "has_agreed_value",
    "customer_success",
    "champion_success",
    "success_is_stale",
    "next_call_on",
    "roles",
    "stance",
    "contradictions",
    "urgency",
    "total_multiple",
    "referred_share",
    "is_referrer",
    "issues",
    "explanation",
    "as_of",
    "synced_at",
    "policy_version",
)
"""Columns that exist without being in the file. Others exist once its first line names them."""


@dataclass(slots=True)
class Scores:
    """The file in memory. Rows and columns that are not ours are kept as they are."""

    path: Path
    columns: list[str] = field(default_factory=lambda: [ID])
    rows: dict[str, dict[str, RawValue]] = field(default_factory=dict)

    def value(self, record_id: str, column: str) -> RawValue:
        row = self.rows.get(record_id)
        return row.get(column) if row else None

    def set(self, update: Update, texts: Mapping[str, RawValue]) -> None:
        self.columns += [name for name in texts if name not in self.columns]
        self.rows.setdefault(update.record_id, {ID: update.record_id}).update(texts)

    def save(self) -> None:
        """Replace the file in one step: whoever reads it sees the old or the new one, whole."""
        temporary = self.path.with_name(f".{self.path.name}.tmp")
        try:
            _write(temporary, self.columns, self.rows.values())
            temporary.replace(self.path)
            _sync_folder(self.path.parent)
        except OSError as fault:
            reason = fault.strerror or type(fault).__name__
            raise ConfigurationError(f"{self.path.name} cannot be written: {reason}.") from None
        finally:
            temporary.unlink(missing_ok=True)


def load_scores(folder: Path) -> Scores:
    """The current scores; empty when there is no file yet. Of rows with one id the last counts."""
    path = folder / FILE
    header = read_header(path)
    if header is None:
        return Scores(path)
    at = header.place(ID)
    scores = Scores(path, [name for name in header.columns if name])
    for line, values in read_rows(header):
        scores.rows[_row_id(path, line, values[at])] = dict(zip(header.columns, values, strict=True))
    return scores


def _row_id(path: Path, line: int, text: RawValue) -> str:
    try:
        return normalise_id(text or "")
    except ValueError as fault:
        raise ConfigurationError(f"{path.name}:{line}: {fault}.") from None


def score_columns(folder: Path, taken: Sequence[str]) -> tuple[str, ...]:
    """Every column that can be written: the known ones, and those of the file that no export has already."""
    header = read_header(folder / FILE)
    named = header.columns if header else ()
    more = [name for name in named if name and name != ID and name not in taken]
    return tuple(dict.fromkeys((*SCORE_COLUMNS, *more)))


def render(value: WriteValue) -> RawValue:
    """A value as it stands in the file; ValueError for what has no form (NaN, half a character)."""
    if value is None or value == "":
        return None
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Decimal):
        if not value.is_finite():
            raise ValueError(f"{value} is not a number that can be written")
        return format(value, "f")
    if isinstance(value, datetime):
        return value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    text = value.isoformat() if isinstance(value, date) else str(value)
    # A lone surrogate has no bytes: better refused here than in the middle of the file.
    text.encode()
    return text


def _write(path: Path, columns: Sequence[str], rows: Iterable[Mapping[str, RawValue]]) -> None:
    # `\r\n` ends a row so that the writer quotes both characters inside a value.
    with path.open("w", encoding="utf-8", newline="", errors="strict") as stream:
        writer = csv.writer(stream, lineterminator="\r\n")
        writer.writerow(columns)
        writer.writerows([row.get(name) for name in columns] for row in rows)
        stream.flush()
        os.fsync(stream.fileno())


def _sync_folder(folder: Path) -> None:
    """Make the renaming itself last; where folders cannot be opened for this, the system takes care of it."""
    try:
        handle = os.open(folder, os.O_RDONLY)
    except OSError:
        return
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
