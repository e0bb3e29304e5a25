"""From our values to what a CRM field shows, and to updates.

Both sides of a comparison go through the same canonical text: at the field's scale, and with no more digits than
a CRM keeps. Salesforce holds numbers as doubles: 15 significant digits survive, more would differ every night.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from decimal import ROUND_HALF_UP, Context, Decimal, localcontext
from typing import TypeGuard

from app.domain.money import major_units, minor_text
from app.mapping.file import WriteField
from app.mapping.measures import NUMERIC, MeasureKind, WriteType
from app.mapping.transforms import BadValueError, read_number
from connectors.contract import RawValue, Update, WriteValue

SIGNIFICANT_DIGITS = 15
_TOO_LONG = 10**SIGNIFICANT_DIGITS
_WIDE = Context(prec=120, rounding=ROUND_HALF_UP)
_NARROW = Context(prec=SIGNIFICANT_DIGITS, rounding=ROUND_HALF_UP)
_HIDDEN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\u2028\u2029]")
_BREAKS = re.compile(r"\r\n?")
_ELLIPSIS = "…"


@dataclass(frozen=True, slots=True)
class Writer:
    """Compiled once per run. `places`: decimal places of the reporting currency."""

    fields: Mapping[str, WriteField]
    places: int
    _shapes: Mapping[str, Callable[[object], str | None]] = field(init=False, repr=False, compare=False)
    _cells: Mapping[str, tuple[str, Callable[[str], WriteValue]]] = field(init=False, repr=False, compare=False)
    """Measure -> the field in the CRM, and from the canonical text to its value."""

    def __post_init__(self) -> None:
        shapes = {measure: _shape(write, self.places) for measure, write in self.fields.items()}
        cells = {measure: (write.field, _typing(write)) for measure, write in self.fields.items()}
        object.__setattr__(self, "_shapes", shapes)
        object.__setattr__(self, "_cells", cells)

    @property
    def measures(self) -> tuple[str, ...]:
        return tuple(self.fields)

    @property
    def companions(self) -> frozenset[str]:
        """Measures that are written only together with another change of the same record."""
        return frozenset(measure for measure, write in self.fields.items() if write.companion)

    def canonical(self, measure: str, raw: RawValue) -> str | None:
        """What the CRM shows, in canonical text. Never raises: what cannot be read stays as it is, and so differs."""
        return canonical_text(self.fields[measure], raw)

    def desired(self, values: Mapping[str, object]) -> dict[str, str | None]:
        """Our values in canonical text, for every writable measure that `values` says something about.

        Money as int minor units (or Decimal major units), counts as int, ratios as Decimal, texts, dates; None clears.
        Ratios and flags that follow from the money need not be given.
        """
        known = values if _DERIVED.isdisjoint(self.fields) else {**_derived(values), **values}
        return {measure: shape(known[measure]) for measure, shape in self._shapes.items() if measure in known}

    def update(self, record_id: str, changes: Mapping[str, str | None], family: str = "") -> Update:
        """An update of the changed measures, from their canonical texts. `family`: see `Update`."""
        values: dict[str, WriteValue] = {}
        for measure, text in changes.items():
            name, typed = self._cells[measure]
            values[name] = None if text is None else typed(text)
        return Update(record_id, values, family)


def canonical_text(write: WriteField, raw: RawValue) -> str | None:
    if write.type is WriteType.BOOLEAN:
        return "true" if (raw or "").strip().lower() in ("true", "1") else "false"
    text = tidy_text(raw or "")
    if not text:
        return None
    try:
        if write.type in NUMERIC:
            return number_text(read_number(text), write.scale or 0)
        if write.type is WriteType.DATE:
            return date.fromisoformat(text[:10]).isoformat()
        if write.type is WriteType.DATETIME:
            return _moment_text(datetime.fromisoformat(text))
    except (BadValueError, ValueError, OverflowError):
        return text
    return text


def tidy_text(text: str) -> str:
    """Text as CRMs keep it: one kind of line break, no hidden characters, nothing around it."""
    return _HIDDEN.sub("", _BREAKS.sub("\n", text)).strip()


def number_text(number: Decimal, scale: int) -> str:
    """At the field's scale, half away from zero, and with no more digits than a CRM keeps."""
    exponent = Decimal(1).scaleb(-scale)
    shown = number.quantize(exponent, ROUND_HALF_UP, _WIDE)
    if shown.adjusted() + scale >= SIGNIFICANT_DIGITS:
        shown = _NARROW.plus(shown).quantize(exponent, ROUND_HALF_UP, _WIDE)
    return format(shown or abs(shown), "f")


