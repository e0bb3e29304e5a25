"""The page a day begins with: who needs us first, and what spend alone would overlook. Without a line of script."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import HTMLResponse

from app.errors import ConfigError
from app.sync.triage import open_day
from app.web.access import ServicesOf, require_reader
from app.web.pages import BAR_WIDTH, build_bar, render
from app.web.problems import ProblemError
from app.web.words import name_quadrants

SHOWN = 10
"""Customers in each of the two lists side by side, and sentences about them."""

router = APIRouter(include_in_schema=False, dependencies=[Depends(require_reader)])


@router.get("/triage")
def show_day(request: Request, services: ServicesOf, hours: Annotated[str, Query(max_length=20)] = "") -> HTMLResponse:
    """What is urgent under both lenses, what does not go together, whom to look after first."""
    try:
        day = open_day(services, hours=read_hours(hours))
    except ConfigError as error:
        raise ProblemError(422, error.message) from None
    view = day.as_json()
    largest = max((Decimal(one["total"]) for one in (*view["items"], *view["customers"])), default=Decimal(0))
    return render(
        request,
        "day.html",
        day=view,
        hours=hours.strip(),
        items=[{**item, "bar": build_bar(item, largest)} for item in view["items"]],
        by_spend=sorted(view["items"], key=lambda item: int(item["place_by_spend"])),
        customers=[{**one, "bar": build_bar(one, largest)} for one in view["customers"]],
        quadrants=name_quadrants(services.mapping.policy.triage.quadrant_labels),
        shown=SHOWN,
        bar_width=BAR_WIDTH,
        computed=day.computed,
    )


def read_hours(text: str) -> Decimal | None:
    """What stands in the field of the page; nothing means no limit. Raises ProblemError."""
    try:
        return Decimal(text) if text.strip() else None
    except InvalidOperation:
        raise ProblemError(422, "hours are a number like 6 or 6.5") from None
