"""When to try again: one policy for every connector, and it looks at nothing but the class of the error.

Only a `TransientError` is repeated. Its `retry_after` is a floor under the wait; otherwise waits double from `first`
up to `cap`, with jitter so that workers do not return in step. Whether a call may be repeated at all (a read, an
update by id) is decided by whoever calls `run`.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from tenacity import RetryCallState, Retrying, retry_if_exception_type, stop_after_attempt, wait_random_exponential

from connectors.errors import TransientError

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    attempts: int = 5
    first: float = 0.5
    """Seconds; the first wait is somewhere between nothing and this."""
    cap: float = 30.0
    longest_asked: float = 300.0
    """A server that asks for more patience than this is not waited for: the error goes up with its `retry_after`."""
    sleep: Callable[[float], None] = time.sleep

    def run(self, call: Callable[[], T]) -> T:
        """The answer of `call`, repeated while it fails for a passing reason."""
        return Retrying(
            stop=lambda state: stop_after_attempt(self.attempts)(state) or self._asks_too_much(state),
            wait=self._wait,
            retry=retry_if_exception_type(TransientError),
            sleep=self.sleep,
            reraise=True,
        )(call)

    def _wait(self, state: RetryCallState) -> float:
        return max(wait_random_exponential(multiplier=self.first, max=self.cap)(state), _asked_wait(state))

    def _asks_too_much(self, state: RetryCallState) -> bool:
        return _asked_wait(state) > self.longest_asked


def _asked_wait(state: RetryCallState) -> float:
    error = state.outcome.exception() if state.outcome else None
    return (error.retry_after or 0.0) if isinstance(error, TransientError) else 0.0
