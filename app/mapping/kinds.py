"""An attribute and the CRM field it is read from: can values of that field be what the attribute needs?"""

from __future__ import annotations

from collections.abc import Mapping

from app.mapping.attributes import Kind
from connectors.contract import FieldType

_NUMBERS = frozenset({FieldType.CURRENCY, FieldType.NUMBER, FieldType.INTEGER, FieldType.PERCENT})
_DAYS = frozenset({FieldType.DATE, FieldType.DATETIME})
_KEYS = frozenset({FieldType.ID, FieldType.REFERENCE})
_FLAGS = frozenset({FieldType.BOOLEAN})
_FREE = frozenset({FieldType.TEXT, FieldType.LONG_TEXT, FieldType.PICKLIST})
"""May hold anything as text: an amount, a date or an id that somebody imported."""

_NEEDED: Mapping[Kind, tuple[frozenset[FieldType], str]] = {
    Kind.AMOUNT: (_NUMBERS, "an amount"),
    Kind.RATE: (_NUMBERS, "a rate"),
    Kind.PLACES: (_NUMBERS, "a number"),
    Kind.COUNT: (_NUMBERS, "a number"),
    Kind.PERCENT: (_NUMBERS, "a percentage"),
    Kind.DAY: (_DAYS, "a date"),
    Kind.INSTANT: (_DAYS, "a moment"),
    Kind.KEY: (_KEYS, "an id"),
    Kind.REFERENCE: (_KEYS, "the id of a record"),
    Kind.FLAG: (_FLAGS, "yes or no"),
}
"""Kinds that not every field can hold: the types that can, and what is needed in words."""


def needs(kind: Kind) -> str:
    """What an attribute of this kind needs, in words."""
    return _NEEDED[kind][1]


def is_surely(kind: Kind, found: FieldType) -> bool:
    """Whether every value of such a field is what the attribute needs, as far as its type tells."""
    return kind not in _NEEDED or found in _NEEDED[kind][0] or found in (FieldType.OTHER, FieldType.COMPOUND)


def is_perhaps(kind: Kind, found: FieldType) -> bool:
    """Whether some value of such a field might be; numbers may stand for yes and no."""
    return found in _FREE or (kind is Kind.FLAG and found in (FieldType.INTEGER, FieldType.NUMBER))
