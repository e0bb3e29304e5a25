"""A measure and the CRM field it goes to: do they fit, and what does the field decide (type, decimals, length)?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from app.mapping.file import WriteField
from app.mapping.measures import MEASURES, NUMERIC, TEXTUAL, WRITABLE_AS, MeasureKind, WriteType
from connectors.contract import FieldSchema, FieldType

DEFAULT_SCALE = 2
DEFAULT_LENGTH = {WriteType.TEXT: 255, WriteType.LONGTEXT: 32000, WriteType.PICKLIST: 255}

_TYPE_OF: Mapping[FieldType, WriteType] = {
    FieldType.CURRENCY: WriteType.CURRENCY,
    FieldType.NUMBER: WriteType.NUMBER,
    FieldType.INTEGER: WriteType.INTEGER,
    FieldType.PERCENT: WriteType.PERCENT,
    FieldType.TEXT: WriteType.TEXT,
    FieldType.LONG_TEXT: WriteType.LONGTEXT,
    FieldType.PICKLIST: WriteType.PICKLIST,
    FieldType.DATE: WriteType.DATE,
    FieldType.DATETIME: WriteType.DATETIME,
    FieldType.BOOLEAN: WriteType.BOOLEAN,
}
_PLAIN_NUMBERS = frozenset({WriteType.CURRENCY, WriteType.NUMBER, WriteType.INTEGER})
_PLAIN_TEXTS = frozenset({WriteType.TEXT, WriteType.LONGTEXT})


@dataclass(frozen=True, slots=True)
class Misfit:
    """`option`: the key of the write-back entry that is to blame; empty for the field itself."""

    code: str
    message: str
    hint: str = ""
    option: str = ""


def settle_write(write: WriteField, found: FieldSchema, reporting_currency: str) -> tuple[WriteField, list[Misfit]]:
    """The write-back field with nothing left open, and everything that does not fit."""
    kind = _settled_type(write, found)
    length = write.max_length or found.length or DEFAULT_LENGTH.get(kind)
    settled = replace(
        write,
        type=kind,
        scale=_settled_scale(write, kind, found),
        max_length=length if kind in TEXTUAL else None,
        in_record_currency=write.kind is MeasureKind.MONEY and _is_currency(kind, found),
    )
    return settled, list(_misfits(write, settled, found, reporting_currency))


def _settled_type(write: WriteField, found: FieldSchema) -> WriteType:
    usual = MEASURES[write.measure].usual
    if write.type is not None:
        return write.type
    fitting = _TYPE_OF.get(found.type, usual)
    return fitting if fitting in WRITABLE_AS[write.kind] else usual


def _is_currency(kind: WriteType, found: FieldSchema) -> bool:
    """The CRM's type decides; ours only for a field that is not there yet."""
    return found.type is FieldType.CURRENCY or (found.type is FieldType.OTHER and kind is WriteType.CURRENCY)


def _settled_scale(write: WriteField, kind: WriteType, found: FieldSchema) -> int:
    if kind not in NUMERIC or kind is WriteType.INTEGER:
        return 0
    if write.scale is not None:
        return write.scale
    if write.kind is MeasureKind.COUNT:
        return 0
    return DEFAULT_SCALE if found.type is FieldType.OTHER else min(DEFAULT_SCALE, found.scale)


def _misfits(write: WriteField, settled: WriteField, found: FieldSchema, currency: str) -> Iterator[Misfit]:
    if found.calculated:
        yield Misfit("ADV-MAP-055", "is calculated by the CRM", "write to a plain field")
    elif not found.updateable:
        yield Misfit("ADV-MAP-054", "may not be changed by the connecting user", "give edit access to the field")
    if found.type is FieldType.OTHER:
        return
    if not _holds(found.type, settled):
        message = f"is a {found.type} field and cannot hold {settled.type} values"
        yield Misfit("ADV-MAP-056", message, f"use a field that fits {write.measure}", "type")
        return
    yield from _sizes(write, settled, found)
    yield from _values(settled, found, currency)


def _holds(kind: FieldType, write: WriteField) -> bool:
    fitting = _TYPE_OF.get(kind)
    return (
        fitting is write.type
        or (fitting in _PLAIN_NUMBERS and write.type in _PLAIN_NUMBERS)
        or (fitting in _PLAIN_TEXTS and write.type in _PLAIN_TEXTS)
        or (kind is FieldType.MULTI_PICKLIST and write.type is WriteType.PICKLIST)
    )


def _sizes(write: WriteField, settled: WriteField, found: FieldSchema) -> Iterator[Misfit]:
    places = 0 if found.type is FieldType.INTEGER else found.scale
    if settled.type in NUMERIC and (settled.scale or 0) > places:
        yield Misfit("ADV-MAP-057", f"keeps {places} decimals, not {settled.scale}", f"scale: {places}", "scale")
    if write.max_length and found.length and write.max_length > found.length:
        message = f"holds {found.length} characters, not {write.max_length}"
        yield Misfit("ADV-MAP-058", message, f"max_length: {found.length}", "max_length")


def _values(settled: WriteField, found: FieldSchema, currency: str) -> Iterator[Misfit]:
    if not found.restricted_picklist:
        return
    closed = MEASURES[settled.measure].values or ((currency,) if settled.measure == "currency" else ())
    written = {settled.values.get(value, value) for value in closed} | set(settled.values.values())
    missing = sorted(written - set(found.picklist_values))
    if missing:
        known = ", ".join(found.picklist_values[:20])
        message = f"is restricted and lacks the value {', '.join(map(repr, missing))}"
        yield Misfit("ADV-MAP-059", message, f"it has: {known}", "values")
