"""Every refusal as RFC 9457 problem details: what went wrong, with a status, and nothing of our insides.

A browser on one of the pages is told the same as a page.
"""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, JSONResponse, Response
from jinja2 import Environment
from starlette.exceptions import HTTPException

from app.errors import AppError, ConfigError
from app.logs import open_log
from app.store.outage import OUTAGES

RETRY_SECONDS = 5
PROGRAMS = ("/v1/", "/webhooks/", "/metrics", "/healthz", "/readyz", "/static/", "/openapi.json")
"""Addresses that no page has."""


class ProblemError(Exception):
    """Refuse the request. `errors`: one entry for each thing that is wrong with it; `hint`: what to do instead."""

    def __init__(
        self,
        status: int,
        detail: str = "",
        *,
        headers: Mapping[str, str] | None = None,
        errors: list[dict[str, str]] | None = None,
        hint: str = "",
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.headers = dict(headers or {})
        self.errors = errors
        self.hint = hint


def build_problem(
    status: int,
    detail: str = "",
    headers: Mapping[str, str] | None = None,
    errors: list[dict[str, str]] | None = None,
    hint: str = "",
) -> JSONResponse:
    """The answer with media type `application/problem+json`."""
    body: dict[str, Any] = {"type": "about:blank", "title": HTTPStatus(status).phrase, "status": status}
    if detail:
        body["detail"] = detail
    if errors:
        body["errors"] = errors
    if hint:
        body["hint"] = hint
    return JSONResponse(body, status, headers=dict(headers or {}), media_type="application/problem+json")


def register_problems(app: FastAPI) -> None:
    """Make every exception of a request an answer."""
    app.exception_handler(ProblemError)(_answer_problem)
    app.exception_handler(HTTPException)(_answer_http)
    app.exception_handler(RequestValidationError)(_answer_validation)
    app.exception_handler(AppError)(_answer_app_error)
    for outage in OUTAGES:
        app.exception_handler(outage)(_answer_outage)
    app.exception_handler(Exception)(_answer_unexpected)


def _answer(
    request: Request,
    status: int,
    detail: str = "",
    headers: Mapping[str, str] | None = None,
    errors: list[dict[str, str]] | None = None,
    hint: str = "",
) -> Response:
    """Problem details for programs, a page for whoever looks at one."""
    accepts_pages = "text/html" in request.headers.get("accept", "")
    if not accepts_pages or request.url.path.startswith(PROGRAMS):
        return build_problem(status, detail, headers, errors, hint)
    templates: Environment = request.app.state.templates
    told = {"title": HTTPStatus(status).phrase, "detail": detail, "errors": errors, "hint": hint}
    return HTMLResponse(templates.get_template("problem.html").render(told), status, headers=dict(headers or {}))


def _answer_problem(request: Request, error: ProblemError) -> Response:
    return _answer(request, error.status, error.detail, error.headers, error.errors, error.hint)


def _answer_http(request: Request, error: HTTPException) -> Response:
    return _answer(request, error.status_code, headers=error.headers)


def _answer_validation(request: Request, error: RequestValidationError) -> Response:
    errors = [{"field": ".".join(str(part) for part in e["loc"]), "message": str(e["msg"])} for e in error.errors()]
    return _answer(request, 422, "the request is not what this address takes", errors=errors)


def _answer_app_error(request: Request, error: AppError) -> Response:
    return _answer(request, 404 if isinstance(error, ConfigError) else 500, error.message, hint=error.hint or "")


def _answer_outage(request: Request, _error: Exception) -> Response:
    open_log().warning("database away", path=request.url.path)
    return _answer(request, 503, "the database is away; try again", {"Retry-After": str(RETRY_SECONDS)})


def _answer_unexpected(request: Request, error: Exception) -> Response:
    open_log().error("request failed", path=request.url.path, exc_info=error)
    return build_problem(500)
