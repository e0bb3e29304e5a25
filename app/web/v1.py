"""The JSON interface `/v1/...`: the same answers the command line gives with `--json`."""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from operator import attrgetter
from typing import Annotated, Any, Literal, TypeVar

from fastapi import APIRouter, Depends, Query, Request
from fastapi.encoders import jsonable_encoder
from fastapi.responses import JSONResponse
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict

from app.domain.model import ReferralStatus
from app.domain.reference_scopes import BY_SUB_LEVEL, ReferenceScope
from app.errors import ConfigError
from app.intake.event_bodies import read_event_body
from app.intake.event_fields import COLUMNS, read_reason
from app.store.events import StoredEvent, save_events
from app.store.keys import ApiKey
from app.store.statuses import decide_statuses, find_event_ids
from app.sync.answers import (
    AccountView,
    explain_account,
    find_account,
    list_accounts,
    list_runs,
    portfolio,
    show_run,
)
from app.sync.assessments import list_assessments
from app.sync.consents import HeldConsent, list_consents, list_promised
from app.sync.ladder import show_ladder
from app.sync.last_run import load_last_run
from app.sync.recorded import check_type, list_recorded
from app.sync.relationships import Cell, count_clients, show_matrix
from app.sync.triage import MAX_HOURS, open_day
from app.sync.why import explain_change, read_since
from app.web.access import ServicesOf, require_key
from app.web.bounds import AskedDay, Number
from app.web.problems import ProblemError
from app.web.webhooks import LimitedBody, check_events

router = APIRouter(prefix="/v1", tags=["v1"])
MAX_PAGE = 500
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")
_MONEY = re.compile(r"-?\d{1,13}(\.\d{1,6})?", re.ASCII)
_NUMBER = re.compile(r"\d{1,18}", re.ASCII)
_Item = TypeVar("_Item")

CanRead = Depends(require_key("read"))
CanWriteEvents = Depends(require_key("events:write"))
Limit = Annotated[int, Query(ge=1, le=MAX_PAGE)]
Cursor = Annotated[str | None, Query(max_length=6000, description="`next_cursor` of the page before.")]
ScopeWord = Annotated[ReferenceScope, BeforeValidator(lambda word: BY_SUB_LEVEL.get(word, word))]
"""A scope by its name, or by its place on the ladder: `logo` is `8h`."""
SortKey = Literal["total", "direct", "referred", "conserved", "network", "influence", "pipeline", "name"]


def write_cursor(*position: str) -> str:
    """An opaque position: the values of the last item that the next page begins behind."""
    return base64.urlsafe_b64encode(json.dumps(position).encode()).decode().rstrip("=")


def read_cursor(cursor: str | None, length: int) -> tuple[str, ...] | None:
    """The position in a cursor of ours; refuses any other text."""
    if cursor is None:
        return None
    try:
        position = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    except (binascii.Error, ValueError, RecursionError):
        position = None
    if not isinstance(position, list) or len(position) != length or not all(map(_is_plain, position)):
        raise ProblemError(422, "the cursor is not one of ours")
    return tuple(position)


def read_number_cursor(cursor: str | None) -> int | None:
    """The number that the items of the next page are below."""
    position = read_cursor(cursor, 1)
    if position is not None and not _NUMBER.fullmatch(position[0]):
        raise ProblemError(422, "the cursor is not one of ours")
    return None if position is None else int(position[0])


def _is_plain(value: object) -> bool:
    return isinstance(value, str) and _UNSTORABLE.search(value) is None


def answer_page(
    items: Sequence[_Item], limit: int, show: Callable[[_Item], Any], *place: Callable[[_Item], object]
) -> JSONResponse:
    """One page of `items`, which hold one beyond it when there is more. `place`: what a cursor tells of an item."""
    last = items[limit - 1] if len(items) > limit else None
    cursor = None if last is None else write_cursor(*(str(one(last)) for one in place))
    return JSONResponse({"data": jsonable_encoder([show(item) for item in items[:limit]]), "next_cursor": cursor})


