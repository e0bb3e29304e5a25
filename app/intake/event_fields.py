"""From named raw values to an `AdvocacyEvent`: the one reader behind files, the command line and webhooks.

All problems of an event are reported together, each with the column it is about.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, tzinfo
from decimal import Decimal, InvalidOperation
from enum import StrEnum
from typing import Any, TypeVar
from zoneinfo import ZoneInfo

from app.domain.calls import CALL_SKIPPED
from app.domain.event_attributes import REQUIRED, check_attributes
from app.domain.event_types import EVENT_TYPES, REFERRAL, WON_SURVEY, read_custom_type
from app.domain.events import MILESTONES, NAMED_REFERRAL, AdvocacyEvent, Polarity
from app.domain.model import Policy, ReferralStatus
from app.domain.permission_events import PERMISSION_PROMISED
from app.domain.rules import RelationshipRules
from app.intake.strict_json import JsonValue, read_json

COLUMNS = (
    "source_system",
    "source_event_id",
    "type",
    "occurred_on",
    "occurred_at",
    "account",
    "contact",
    "opportunity",
    "referred_account",
    "referred_contact",
    "referred_domain",
    "status",
    "share_percent",
    "weight",
    "reference_share",
    "amount",
    "currency",
    "valid_from",
    "valid_to",
    "polarity",
    "title",
    "url",
    "attributes",
)
RECORD_COLUMNS = frozenset({"account", "contact", "opportunity", "referred_account", "referred_contact"})
"""They hold ids of CRM records."""
TARGETS = ("opportunity", "referred_contact", "referred_account", "referred_domain")
MAX_ID_LENGTH = 255
MAX_TEXT_LENGTH = 2000
MAX_ATTRIBUTES_LENGTH = 16_384
MAX_WEIGHT = 1_000_000
SHARE_PLACES = 6
"""Shares are stored in millionths."""

_ENDS_LATER = frozenset({"permission_granted", "resting"})
_CLOSES_LATER = frozenset({"escalation", "complaint", "churn_signal"})

_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")
_ISO_DATE = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
_NUMBER = re.compile(r"[+-]?(\d{1,20}(\.\d{0,20})?|\.\d{1,20})([eE][+-]?\d{1,2})?", re.ASCII)
_INTEGER = re.compile(r"\d{1,9}", re.ASCII)
_DOMAIN = re.compile(r"(?!-)[a-z0-9-]{1,63}(?<!-)(\.(?!-)[a-z0-9-]{1,63}(?<!-))+", re.ASCII)
_URL = re.compile(r"https?://[^\s<>\"]+", re.IGNORECASE)
_CODE = re.compile(r"[a-z][a-z0-9_.]{0,63}", re.ASCII)


@dataclass(frozen=True, slots=True)
class FieldProblem:
    """`column` is empty when the problem is about the event as a whole."""

    column: str
    message: str

    def __str__(self) -> str:
        return f"{self.column}: {self.message}" if self.column else self.message


class RejectedEventError(Exception):
    """This event cannot be taken; others beside it can."""

    def __init__(self, problems: list[FieldProblem]) -> None:
        super().__init__("; ".join(str(problem) for problem in problems))
        self.problems = tuple(problems)


def _no_doubt(_column: str, _record_id: str) -> str:
    return ""


@dataclass(frozen=True, slots=True)
class Reader:
    """What reading an event depends on beside the event.

    `normalise_id`: the canonical form of a CRM record id; raises ValueError with a reason.
    `zone`: the policy's time zone, for events that give an instant and no date.
    `source_system`: used where the event names none; None makes it required.
    """

    normalise_id: Callable[[str], str]
    zone: tzinfo = UTC
    source_system: str | None = None
    doubt: Callable[[str, str], str] = _no_doubt
    """(column, canonical id) -> why it cannot be an id of such a record; "" where nothing speaks against it."""
    relationship: RelationshipRules = field(default_factory=RelationshipRules)
    """What a rating of the offer must be backed by."""


def build_reader(
    normalise_id: Callable[[str], str],
    policy: Policy,
    source_system: str | None = None,
    *,
    doubt: Callable[[str, str], str] = _no_doubt,
) -> Reader:
    """How an installation reads events: its CRM's ids, its policy's time zone and rules."""
    return Reader(normalise_id, ZoneInfo(policy.time_zone), source_system, doubt, policy.relationship)


def read_event(raw: Mapping[str, JsonValue], reader: Reader) -> AdvocacyEvent:
    """Read one event from text (CSV) or JSON values. Empty text and null mean absent. Raises RejectedEventError."""
    problems = [FieldProblem(name[:50], _unknown(name)) for name in raw if name not in COLUMNS]
    values: dict[str, Any] = {"source_system": reader.source_system} if reader.source_system else {}
    for name in COLUMNS:
        value = raw.get(name)
        value = value.strip() if isinstance(value, str) else value
        if value is None or value == "":
            continue
        try:
            values[name] = _READERS[name](value, reader)
            if name in RECORD_COLUMNS and (doubt := reader.doubt(name, values[name])):
                problems.append(FieldProblem(name, doubt))
        except ValueError as error:
            problems.append(FieldProblem(name, str(error)))
    if "occurred_on" not in values and "occurred_at" in values:
        values["occurred_on"] = values["occurred_at"].astimezone(reader.zone).date()
    bad = {problem.column for problem in problems}
    problems += [problem for problem in _check_whole(values, bad, reader) if problem.column not in bad]
    if problems:
        raise RejectedEventError(problems)
    return AdvocacyEvent(**{"account": "", **values})


def _unknown(name: str) -> str:
    close = difflib.get_close_matches(name, COLUMNS, n=1)
    return "unknown column" + (f"; did you mean {close[0]!r}?" if close else "")


def _check_whole(values: Mapping[str, Any], bad: set[str], reader: Reader) -> list[FieldProblem]:
    """What no single value can show: what is missing, and what does not go together."""
    event_type = values.get("type", "")
    required = ["source_system", "source_event_id", "type", "occurred_on"]
    required += ["opportunity", "reference_share"] if event_type == WON_SURVEY else ["account"]
    required += REQUIRED.get(event_type, ())
    if "occurred_at" in bad:
        required.remove("occurred_on")
    problems = [FieldProblem(name, "is required") for name in required if name not in values]
    if event_type == REFERRAL and not any(name in values or name in bad for name in TARGETS):
        problems.append(FieldProblem("", f"a referral points at something: fill one of {', '.join(TARGETS)}"))
    if "share_percent" in values and event_type != REFERRAL:
        problems.append(FieldProblem("share_percent", "is for type referral only"))
    if "reference_share" in values and event_type != WON_SURVEY:
        problems.append(FieldProblem("reference_share", "is for type won_survey only"))
    problems += _check_days(event_type, values)
    if event_type in MILESTONES and not _is_reference(values.get("attributes", {}).get(NAMED_REFERRAL)):
        problems.append(FieldProblem("attributes", f"{NAMED_REFERRAL} must be the source_event_id of the referral"))
    if "attributes" not in bad:
        problems += _check_attributes(event_type, values.get("attributes", {}), reader.relationship)
        problems += _check_rep(values.get("attributes", {}), reader)
    return problems


DAY_RULES: Mapping[str, str] = {
    CALL_SKIPPED: "`until` is the first day to try again: later than the day of the event",
    PERMISSION_PROMISED: "`due_on` is not before the day of the event",
    **dict.fromkeys(_ENDS_LATER, "the column `valid_to` is the first day it no longer holds: later than it begins"),
    **dict.fromkeys(_CLOSES_LATER, "the column `valid_to`, the day it was closed, is not before it began"),
}
"""Type -> what must hold between its days, for whoever asks."""


def _check_days(code: str, values: Mapping[str, Any]) -> list[FieldProblem]:
    """What ends before it begins is a slip of the pen."""
    start, end = values.get("valid_from", date.min), values.get("valid_to", date.max)
    if start > end:
        return [FieldProblem("valid_to", "lies before valid_from")]
    begun = values.get("valid_from") or values.get("occurred_on", date.min)
    until, due = (values.get("attributes", {}).get(name) for name in ("until", "due_on"))
    if code == CALL_SKIPPED and isinstance(until, str) and until <= begun.isoformat():
        return [FieldProblem("attributes", f"`until` is the first day to try again: later than {begun}")]
    told = values.get("occurred_on", date.min).isoformat()
    if code == PERMISSION_PROMISED and isinstance(due, str) and due < told:
        return [FieldProblem("attributes", f"`due_on` {due} lies before the day it was promised, {told}")]
    if code in _ENDS_LATER and end <= begun:
        return [FieldProblem("valid_to", f"is the first day it no longer holds: later than {begun}")]
    if code in _CLOSES_LATER and end < begun:
        return [FieldProblem("valid_to", f"lies before the day it began, {begun}")]
    return []


def _is_reference(value: object) -> bool:
    """Whether it names an event, or nothing at all."""
    if isinstance(value, bool) or not isinstance(value, str | int | None):
        return False
    return value is None or (0 < len(str(value)) <= MAX_ID_LENGTH and str(value).isprintable())


def _check_attributes(code: str, attributes: Mapping[str, object], rules: RelationshipRules) -> list[FieldProblem]:
    try:
        if code.startswith("x_"):
            read_custom_type(code, attributes)
        else:
            check_attributes(code, attributes, rules)
    except ValueError as error:
        return [FieldProblem("attributes", str(error))]
    return []


def _check_rep(attributes: Mapping[str, object], reader: Reader) -> list[FieldProblem]:
    """A representative is told by any word; only an id that is surely another record's is a slip of the hand."""
    rep = attributes.get("rep")
    try:
        doubt = reader.doubt("rep", reader.normalise_id(rep)) if isinstance(rep, str) else ""
    except ValueError:
        return []
    return [FieldProblem("attributes", f"`rep`: {doubt}")] if doubt else []


