"""Requests for references, for people: asking a customer, and every step after that, from the page.

What is shown and what a button does are computed at that moment from the consents there are. A form says what its page
had seen, so that sending it twice does the same as sending it once.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated, Any, TypeVar
from urllib.parse import urlencode

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from pydantic import BaseModel, BeforeValidator, ValidationError

from app.bootstrap import Services
from app.domain.reference_events import A_SIGNALS, B_SIGNALS, Grade
from app.domain.reference_scopes import ReferenceScope
from app.domain.request_events import kinds_of
from app.domain.requests import State, Step
from app.errors import ConfigError
from app.sync.reference_asks import Ask, Outlook, look_ahead, request_reference
from app.sync.reference_requests import list_requests
from app.sync.reference_steps import ALWAYS, take_step
from app.sync.references import show_block
from app.web.access import ServicesOf, require_reader
from app.web.bounds import Number
from app.web.forms import FormOf, Writer, WriterOf
from app.web.pages import render
from app.web.problems import ProblemError
from app.web.references import MAX_WORD, NewRequest, StepBody, find_request, name_of, refusals
from app.web.v1 import ScopeWord

SHOWN = 50
Word = Annotated[str, Query(min_length=1, max_length=MAX_WORD)]

router = APIRouter(include_in_schema=False)
Sent = TypeVar("Sent", bound=BaseModel)


class SentStep(StepBody):
    """A step as a form says it."""

    step: Step


class SentAsk(NewRequest):
    """A new request as a form says it. `after`: the newest request for the same that its page had seen."""

    after: Number


@router.get("/references/requests", dependencies=[Depends(require_reader)])
def show_requests(
    request: Request,
    services: ServicesOf,
    state: Annotated[State | None, BeforeValidator(lambda word: word or None), Query()] = None,
    before: Annotated[Number | None, Query()] = None,
) -> HTMLResponse:
    """All requests, the newest first."""
    found = list_requests(services, state=state, top=SHOWN + 1, before=before)
    last = found[SHOWN - 1].request.request_id if len(found) > SHOWN else None
    return render(
        request,
        "requests.html",
        requests=[view.as_json() for view in found[:SHOWN]],
        states=list(State),
        state=state,
        is_first=before is None,
        further=f"/references/requests?{urlencode({'state': state or '', 'before': last})}" if last else "",
    )


@router.get("/references/requests/{number}", dependencies=[Depends(require_reader)])
def show_request(request: Request, services: ServicesOf, number: Number) -> HTMLResponse:
    """Where one request stands, and every step it took."""
    return _show_request(request, services, number)


@router.get("/references/requests/{number}/steps")
def show_steps(request: Request, services: ServicesOf, number: Number, writer: WriterOf) -> HTMLResponse:
    """The same, with a form for every step that can be taken now."""
    return _show_request(request, services, number, writer)


@router.post("/references/requests/{number}/steps")
def move_request(request: Request, services: ServicesOf, number: Number, writer: WriterOf, form: FormOf) -> Response:
    """Take the step of a form, and show what became of it."""
    try:
        sent = _read(SentStep, {**form, "signals": form["signals"].split(",") if "signals" in form else []})
        with refusals(writer.key):
            take_step(services, number, sent.step, sent.report, name_of(writer.key), seen=sent.seen)
    except ProblemError as problem:
        return _show_request(request, services, number, writer, form, problem)
    return RedirectResponse(f"/references/requests/{number}/steps", 303)


def _show_request(
    request: Request,
    services: Services,
    number: int,
    writer: Writer | None = None,
    form: Mapping[str, str] | None = None,
    problem: ProblemError | None = None,
) -> HTMLResponse:
    view = find_request(services, number).as_json()
    is_open = bool(view["next_steps"]) and view["state"] != State.COMPLETED
    return render(
        request,
        "request.html",
        problem.status if problem else 200,
        view=view,
        outlook=_look_again(services, view) if is_open else None,
        seal=writer.seal if writer else "",
        seen=len(view["steps"]),
        form=form or {},
        problem=problem.detail if problem else "",
        today=services.today.isoformat(),
        grades=[grade.value for grade in Grade],
        markers=(*A_SIGNALS, *B_SIGNALS),
    )


def _look_again(services: Services, view: Mapping[str, Any]) -> dict[str, Any] | None:
    """How the customer of a request stands now; None where the CRM does not know it, or its deal, any more."""
    try:
        ask = Ask(view["account"], view["opportunity"], view["scope"], contact=view["contact"])
        found = look_ahead(services, ask)
    except ConfigError:
        return None
    if view["state"] == State.NEW:
        return _show_outlook(found)
    # Whoever was asked cannot be asked too often for the same.
    return _show_outlook(replace(found, blocks=tuple(block for block in found.blocks if block.hold in ALWAYS)))


@router.get("/references/ask")
def show_ask(
    request: Request,
    services: ServicesOf,
    writer: WriterOf,
    account: Word,
    opportunity: Word,
    scope: ScopeWord = ReferenceScope.BASIC,
) -> HTMLResponse:
    """The form to ask the programme for one customer, with how it stands at this moment."""
    return _show_ask(request, services, writer, Ask(account, opportunity, scope))


@router.post("/references/ask")
def add_request(request: Request, services: ServicesOf, writer: WriterOf, form: FormOf) -> Response:
    """Make the request of a form, and show it."""
    sent = _read(SentAsk, form)
    ask = Ask(**sent.model_dump(exclude={"after"}))
    try:
        with refusals(writer.key):
            made = request_reference(services, ask, name_of(writer.key), after=sent.after)
    except ProblemError as problem:
        return _show_ask(request, services, writer, ask, form, problem)
    return RedirectResponse(f"/references/requests/{made.request.request_id}/steps", 303)


def _show_ask(
    request: Request,
    services: Services,
    writer: Writer,
    ask: Ask,
    form: Mapping[str, str] | None = None,
    problem: ProblemError | None = None,
) -> HTMLResponse:
    # Whom to ask is chosen in the form, so the page looks at everybody who consented.
    outlook = look_ahead(services, Ask(ask.account, ask.opportunity, ask.scope))
    return render(
        request,
        "ask.html",
        problem.status if problem else 200,
        outlook=_show_outlook(outlook),
        deal=outlook.deal,
        scope=outlook.scope,
        kinds=kinds_of(outlook.scope),
        grades=[grade.value for grade in Grade],
        seal=writer.seal,
        form=form or {},
        problem=problem.detail if problem else "",
    )


def _show_outlook(outlook: Outlook) -> dict[str, Any]:
    return {
        "account": outlook.account,
        "account_name": outlook.account_name,
        "is_cleared": outlook.clearance.is_valid,
        "consent": outlook.clearance.reason,
        "contacts": list(outlook.clearance.contacts),
        "blocks": [show_block(block) for block in outlook.blocks],
        "is_possible": outlook.is_possible,
        "open_request": outlook.open_request,
        "newest": outlook.newest,
    }


def _read(kind: type[Sent], form: Mapping[str, Any]) -> Sent:
    try:
        return kind.model_validate(form)
    except ValidationError as error:
        told = "; ".join(f"{' '.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors())
        raise ProblemError(422, told) from None