def _answer_slice(items: Sequence[Any], cursor: str | None, limit: int) -> JSONResponse:
    """One page of a list that is short, and computed as a whole each time."""
    start = read_number_cursor(cursor) or 0
    more = len(items) > start + limit
    page = jsonable_encoder(items[start : start + limit])
    return JSONResponse({"data": page, "next_cursor": write_cursor(str(start + limit)) if more else None})


@router.get("/accounts", dependencies=[CanRead])
def list_all_accounts(
    services: ServicesOf,
    sort: SortKey = "total",
    as_of: AskedDay | None = None,
    include_all: Annotated[bool, Query(alias="all")] = False,
    limit: Limit = 100,
    cursor: Cursor = None,
) -> JSONResponse:
    """List customers by what they are really worth."""
    after = read_account_cursor(cursor, sort)
    views = list_accounts(services, top=limit + 1, sort=sort, as_of=as_of, include_all=include_all, after=after)
    page = {
        "data": jsonable_encoder([view.as_json() for view in views[:limit]]),
        "next_cursor": write_account_cursor(views[limit - 1], sort) if len(views) > limit else None,
    }
    if as_of is None:
        with services.database.read() as connection:
            computed = load_last_run(connection)
        page["computed"] = computed.as_json() if computed else None
    return JSONResponse(page)


def write_account_cursor(view: AccountView, sort: SortKey) -> str:
    """The place behind one account in one order."""
    return write_cursor(sort, view.name if sort == "name" else str(view.money[sort]), view.id)


def read_account_cursor(cursor: str | None, sort: SortKey) -> tuple[str, str] | None:
    """(measure, id) of the account that a page begins behind; refuses a cursor of another order."""
    position = read_cursor(cursor, 3)
    if position is None:
        return None
    if position[0] != sort or (sort != "name" and not _MONEY.fullmatch(position[1])):
        raise ProblemError(422, "the cursor belongs to another order")
    return position[1], position[2]


@router.get("/accounts/{account_id}", dependencies=[CanRead])
def show_account(services: ServicesOf, account_id: str) -> JSONResponse:
    """Say what one customer is worth."""
    return JSONResponse(jsonable_encoder(_find(services, account_id)))


def _find(services: Any, account_id: str) -> dict[str, Any]:
    try:
        view: dict[str, Any] = find_account(services, account_id).as_json()
    except ConfigError:
        raise ProblemError(404, "no such account") from None
    return view


@router.get("/accounts/{account_id}/explanation", dependencies=[CanRead])
def show_explanation(services: ServicesOf, account_id: str, as_of: AskedDay | None = None) -> JSONResponse:
    """Say line by line why a customer is worth that."""
    found = _find(services, account_id)
    explanation = explain_account(services, found["id"], as_of=as_of)
    return JSONResponse(jsonable_encoder(explanation.as_json()))


@router.get("/accounts/{account_id}/changes", dependencies=[CanRead])
def show_changes(
    services: ServicesOf,
    account_id: str,
    since: Annotated[str, Query(max_length=10, description="A day, or the number of a run.")],
) -> JSONResponse:
    """Say why one customer's value changed, part by part."""
    try:
        start = read_since(since)
    except ConfigError as error:
        raise ProblemError(422, error.message) from None
    found = _find(services, account_id)
    return JSONResponse(explain_change(services, found["id"], start).as_json())


@router.get("/accounts/{account_id}/ladder", dependencies=[CanRead])
def show_account_ladder(services: ServicesOf, account_id: str, as_of: AskedDay | None = None) -> JSONResponse:
    """Say how far one customer or prospect has come, what proves it, and what to do next."""
    found = _find(services, account_id)
    return JSONResponse(show_ladder(services, found["id"], as_of=as_of).as_json())


