"""Every way the application fails, by what the caller should do next. Each class is one exit code.

AppError                  1   failed; safe to run again
├── ConfigError           2   fix a setting or an argument
│   └── MappingError      2   fix the mapping file; carries every problem with its position
├── HeldError             4   a safety limit stopped the run before it sent anything: look, then approve
├── UnreachableCrmError   5   cannot reach or log in to the CRM
└── LeaseHeldError        6   another run is inside

A record that the CRM refused is not an error: it is an outcome in the run's report (exit code 3).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong in a file or a setting: a stable code, where, why, and what to do."""

    code: str
    message: str
    hint: str = ""
    path: str = ""
    line: int = 0
    column: int = 0
    source: str = ""
    """The text of the line, for the caret."""
    width: int = 1


class AppError(Exception):
    exit_code = 1

    def __init__(self, message: str, *, code: str = "", hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.code = code
        self.hint = hint


class ConfigError(AppError):
    exit_code = 2


class MappingError(ConfigError):
    def __init__(self, problems: Sequence[Problem]) -> None:
        count = len(problems)
        super().__init__(f"{count} problem{'s' if count != 1 else ''} in the mapping")
        self.problems = tuple(problems)


class HeldError(AppError):
    exit_code = 4


class UnreachableCrmError(AppError):
    exit_code = 5


class LeaseHeldError(AppError):
    exit_code = 6
