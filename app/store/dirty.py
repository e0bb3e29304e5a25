"""Dirty marks: the ids of what has to be looked at again, by kind."""

from __future__ import annotations


def mark(kind: str, column: str, source: str) -> str:
    """A statement that marks every id in `column` of `source`, a table with joins and a `where` behind it."""
    return (
        f"insert into dirty (kind, id) select distinct '{kind}', {column} from {source} "
        f"and {column} is not null on conflict (kind, id) do nothing"
    )
