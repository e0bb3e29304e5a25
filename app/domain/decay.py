"""How much of something is left after a while, the same on every machine and in every database."""

from __future__ import annotations

from decimal import ROUND_HALF_EVEN, Context, Decimal
from functools import lru_cache

MILLION = 1_000_000
# Exact where the age is a multiple of the half-life, and only there can a half come out that must be rounded.
_EXACT = Context(prec=60, rounding=ROUND_HALF_EVEN)


@lru_cache(maxsize=65536)
def decay_ppm(days: int, half_life: int) -> int:
    """What is left of a million: `10**6 * 2**(-days / half_life)`, a half goes to the even number; 0 at last."""
    if days <= 0:
        return MILLION
    power = _EXACT.power(Decimal(2), _EXACT.divide(Decimal(-days), Decimal(half_life)))
    return int(_EXACT.multiply(power, Decimal(MILLION)).to_integral_value(ROUND_HALF_EVEN))
