"""How often a client may present a wrong API key: per address, in this process, in bounded memory.

No key of 256 random bits can be guessed; what is limited is the work and the noise that trying makes. A key that has
passed before is never kept waiting, because behind a proxy all clients share one address.
"""

from __future__ import annotations

import math
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from threading import Lock
from typing import TypeVar

from app.store.keys import digest_key

_Kept = TypeVar("_Kept")


@dataclass(slots=True)
class Guesses:
    """`limit` wrong keys in `seconds` from one address; the next one is not looked at before they are over."""

    limit: int = 20
    seconds: float = 60.0
    kept: int = 10_000
    """Addresses, and passed keys, that are remembered; the ones least recently seen are forgotten first."""
    clock: Callable[[], float] = time.monotonic
    _missed: OrderedDict[str, tuple[int, float]] = field(default_factory=OrderedDict)
    _passed: OrderedDict[str, None] = field(default_factory=OrderedDict)
    _lock: Lock = field(default_factory=Lock)

    def wait(self, address: str, secret: str) -> int:
        """Whole seconds until this key from this address may be looked up; 0 for now."""
        with self._lock:
            count, since = self._missed.get(address, (0, 0.0))
            left = since + self.seconds - self.clock()
            if count < self.limit or left <= 0 or digest_key(secret) in self._passed:
                return 0
            return max(1, math.ceil(left))

    def note(self, address: str, secret: str, *, passed: bool) -> None:
        """Remember how a look-up ended."""
        with self._lock:
            if passed:
                self._remember(self._passed, digest_key(secret), None)
                return
            count, since = self._missed.get(address, (0, 0.0))
            now = self.clock()
            fresh = count == 0 or since + self.seconds <= now
            self._remember(self._missed, address, (1, now) if fresh else (count + 1, since))

    def _remember(self, store: OrderedDict[str, _Kept], key: str, value: _Kept) -> None:
        store[key] = value
        store.move_to_end(key)
        while len(store) > self.kept:
            store.popitem(last=False)