@router.get("/accounts/{account_id}/assessments", dependencies=[CanRead])
def show_assessments(services: ServicesOf, account_id: str, as_of: AskedDay | None = None) -> JSONResponse:
    """Say what was recorded about one customer by hand, newest first, and where it stands on both scales."""
    found = _find(services, account_id)
    return JSONResponse(jsonable_encoder(list_assessments(services, found["id"], as_of=as_of).as_json()))


LEVELS: Mapping[str, int | None] = {**{str(level): level for level in range(5)}, "none": None}
LevelWord = Annotated[
    Literal["0", "1", "2", "3", "4", "none", ""] | None, Query(description="0 to 4, or `none`: nobody has rated it.")
]
Owner = Annotated[str | None, Query(max_length=255, description="Only accounts of this owner in the CRM.")]


@router.get("/matrix", dependencies=[CanRead])
def show_levels(
    services: ServicesOf, offer: LevelWord = None, personal: LevelWord = None, rep: Owner = None
) -> JSONResponse:
    """Count customers by what our offer and our people are worth to them; with both levels, name those of that cell."""
    return JSONResponse(show_matrix(services, read_cell(offer, personal), rep=rep).as_json())


def read_cell(offer: str | None, personal: str | None) -> Cell | None:
    """The cell that two levels name; refuses one without the other."""
    if bool(offer) != bool(personal):
        raise ProblemError(422, "a cell has two levels: give both offer and personal, or neither")
    return (LEVELS[offer], LEVELS[personal]) if offer and personal else None


@router.get("/recognitions", dependencies=[CanRead])
def show_recognitions(services: ServicesOf, as_of: AskedDay | None = None) -> JSONResponse:
    """Count the customers that gave each of our people a token of esteem, each customer once."""
    return JSONResponse(count_clients(services, as_of=as_of).as_json())


@router.get("/permissions", dependencies=[CanRead])
def show_permissions(
    services: ServicesOf,
    account: Annotated[str | None, Query(max_length=255)] = None,
    scope: ScopeWord | None = None,
    include_ended: Annotated[bool, Query(alias="all")] = False,
    as_of: AskedDay | None = None,
    limit: Limit = 100,
    cursor: Cursor = None,
) -> JSONResponse:
    """List consents by account: for what, by whom, until when."""
    id_ = _find(services, account)["id"] if account else None
    views = list_consents(
        services,
        id_,
        scope=scope,
        include_ended=include_ended,
        as_of=as_of,
        top=limit + 1,
        after=read_cursor(cursor, len(HeldConsent.PLACE)),
    )
    return answer_page(views, limit, HeldConsent.as_json, *(attrgetter(name) for name in HeldConsent.PLACE))


@router.get("/permissions/promised", dependencies=[CanRead])
def show_promises(
    services: ServicesOf,
    account: Annotated[str | None, Query(max_length=255)] = None,
    as_of: AskedDay | None = None,
    limit: Limit = 100,
    cursor: Cursor = None,
) -> JSONResponse:
    """List what was promised in deals against what was delivered: overdue first."""
    id_ = _find(services, account)["id"] if account else None
    return _answer_slice([view.as_json() for view in list_promised(services, id_, as_of)], cursor, limit)


@router.get("/events", dependencies=[CanRead])
def list_stored_events(
    services: ServicesOf,
    account: Annotated[str | None, Query(max_length=255)] = None,
    event_type: Annotated[str | None, Query(alias="type", max_length=64)] = None,
    status: ReferralStatus | None = None,
    limit: Limit = 100,
    cursor: Cursor = None,
) -> JSONResponse:
    """List advocacy events, newest first."""
    position = read_cursor(cursor, 2)
    if event_type is not None:
        try:
            check_type(event_type)
        except ConfigError as error:
            raise ProblemError(422, error.message, hint=error.hint) from None
    events = list_recorded(
        services,
        account=account,
        event_type=event_type,
        status=status,
        limit=limit + 1,
        after=None if position is None else (position[0], position[1]),
    )
    return answer_page(events, limit, _show_event, attrgetter("event.occurred_on"), attrgetter("event_id"))


