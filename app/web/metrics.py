"""`/metrics` in Prometheus' text format: is the service doing its work, and how did the last run go."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from fastapi import APIRouter, Depends
from fastapi.responses import PlainTextResponse

from app.bootstrap import Services
from app.store.gauges import count_deliveries
from app.sync.answers import RunView, list_runs
from app.web.access import ServicesOf, require_monitor

MEDIA_TYPE = "text/plain; version=0.0.4; charset=utf-8"
STATUSES = ("ok", "partial", "held", "failed", "running", "approved")
RECENT_RUNS = 50

router = APIRouter(tags=["health"])


@router.get("/metrics", dependencies=[Depends(require_monitor)], response_class=PlainTextResponse)
def show_metrics(services: ServicesOf) -> PlainTextResponse:
    """Gauges for Prometheus. From another machine a key with scope `read` is needed, as a bearer token."""
    return PlainTextResponse("\n".join(_list_lines(services)) + "\n", media_type=MEDIA_TYPE)


def _list_lines(services: Services) -> Iterator[str]:
    yield from _gauge(
        "advocacy_deliveries", "Webhook deliveries by status.", "status", count_deliveries(services.database)
    )
    # Plans write nothing; a night is judged by the last run that was meant to write.
    runs = [run for run in list_runs(services, RECENT_RUNS) if not run.mode.startswith("plan")]
    if runs:
        yield from _describe_last(runs[0])
    finished = next((run.finished_at for run in runs if run.status in {"ok", "partial"} and run.finished_at), None)
    if finished is not None:
        name = "advocacy_last_success_timestamp_seconds"
        yield from _gauge(name, "When the last run finished that wrote what it should.", "", {"": finished.timestamp()})


def _describe_last(run: RunView) -> Iterator[str]:
    states = {status: int(run.status == status) for status in STATUSES}
    yield from _gauge("advocacy_last_run_status", "1 for the status of the last run.", "status", states)
    yield from _gauge("advocacy_last_run_accounts", "Counts of the last run.", "kind", run.counts)
    name = "advocacy_last_run_start_timestamp_seconds"
    yield from _gauge(name, "When the last run started.", "", {"": run.started_at.timestamp()})


def _gauge(name: str, meaning: str, label: str, values: Mapping[str, float]) -> Iterator[str]:
    yield f"# HELP {name} {meaning}"
    yield f"# TYPE {name} gauge"
    for key, value in values.items():
        yield f'{name}{{{label}="{key}"}} {value}' if label else f"{name} {value}"
