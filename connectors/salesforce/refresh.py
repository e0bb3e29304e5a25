"""The refresh token of a connected org, where the app issues a new one with every login and voids the one before.

A token that came from a file is kept in that file: the newest one must survive the process. The file is read again
before every login, because another process may have logged in meanwhile. It is replaced as a whole, readable by its
owner alone; where that cannot be done, a warning says so at once, while the old session still lasts.
"""

from __future__ import annotations

import logging
import os
import tempfile
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

_WAY_OUT = (
    "The stored token is void now: after the next start the login will fail. Give the token in a file that this "
    "service may replace (ADVOCACY_SALESFORCE_REFRESH_TOKEN_FILE), or switch refresh token rotation off in the app, "
    "or log in with JWT bearer; then connect the org again."
)


@dataclass(slots=True)
class RefreshToken:
    """`unkept`: why the newest token is nowhere but in this process; empty while it is where it came from."""

    value: str = field(repr=False)
    path: Path | None = None
    unkept: str = ""
    _void: str = field(default="", repr=False)
    """What the file holds although it is void."""

    def current(self) -> str:
        """The newest token: what the file holds, unless that is known to be void."""
        stored = _read(self.path)
        if stored and stored != self._void:
            self.value, self.unkept = stored, ""
        return self.value

    def keep(self, issued: str) -> None:
        """Take the token that a login answered with, and put it where the old one came from."""
        if not issued or issued == self.value:
            return
        self.value, self._void = issued, _read(self.path)
        try:
            if self.path is None:
                raise OSError("it did not come from a file")
            _replace(self.path, issued)
        except OSError as error:
            self.unkept = (
                f"Salesforce issued a new refresh token, and it cannot be stored: {_reason(error)}. {_WAY_OUT}"
            )
            logging.getLogger(__name__).warning("%s", self.unkept)
        else:
            self.unkept = ""


def _read(path: Path | None) -> str:
    try:
        return "" if path is None else path.read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError):
        return ""


def _reason(error: OSError) -> str:
    return error.strerror or str(error)


def _replace(path: Path, text: str) -> None:
    """The file with another content: either the old one or the new one, whenever the machine stops."""
    target = path.resolve()  # a link stays one
    handle, name = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)  # mkstemp makes it 0600
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as stream:
            stream.write(text + "\n")
            stream.flush()
            os.fsync(stream.fileno())
        Path(name).replace(target)
    except BaseException:
        with suppress(OSError):
            Path(name).unlink()
        raise
