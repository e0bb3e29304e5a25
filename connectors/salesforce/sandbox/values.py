"""One value on its way in (JSON, CSV or Python -> what a row holds) and out (-> JSON, CSV).

Rows hold str, bool, int, Decimal or None; dates and datetimes are text of one fixed shape. There is no empty
string: Salesforce stores null instead.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import date, datetime
from decimal import ROUND_HALF_UP, Decimal, InvalidOperation
from typing import Any

from connectors.salesforce.sandbox.clock import day_text, stamp_text
from connectors.salesforce.sandbox.errors import ApiError
from connectors.salesforce.sandbox.ids import full_id
from connectors.salesforce.sandbox.schema import NUMERIC, Field

quote_json: Callable[[str], str] = json.encoder.encode_basestring
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
_ZONED = re.compile(r".*(?:Z|[+-]\d{2}:?\d{2})", re.ASCII)
_TRUTH = {"true": True, "false": False, "1": True, "0": False}


def read_value(field: Field, raw: Any) -> Any:
    """What the row will hold. ValueError when `raw` cannot be a value of this type at all."""
    if raw is None or raw == "":
        return False if field.type == "boolean" and raw is not None else None
    read: Callable[[Any], Any] = _READERS.get(field.type, _read_text)
    return read(raw)


def _read_text(raw: Any) -> str:
    if isinstance(raw, str):
        return raw
    raise ValueError(f"text expected, not {type(raw).__name__}")


def _read_boolean(raw: Any) -> bool:
    if isinstance(raw, bool):
        return raw
    truth = _TRUTH.get(str(raw).lower())
    if truth is None:
        raise ValueError(f"not a boolean: {raw!r}")
    return truth


def _read_decimal(raw: Any) -> Decimal:
    try:
        number = Decimal(str(raw))
    except InvalidOperation:
        raise ValueError(f"not a number: {raw!r}") from None
    if not number.is_finite():
        raise ValueError(f"not a number: {raw!r}")
    return number


def _read_int(raw: Any) -> int:
    number = _read_decimal(raw)
    if number != number.to_integral_value():
        raise ValueError(f"not a whole number: {raw!r}")
    return int(number)


def _read_date(raw: Any) -> str:
    if isinstance(raw, date) and not isinstance(raw, datetime):
        return day_text(raw)
    if not isinstance(raw, str) or not _DATE.fullmatch(raw):
        raise ValueError(f"not a date: {raw!r}")
    return day_text(date.fromisoformat(raw))


def _read_datetime(raw: Any) -> str:
    if isinstance(raw, str):
        if not _ZONED.fullmatch(raw) or "T" not in raw:
            raise ValueError(f"not a datetime with its offset: {raw!r}")
        raw = datetime.fromisoformat(raw)
    if not isinstance(raw, datetime) or raw.tzinfo is None:
        raise ValueError(f"not a datetime with its offset: {raw!r}")
    return stamp_text(raw)


def _read_reference(raw: Any) -> str:
    return full_id(_read_text(raw))


_READERS: dict[str, Callable[[Any], Any]] = {
    "boolean": _read_boolean,
    "int": _read_int,
    "currency": _read_decimal,
    "double": _read_decimal,
    "percent": _read_decimal,
    "date": _read_date,
    "datetime": _read_datetime,
    "reference": _read_reference,
    "id": _read_reference,
}


def check_value(field: Field, value: Any) -> Any:
    """The value as it will be stored: rounded to the field's scale. ApiError when the field refuses it."""
    if value is None:
        if field.required:
            raise ApiError(
                "REQUIRED_FIELD_MISSING", f"Required fields are missing: [{field.name}]", fields=(field.name,)
            )
        return False if field.type == "boolean" else None
    if field.type in NUMERIC:
        return _fit_number(field, value)
    if field.type == "int" and not -(2**31) <= value < 2**31:
        raise _outside(field)
    if isinstance(value, str) and field.length and len(value) > field.length:
        raise ApiError(
            "STRING_TOO_LONG",
            f"{field.label}: data value too large: {value[:80]} (max length={field.length})",
            fields=(field.name,),
        )
    if field.restricted:
        _check_choice(field, value)
    return value


def _fit_number(field: Field, value: Decimal) -> Decimal:
    rounded = value.quantize(Decimal(1).scaleb(-field.scale), rounding=ROUND_HALF_UP) if abs(value) < 10**20 else value
    if field.precision and abs(rounded) >= 10 ** (field.precision - field.scale):
        raise _outside(field)
    return rounded


def _outside(field: Field) -> ApiError:
    message = f"{field.label}: value outside of valid range on numeric field: {field.name}"
    return ApiError("NUMBER_OUTSIDE_VALID_RANGE", message, fields=(field.name,))


def _check_choice(field: Field, value: str) -> None:
    chosen = value.split(";") if field.type == "multipicklist" else [value]
    for one in chosen:
        if one not in field.values:
            raise ApiError(
                "INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST",
                f"{field.label}: bad value for restricted picklist field: {one}",
                fields=(field.name,),
            )


def decimal_json(value: Decimal) -> str:
    """`1054.0`, `950000000.0`: always with a decimal point, exact to the last digit."""
    text = format(value, "f")
    if "." not in text:
        return text + ".0"
    text = text.rstrip("0")
    return text + "0" if text.endswith(".") else text


def decimal_csv(value: Decimal) -> str:
    """As the Bulk API writes doubles: plain up to ten million, then `9.12260031E8`."""
    if value and not -3 <= value.adjusted() < 7:
        sign, digits, _ = value.normalize().as_tuple()
        text = "".join(map(str, digits))
        return f"{'-' if sign else ''}{text[0]}.{text[1:] or '0'}E{value.adjusted()}"
    return decimal_json(value)


def json_writer(type_: str) -> Callable[[Any], str]:
    """Turns a row's value of this field type into JSON text; the value is not None."""
    if type_ in NUMERIC:
        return decimal_json
    if type_ == "boolean":
        return lambda value: "true" if value else "false"
    return str if type_ == "int" else quote_json


def csv_writer(type_: str) -> Callable[[Any], str]:
    """Turns a row's number or datetime into the text of a CSV cell; the value is not None."""
    if type_ in NUMERIC:
        return decimal_csv
    return str if type_ == "int" else lambda value: value[:-5] + "Z"


def dump_json(value: Any) -> str:
    """Like json.dumps, but Decimals stay exact and a `Raw` is JSON already."""
    if isinstance(value, str):
        return value if isinstance(value, Raw) else quote_json(value)
    if isinstance(value, dict):
        return "{" + ",".join(f"{quote_json(str(key))}:{dump_json(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ",".join(map(dump_json, value)) + "]"
    if isinstance(value, Decimal):
        return decimal_json(value)
    return json.dumps(value)


class Raw(str):
    """A piece of finished JSON inside a larger document."""

    __slots__ = ()
