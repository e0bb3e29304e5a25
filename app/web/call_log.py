"""Logging a call from the page: what the buyer answered, or why there was no call."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated
from urllib.parse import urlencode

from fastapi import APIRouter, Query, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from app.bootstrap import Services
from app.domain.calls import SkipReason
from app.domain.care_events import Bucket
from app.intake.event_fields import RejectedEventError
from app.intake.strict_json import JsonValue
from app.sync.answers import find_account
from app.sync.call_log import log_call, skip_call
from app.sync.calls import BUCKETS
from app.sync.care import show_care
from app.web.access import ServicesOf
from app.web.forms import FormOf, Writer, WriterOf
from app.web.pages import render
from app.web.problems import ProblemError

WIN_WIN: Mapping[str, bool] = {"true": True, "false": False}

router = APIRouter(include_in_schema=False)


@router.get("/calls/log")
def show_form(
    request: Request,
    services: ServicesOf,
    writer: WriterOf,
    account: Annotated[str, Query(min_length=1, max_length=255)],
    contact: Annotated[str, Query(max_length=255)] = "",
    rep: Annotated[str, Query(max_length=255)] = "",
) -> HTMLResponse:
    """The form for one customer, with what it said before."""
    return _show(request, services, writer, {"account": account, "contact": contact, "rep": rep})


@router.post("/calls/log")
def add_call(request: Request, services: ServicesOf, writer: WriterOf, form: FormOf) -> Response:
    """Store what a form says, and show the calls of the day."""
    if "account" not in form:
        raise ProblemError(422, "whose call was it?")
    try:
        _log(services, form, writer.key.name)
    except RejectedEventError as error:
        return _show(request, services, writer, form, "; ".join(str(problem) for problem in error.problems))
    return RedirectResponse(f"/calls?{urlencode({'rep': form.get('rep', '')})}", 303)


def _log(services: Services, form: Mapping[str, str], caller: str) -> None:
    if "skipped" in form:
        skip: dict[str, JsonValue] = {"reason": form["skipped"], "until": form.get("until"), "note": form.get("note")}
        skip_call(services, form["account"], {**skip, "caller": caller})
        return
    reasons: list[JsonValue] = [word for part in form.get("reasons", "").split(",") if (word := part.strip())]
    answer: dict[str, JsonValue] = {
        "bucket": form.get("bucket"),
        "verbatim": form.get("verbatim"),
        "reasons": reasons,
        "win_win": WIN_WIN.get(form.get("win_win", "")),
        "caller": caller,
    }
    log_call(services, form["account"], answer, contact=form.get("contact"))


def _show(
    request: Request, services: Services, writer: Writer, form: Mapping[str, str], problem: str = ""
) -> HTMLResponse:
    account = find_account(services, form["account"])
    return render(
        request,
        "call.html",
        422 if problem else 200,
        history=show_care(services, account.id),
        form=form,
        problem=problem,
        buckets={bucket.value: BUCKETS[bucket] for bucket in Bucket},
        skips=[reason.value for reason in SkipReason],
        seal=writer.seal,
    )
