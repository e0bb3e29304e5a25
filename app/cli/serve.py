"""`serve`, `worker`, `schedule run`: the parts that stay up."""

from __future__ import annotations

import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from app.cli.invocation import open_services
from app.cli.output import say, tell
from app.errors import ConfigError

if TYPE_CHECKING:
    from app.bootstrap import Services
    from connectors.changes import ChangeListener

BACKLOG = 128
GRACE_SECONDS = 10
KEEP_ALIVE_SECONDS = 10
MAX_CONNECTIONS = 200
"""Beyond this the server answers 503 at once: half-open requests must not eat the machine."""


def register(app: typer.Typer) -> None:
    schedule = typer.Typer(help="The schedule.", no_args_is_help=True)
    schedule.command("run")(run_schedule)
    app.command("serve")(serve)
    app.command("worker")(run_worker)
    app.add_typer(schedule, name="schedule")


def serve(
    ctx: typer.Context,
    host: Annotated[str | None, typer.Option(help="Default: 127.0.0.1, this machine only.")] = None,
    port: Annotated[int | None, typer.Option(min=0, max=65_535, help="Default: 8000; 0 takes a free one.")] = None,
    no_schedule: Annotated[bool, typer.Option("--no-schedule", help="Leave the nightly run to somebody else.")] = False,
) -> None:
    """Serve pages, JSON and webhooks, listen for changes, and run on schedule."""
    from app.bootstrap import build_change_source

    with open_services(ctx, crm=True, level=None) as services:
        settings = services.settings
        source = build_change_source(settings)
        listener = _listen(host or settings.web_host, settings.web_port if port is None else port)
        with _background(services, source, schedule=not no_schedule) as wake:
            _serve_until_stopped(services, listener, wake)


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen(BACKLOG)
    except OSError as error:
        listener.close()
        raise ConfigError(
            f"cannot listen on {host} port {port}: {error.strerror}", hint="choose another --port"
        ) from None
    return listener


@contextmanager
def _background(
    services: Services, source: Callable[[], ChangeListener] | None, *, schedule: bool
) -> Iterator[threading.Event]:
    """The inbox worker, the schedule and the listener, while the block runs. Yields what wakes the worker."""
    from app.jobs.listener import listen_for_changes
    from app.jobs.schedule import start_schedule
    from app.jobs.worker import InboxWorker

    worker = InboxWorker(services)
    thread = worker.start()
    scheduler = start_schedule(services) if schedule else None
    listening = listen_for_changes(services, source) if source is not None else []
    try:
        yield worker.wake
    finally:
        worker.halt()
        for one in listening:
            one.halt()
        if scheduler is not None:
            scheduler.shutdown(wait=False)
        thread.join(GRACE_SECONDS)


def _serve_until_stopped(services: Services, listener: socket.socket, wake: threading.Event) -> None:
    import uvicorn

    from app.web.api import create_app

    host, port = listener.getsockname()[:2]
    config = uvicorn.Config(
        create_app(services, on_delivery=wake.set),
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=GRACE_SECONDS,
        limit_concurrency=MAX_CONNECTIONS,
    )
    # The server raises the signal again when it is done; we still have things to put away then.
    signal.signal(signal.SIGTERM, lambda _number, _frame: None)
    say(f"http://{f'[{host}]' if ':' in host else host}:{port}")
    sys.stdout.flush()
    tell("stop with Ctrl-C")
    uvicorn.Server(config).run(sockets=[listener])


def run_worker(ctx: typer.Context) -> None:
    """Only work the webhook inbox."""
    from app.jobs.worker import InboxWorker

    with open_services(ctx, crm=True, level=None) as services:
        worker = InboxWorker(services)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda _number, _frame: worker.halt())
        worker.work_until_stopped()


def run_schedule(ctx: typer.Context) -> None:
    """Only run on schedule, without the web part."""
    from app.jobs.schedule import start_schedule

    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda _number, _frame: stop.set())
    with open_services(ctx, crm=True, level=None) as services:
        scheduler = start_schedule(services)
        if scheduler is None:
            raise ConfigError("the schedule is off", hint='set ADVOCACY_SCHEDULE, such as "0 2 * * * Europe/Berlin"')
        stop.wait()
        scheduler.shutdown(wait=False)
