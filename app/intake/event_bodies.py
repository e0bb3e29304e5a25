"""The body of a webhook or API request: one advocacy event, or `{"events": [...]}`."""

from __future__ import annotations

from collections.abc import Sequence

from app.domain.events import AdvocacyEvent
from app.intake.event_fields import FieldProblem, Reader, RejectedEventError, read_event
from app.intake.strict_json import read_json

MAX_EVENTS = 1_000


def read_event_body(body: bytes | str, reader: Reader) -> list[AdvocacyEvent]:
    """All events of a body, or none of them. Raises RejectedEventError with every problem, by its position."""
    try:
        value = read_json(body if isinstance(body, str) else body.decode("utf-8"))
    except UnicodeDecodeError:
        raise RejectedEventError([FieldProblem("", "the body is not UTF-8")]) from None
    except ValueError as error:
        raise RejectedEventError([FieldProblem("", str(error))]) from None
    if not isinstance(value, dict):
        raise RejectedEventError([FieldProblem("", "the body must be a JSON object")])
    if "events" not in value:
        return [read_event(value, reader)]
    entries = value["events"]
    if len(value) > 1 or not isinstance(entries, list) or not 0 < len(entries) <= MAX_EVENTS:
        raise RejectedEventError([FieldProblem("events", f"must be the only key, with 1 to {MAX_EVENTS} events")])
    return _read_all(entries, reader)


def _read_all(entries: Sequence[object], reader: Reader) -> list[AdvocacyEvent]:
    events, problems = [], []
    for position, entry in enumerate(entries):
        try:
            if not isinstance(entry, dict):
                raise RejectedEventError([FieldProblem("", "must be a JSON object")])
            events.append(read_event(entry, reader))
        except RejectedEventError as error:
            problems += [
                FieldProblem(f"events[{position}].{problem.column}".rstrip("."), problem.message)
                for problem in error.problems
            ]
    if problems:
        raise RejectedEventError(problems)
    return events
