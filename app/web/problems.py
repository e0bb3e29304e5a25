"""Every refusal as RFC 9457 problem details: what went wrong, with a status, and nothing of our insides."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from app.errors import AppError, ConfigError
from app.logs import open_log
from app.store.outage import OUTAGES

RETRY_SECONDS = 5


class ProblemError(Exception):
    """Refuse the request. `errors`: one entry for each thing that is wrong with it."""

    def __init__(
        self,
        status: int,
        detail: str = "",
        *,
        headers: Mapping[str, str] | None = None,
        errors: list[dict[str, str]] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.headers = dict(headers or {})
        self.errors = errors


def build_problem(
    status: int,
    detail: str = "",
    headers: Mapping[str, str] | None = None,
    errors: list[dict[str, str]] | None = None,
) -> JSONResponse:
    """The answer with media type `application/problem+json`."""
    body: dict[str, Any] = {"type": "about:blank", "title": HTTPStatus(status).phrase, "status": status}
    if detail:
        body["detail"] = detail
    if errors:
        body["errors"] = errors
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


def _answer_problem(_request: Request, error: ProblemError) -> JSONResponse:
    return build_problem(error.status, error.detail, error.headers, error.errors)


def _answer_http(_request: Request, error: HTTPException) -> JSONResponse:
    return build_problem(error.status_code, headers=error.headers)


def _answer_validation(_request: Request, error: RequestValidationError) -> JSONResponse:
    errors = [{"field": ".".join(str(part) for part in e["loc"]), "message": str(e["msg"])} for e in error.errors()]
    return build_problem(422, "the request is not what this address takes", errors=errors)


def _answer_app_error(_request: Request, error: AppError) -> JSONResponse:
    return build_problem(404 if isinstance(error, ConfigError) else 500, error.message)


def _answer_outage(request: Request, _error: Exception) -> JSONResponse:
    open_log().warning("database away", path=request.url.path)
    return build_problem(503, "the database is away; try again", {"Retry-After": str(RETRY_SECONDS)})


def _answer_unexpected(request: Request, error: Exception) -> JSONResponse:
    open_log().error("request failed", path=request.url.path, exc_info=error)
    return build_problem(500)
