"""Amounts: exact, one text per value whichever way the CRM wrote it, and within what the tables hold."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Any

from app.domain.rows import RowIssue
from app.mapping.columns import Column, Texts, all_match
from app.mapping.memo import Notes, quoted
from app.mapping.transforms import BadValueError, plain, read_number
from connectors.contract import RawValue

AMOUNT_LIMIT = Decimal(10) ** 15
AMOUNT_DECIMALS = 18
_TIDY_AMOUNTS = re.compile(r"(?:(?:0|[1-9][0-9]{0,14})(?:\.[0-9]{1,12})?,)*", re.ASCII)
_SAFE_AMOUNTS = re.compile(r"(?:-?[0-9]{1,15}(?:\.[0-9]{1,12})?(?:E[0-9]{1,2})?,)*", re.ASCII)


def amount_column(attribute: str) -> Column:
    """Canonical texts; None where there is no amount, or a bad one."""
    return lambda texts, notes: _read_amounts(texts, notes, attribute)


def _read_amounts(texts: Texts, notes: Notes, attribute: str) -> list[Any]:
    if all_match(_TIDY_AMOUNTS, texts):
        return [text if text is None or text[-1] != "0" else _without_zeros(text) for text in texts]
    if all_match(_SAFE_AMOUNTS, texts):
        numbers = [None if text is None else Decimal(text) for text in texts]
        there = [number for number in numbers if number is not None]
        if min(there) > -AMOUNT_LIMIT and max(there) < AMOUNT_LIMIT:
            return [number if number is None else plain(number) for number in numbers]
    return [_read_amount(text, row, notes, attribute) for row, text in enumerate(texts)]


def _without_zeros(text: str) -> str:
    """The same amount must give the same text, whichever of its APIs the CRM was asked through."""
    return text.rstrip("0").rstrip(".") if "." in text else text


def _read_amount(text: RawValue, row: int, notes: Notes, attribute: str) -> str | None:
    if not text or text.isspace():
        return None
    try:
        number = read_number(text)
        canonical = plain(number)
        if not -AMOUNT_LIMIT < number < AMOUNT_LIMIT or len(canonical.partition(".")[2]) > AMOUNT_DECIMALS:
            raise BadValueError(RowIssue.BAD_AMOUNT, "too large, or too many decimals")
    except BadValueError as bad:
        notes.add(row, RowIssue.BAD_AMOUNT, attribute, f"{quoted(text)}: {bad.message}")
        return None
    return canonical
