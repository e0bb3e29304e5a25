"""How all customers value our offer and our people: the five by five matrix, and who gave whom a token of esteem."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

from app.domain.money import major_units
from app.domain.relationship import clients_by_rep, count_recognitions, place_in_matrix
from app.domain.relationship_events import (
    OFFER_LEVELS,
    PERSONAL_LEVELS,
    RECOGNITION_RECEIVED,
    Recognition,
    recognition_of,
)
from app.errors import ConfigError
from app.store.evidence import load_verified
from app.store.matrix import CellRow, count_cells, load_cell, load_owners
from app.store.prospects import load_told
from app.store.rates import load_places
from app.sync.last_run import LastRun, load_last_run
from app.sync.services import Services

NAMED = 5
"""Owners named to whoever asked for one that is not there."""


Cell = tuple[int | None, int | None]
"""(level of the offer, level of the person); None: nobody has rated it."""


@dataclass(frozen=True, slots=True)
class MatrixView:
    """How many accounts each pair of levels has, as of the last run.

    `cell`: the one asked for, with its `accounts`, the most valuable first, and their totals in major units of the
    `currency`. `rep`: only the accounts of this owner, of all `reps` there are.
    """

    cells: Mapping[Cell, int]
    cell: Cell | None = None
    accounts: tuple[CellRow, ...] = ()
    totals: tuple[Decimal, ...] = ()
    currency: str = ""
    rep: str | None = None
    reps: tuple[str, ...] = ()
    computed: LastRun | None = None

    def count(self, offer: int | None, personal: int | None) -> int:
        return self.cells.get((offer, personal), 0)

    @property
    def talking_point(self) -> str:
        """What the place of the cell says, and what to talk about."""
        place = place_in_matrix(*self.cell) if self.cell else None
        return place.talking_point if place else ""

    def as_json(self) -> dict[str, Any]:
        """The documented object. `matrix`: a row for each level of the offer, a number for each of the person."""
        offers, people = range(len(OFFER_LEVELS)), range(len(PERSONAL_LEVELS))
        return {
            "offer_levels": [level.title for level in OFFER_LEVELS],
            "personal_levels": [level.title for level in PERSONAL_LEVELS],
            "matrix": [[self.count(offer, personal) for personal in people] for offer in offers],
            "only_offer": [self.count(offer, None) for offer in offers],
            "only_personal": [self.count(None, personal) for personal in people],
            "rep": self.rep,
            "computed": self.computed.as_json() if self.computed else None,
            "cell": None
            if self.cell is None
            else {
                "offer": self.cell[0],
                "personal": self.cell[1],
                "talking_point": self.talking_point,
                "count": self.count(*self.cell),
                "currency": self.currency,
                "accounts": [
                    {"account": one.id, "name": one.name, "rep": one.rep, "total": str(total)}
                    for one, total in zip(self.accounts, self.totals, strict=True)
                ],
            },
        }


def show_matrix(services: Services, cell: Cell | None = None, *, rep: str | None = None, top: int = 500) -> MatrixView:
    """Every account by both its levels, and the accounts of one cell. Raises ConfigError for an unknown owner."""
    currency = services.mapping.policy.reporting_currency
    with services.database.read() as connection:
        owners = load_owners(connection)
        owner = None if rep is None else services.canonical_id(rep)
        if owner is not None and owner not in owners:
            named = ", ".join(owners[:NAMED]) or "nobody"
            raise ConfigError(f"{rep!r} owns no rated customer", hint=f"who does: {named}")
        accounts = load_cell(connection, *cell, top, owner) if cell else []
        places = load_places(connection, currency)
        return MatrixView(
            count_cells(connection, owner),
            cell,
            tuple(accounts),
            tuple(major_units(one.total, places) for one in accounts),
            currency,
            owner,
            tuple(owners),
            load_last_run(connection),
        )


@dataclass(frozen=True, slots=True)
class RecognitionsView:
    """`clients`: representative -> how many different customers gave it a token of esteem."""

    as_of: date
    clients: Mapping[str, int]
    received: int
    """All tokens, of whoever they are."""

    def as_json(self) -> dict[str, Any]:
        """The documented object; whom most customers recognised comes first."""
        ranked = sorted(self.clients.items(), key=lambda one: (-one[1], one[0]))
        return {
            "as_of": self.as_of.isoformat(),
            "received": self.received,
            "reps": [{"rep": rep, "clients": clients} for rep, clients in ranked],
        }


def count_clients(services: Services, *, as_of: date | None = None) -> RecognitionsView:
    """How many customers gave each representative a token of esteem, each customer once, up to a day."""
    day, types = as_of or services.today, (RECOGNITION_RECEIVED,)
    with services.database.read() as connection:
        told = load_verified(connection, load_told(connection, types), day, types)
    found: list[Recognition] = []
    for account, events in told.items():
        for event in events:
            # Stored before its type had a reader.
            with suppress(ValueError):
                found.append(recognition_of(event, account))
    return RecognitionsView(day, clients_by_rep(found, day), count_recognitions(found, day))