def _show_event(stored: StoredEvent) -> dict[str, Any]:
    values = {name: getattr(stored.event, name) for name in COLUMNS}
    texts = {name: str(value) for name, value in values.items() if value is not None and name != "attributes"}
    return {
        "id": stored.event_id, **texts, "attributes": stored.event.attributes, "recorded_at": stored.recorded_at,
    }  # fmt: skip


@router.post("/events", dependencies=[CanWriteEvents])
def add_events(request: Request, body: LimitedBody, services: ServicesOf) -> JSONResponse:
    """Store one event or `{"events": [...]}`. No `Idempotency-Key` is needed: send the same again after a time-out.

    An event is known for ever by `source_system` and `source_event_id`. Sent again it changes nothing, but a later
    `status` (claimed, then verified, then rejected or expired) moves it on. Other content under a known identity is
    in `conflicts`, and the first one stands.
    """
    reader = request.app.state.event_reader
    check_events(body, reader)
    events = read_event_body(body, reader)
    report = save_events(services.database, events, now=services.now(), policy=services.mapping.policy)
    if report.conflicts and not report.added and not report.moved_on:
        raise ProblemError(409, "known under the same identity with other content; the first one stands")
    answer = {"added": report.added, "duplicate": report.duplicate, "conflicts": report.conflicts}
    return JSONResponse(jsonable_encoder({**answer, "moved_on": report.moved_on}), 201 if report.added else 200)


class Decision(BaseModel):
    """What an event shall count as from now on, and why."""

    model_config = ConfigDict(extra="forbid")

    status: ReferralStatus
    reason: Annotated[str | None, AfterValidator(read_reason)] = None


@router.post("/events/{event_id:path}/status")
def decide_status(
    services: ServicesOf,
    event_id: str,
    decision: Decision,
    key: Annotated[ApiKey, Depends(require_key("events:write"))],
) -> JSONResponse:
    """Decide what an event counts as: any status, whatever its source says. The change and its reason are kept.

    `event_id` is the `id` of the event, or the source's own where only one source has it. The next run counts it.
    """
    found = find_event_ids(services.database, event_id)
    if not found:
        raise ProblemError(404, "no such event")
    if len(found) > 1:
        raise ProblemError(409, f"more than one source has an event of that id; name one of: {', '.join(found)}")
    changes = decide_statuses(
        services.database,
        found,
        decision.status,
        who=f"{key.name} ({key.key_id})",
        now=services.now(),
        reason=decision.reason,
    )
    return JSONResponse(jsonable_encoder({"id": found[0], "status": decision.status, "changes": changes}))


@router.get("/runs", dependencies=[CanRead])
def list_past_runs(services: ServicesOf, limit: Limit = 50, cursor: Cursor = None) -> JSONResponse:
    """List runs, newest first."""
    runs = list_runs(services, limit + 1, before=read_number_cursor(cursor))
    return answer_page(runs, limit, lambda run: run, attrgetter("run_id"))


@router.get("/runs/{run_id}", dependencies=[CanRead])
def show_past_run(services: ServicesOf, run_id: Number) -> JSONResponse:
    """Show what one run did."""
    return JSONResponse(jsonable_encoder(show_run(services, run_id)))


@router.get("/triage", dependencies=[CanRead])
def show_triage(
    services: ServicesOf,
    hours: Annotated[Decimal | None, Query(ge=0, le=MAX_HOURS, description="What there is to give.")] = None,
) -> JSONResponse:
    """Say who needs us first today, what spend alone would overlook, and what does not go together."""
    return JSONResponse(jsonable_encoder(open_day(services, hours=hours).as_json()))


@router.get("/portfolio", dependencies=[CanRead])
def show_portfolio(services: ServicesOf) -> JSONResponse:
    """Sum all customers without counting anything twice."""
    return JSONResponse(jsonable_encoder(portfolio(services)))