def _read_text(value: JsonValue, limit: int) -> str:
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise ValueError("must be text")  # noqa: TRY004 - a bad value, not a bug
    text = str(value)
    if _UNSTORABLE.search(text):
        raise ValueError("holds characters that are not valid UTF-8 text")
    if len(text) > limit:
        raise ValueError(f"is longer than {limit} characters")
    return text


def read_reason(text: str | None) -> str | None:
    """Why somebody decided something, in words that can be stored. Raises ValueError."""
    return _read_text(text.strip(), MAX_TEXT_LENGTH) if text and not text.isspace() else None


def _read_id(value: JsonValue, _reader: Reader) -> str:
    text = _read_text(value, MAX_ID_LENGTH)
    if any(not character.isprintable() for character in text):
        raise ValueError("holds control characters")
    return text


def _read_record_id(value: JsonValue, reader: Reader) -> str:
    return reader.normalise_id(_read_id(value, reader))


def _read_title(value: JsonValue, _reader: Reader) -> str:
    return _read_text(value, MAX_TEXT_LENGTH)


def _read_type(value: JsonValue, _reader: Reader) -> str:
    code = _read_text(value, MAX_ID_LENGTH)
    if code in EVENT_TYPES or (code.startswith("x_") and _CODE.fullmatch(code)):
        return code
    close = difflib.get_close_matches(code.lower().replace(" ", "_"), EVENT_TYPES, n=1)
    hint = f"did you mean {close[0]!r}?" if close else "see `advocacy events types`; your own types start with x_"
    raise ValueError(f"{code[:50]!r} is not a known type; {hint}")


