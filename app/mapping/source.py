"""YAML read with positions, under limits.

Built straight from parser events: nothing is constructed that the file could choose, and every key and value
remembers where it stands. Scalars follow the YAML 1.2 core rules minus their surprises: `no`, `010`, `1:30` and
`.nan` are text, numbers with a point are exact Decimals.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any, NoReturn

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.events import (
    AliasEvent,
    DocumentStartEvent,
    Event,
    MappingEndEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
)

from app.errors import MappingError, Problem

MAX_BYTES = 256 * 1024
MAX_DEPTH = 16
MAX_NODES = 20_000
MAX_ALIASES = 100

Step = str | int
Route = tuple[Step, ...]
"""The way from the top of the file to a value: keys and list positions."""

_INTEGER = re.compile(r"-?(0|[1-9][0-9]{0,17})")
_DECIMAL = re.compile(r"-?(0|[1-9][0-9]{0,17})\.[0-9]{1,18}")
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_UNWANTED = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\x80-\x9f\ud800-\udfff\ufeff\ufffe\uffff\u2028\u2029]")
_WORDS: Mapping[str, bool | None] = {
    "": None,
    "~": None,
    "null": None,
    "Null": None,
    "NULL": None,
    "true": True,
    "True": True,
    "TRUE": True,
    "false": False,
    "False": False,
    "FALSE": False,
}


@dataclass(frozen=True, slots=True)
class Spot:
    """Counted from 1; `width` in characters, within the first line."""

    line: int
    column: int
    width: int = 1


@dataclass(frozen=True, slots=True)
class Source:
    """One file: its data, and where each piece of it stands."""

    path: str
    lines: tuple[str, ...] = ()
    data: Any = None
    values: Mapping[Route, Spot] = field(default_factory=dict)
    keys: Mapping[Route, Spot] = field(default_factory=dict)

    def problem(self, code: str, message: str, spot: Spot | None, hint: str = "") -> Problem:
        if spot is None:
            return Problem(code, message, hint, self.path)
        line = self.lines[spot.line - 1] if spot.line <= len(self.lines) else ""
        return Problem(code, message, hint, self.path, spot.line, spot.column, line, max(1, spot.width))

    def value_spot(self, route: Route) -> Spot | None:
        """Where the value is, or the closest thing around it."""
        for length in range(len(route), 0, -1):
            if route[:length] in self.values:
                return self.values[route[:length]]
        return Spot(1, 1)

    def key_spot(self, route: Route) -> Spot | None:
        """Where the key (or the list entry) is, or the closest key around it."""
        for length in range(len(route), 0, -1):
            found = self.keys.get(route[:length]) or (self.values.get(route) if length == len(route) else None)
            if found:
                return found
        return Spot(1, 1)


def read_source(path: Path) -> Source:
    """The file's data and positions; MappingError with every duplicate key, or the first thing that is no YAML."""
    return parse_source(_read_text(path), str(path))


def parse_source(text: str, path: str) -> Source:
    """`read_source` for text that is already here."""
    text = text.removeprefix("\ufeff")
    lines = tuple(text.replace("\r\n", "\n").replace("\r", "\n").split("\n"))
    _check_text(text, path, lines)
    builder = _Builder(Source(path, lines))
    try:
        data = builder.build(YAML(typ="safe", pure=True).parse(text))
    except MarkedYAMLError as fault:
        raise MappingError([_syntax_problem(builder.source, fault)]) from None
    except (YAMLError, ValueError, OverflowError, AssertionError, NotImplementedError) as fault:
        reason = " ".join(str(fault).split())[:200]
        raise MappingError([Problem("ADV-MAP-004", f"not valid YAML: {reason}", path=path)]) from None
    if builder.problems:
        raise MappingError(builder.problems)
    return Source(path, lines, data, builder.values, builder.keys)


def _read_text(path: Path) -> str:
    try:
        with path.open("rb") as stream:
            raw = stream.read(MAX_BYTES + 1)
    except OSError as fault:
        reason = fault.strerror or type(fault).__name__
        raise MappingError([Problem("ADV-MAP-001", f"cannot read the mapping: {reason}", path=str(path))]) from None
    if len(raw) > MAX_BYTES:
        message = f"the file has more than {MAX_BYTES // 1024} kB"
        raise MappingError([Problem("ADV-MAP-002", message, path=str(path))])
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as fault:
        line = raw.count(b"\n", 0, fault.start) + 1
        column = fault.start - raw.rfind(b"\n", 0, fault.start)
        message = f"not UTF-8: byte 0x{raw[fault.start]:02x}"
        raise MappingError(
            [Problem("ADV-MAP-003", message, "save the file as UTF-8", str(path), line, column)]
        ) from None


def _check_text(text: str, path: str, lines: tuple[str, ...]) -> None:
    if len(text) > MAX_BYTES:
        raise MappingError([Problem("ADV-MAP-002", f"the file has more than {MAX_BYTES // 1024} kB", path=path)])
    for number, line in enumerate(lines, 1):
        found = _UNWANTED.search(line)
        if found:
            message = f"character U+{ord(found.group()):04X} is not allowed"
            spot = Spot(number, found.start() + 1)
            raise MappingError([Source(path, lines).problem("ADV-MAP-003", message, spot, "remove it")])


def _syntax_problem(source: Source, fault: MarkedYAMLError) -> Problem:
    mark = fault.problem_mark or fault.context_mark
    reason = " ".join(str(fault.problem or fault.context or "cannot be parsed").split())[:200]
    spot = Spot(mark.line + 1, mark.column + 1) if mark else None
    return source.problem("ADV-MAP-004", f"not valid YAML: {reason}", spot)


