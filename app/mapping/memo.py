"""Values that repeat are worked out once: a bounded memory in front of a pure function of one text."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from app.domain.rows import RowIssue
from app.mapping.transforms import BadValueError
from connectors.contract import RawValue

LIMIT = 20_000
"""Entries before a memory starts over: at most some MB."""


class _Bad:
    """Stands for a value that cannot be used; why is found out again when it is reported."""

    __slots__ = ()


BAD = _Bad()


class Memo(dict[RawValue, Any]):
    """`memo[text]` is `read(text)`, or BAD where `read` raises BadValueError; `met_bad`: whether it ever did."""

    def __init__(self, read: Callable[[RawValue], Any]) -> None:
        super().__init__()
        self.read = read
        self.met_bad = False

    def __missing__(self, text: RawValue) -> Any:
        if len(self) >= LIMIT:
            self.clear()
        try:
            value = self.read(text)
        except BadValueError:
            value, self.met_bad = BAD, True
        self[text] = value
        return value


class RowMemo(dict[tuple[RawValue, ...], Any]):
    """The same for a function of several texts that cannot fail."""

    def __init__(self, read: Callable[[tuple[RawValue, ...]], Any]) -> None:
        super().__init__()
        self.read = read

    def __missing__(self, texts: tuple[RawValue, ...]) -> Any:
        if len(self) >= LIMIT:
            self.clear()
        value = self[texts] = self.read(texts)
        return value


@dataclass(slots=True)
class Notes:
    """What was wrong on one page: (row number, issue, attribute, message)."""

    found: list[tuple[int, RowIssue, str, str]] = field(default_factory=list)

    def add(self, row: int, issue: RowIssue, attribute: str, message: str) -> None:
        self.found.append((row, issue, attribute, message))

    def __iter__(self) -> Iterator[tuple[int, RowIssue, str, str]]:
        return iter(self.found)


def read_all(memo: Memo, texts: Sequence[RawValue], notes: Notes, attribute: str) -> list[Any]:
    """A whole column; bad values become None and are noted."""
    values = list(map(memo.__getitem__, texts))
    if memo.met_bad and BAD in values:
        for row, value in enumerate(values):
            if value is BAD:
                values[row] = None
                note_bad(memo.read, texts[row], row, notes, attribute)
    return values


def note_bad(read: Callable[[RawValue], Any], text: RawValue, row: int, notes: Notes, attribute: str) -> None:
    """Note why `read` refuses a text."""
    try:
        read(text)
    except BadValueError as bad:
        notes.add(row, bad.issue, attribute, f"{quoted(text)}: {bad.message}")


def quoted(text: RawValue) -> str:
    """A value of the CRM for a message: short, and harmless for a log."""
    return "nothing" if text is None else ascii(text if len(text) <= 40 else text[:40] + "...")