def _read_date(value: JsonValue, _reader: Reader) -> date:
    if not isinstance(value, str) or not _ISO_DATE.fullmatch(value):
        raise ValueError("must be a date like 2026-03-31")
    try:
        return date.fromisoformat(value)
    except ValueError:
        raise ValueError(f"{value} is not a day of the calendar") from None


def _read_instant(value: JsonValue, _reader: Reader) -> datetime:
    try:
        moment = datetime.fromisoformat(value) if isinstance(value, str) and value.isascii() else None
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise ValueError("must be an instant with its offset, like 2026-03-31T14:05:00Z; for a day use occurred_on")
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        raise ValueError("lies outside the calendar") from None


def _read_number(value: JsonValue) -> Decimal:
    if isinstance(value, bool) or not isinstance(value, str | int | Decimal):
        raise ValueError("must be a number")  # noqa: TRY004 - a bad value, not a bug
    text = str(value)
    if not _NUMBER.fullmatch(text):
        raise ValueError("must be a number like 1234.50, with a point and without separators")
    try:
        return Decimal(text)
    except InvalidOperation:
        raise ValueError("must be a number") from None


def _read_amount(value: JsonValue, _reader: Reader) -> Decimal:
    number = _read_number(value)
    if abs(number) >= 10**15:
        raise ValueError("is too large to be an amount")
    return number