_DERIVED = frozenset({"total_multiple", "referred_share", "is_referrer"})


def _derived(values: Mapping[str, object]) -> dict[str, object]:
    direct, referred, total = (values.get(name) for name in ("direct", "referred", "total"))
    found: dict[str, object] = {}
    if "direct" in values and "total" in values:
        found["total_multiple"] = _ratio(total, direct)
    if "referred" in values and "total" in values:
        found["referred_share"] = _ratio(referred, total)
    if "referred" in values:
        found["is_referrer"] = bool(referred)
    return found


def _ratio(part: object, whole: object) -> Decimal | None:
    if not isinstance(part, int | Decimal) or not isinstance(whole, int | Decimal) or whole <= 0:
        return None
    with localcontext(_WIDE):
        return Decimal(part) / Decimal(whole)


def _shape(write: WriteField, places: int) -> Callable[[object], str | None]:
    """From a value to what the field is to show, found out once for a million of them."""

    def shape(value: object) -> str | None:
        return _desired_text(write, value, places)

    def shape_money(value: object) -> str | None:
        return minor_text(value, places) if _is_short(value) else shape(value)

    is_plain_money = write.type in NUMERIC and write.kind is MeasureKind.MONEY and write.scale == places
    return shape_money if is_plain_money else shape


def _desired_text(write: WriteField, value: object, places: int) -> str | None:
    if write.type is WriteType.BOOLEAN:
        return "true" if value else "false"
    if value is None:
        return None
    if write.type in NUMERIC:
        return number_text(_number(write, value, places), write.scale or 0)
    if isinstance(value, datetime):
        return _moment_text(value)
    if isinstance(value, date):
        return value.isoformat()
    return _fitted(write, _words(value))


def _is_short(value: object) -> TypeGuard[int]:
    """Minor units of which every digit survives in a CRM."""
    return isinstance(value, int) and -_TOO_LONG < value < _TOO_LONG


def _number(write: WriteField, value: object, places: int) -> Decimal:
    if write.kind is MeasureKind.MONEY and isinstance(value, int):
        return major_units(value, places)
    number = value if isinstance(value, Decimal) else Decimal(str(value))
    return number * 100 if write.type is WriteType.PERCENT else number


def _words(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return value
    return "; ".join(map(str, value)) if isinstance(value, Iterable) else str(value)


def _fitted(write: WriteField, text: str) -> str | None:
    """Mapped, tidied and cut to what the field holds."""
    tidy = tidy_text(write.values.get(text, text))
    if write.type is not WriteType.LONGTEXT:
        tidy = " ".join(tidy.split("\n"))
    return cut(tidy, write.max_length).rstrip() or None if write.max_length else tidy or None


def cut(text: str, length: int) -> str:
    """At most `length` UTF-16 units, which is how Salesforce counts; a longer text ends in an ellipsis."""
    if len(text) * 2 <= length or len(text.encode("utf-16-le")) // 2 <= length:
        return text
    kept = text.encode("utf-16-le")[: 2 * (length - 1)].decode("utf-16-le", "ignore")
    return kept.rstrip() + _ELLIPSIS


def _moment_text(moment: datetime) -> str:
    aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return aware.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _typing(write: WriteField) -> Callable[[str], WriteValue]:
    """From canonical text to the value that an update carries."""
    match write.type:
        case WriteType.INTEGER:
            return int
        case WriteType.DATE:
            return date.fromisoformat
        case WriteType.DATETIME:
            return datetime.fromisoformat
        case WriteType.BOOLEAN:
            return lambda text: text == "true"
        case _:
            return Decimal if write.type in NUMERIC else str
