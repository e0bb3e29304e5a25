"""How all customers value our offer and our people: the five by five matrix, and who gave whom a token of esteem."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import date
from typing import Any

from app.domain.relationship import (
    OFFER_LEVELS,
    PERSONAL_LEVELS,
    RECOGNITION_RECEIVED,
    Recognition,
    clients_by_rep,
    count_recognitions,
    place_in_matrix,
    recognition_of,
)
from app.store.evidence import load_verified
from app.store.matrix import CellRow, count_cells, load_cell
from app.store.prospects import load_told
from app.sync.services import Services


@dataclass(frozen=True, slots=True)
class MatrixView:
    """How many accounts each pair of levels has, as of the last run. `cells`: (offer, personal) -> accounts.

    None stands for whoever nobody has rated. `cell`: the one asked for, with its `accounts`, the most valuable first.
    """

    cells: Mapping[tuple[int | None, int | None], int]
    cell: tuple[int, int] | None = None
    accounts: tuple[CellRow, ...] = ()

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
            "cell": None
            if self.cell is None
            else {
                "offer": self.cell[0],
                "personal": self.cell[1],
                "talking_point": self.talking_point,
                "accounts": [{"account": one.id, "name": one.name, "rep": one.rep} for one in self.accounts],
            },
        }


def show_matrix(services: Services, cell: tuple[int, int] | None = None, *, top: int = 500) -> MatrixView:
    """Every account by both its levels, and the accounts of one cell."""
    with services.database.read() as connection:
        accounts = load_cell(connection, *cell, top) if cell else []
        return MatrixView(count_cells(connection), cell, tuple(accounts))


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
