"""Record ids of a folder: any text that a database and a log can hold, blanks around it left out."""

from __future__ import annotations

import re

MAX_LENGTH = 255
_HIDDEN = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff\u2028\u2029]")


def normalise_id(text: str) -> str:
    """The one form of an id; ValueError with the reason for what cannot be one."""
    found = text.strip()
    if not found:
        raise ValueError("the id is empty")
    if len(found) > MAX_LENGTH:
        raise ValueError(f"the id has {len(found)} characters; at most {MAX_LENGTH} are allowed")
    if _HIDDEN.search(found):
        raise ValueError("the id has a control character in it")
    return found
