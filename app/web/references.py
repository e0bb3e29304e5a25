"""References for programs, `/v1/references` and `/v1/reference-requests`, and for people, the page `/references`.

Every answer is computed at that moment from the consents there are; nothing here remembers one.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from operator import itemgetter
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import HTMLResponse, JSONResponse
from pydantic import BaseModel, ConfigDict, Field

from app.bootstrap import Services
from app.domain.matching import Facet
from app.domain.reference_events import Grade
from app.domain.reference_scopes import ReferenceScope
from app.domain.requests import State, Step
from app.errors import ConfigError, HeldError
from app.store.keys import ApiKey
from app.sync.programme import show_programme
from app.sync.reference_asks import Ask, request_reference
from app.sync.reference_requests import RequestView, list_requests, show_request
from app.sync.reference_steps import MOVED, Report, take_step
from app.sync.references import find_references, list_open_deals, read_wanted
from app.web.access import ServicesOf, require_key, require_reader
from app.web.bounds import AskedDay, Number
from app.web.pages import render
from app.web.problems import ProblemError
from app.web.v1 import MAX_PAGE, CanRead, Cursor, Limit, ScopeWord, answer_page, read_number_cursor

MAX_WORD = 255
SHOWN = 10
"""Customers to ask on the page; all others are below them."""
DEALS = 25
"""Open deals to choose from."""

router = APIRouter(prefix="/v1", tags=["v1"])
pages = APIRouter(include_in_schema=False, dependencies=[Depends(require_reader)])

Writer = Annotated[ApiKey, Depends(require_key("events:write"))]
Word = Annotated[str, Field(max_length=MAX_WORD)]
Words = Annotated[list[Word], Field(max_length=20)]


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Wish(_Body):
    """For which deal, by id, name or a part of the name; and what the customer should have in common with it.

    Every facet is repeatable, and replaces what the CRM says about the deal and the prospect.
    """

    opportunity: Annotated[str, Field(min_length=1, max_length=MAX_WORD)]
    scope: ScopeWord = ReferenceScope.BASIC
    industry: Words = []
    product: Words = []
    role: Words = []
    size: Words = []
    region: Words = []
    language: Words = []
    use_case: Words = []
    limit: Annotated[int, Field(ge=1, le=MAX_PAGE)] = 20


@router.get("/references", dependencies=[CanRead])
def find_all(services: ServicesOf, wish: Annotated[Wish, Query()]) -> JSONResponse:
    """Rank whom to ask for a reference in a deal, with reasons; and name who is not to be asked, and why.

    `possible` and `impossible` count all; of those without a consent, fifty or `limit` at most are in `excluded`.
    """
    with refusals():
        wanted = read_wanted({facet: getattr(wish, facet) for facet in Facet})
    # A deal that is not there, or that could be several, is 404 like everything that is not found.
    return JSONResponse(find_references(services, wish.opportunity, wish.scope, wanted, wish.limit).as_json())


@router.get("/references/programme", dependencies=[CanRead])
def show_whole(services: ServicesOf) -> JSONResponse:
    """Say how strong the programme is, how it stands to its goal, and how much each reference is used."""
    return JSONResponse(show_programme(services).as_json())


@router.get("/reference-requests", dependencies=[CanRead])
def list_all(
    services: ServicesOf,
    state: State | None = None,
    opportunity: Annotated[str | None, Query(max_length=MAX_WORD)] = None,
    limit: Limit = 100,
    cursor: Cursor = None,
) -> JSONResponse:
    """List requests, newest first, without their steps."""
    before = read_number_cursor(cursor)
    found = list_requests(services, state=state, opportunity=opportunity, top=limit + 1, before=before)
    return answer_page([view.as_json() for view in found], limit, dict, itemgetter("id"))


class NewRequest(_Body):
    """Whom to ask, for which deal. `override`: why cap and cooldown shall not hold this time."""

    account: Word
    opportunity: Word
    scope: ScopeWord = ReferenceScope.BASIC
    kind: Word | None = None
    contact: Word | None = None
    needed_by: AskedDay | None = None
    expected: Grade | None = None
    override: str | None = None


class StepBody(_Body):
    """What is said with a step; every step looks at what is its own. `on`: the day it happened, default today."""

    reason: str | None = None
    no_reply: bool = False
    on: AskedDay | None = None
    scheduled_for: AskedDay | None = None
    override: str | None = None
    expected: Grade | None = None
    actual: Grade | None = None
    minutes: int | None = None
    signals: list[Word] = []
    prospect_bought: bool | None = None
    seen: Number | None = None
    """How many steps the caller knows of: with it, the same step sent twice is taken once."""

    @property
    def report(self) -> Report:
        return Report(**{**self.model_dump(include=set(Report.__dataclass_fields__)), "signals": tuple(self.signals)})


@router.post("/reference-requests", status_code=201)
def add_request(services: ServicesOf, body: NewRequest, key: Writer) -> JSONResponse:
    """Ask the programme for one customer; 409 where it may not be asked, with everything that holds it back."""
    with refusals(key):
        ask = Ask(**body.model_dump())
        return JSONResponse(request_reference(services, ask, name_of(key)).as_json(), 201)


@router.get("/reference-requests/{request_id}", dependencies=[CanRead])
def show_one(services: ServicesOf, request_id: Number) -> JSONResponse:
    """Show one request with every step it took."""
    return JSONResponse(find_request(services, request_id).as_json())


@router.post("/reference-requests/{request_id}/{step}")
def move_request(services: ServicesOf, request_id: Number, step: Step, body: StepBody, key: Writer) -> JSONResponse:
    """Take a step: approve, decline, schedule, complete, confirm, cancel. 409 where that is not possible now."""
    found = find_request(services, request_id).as_json()
    if step not in found["next_steps"] and body.seen is None:
        raise ProblemError(
            409, f"the request is {found['state']}: possible is {', '.join(found['next_steps']) or 'nothing'}"
        )
    with refusals(key):
        return JSONResponse(take_step(services, request_id, step, body.report, name_of(key), seen=body.seen).as_json())


def name_of(key: ApiKey) -> str:
    return f"{key.name} ({key.key_id})"


def find_request(services: Services, request_id: int) -> RequestView:
    try:
        return show_request(services, request_id)
    except ConfigError:
        raise ProblemError(404, "no such request") from None


@contextmanager
def refusals(key: ApiKey | None = None) -> Iterator[None]:
    """What cannot be meant is 422, what must not be now, or no more, is 409.

    `key`: why a customer may not be asked, and whose names are alike, is told only to one that may read accounts.
    """
    may_read = key is None or key.allows("read")
    try:
        yield
    except HeldError as error:
        hidden = "this customer may not be asked now; a key that may read is told why"
        raise ProblemError(409, error.message if may_read else hidden) from None
    except ConfigError as error:
        told = error.message if may_read else error.message.partition(": ")[0]
        raise ProblemError(409 if error.code == MOVED else 422, told) from None


# The page -------------------------------------------------------------------------------------------------------------


@pages.get("/references")
def show_page(
    request: Request,
    services: ServicesOf,
    opportunity: Annotated[str, Query(max_length=MAX_WORD)] = "",
    scope: ScopeWord = ReferenceScope.BASIC,
) -> HTMLResponse:
    """Whom to ask for a deal, and why not the others; without a deal, the open ones to choose from."""
    text, status, problem = opportunity.strip(), 200, ""
    found, asked = None, []
    if text:
        try:
            found = find_references(services, text, scope, top=SHOWN).as_json()
            asked = [view.as_json() for view in list_requests(services, opportunity=found["opportunity"])]
        except ConfigError as error:
            problem, status = error.message, 404
    return render(
        request,
        "references.html",
        status,
        found=found,
        requests=asked,
        problem=problem,
        query=text,
        scope=scope,
        scopes=list(ReferenceScope),
        # Without a deal that is meant, those that can be.
        deals=[] if found else list_open_deals(services, DEALS),
        programme=None if found else show_programme(services).as_json(),
    )
