"""The web application, put together: pages, JSON, webhooks and health, behind one set of headers."""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

from fastapi import FastAPI
from fastapi.responses import JSONResponse
from fastapi.staticfiles import StaticFiles

from app.bootstrap import Services
from app.store.database import current_revision, newest_revision
from app.web import call_log, calls, day, metrics, outbound, pages, references, relationships, requests, v1, webhooks
from app.web.access import ServicesOf
from app.web.guesses import Guesses
from app.web.headers import SecurityHeaders
from app.web.problems import build_problem, register_problems
from app.web.webhooks import MAX_BODY_BYTES

STATIC = Path(__file__).parent / "static"
DEFAULT_SOURCE = "webhook"
"""`source_system` of events that name none."""


def create_app(services: Services, *, on_delivery: Callable[[], None] = lambda: None) -> FastAPI:
    """Build the application around ready services.

    `on_delivery` is called after a delivery was committed, to wake whoever works the inbox.
    """
    app = FastAPI(
        title="advocacy-sync",
        version=version("advocacy-sync"),
        description="What is a customer really worth? Own revenue plus referred revenue, explained.",
        docs_url=None,
        redoc_url=None,
        max_body_size=MAX_BODY_BYTES,
    )
    app.state.services = services
    app.state.on_delivery = on_delivery
    app.state.guesses = Guesses()
    app.state.templates = pages.build_templates()
    app.state.event_reader = services.event_reader(DEFAULT_SOURCE)
    register_problems(app)
    app.add_middleware(SecurityHeaders)
    app.add_api_route("/healthz", show_alive, tags=["health"])
    app.add_api_route("/readyz", show_ready, tags=["health"])
    for router in (webhooks.router, outbound.router, v1.router, metrics.router, pages.router, day.router):
        app.include_router(router)
    for router in (references.router, references.pages, requests.router, relationships.router):
        app.include_router(router)
    for router in (calls.router, calls.pages, call_log.router):
        app.include_router(router)
    app.mount("/static", StaticFiles(directory=STATIC), name="static")
    return app


def show_alive() -> JSONResponse:
    """The process answers."""
    return JSONResponse({"status": "ok"})


def show_ready(services: ServicesOf) -> JSONResponse:
    """The database answers too, and has the schema this version needs."""
    if current_revision(services.database) != newest_revision():
        return build_problem(503, "the database schema is not the one this version needs", {"Retry-After": "30"})
    return JSONResponse({"status": "ready"})
