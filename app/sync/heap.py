"""While a night lasts, the garbage collector leaves alone what was there before it."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager

OBJECTS = 50_000
"""New ones before they are looked through: some pages of rows, in which no circles are."""


@contextmanager
def set_heap_aside() -> Iterator[None]:
    """Modules and libraries are looked through again with every few thousand rows otherwise: a sixth of a first pull.

    What is garbage among it already is collected after the block, so it is nothing for the many short runs of a day.
    """
    first, *others = gc.get_threshold()
    gc.freeze()
    gc.set_threshold(OBJECTS, *others)
    try:
        yield
    finally:
        gc.set_threshold(first, *others)
        gc.unfreeze()
