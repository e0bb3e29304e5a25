"""Trouble on demand: each fault waits for requests of one kind and strikes a number of times.

Kinds of request are the names in `routes.py` (`query`, `bulk_query.results` ...); `*` is any of them.
Kinds of fault:

error      answer `code`, `message`, `status` as a list body
html       answer `status` with an HTML page and no JSON
expired    401 INVALID_SESSION_ID, and the token is dead until a new one is asked for
html_401   401 with a page instead of JSON
reset      drop the connection; `after_work` True: the request was carried out, its answer is lost
cut        drop the connection in the middle of the answer, after `keep` bytes (default half)
truncate   answer 200 with the last lines of the body missing (`rows` of them, default 1)
repeat     page N+1 of a query repeats the last `rows` rows of page N
lose       leave the last `rows` rows out of a page although they were announced
delay      wait `seconds` first
job_fails  the job ends as Failed with `message`
lock       refuse a written row with UNABLE_TO_LOCK_ROW because its parent is held by somebody else: for the parents
           in `ids` (empty: any), and once `rows` children (default 0) were written under it in the same transaction
row        refuse a written row with `code` and `message`, if it is in `ids` (empty: any row); `times` counts rows
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from typing import Any

KINDS = frozenset(
    {
        "error",
        "html",
        "expired",
        "html_401",
        "reset",
        "cut",
        "truncate",
        "repeat",
        "lose",
        "delay",
        "job_fails",
        "lock",
        "row",
    }
)


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _is_count_or_none(value: Any) -> bool:
    return value is None or _is_count(value)


_FITTING: dict[str, Callable[[Any], bool]] = {
    "on": _is_text,
    "times": _is_count_or_none,
    "skip": _is_count,
    "contains": _is_text,
    "code": _is_text,
    "message": _is_text,
    "status": lambda value: _is_count(value) and 200 <= value <= 599,
    "seconds": lambda value: isinstance(value, (int, float)) and 0 <= value < threading.TIMEOUT_MAX,
    "rows": _is_count_or_none,
    "keep": _is_count_or_none,
    "ids": lambda value: isinstance(value, Collection) and not _is_text(value) and all(map(_is_text, value)),
    "after_work": lambda value: isinstance(value, bool),
}
"""What a fault may hold, which comes over the wire: what does not fit would crash the request it strikes."""


@dataclass(slots=True)
class Fault:
    """`skip`: let that many matching requests pass first. `times` None: for ever."""

    kind: str
    on: str = "*"
    times: int | None = 1
    skip: int = 0
    contains: str = ""
    """Only requests whose address contains this text."""
    code: str = "UNKNOWN_EXCEPTION"
    message: str = "An unexpected error occurred."
    status: int = 500
    seconds: float = 0.0
    rows: int | None = None
    keep: int | None = None
    ids: Collection[str] = ()
    after_work: bool = False
    struck: int = field(default=0, compare=False)

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"unknown fault {self.kind!r}; one of {', '.join(sorted(KINDS))}")
        for name, fits in _FITTING.items():
            if not fits(getattr(self, name)):
                raise ValueError(f"a fault cannot have {name} = {getattr(self, name)!r}")


@dataclass(slots=True)
class Faults:
    """The faults that are waiting. `inject` one, `clear` them all; `struck` tells how often any did."""

    waiting: list[Fault] = field(default_factory=list)
    struck: int = 0

    def inject(self, kind: str, on: str = "*", **details: Any) -> Fault:
        fault = Fault(kind, on, **details)
        self.waiting.append(fault)
        return fault

    def clear(self) -> None:
        self.waiting.clear()

    def strike(self, on: str, address: str, *kinds: str) -> Fault | None:
        """The first waiting fault of one of these kinds that this request meets, used up by one."""
        for fault in self.waiting:
            if fault.kind in kinds and fault.on in {"*", on} and fault.contains in address:
                if fault.skip > 0:
                    fault.skip -= 1
                    continue
                self._use(fault)
                return fault
        return None

    def strike_row(self, on: str, record_id: str) -> Fault | None:
        """The first waiting `row` fault that this row of a write meets, used up by one."""
        for fault in self.waiting:
            if fault.kind == "row" and fault.on in {"*", on} and (not fault.ids or record_id in fault.ids):
                self._use(fault)
                return fault
        return None

    def strike_lock(self, on: str, parent: str, siblings: int) -> Fault | None:
        """The first waiting `lock` fault on this parent, after `siblings` of the row have been written with it."""
        for fault in self.waiting:
            meant = fault.kind == "lock" and fault.on in {"*", on} and (not fault.ids or parent in fault.ids)
            if meant and siblings >= (fault.rows or 0):
                self._use(fault)
                return fault
        return None

    def _use(self, fault: Fault) -> None:
        self.struck += 1
        fault.struck += 1
        if fault.times is not None:
            fault.times -= 1
            if fault.times <= 0:
                self.waiting.remove(fault)
