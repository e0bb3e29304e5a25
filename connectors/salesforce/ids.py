"""Salesforce record ids: 15 case-sensitive characters, or the same with three more that spell their capitals.

Only the 18-character form survives systems that ignore case, so it is the one form used everywhere.
"""

from __future__ import annotations

_ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZ012345"
_CAPITALS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_OTHERS = "abcdefghijklmnopqrstuvwxyz0123456789"
_CASES = "".join("1" if c in _CAPITALS else "0" if c in _OTHERS else "x" for c in map(chr, range(128)))


_OBJECTS = {
    "001": "Account", "003": "Contact", "005": "User", "006": "Opportunity", "00K": "OpportunityContactRole",
    "00Q": "Lead", "00T": "Task", "00U": "Event", "01t": "Product2", "02i": "Asset", "500": "Case", "701": "Campaign",
    "800": "Contract", "801": "Order",
}  # fmt: skip
"""The first three characters of an id tell the object; those of standard objects are the same in every org."""


class _Suffixes(dict[str, str]):
    """Pattern of capitals -> suffix. It fills as ids come by, and cannot outgrow 32,768 entries: others raise."""

    def __missing__(self, cases: str) -> str:
        if len(cases) != 15 or not set(cases) <= {"0", "1"}:
            raise KeyError(cases)
        suffix = "".join(_ALPHABET[int(cases[i : i + 5][::-1], 2)] for i in (0, 5, 10))
        self[cases] = suffix
        return suffix


_SUFFIXES = _Suffixes()


def normalise_id(text: str) -> str:
    """The 18-character form of a 15- or 18-character id; ValueError with the reason for anything else."""
    try:
        suffix = _SUFFIXES[text[:15].translate(_CASES)]
    except KeyError:
        raise ValueError(_reason(text)) from None
    if text[15:] == suffix:
        return text
    if len(text) == 15:
        return text + suffix
    raise ValueError(_reason(text))


def object_of(record_id: str) -> str | None:
    """The standard object that an id belongs to; None where the id does not tell, as for custom objects."""
    return _OBJECTS.get(record_id[:3])


def _reason(text: str) -> str:
    shown = text if len(text) <= 24 else text[:24] + "…"
    if len(text) not in (15, 18):
        return f"{shown!r} is not a Salesforce id: it has {len(text)} characters, not 15 or 18"
    if not (text.isascii() and text.isalnum()):
        return f"{shown!r} is not a Salesforce id: only letters and digits are allowed"
    return f"{shown!r} is damaged: its last three characters do not fit (was it lower-cased or mistyped?)"
