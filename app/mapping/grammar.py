"""The words and scalars that all parts of the mapping file share."""

from __future__ import annotations

import re
from datetime import date
from decimal import Decimal
from fractions import Fraction
from typing import Annotated
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, StrictStr, WithJsonSchema
from pydantic_core import PydanticCustomError

NAME = re.compile(r"[A-Za-z0-9_]{1,100}(?:\.[A-Za-z0-9_]{1,100}){0,4}", re.ASCII)
"""What may reach a CRM's query language as a name. Nothing else ever does."""
_CURRENCY = re.compile(r"[A-Z]{3}", re.ASCII)
_SHARE = re.compile(r"[0-9]{1,18}(?:/[0-9]*[1-9][0-9]*|\.[0-9]{1,18})?", re.ASCII)
Scalar = str | int | bool | Decimal | date | None
ANY_SCALAR = WithJsonSchema({"type": ["string", "number", "boolean", "null"]})


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, arbitrary_types_allowed=True)


def fault(
    number: int, message: str, hint: str = "", at: tuple[str | int, ...] = (), *, key: bool = False
) -> PydanticCustomError:
    """A problem with a code of its own; `at` leads from the value being checked to the culprit."""
    # The message goes in as context: as a template, braces in it would be taken for placeholders.
    context = {"text": message, "hint": hint, "at": at, "key": key}
    return PydanticCustomError(f"ADV-MAP-{number:03}", "{text}", context)


def as_text(value: Scalar) -> str:
    """A scalar of the file as a CRM would spell it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return value.isoformat() if isinstance(value, date) else str(value)


def _check_name(name: str) -> str:
    if not NAME.fullmatch(name):
        hint = "letters, digits and _ only: use the API name, not the label"
        raise fault(15, f"{name[:60]!r} is not a field or object name", hint)
    return name


def _check_zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (OSError, ValueError, KeyError):
        raise fault(27, f"unknown time zone {name[:60]!r}", "write an IANA name, e.g. Europe/Berlin or UTC") from None
    return name


def _check_currency(code: str) -> str:
    if not _CURRENCY.fullmatch(code):
        raise fault(28, f"{code[:20]!r} is not a currency code", "three capital letters, e.g. USD")
    return code


def _read_share(value: object) -> Fraction:
    hint = "write a share from 0 to 1, e.g. 0.5 or 1/2"
    if isinstance(value, bool) or not isinstance(value, str | int | Decimal | Fraction):
        raise fault(12, "a share is needed here", hint)
    text = str(value).strip()
    if not _SHARE.fullmatch(text) or len(text) > 40:
        raise fault(14, f"{text[:40]!r} is not a share", hint)
    if Fraction(text) > 1:
        raise fault(14, f"{text} is more than 1", hint)
    return Fraction(text)


Name = Annotated[
    StrictStr, AfterValidator(_check_name), WithJsonSchema({"type": "string", "pattern": f"^{NAME.pattern}$"})
]
Currency = Annotated[
    StrictStr, AfterValidator(_check_currency), WithJsonSchema({"type": "string", "pattern": "^[A-Z]{3}$"})
]
Zone = Annotated[StrictStr, AfterValidator(_check_zone)]
Share = Annotated[
    Fraction,
    BeforeValidator(_read_share),
    WithJsonSchema({"anyOf": [{"type": "number", "minimum": 0, "maximum": 1}, {"type": "string"}]}),
]
