"""The explanation that salespeople read inside the CRM, from the same lines as the numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from app.domain.explain import Words, explain_account
from app.domain.model import CreditLine
from app.store.connection import Connection
from app.store.ledger import LineRow, load_lines
from app.store.value_rows import ValueRow


@dataclass(frozen=True, slots=True)
class Explainer:
    currency: str
    places: int

    def explain_page(self, connection: Connection, rows: Sequence[ValueRow]) -> dict[str, str]:
        """Account id -> at most five lines of text, for the accounts that have credit lines."""
        by_account: dict[str, list[LineRow]] = {}
        for found in load_lines(connection, [row.account_id for row in rows]):
            by_account.setdefault(found.line.account_id, []).append(found)
        return {account: "\n".join(self.sentences(found)) for account, found in by_account.items()}

    def sentences(self, found: Sequence[LineRow]) -> tuple[str, ...]:
        lines: list[CreditLine] = [one.line for one in found]
        return explain_account(lines, self._words(found))

    def _words(self, found: Sequence[LineRow]) -> Words:
        days: Mapping[str, date] = {
            one.line.event_id: date.fromisoformat(one.occurred_on)
            for one in found
            if one.line.event_id is not None and one.occurred_on is not None
        }
        names = {one.line.opportunity_id: one.opportunity_name for one in found if one.opportunity_name}
        return Words(self.currency, self.places, days, names)
