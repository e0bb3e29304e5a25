"""While a night lasts, the garbage collector leaves alone what was there before it."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def set_heap_aside() -> Iterator[None]:
    """Modules and libraries are looked through again with every few thousand rows otherwise: a sixth of a first pull.

    What is garbage among it already is collected after the block, so it is nothing for the many short runs of a day.
    """
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()
