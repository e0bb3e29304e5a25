"""One structured line per log entry, to stderr, with the run's id on it and secrets removed.

Libraries that log through the standard library (uvicorn, APScheduler) come out in the same form.
"""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager
from typing import Any, Literal, TextIO

import structlog

MASK = "***"
_SECRET_NAMES = re.compile(
    r"secret|token|password|passwd|authorization|api_?key|private_key|cookie|signature", re.IGNORECASE
)
_SECRET_TEXTS = re.compile(
    r"whsec_[A-Za-z0-9+/=_-]+"
    r"|advk_[A-Za-z0-9_-]+"
    r"|(?<=Bearer )[^\s\"']+"
    r"|(?<=Basic )[A-Za-z0-9+/=]+"
    r"|00D[A-Za-z0-9]{12,15}![^\s\"']+"  # a Salesforce session id
    r"|(?<=://)[^/\s:@]*:[^/\s@]+(?=@)"
    r"|-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|$)",
    re.DOTALL,
)
Event = MutableMapping[str, Any]


def configure_logs(
    log_format: Literal["console", "json"] = "console", level: str = "info", stream: TextIO | None = None
) -> None:
    """Send every log line to `stream` (stderr). Called once by a command, never at import."""
    target = stream or sys.stderr
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(target)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.format_exc_info,
                remove_secrets,
                _renderer(log_format, target),
            ],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    for noisy in ("httpx", "httpcore", "urllib3", "apscheduler", "alembic"):
        logging.getLogger(noisy).setLevel(logging.WARNING)


def _renderer(log_format: str, stream: TextIO) -> structlog.typing.Processor:
    if log_format == "json":
        return structlog.processors.JSONRenderer(ensure_ascii=False, default=str)
    return structlog.dev.ConsoleRenderer(colors=stream.isatty(), pad_event_to=0)


def remove_secrets(_logger: object, _method: str, event: Event) -> Event:
    """Mask values of fields that are named like secrets, and secrets inside any text."""
    for name, value in event.items():
        event[name] = MASK if _SECRET_NAMES.search(name) and value else _clean(value)
    return event


def _clean(value: object) -> object:
    if isinstance(value, str):
        return _SECRET_TEXTS.sub(MASK, value)
    if isinstance(value, dict):
        return {k: MASK if _SECRET_NAMES.search(str(k)) and v else _clean(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_clean(item) for item in value]
    return value if isinstance(value, int | float | bool | None) else _SECRET_TEXTS.sub(MASK, str(value))


@contextmanager
def bound(**values: object) -> Iterator[None]:
    """Put these values (`run_id=7`) on every line logged inside, in this thread."""
    with structlog.contextvars.bound_contextvars(**values):
        yield


def open_log() -> structlog.typing.FilteringBoundLogger:
    """A logger; cheap, made where it is used: `open_log().info("run finished", status="ok")`."""
    logger: structlog.typing.FilteringBoundLogger = structlog.get_logger("advocacy")
    return logger
