"""Salesforce record ids: 15 case-sensitive characters, or 18 with a checksum over the capitals.

Everything in the org is stored under the 18-character form; the 15-character form is accepted at the door.
"""

from __future__ import annotations

import re
import string

_CHECKSUM = "ABCDEFGHIJKLMNOPQRSTUVWXYZ012345"
_SHAPE = re.compile(r"[A-Za-z0-9]{15}(?:[A-Z0-5]{3})?", re.ASCII)
_CAPITALS = {ord(letter): "1" if letter.isupper() else "0" for letter in string.ascii_letters + string.digits}
# Upper and lower case alternate, so that neighbours differ only in case in the 15-character form:
# code that compares ids without case fails on the first two records.
_ALPHABET = "AaBbCcDdEeFfGgHhIiJjKkLlMmNnOoPpQqRrSsTtUuVvWwXxYyZz0123456789"


def checksum(id15: str) -> str:
    """The three characters that make a 15-character id safe to compare without case."""
    # Each chunk of five, read backwards, is a binary number: capitals are ones.
    bits = id15[::-1].translate(_CAPITALS)
    return _CHECKSUM[int(bits[10:], 2)] + _CHECKSUM[int(bits[5:10], 2)] + _CHECKSUM[int(bits[:5], 2)]


def full_id(text: str) -> str:
    """The 18-character form of an id; ValueError when it is no id or its checksum is wrong."""
    if not _SHAPE.fullmatch(text):
        raise ValueError(f"not a record id: {text[:40]!r}")
    id18 = text[:15] + checksum(text[:15])
    if len(text) == 18 and text != id18:
        raise ValueError(f"checksum of record id {text!r} is wrong")
    return id18


def new_id(prefix: str, number: int) -> str:
    """The `number`-th id of the objects whose ids start with the three characters `prefix`."""
    digits = []
    while number:
        number, digit = divmod(number, len(_ALPHABET))
        digits.append(_ALPHABET[digit])
    id15 = prefix + "Sb00" + "".join(reversed(digits)).rjust(8, _ALPHABET[0])
    return id15 + checksum(id15)
