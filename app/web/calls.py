"""Calls over HTTP: today's queue and its coverage, what came of a call, a calendar feed, and the page for people."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, time
from fractions import Fraction
from typing import Annotated, Any
from urllib.parse import urlencode

from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.responses import HTMLResponse, JSONResponse
from jinja2 import Environment

from app.domain.explain import percent_text
from app.errors import ConfigError
from app.intake.event_fields import RejectedEventError
from app.intake.strict_json import JsonValue, read_json
from app.sync.answers import find_account
from app.sync.call_log import LoggedCall, log_call, skip_call
from app.sync.calls import (
    BUCKETS,
    DEFAULT_MINUTES,
    MAX_CALENDAR_DAYS,
    find_rep,
    list_calls,
    list_reps,
    write_call_calendar,
)
from app.sync.care import show_care
from app.sync.coverage import measure_coverage
from app.sync.lookalikes import list_lookalikes
from app.sync.services import Services
from app.web.access import ServicesOf, require_calendar, require_key, require_reader
from app.web.bounds import AskedDay
from app.web.problems import ProblemError
from app.web.webhooks import LimitedBody

CALENDAR_TYPE = "text/calendar; charset=utf-8"
SHOWN_REPS = 5
"""With more representatives than this, the page asks whose calls to show."""
SHOWN_LOOKALIKES = 100
ENVELOPE = ("account", "contact", "occurred_on", "skipped")
"""Keys of a body that are no attributes of the event."""

router = APIRouter(prefix="/v1", tags=["calls"])
pages = APIRouter(include_in_schema=False, dependencies=[Depends(require_reader)])

Rep = Annotated[str | None, Query(max_length=255, description="The owner of accounts in the CRM.")]
Day = Annotated[AskedDay | None, Query(description="Default: today.")]


@router.get("/calls", dependencies=[Depends(require_key("read"))])
def list_queues(services: ServicesOf, rep: Rep = None, day: Day = None) -> JSONResponse:
    """Say whom each representative calls on a day, why, and what to talk about."""
    return JSONResponse({"data": [queue.as_json() for queue in list_calls(services, rep=rep, day=day)]})


@router.get("/calls/coverage", dependencies=[Depends(require_key("read"))])
def list_meters(services: ServicesOf, rep: Rep = None, day: Day = None) -> JSONResponse:
    """Say how well each list is covered, and whether one call a day is enough."""
    return JSONResponse({"data": [view.as_json() for view in measure_coverage(services, rep=rep, day=day)]})


@router.get("/accounts/{account_id}/care", dependencies=[Depends(require_key("read"))])
def show_history(services: ServicesOf, account_id: str, as_of: AskedDay | None = None) -> JSONResponse:
    """Say why one customer cares, how it moved from bucket to bucket, and what it measures its success by."""
    try:
        history = show_care(services, account_id, as_of=as_of)
    except ConfigError:
        raise ProblemError(404, "no such account") from None
    return JSONResponse(history.as_json())


@router.post("/calls", dependencies=[Depends(require_key("events:write"))])
def add_call(body: LimitedBody, services: ServicesOf) -> JSONResponse:
    """Log an answer, `{"account", "bucket", "verbatim", ...}`, or a call that was `{"account", "skipped": reason}`."""
    said = _read_body(body)
    try:
        logged = _write(services, said)
    except RejectedEventError as error:
        errors = [{"field": problem.column, "message": problem.message} for problem in error.problems[:100]]
        raise ProblemError(422, "this is no call that can be logged", errors=errors) from None
    except ConfigError as error:
        raise ProblemError(404, error.message) from None
    return JSONResponse(logged.as_json(), 201 if logged.is_new else 200)


def _read_body(body: bytes) -> Mapping[str, JsonValue]:
    try:
        said = read_json(body.decode("utf-8"))
    except ValueError as error:
        raise ProblemError(422, f"the body is not JSON: {error}") from None
    account = said.get("account") if isinstance(said, dict) else None
    if not isinstance(said, dict) or not isinstance(account, str) or not account:
        raise ProblemError(422, 'the body must be a JSON object with an "account"')
    return said


def _write(services: Services, said: Mapping[str, JsonValue]) -> LoggedCall:
    account, on = str(said["account"]), said.get("occurred_on")
    attributes = {name: value for name, value in said.items() if name not in ENVELOPE}
    if "skipped" in said:
        return skip_call(services, account, {"reason": said["skipped"], **attributes}, on=on)
    return log_call(services, account, attributes, contact=said.get("contact"), on=on)


@router.get("/calls/calendar.ics", dependencies=[Depends(require_calendar)], response_class=Response)
def show_calendar(
    services: ServicesOf,
    rep: Rep = None,
    days: Annotated[int, Query(ge=1, le=MAX_CALENDAR_DAYS, description="Business days from today on.")] = 20,
    at: Annotated[time | None, Query(description="A time of day; default: entries for whole days.")] = None,
    minutes: Annotated[int, Query(ge=1, le=480)] = DEFAULT_MINUTES,
) -> Response:
    """Give the next calls to a calendar program: any user name, a key with scope `calendar` as the password."""
    plain = None if at is None else at.replace(tzinfo=None, microsecond=0)
    text = write_call_calendar(services, rep=rep, days=days, at=plain, minutes=minutes)
    headers = {"Content-Disposition": 'inline; filename="calls.ics"'}
    return Response(text.encode(), media_type=CALENDAR_TYPE, headers=headers)


@router.get("/lookalikes", dependencies=[Depends(require_key("read"))])
def list_similar(
    services: ServicesOf,
    account: Annotated[str | None, Query(max_length=255, description="Only like this one. Default: all.")] = None,
    least: Annotated[
        int | None, Query(ge=1, le=8, description="Kinds of things in common at least; default: as the policy says.")
    ] = None,
    limit: Annotated[int, Query(ge=1, le=500)] = 100,
) -> JSONResponse:
    """List prospects that resemble customers who need us, or one account, with what they share."""
    chosen = find_account(services, account).id if account else None
    listed = list_lookalikes(services, chosen, least=least, top=limit)
    return JSONResponse({"data": [one.as_json() for one in listed.found], "ideals": listed.ideals})


@pages.get("/calls")
def show_calls(
    request: Request,
    services: ServicesOf,
    rep: Annotated[str, Query(max_length=255)] = "",
    day: Day = None,
) -> HTMLResponse:
    """Whom to call today, what to talk about, and how well the list is covered."""
    wanted, reps = day or services.today, list_reps(services)
    chosen = find_rep(services, rep) if rep else None
    is_shown = chosen is not None or len(reps) <= SHOWN_REPS
    return _render(
        request,
        "calls.html",
        day=wanted,
        today=services.today,
        reps=reps,
        chosen=chosen,
        is_shown=is_shown,
        queues=list_calls(services, rep=chosen, day=wanted) if is_shown else [],
        meters={view.rep: view for view in measure_coverage(services, rep=chosen, day=wanted)} if is_shown else {},
        buckets=BUCKETS,
        percent=_percent,
        address=_address,
    )


@pages.get("/lookalikes")
def show_lookalikes(request: Request, services: ServicesOf) -> HTMLResponse:
    """Prospects like the customers who need us, with what they share."""
    return _render(request, "lookalikes.html", listed=list_lookalikes(services, top=SHOWN_LOOKALIKES))


def _render(request: Request, name: str, **values: Any) -> HTMLResponse:
    templates: Environment = request.app.state.templates
    return HTMLResponse(templates.get_template(name).render(**values))


def _percent(share: Fraction | None) -> str:
    return "" if share is None else percent_text(share)


def _address(rep: str | None, day: date | None) -> str:
    return "/calls?" + urlencode({"rep": rep or "", **({"day": day.isoformat()} if day else {})})
