"""The page of the five by five matrix: what our offer and our people are worth to our customers, and who is where."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Any
from urllib.parse import urlencode

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import HTMLResponse

from app.domain.relationship_events import OFFER_LEVELS, PERSONAL_LEVELS
from app.sync.relationships import MatrixView, show_matrix
from app.web.access import ServicesOf, require_reader
from app.web.pages import render
from app.web.v1 import LevelWord, read_cell

SHOWN = 100
"""Customers of one cell."""
SHADES = 4

router = APIRouter(include_in_schema=False, dependencies=[Depends(require_reader)])


@router.get("/relationships")
def show_page(
    request: Request,
    services: ServicesOf,
    offer: LevelWord = None,
    personal: LevelWord = None,
    rep: Annotated[str, Query(max_length=255)] = "",
) -> HTMLResponse:
    """How many customers are in each cell, as a link to who they are; of all owners, or of one."""
    view = show_matrix(services, read_cell(offer, personal), rep=rep or None, top=SHOWN)
    return render(
        request,
        "relationships.html",
        view=view,
        shown=view.as_json(),
        rows=[_row(view, level) for level in (*reversed(range(len(OFFER_LEVELS))), None)],
        people=PERSONAL_LEVELS,
        address=_address,
    )


def _row(view: MatrixView, offer: int | None) -> dict[str, Any]:
    most = max(view.cells.values(), default=0)
    levels: Iterable[int | None] = (*range(len(PERSONAL_LEVELS)), None)
    cells = [
        {
            "count": view.count(offer, personal),
            "shade": -(-SHADES * view.count(offer, personal) // most) if most else 0,
            "is_chosen": view.cell == (offer, personal),
            "address": _address(offer, personal, view.rep),
        }
        for personal in levels
        # Whoever is rated on neither scale is in no cell.
        if (offer, personal) != (None, None)
    ]
    return {"level": None if offer is None else OFFER_LEVELS[offer], "cells": cells}


def _address(offer: int | None, personal: int | None, rep: str | None) -> str:
    levels = {"offer": "none" if offer is None else offer, "personal": "none" if personal is None else personal}
    return f"/relationships?{urlencode({**levels, **({'rep': rep} if rep else {})})}#cell"
