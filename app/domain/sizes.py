"""How large a company is, in bands: one table for whoever compares companies."""

from __future__ import annotations

SIZE_BANDS: tuple[tuple[str, int], ...] = (("micro", 1), ("small", 10), ("medium", 50), ("large", 250), ("giant", 1000))
"""Band -> the fewest employees it takes."""


def size_band(employees: int | None) -> str | None:
    """The name of the band that a company of so many employees is in; None where it is unknown or zero."""
    return next((band for band, least in reversed(SIZE_BANDS) if employees is not None and employees >= least), None)


def read_size(text: str) -> str:
    """A band, by its name or by a number of employees. Raises ValueError."""
    word = text.strip().lower()
    band = size_band(int(word)) if word.isascii() and word.isdigit() else word
    if band not in dict(SIZE_BANDS):
        raise ValueError(f"{text!r} is no size: give a number of employees or one of {', '.join(dict(SIZE_BANDS))}")
    return str(band)