def _read_share(value: JsonValue, limit: int, places: int) -> Decimal:
    number = _read_number(value)
    if not 0 <= number <= limit:
        raise ValueError(f"must be between 0 and {limit}")
    if number != number.quantize(Decimal(1).scaleb(-places)):
        raise ValueError(f"has more than {places} decimal places")
    return number


def _read_share_percent(value: JsonValue, _reader: Reader) -> Decimal:
    return _read_share(value.rstrip("% ") if isinstance(value, str) else value, 100, SHARE_PLACES - 2)


def _read_reference_share(value: JsonValue, _reader: Reader) -> Decimal:
    return _read_share(value, 1, SHARE_PLACES)


def _read_weight(value: JsonValue, _reader: Reader) -> int:
    if isinstance(value, bool) or not _INTEGER.fullmatch(str(value)) or not 1 <= int(str(value)) <= MAX_WEIGHT:
        raise ValueError(f"must be a whole number from 1 to {MAX_WEIGHT}")
    return int(str(value))


def _read_currency(value: JsonValue, _reader: Reader) -> str:
    text = _read_text(value, MAX_ID_LENGTH).upper()
    if not re.fullmatch(r"[A-Z]{3}", text, re.ASCII):
        raise ValueError("must be a currency code like EUR")
    return text


def _read_domain(value: JsonValue, _reader: Reader) -> str:
    """The bare domain of an address, a web page or an e-mail."""
    text = _read_text(value, MAX_ID_LENGTH).lower()
    host = text.rpartition("@")[2].rpartition("://")[2].partition("/")[0].partition(":")[0].rstrip(".")
    try:
        ascii_host = host.removeprefix("www.").encode("idna").decode("ascii")
    except UnicodeError:
        ascii_host = ""
    if not _DOMAIN.fullmatch(ascii_host):
        raise ValueError("must be a domain like example.com")
    return ascii_host


def _read_url(value: JsonValue, _reader: Reader) -> str:
    text = _read_text(value, MAX_TEXT_LENGTH)
    if not _URL.fullmatch(text):
        raise ValueError("must be an address that starts with https:// or http://")
    return text


_Choice = TypeVar("_Choice", bound=StrEnum)


def _read_choice(kind: type[_Choice]) -> Callable[[JsonValue, Reader], _Choice]:
    def read(value: JsonValue, _reader: Reader) -> _Choice:
        try:
            return kind(str(value).lower())
        except ValueError:
            raise ValueError(f"must be one of {', '.join(kind)}") from None

    return read


def _read_attributes(value: JsonValue, _reader: Reader) -> dict[str, object]:
    if isinstance(value, str) and len(value) > MAX_ATTRIBUTES_LENGTH:
        raise ValueError(f"is longer than {MAX_ATTRIBUTES_LENGTH} characters")
    attributes = read_json(value) if isinstance(value, str) else value
    if not isinstance(attributes, dict):
        raise ValueError('must be a JSON object like {"nps": 9}')  # noqa: TRY004 - a bad value, not a bug
    if len(str(attributes)) > MAX_ATTRIBUTES_LENGTH:
        raise ValueError(f"is longer than {MAX_ATTRIBUTES_LENGTH} characters")
    return {name: _plain(item) for name, item in attributes.items()}


def _plain(value: JsonValue) -> object:
    """The value as ordinary JSON again; what a double cannot hold exactly stays text."""
    if isinstance(value, Decimal):
        number = float(value)
        return number if Decimal(repr(number)) == value else str(value)
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return {name: _plain(item) for name, item in value.items()} if isinstance(value, dict) else value


_READERS: Mapping[str, Callable[[JsonValue, Reader], object]] = {
    "source_system": _read_id,
    "source_event_id": _read_id,
    "type": _read_type,
    "occurred_on": _read_date,
    "occurred_at": _read_instant,
    "account": _read_record_id,
    "contact": _read_record_id,
    "opportunity": _read_record_id,
    "referred_account": _read_record_id,
    "referred_contact": _read_record_id,
    "referred_domain": _read_domain,
    "status": _read_choice(ReferralStatus),
    "share_percent": _read_share_percent,
    "weight": _read_weight,
    "reference_share": _read_reference_share,
    "amount": _read_amount,
    "currency": _read_currency,
    "valid_from": _read_date,
    "valid_to": _read_date,
    "polarity": _read_choice(Polarity),
    "title": _read_title,
    "url": _read_url,
    "attributes": _read_attributes,
}