def read_scalar(text: str) -> str | int | bool | Decimal | date | None:
    """What an unquoted scalar means."""
    if text in _WORDS:
        return _WORDS[text]
    if _INTEGER.fullmatch(text):
        return int(text)
    if _DECIMAL.fullmatch(text):
        return Decimal(text)
    if _DAY.fullmatch(text):
        try:
            return date.fromisoformat(text)
        except ValueError:
            return text
    return text


class _Builder:
    """Turns events into data. One use."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.values: dict[Route, Spot] = {}
        self.keys: dict[Route, Spot] = {}
        self.problems: list[Problem] = []
        self._anchors: dict[str, tuple[Route, Any]] = {}
        self._nodes = 0
        self._aliases = 0

    def build(self, events: Iterator[Event]) -> Any:
        data: Any = None
        documents = 0
        for event in events:
            if isinstance(event, DocumentStartEvent):
                documents += 1
                if documents > 1:
                    self._refuse("ADV-MAP-007", "only one YAML document is allowed in the file", event)
                data = self._node(next(events), events, ())
        return data

    def _node(self, event: Any, events: Iterator[Event], route: Route) -> Any:
        self._count(event, route)
        if isinstance(event, AliasEvent):
            return self._alias(event, route)
        if event.tag not in (None, "!"):
            self._refuse("ADV-MAP-007", f"the tag {str(event.tag)[:60]} is not allowed", event)
        # An empty value stands nowhere: its key is what a person can find.
        nothing = isinstance(event, ScalarEvent) and event.start_mark.index == event.end_mark.index
        self.values[route] = self.keys.get(route, self._spot(event)) if nothing else self._spot(event)
        data = self._content(event, events, route)
        if event.anchor:
            self._anchors[event.anchor] = (route, data)
        return data

    def _content(self, event: Any, events: Iterator[Event], route: Route) -> Any:
        if isinstance(event, ScalarEvent):
            return read_scalar(event.value) if event.implicit[0] else event.value
        if isinstance(event, SequenceStartEvent):
            return self._sequence(events, route)
        return self._mapping(events, route)

    def _sequence(self, events: Iterator[Event], route: Route) -> list[Any]:
        items: list[Any] = []
        while not isinstance(event := next(events), SequenceEndEvent):
            items.append(self._node(event, events, (*route, len(items))))
        return items

    def _mapping(self, events: Iterator[Event], route: Route) -> dict[str, Any]:
        found: dict[str, Any] = {}
        while not isinstance(event := next(events), MappingEndEvent):
            key = self._key(event)
            here = (*route, key)
            if key in found:
                self._note_duplicate(key, here, event)
                # Its value still has to be read over; what it says no longer matters.
                here = (*route, key, "\0second")
                self._node(next(events), events, here)
                continue
            self.keys[here] = self._spot(event)
            found[key] = self._node(next(events), events, here)
        return found

    def _key(self, event: Event) -> str:
        if not isinstance(event, ScalarEvent) or event.tag not in (None, "!"):
            self._refuse("ADV-MAP-007", "a key must be plain text", event)
        if event.value == "<<":
            self._refuse("ADV-MAP-007", "merge keys (`<<`) are not allowed", event, "write the keys out")
        return str(event.value)

    def _note_duplicate(self, key: str, route: Route, event: Event) -> None:
        message = f"the key {key!r} stands twice; first on line {self.keys[route].line}"
        self.problems.append(self.source.problem("ADV-MAP-005", message, self._spot(event), "remove one of them"))

    def _alias(self, event: AliasEvent, route: Route) -> Any:
        self._aliases += 1
        if self._aliases > MAX_ALIASES:
            self._refuse("ADV-MAP-006", f"more than {MAX_ALIASES} aliases", event)
        if event.anchor not in self._anchors:
            self._refuse("ADV-MAP-007", f"the alias *{event.anchor} has no anchor before it", event)
        origin, data = self._anchors[event.anchor]
        for known in (self.values, self.keys):
            copies = {(*route, *place[len(origin) :]): spot for place, spot in known.items() if _within(place, origin)}
            self._nodes += len(copies)
            if self._nodes > MAX_NODES:
                self._refuse("ADV-MAP-006", "the aliases expand to too much", event)
            known.update(copies | ({route: self._spot(event)} if known is self.values else {}))
        return data

    def _count(self, event: Event, route: Route) -> None:
        self._nodes += 1
        if len(route) > MAX_DEPTH:
            self._refuse("ADV-MAP-006", f"nested more than {MAX_DEPTH} levels deep", event)
        if self._nodes > MAX_NODES:
            self._refuse("ADV-MAP-006", f"more than {MAX_NODES} values", event)

    def _spot(self, event: Event) -> Spot:
        start, end = event.start_mark, event.end_mark
        line = self.source.lines[start.line] if start.line < len(self.source.lines) else ""
        stop = end.column if end.line == start.line else len(line)
        return Spot(start.line + 1, start.column + 1, max(1, stop - start.column))

    def _refuse(self, code: str, message: str, event: Event, hint: str = "") -> NoReturn:
        raise MappingError([*self.problems, self.source.problem(code, message, self._spot(event), hint)])


def _within(place: Route, origin: Route) -> bool:
    return len(place) > len(origin) and place[: len(origin)] == origin
