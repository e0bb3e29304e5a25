"""One column at a time: from the CRM's texts to typed values, per kind of attribute.

Clean pages take the fast way (a look at the whole column at once); only values that fail are looked at one by one.
Nothing raises: a bad value is noted and left out.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from datetime import date
from typing import Any

from app.domain.model import OpportunityType
from app.domain.rows import RowIssue
from app.mapping.memo import Memo, Notes, read_all
from app.mapping.transforms import BadValueError, domain, plain, read_number
from connectors.contract import RawValue

Texts = Sequence[RawValue]
Column = Callable[[Texts, Notes], list[Any]]

NO_CURRENCY = "XXX"
"""ISO 4217 for no currency: an unreadable code becomes this, so that its amount never passes for reporting currency."""

_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")
_CODE = re.compile(r"[A-Z]{3}", re.ASCII)
_FLAGS = {"true": 1, "1": 1, "yes": 1, "y": 1, "t": 1, "false": 0, "0": 0, "no": 0, "n": 0, "f": 0}
_TYPES = frozenset(one.value for one in OpportunityType)


def clean(text: str) -> str:
    """Without what no database stores: NUL and lone surrogates."""
    return _UNSTORABLE.sub("", text)


def is_storable(texts: Texts) -> bool:
    """Whether no text of a column has anything in it that no database stores."""
    whole = "".join(filter(None, texts))
    try:
        whole.encode()
    except UnicodeEncodeError:
        return False
    return "\0" not in whole


def all_match(pattern: re.Pattern[str], texts: Texts) -> bool:
    """Whether every text of a column matches, at the price of one match; None does. `pattern` is like `(?:…,)*`."""
    there = [text for text in texts if text is not None]
    whole = ",".join(there) + "," if there else ""
    return pattern.fullmatch(whole) is not None and whole.count(",") == len(there)


def text_column(attribute: str) -> Column:
    """Free text; None for the empty text."""

    def read(texts: Texts, notes: Notes) -> list[Any]:
        if is_storable(texts):
            return list(texts) if "" not in texts else [text or None for text in texts]
        return [_cleaned(text, row, notes, attribute) or None for row, text in enumerate(texts)]

    return read


def _cleaned(text: RawValue, row: int, notes: Notes, attribute: str) -> RawValue:
    if text is None or not _UNSTORABLE.search(text):
        return text
    notes.add(row, RowIssue.TEXT_CLEANED, attribute, "a NUL or a broken character was removed")
    return clean(text)


def memo_column(attribute: str, read: Callable[[RawValue], Any]) -> Column:
    memo = Memo(read)
    return lambda texts, notes: read_all(memo, texts, notes, attribute)


def key_column(attribute: str, normalise_id: Callable[[str], str]) -> Column:
    """Ids of the records themselves: all different, so nothing is remembered. None: the row cannot be keyed."""

    def read_one(text: RawValue, row: int, notes: Notes) -> str | None:
        try:
            if text and not _UNSTORABLE.search(text):
                return normalise_id(text)
            reason = "the id has a broken character in it" if text else "the id is empty"
        except ValueError as bad:
            reason = str(bad)
        notes.add(row, RowIssue.BAD_ID, attribute, reason)
        return None

    def read(texts: Texts, notes: Notes) -> list[Any]:
        if None not in texts and is_storable(texts):
            try:
                return list(map(normalise_id, texts))  # type: ignore[arg-type]  # no None in it, see above
            except ValueError:
                pass
        return [read_one(text, row, notes) for row, text in enumerate(texts)]

    return read


def reference(normalise_id: Callable[[str], str]) -> Callable[[RawValue], RawValue]:
    def read(text: RawValue) -> RawValue:
        if not text or text.isspace():
            return None
        if _UNSTORABLE.search(text):
            raise BadValueError(RowIssue.BAD_REFERENCE, "it has a broken character in it")
        try:
            return normalise_id(text)
        except ValueError as bad:
            raise BadValueError(RowIssue.BAD_REFERENCE, str(bad)) from None

    return read


def reference_column(attribute: str, normalise_id: Callable[[str], str]) -> Column:
    """Ids of other records. As many as there are of those, so that remembering them would cost more than it saves."""
    read_one = reference(normalise_id)

    def read(texts: Texts, notes: Notes) -> list[Any]:
        if is_storable(texts):
            try:
                return [None if text is None else normalise_id(text) for text in texts]
            except ValueError:
                pass
        return read_all(Memo(read_one), texts, notes, attribute)

    return read


def keys_column(attribute: str, normalise_id: Callable[[str], str], separator: str) -> Column:
    """Several ids in one text; each row gives a tuple of the good ones, in order, each once."""
    memo = Memo(reference(normalise_id))

    def read(texts: Texts, notes: Notes) -> list[Any]:
        rows: list[tuple[str, ...]] = []
        for row, text in enumerate(texts):
            parts = [part.strip() for part in text.split(separator)] if text else []
            one = Notes()
            ids = read_all(memo, parts, one, attribute)
            for _, issue, _, message in one:
                notes.add(row, issue, attribute, message)
            rows.append(tuple(dict.fromkeys(found for found in ids if found)))
        return rows

    return read


def read_flag(text: RawValue) -> int:
    """An empty flag is no flag."""
    if not text or text.isspace():
        return 0
    try:
        return _FLAGS[text.strip().lower()]
    except KeyError:
        raise BadValueError(RowIssue.BAD_FLAG, "neither true nor false") from None


def flag_column(attribute: str) -> Column:
    memo = Memo(read_flag)

    def read(texts: Texts, notes: Notes) -> list[Any]:
        flags = read_all(memo, texts, notes, attribute)
        return [flag or 0 for flag in flags] if memo.met_bad else flags

    return read


def read_currency(text: RawValue) -> str | None:
    code = text.strip().upper() if text else ""
    if not code:
        return None
    if not _CODE.fullmatch(code):
        raise BadValueError(RowIssue.BAD_CURRENCY, "not a currency code")
    return code


def currency_column(attribute: str) -> Column:
    """ISO codes; None where the record has none, NO_CURRENCY where it cannot be read."""
    memo = Memo(read_currency)

    def read(texts: Texts, notes: Notes) -> list[Any]:
        before = len(notes.found)
        codes = read_all(memo, texts, notes, attribute)
        for row, *_ in notes.found[before:]:
            codes[row] = NO_CURRENCY
        return codes

    return read


def read_day(text: RawValue) -> str | None:
    """A business date as it is written; a time of day behind it is cut off, never converted."""
    word = text.strip() if text else ""
    if not word:
        return None
    if len(word) > 10 and word[10] not in "T ":
        raise BadValueError(RowIssue.BAD_DATE, "not a date")
    return iso_day(word[:10])


def iso_day(word: str) -> str:
    """`2025-01-31` as it is; BadValueError for everything else."""
    try:
        if len(word) == 10 and word[4] == word[7] == "-" and word.isascii():
            return date.fromisoformat(word).isoformat()
    except ValueError:
        pass
    raise BadValueError(RowIssue.BAD_DATE, "not a date")


def read_type(text: RawValue) -> str:
    return text if text in _TYPES else OpportunityType.UNKNOWN.value


def read_probability(text: RawValue) -> int | None:
    """Percent (0 to 100) in millionths."""
    if not text or text.isspace():
        return None
    number = read_number(text)
    if not 0 <= number <= 100:
        raise BadValueError(RowIssue.BAD_NUMBER, "a probability is from 0 to 100")
    return int((number * 10_000).to_integral_value())


def read_rate(text: RawValue) -> str | None:
    if not text or text.isspace():
        return None
    number = read_number(text)
    if number <= 0:
        raise BadValueError(RowIssue.BAD_NUMBER, "a rate must be greater than zero")
    return plain(number)


def read_places(text: RawValue) -> int | None:
    if not text or text.isspace():
        return None
    number = read_number(text)
    if number not in range(7):
        raise BadValueError(RowIssue.BAD_NUMBER, "decimals of a currency are 0 to 6")
    return int(number)


def read_count(text: RawValue) -> int | None:
    """A whole number of things or months; a fraction is cut off."""
    if not text or text.isspace():
        return None
    number = read_number(text)
    if not 0 <= number < 10**9:
        raise BadValueError(RowIssue.BAD_NUMBER, "a number from 0 to 999,999,999 is needed")
    return int(number)


def read_domain(text: RawValue) -> str | None:
    return domain(clean(text)) if text else None
