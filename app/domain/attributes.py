"""The typed attributes of an advocacy event, read strictly: one message names everything that is wrong.

A reader asks for what it knows, one attribute after the other, demands what must hold between them, and closes with
`check`. What it never asked for must start with `x_`. What it asks for and demands is also what documents say of its
type: `describe` lets it ask, and writes that down.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

CUSTOM_PREFIX = "x_"
WHOLE_NUMBER = "whole number"
MAX_TEXT = 4000
"""The longest text an attribute may hold."""
MAX_EXPONENT = 50
"""How large or small a number may be, in powers of ten: 1e-999999 is short to write and long to count with."""
MAX_WORDS = 200
"""The most entries a list may hold."""
_NUMBER = re.compile(r"[+-]?(\d{1,100}(\.\d{0,100})?|\.\d{1,100})([eE][+-]?\d{1,3})?", re.ASCII)


@dataclass(frozen=True, slots=True)
class Attribute:
    """What a reader asks for. `values`: the codes it takes, or the least and the most; empty where any will do.

    `takes_own`: any word that starts with `x_` too.
    """

    name: str
    kind: str
    values: tuple[str, ...] = ()
    is_required: bool = False
    takes_own: bool = False

    @property
    def takes(self) -> str:
        """For people: `list of codes: basic, logo`, `whole number from 0 to 4`, `date`."""
        if self.kind == WHOLE_NUMBER:
            return f"{self.kind} from {self.values[0]} to {self.values[1]}"
        words = (*self.values, f"or one of your own with {CUSTOM_PREFIX}") if self.takes_own else self.values
        return f"{self.kind}: {', '.join(words)}" if words else self.kind


@dataclass(frozen=True, slots=True)
class Description:
    """What a reader asks for, and what it demands beside: sentences for people."""

    attributes: tuple[Attribute, ...]
    rules: tuple[str, ...]


class Questions(Mapping[str, object]):
    """Attributes of which none is given, and which keep what they are asked for, by name in order."""

    def __init__(self) -> None:
        self.asked: dict[str, Attribute] = {}
        self.rules: list[str] = []

    def __getitem__(self, name: str) -> object:
        raise KeyError(name)

    def __iter__(self) -> Iterator[str]:
        return iter(())

    def __len__(self) -> int:
        return 0


def describe(read: Callable[[Mapping[str, object]], object]) -> Description:
    """What a reader takes, found out by letting it read."""
    questions = Questions()
    # Nothing was given, so whatever is required is missing; it was asked for all the same.
    with suppress(ValueError):
        read(questions)
    return Description(tuple(questions.asked.values()), tuple(questions.rules))


class AttributeReader:
    """Collects problems instead of raising, so that whoever records something hears of all of them at once.

    An attribute that is absent or null reads as None (a list: empty).
    """

    def __init__(self, attributes: Mapping[str, object]) -> None:
        self._attributes = attributes
        self._asked: set[str] = set()
        self._problems: list[str] = []

    def text(self, name: str, *, known: Collection[str] = (), is_required: bool = False) -> str | None:
        """A text. `known`: the words that the caller takes beside one's own, for whoever asks what it takes."""
        value = self._value(name, "word" if known else "text", known, is_required=is_required, takes_own=bool(known))
        if value is None:
            return None
        if not isinstance(value, str) or not value.strip() or len(value) > MAX_TEXT:
            self.refuse(f"`{name}` is a text of 1 to {MAX_TEXT} characters")
            return None
        return value.strip()

    def choice(self, name: str, allowed: Collection[str], *, is_required: bool = False) -> str | None:
        """One of some codes."""
        value = self._value(name, "code", allowed, is_required=is_required)
        if value is None:
            return None
        if value not in allowed:
            self.refuse(f"`{name}` is one of {', '.join(allowed)}{_hint(value, allowed)}")
            return None
        return str(value)

    def words(self, name: str, *, known: Collection[str] = (), is_required: bool = False) -> tuple[str, ...]:
        """A list of texts, or one text; each only once, in the order given. `known`: as for `text`."""
        kind = "list of words" if known else "list of texts"
        value = self._value(name, kind, known, is_required=is_required, takes_own=bool(known))
        if value is None:
            return ()
        entries = [value] if isinstance(value, str) else value
        if not isinstance(entries, list | tuple) or len(entries) > MAX_WORDS:
            self.refuse(f"`{name}` is a list of at most {MAX_WORDS} texts")
            return ()
        if any(not isinstance(entry, str) or not entry.strip() or len(entry) > MAX_TEXT for entry in entries):
            self.refuse(f"every entry of `{name}` is a text of 1 to {MAX_TEXT} characters")
            return ()
        return tuple(dict.fromkeys(str(entry).strip() for entry in entries))

    def choices(self, name: str, allowed: Collection[str], *, is_required: bool = False) -> tuple[str, ...]:
        """A list of codes, or one code; each only once, in the order of `allowed`."""
        words = self.words(name, is_required=is_required)
        self._note(Attribute(str(name), "list of codes", tuple(map(str, allowed)), is_required))
        for word in words:
            if word not in allowed:
                self.refuse(f"`{name}` knows no {word!r}: it takes {', '.join(allowed)}{_hint(word, allowed)}")
        return tuple(code for code in allowed if code in words)

    def whole(self, name: str, low: int, high: int, *, is_required: bool = False) -> int | None:
        """A whole number from `low` to `high`, however it is written: 3, 3.0 or "3"."""
        value = self._value(name, WHOLE_NUMBER, (str(low), str(high)), is_required=is_required)
        if value is None:
            return None
        number = _exact(value)
        if number is None or number != number.to_integral_value() or not low <= number <= high:
            self.refuse(f"`{name}` is a whole number from {low} to {high}")
            return None
        return int(number)

    def flag(self, name: str, *, is_required: bool = False) -> bool | None:
        value = self._value(name, "true or false", is_required=is_required)
        if value is not None and not isinstance(value, bool):
            self.refuse(f"`{name}` is true or false")
            return None
        return value

    def day(self, name: str, *, is_required: bool = False) -> date | None:
        value = self._value(name, "date", is_required=is_required)
        if value is None:
            return None
        try:
            day = date.fromisoformat(value) if isinstance(value, str) else None
        except ValueError:
            day = None
        # Python also reads 20260131 and week dates: one way to write a day is enough.
        if day is None or day.isoformat() != value:
            self.refuse(f"`{name}` is a date such as 2026-01-31")
            return None
        return day

    def number(self, name: str, *, is_required: bool = False) -> Decimal | None:
        """An exact number, however it is written: 12, 12.5 or "12.5"."""
        value = self._value(name, "number", is_required=is_required)
        number = _exact(value) if value is not None else None
        if value is not None and number is None:
            self.refuse(f"`{name}` is a number such as 12.5, with a point and without separators")
        return number

    def demand(self, rule: str, problem: str = "") -> None:
        """What must hold between attributes, as a sentence. `problem`: why it does not hold here, and what to do."""
        if isinstance(self._attributes, Questions):
            self._attributes.rules.append(rule)
        if problem:
            self.refuse(problem)

    def refuse(self, problem: str) -> None:
        """Adds what is wrong."""
        self._problems.append(problem)

    def has(self, name: str) -> bool:
        """Whether the attribute was given at all, null included."""
        self._asked.add(name)
        return name in self._attributes or isinstance(self._attributes, Questions)

    def check(self) -> None:
        """Raises ValueError with every problem, attributes that nobody asked for included; or returns nothing."""
        for name in sorted(set(self._attributes) - self._asked):
            if not name.startswith(CUSTOM_PREFIX):
                own = f"start a name of your own with {CUSTOM_PREFIX}"
                self.refuse(f"`{name}` is no attribute of this type{_hint(name, self._asked)}; {own}")
        if self._problems:
            raise ValueError("; ".join(self._problems))

    def _value(
        self, name: str, kind: str, values: Collection[str] = (), *, is_required: bool, takes_own: bool = False
    ) -> object:
        self._asked.add(name)
        self._note(Attribute(str(name), kind, tuple(map(str, values)), is_required, takes_own))
        value = self._attributes.get(name)
        if value is None and is_required:
            self.refuse(f"`{name}` is missing")
        return value

    def _note(self, attribute: Attribute) -> None:
        if isinstance(self._attributes, Questions):
            self._attributes.asked[attribute.name] = attribute


def _exact(value: object) -> Decimal | None:
    """A number as it was written; None for anything else, and for what is too large or too small to count with."""
    if isinstance(value, bool) or not isinstance(value, str | int | float | Decimal):
        return None
    # A float was written as the shortest text that reads as that float: the door keeps all others as text.
    text = repr(value) if isinstance(value, float) else str(value).strip()
    number = Decimal(text) if len(text) <= MAX_TEXT and _NUMBER.fullmatch(text) else None
    return number if number is not None and -MAX_EXPONENT <= number.adjusted() <= MAX_EXPONENT else None


def _hint(word: object, known: Collection[str]) -> str:
    close = difflib.get_close_matches(str(word), sorted(known), n=1)
    return f". Did you mean {close[0]}?" if close else ""
