"""The human measures of an account as they are stored, read for people and plans."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import date

import sqlalchemy as sa

from app.domain.availability import Readiness
from app.domain.commitment import rung_of
from app.domain.permission_events import RECORD_TYPES
from app.domain.permissions import Permissions, read_record
from app.domain.reference_scopes import ReferenceScope
from app.domain.rows import Cell
from app.store.evidence import load_verified
from app.store.staging import stage_ids

_FLAGS = (
    "is_customer", "promise_is_overdue", "offer_is_stale", "personal_is_stale", "is_high_impact", "reference_is_stale",
    "care_is_inferred", "care_is_stale", "care_conflict", "is_in_limbo", "has_agreed_value", "success_is_stale",
)  # fmt: skip
SHOWN = (
    "commitment_level", "commitment_rung", "commitment_gaps", "is_customer", "renewal_on", "permissions",
    "strongest_permission", "permissions_until", "promised_permissions", "promise_is_overdue", "offer_level",
    "offer_before", "offer_is_stale", "personal_level", "personal_latest", "personal_is_stale", "recognitions",
    "reference_low", "reference_high", "reference_coverage", "high_impact_traits", "is_high_impact",
    "reference_is_stale", "references_given", "references_won", "reference_record", "reference_surprise",
    "days_to_accept", "asks_used", "ask_balance", "reference_state", "available_from", "care_bucket", "care_before",
    "care_is_inferred", "care_is_stale", "care_conflict", "care_decision", "is_in_limbo", "has_agreed_value",
    "customer_success", "champion_success", "success_is_stale", "next_call_on", "roles", "stance", "contradictions",
    "urgency",
)  # fmt: skip
"""What people see: an account is planned again when one of these moves."""
STORED = tuple(name for name in SHOWN if name != "commitment_rung")
"""A rung has one name: it is not stored twice."""
_TEXTS = (
    "commitment_gaps", "permissions", "promised_permissions", "customer_success", "champion_success", "roles",
    "contradictions",
)  # fmt: skip
"""Lists of codes, and lines; empty where there are none."""
_COUNTS = (
    "commitment_level", "recognitions", "high_impact_traits", "references_given", "references_won", "asks_used",
    "ask_balance",
)  # fmt: skip
_ABSENT: Mapping[str, Cell] = {
    name: "" if name in _TEXTS else 0 if name in (*_COUNTS, *_FLAGS) else None for name in STORED
}


@dataclass(frozen=True, slots=True)
class StandingRow:
    """The human measures of one account as they are stored: measure -> plain value."""

    measures: Mapping[str, Cell]

    @property
    def is_nothing(self) -> bool:
        """Whether there is nothing to show of it."""
        return self == NO_STANDING

    def facts(self) -> dict[str, Cell]:
        """Measure -> what a CRM is given; texts without anything in them are empty."""
        level = self.measures["commitment_level"]
        rung = rung_of(int(level)).code if level else None
        texts = {name: self.measures[name] or None for name in _TEXTS}
        flags = {name: bool(self.measures[name]) for name in _FLAGS}
        return {**self.measures, **texts, **flags, "commitment_rung": rung}

    def narrowed(self, permissions: Permissions) -> StandingRow:
        """The same with those permissions only that still hold: what was stored says what held at the last run."""
        known = str(self.measures["permissions"]).split()
        held = [scope for scope in known if scope in permissions.valid]
        until = permissions.lapses_on.isoformat() if held and permissions.lapses_on else None
        kept: dict[str, Cell] = {
            "permissions": " ".join(held),
            "strongest_permission": held[-1] if held else None,
            "permissions_until": until,
        }
        took_calls = ReferenceScope.BASIC in known and ReferenceScope.BASIC not in held
        if took_calls and self.measures["reference_state"] != Readiness.OPTED_OUT:
            kept |= {"reference_state": Readiness.NO_CONSENT, "available_from": None}
        return StandingRow({**self.measures, **kept})


NO_STANDING = StandingRow(_ABSENT)
MEASURES = frozenset(NO_STANDING.facts())
"""The measures that can be written back from here."""


def load_standing(
    connection: sa.Connection, account_ids: Collection[str], *, staged: bool = False
) -> dict[str, StandingRow]:
    """Account id -> its measures, for every id that is asked for."""
    stage_ids(connection, "s_asked", account_ids)
    rows = connection.exec_driver_sql(
        f"select t.account_id, {', '.join(f't.{name}' for name in STORED)} from s_asked q"
        f" join {'s_standing' if staged else 'account_standing'} t on t.account_id = q.id"
    )
    found = {row[0]: StandingRow(dict(zip(STORED, row[1:], strict=True))) for row in rows}
    return {id_: found.get(id_, NO_STANDING) for id_ in account_ids}


def load_standing_now(connection: sa.Connection, account_ids: Collection[str], today: date) -> dict[str, StandingRow]:
    """The stored measures, without permissions that were taken back or ran out since: these are asked for anew."""
    stored = load_standing(connection, account_ids)
    consenting = [id_ for id_, row in stored.items() if row.measures["permissions"]]
    told = load_verified(connection, consenting, today, RECORD_TYPES) if consenting else {}
    return stored | {id_: stored[id_].narrowed(read_record(told[id_]).on(today)) for id_ in consenting}
