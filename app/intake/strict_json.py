"""JSON as we accept it from outside: exactly one meaning, and nothing a database would choke on.

Refused: NaN and Infinity, the same key twice, lone surrogates and NUL, numbers of absurd length, deep nesting.
Numbers with a point become `Decimal`, never float.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from decimal import Decimal
from typing import NoReturn

MAX_NUMBER_LENGTH = 100
MAX_DEPTH = 20
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")

JsonValue = None | bool | int | str | Decimal | list["JsonValue"] | dict[str, "JsonValue"]


def read_json(text: str) -> JsonValue:
    """Parse one JSON value. Raises ValueError with a reason fit for the sender."""
    try:
        value: JsonValue = json.loads(
            text,
            parse_float=_read_decimal,
            parse_int=_read_integer,
            parse_constant=_refuse_constant,
            object_pairs_hook=_read_object,
        )
    except json.JSONDecodeError as error:
        raise ValueError(f"not valid JSON: {error.msg} at line {error.lineno}, column {error.colno}") from None
    except RecursionError:
        raise ValueError("nested too deeply") from None
    check_storable(value)
    return value


def check_storable(value: JsonValue, depth: int = 0) -> None:
    """Raise ValueError for text that PostgreSQL or UTF-8 cannot hold, and for nesting beyond `MAX_DEPTH`."""
    if depth > MAX_DEPTH:
        raise ValueError("nested too deeply")
    if isinstance(value, str) and _UNSTORABLE.search(value):
        raise ValueError("text holds a NUL character or half of a surrogate pair")
    if isinstance(value, list):
        for item in value:
            check_storable(item, depth + 1)
    if isinstance(value, dict):
        for key, item in value.items():
            check_storable(key)
            check_storable(item, depth + 1)


def _read_integer(text: str) -> int:
    if len(text) > MAX_NUMBER_LENGTH:
        raise ValueError("a number is too long")
    return int(text)


def _read_decimal(text: str) -> Decimal:
    if len(text) > MAX_NUMBER_LENGTH:
        raise ValueError("a number is too long")
    return Decimal(text)


def _refuse_constant(text: str) -> NoReturn:
    raise ValueError(f"{text} is not a number")


def _read_object(pairs: Sequence[tuple[str, JsonValue]]) -> dict[str, JsonValue]:
    result = dict(pairs)
    if len(result) != len(pairs):
        seen: set[str] = set()
        # `add` returns None: it only remembers the key.
        twice = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
        raise ValueError(f"the key {twice[:50]!r} occurs twice")
    return result
