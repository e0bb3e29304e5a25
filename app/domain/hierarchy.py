"""Which account a record really means, and whose group it belongs to.

Merges are followed to the end before anything else looks at an id; parents are followed among what is left. Both
are data from people, so both may run in circles: a circle is reported, and never hangs or depends on row order.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from app.domain.model import Account, AccountIssue, Issue


@dataclass(frozen=True, slots=True)
class Hierarchy:
    """Merges and parents of all accounts, resolved."""

    canonical: Mapping[str, str]
    """Merged id -> surviving id, only where they differ."""
    parents: Mapping[str, str]
    """Among surviving ids only."""
    deleted: frozenset[str]
    """Surviving ids whose account is gone without a merge."""
    issues: tuple[AccountIssue, ...] = ()
    """One per account in a circle."""

    def account(self, id_: str) -> str:
        """The surviving account of an id; an id we never saw stands for itself."""
        return self.canonical.get(id_, id_)

    def line_of(self, id_: str) -> tuple[str, ...]:
        """An account and everything above it, each once, nearest first. Members of a circle are above each other."""
        line = [id_]
        while (above := self.parents.get(line[-1])) is not None and above not in line:
            line.append(above)
        return tuple(line)

    def group(self, id_: str) -> str:
        """The ultimate parent; for a circle at the top the smallest id in it."""
        line = self.line_of(id_)
        return min(line[_circle_start(line, self.parents) :])


def build_hierarchy(accounts: Iterable[Account]) -> Hierarchy:
    """The hierarchy of all accounts, merged and deleted ones included."""
    rows = {account.id: account for account in accounts}
    merged = {id_: row.merged_into_id for id_, row in rows.items() if row.merged_into_id is not None}
    canonical = canonical_ids(merged)
    parents = {
        id_: parent
        for id_, row in rows.items()
        if canonical.get(id_, id_) == id_ and row.parent_id is not None
        for parent in (canonical.get(row.parent_id, row.parent_id),)
        if parent != id_
    }
    deleted = frozenset(id_ for id_, row in rows.items() if row.is_deleted and id_ not in merged)
    issues = [AccountIssue(Issue.MERGE_CYCLE, id_) for id_ in _in_circles(merged)]
    issues += [AccountIssue(Issue.PARENT_CYCLE, id_) for id_ in _in_circles(parents)]
    return Hierarchy(canonical, parents, deleted, tuple(issues))


def canonical_ids(merged: Mapping[str, str]) -> dict[str, str]:
    """Merged id -> surviving id, from loser -> winner. A circle survives as its smallest id."""
    found: dict[str, str] = {}
    for start in merged:
        path = [start]
        while path[-1] not in found and (winner := merged.get(path[-1])) is not None and winner not in path:
            path.append(winner)
        survivor = found.get(path[-1]) or min(path[_circle_start(path, merged) :])
        found.update(dict.fromkeys(path, survivor))
    return {id_: survivor for id_, survivor in found.items() if id_ != survivor}


def ultimate_parents(parents: Mapping[str, str]) -> dict[str, str]:
    """Child -> ultimate parent for every id that has a parent; the same rule for circles."""
    return canonical_ids(parents)


def _circle_start(path: list[str] | tuple[str, ...], onwards: Mapping[str, str]) -> int:
    """Where the circle that a path runs into begins; the last position where it simply ends."""
    back = onwards.get(path[-1])
    return path.index(back) if back is not None and back in path else len(path) - 1


def _in_circles(onwards: Mapping[str, str]) -> list[str]:
    """Every id from which following leads back to itself, in order of ids."""
    settled: set[str] = set()
    circles: set[str] = set()
    for start in onwards:
        path: list[str] = []
        seen: dict[str, int] = {}
        at: str | None = start
        while at is not None and at not in settled and at not in seen:
            seen[at] = len(path)
            path.append(at)
            at = onwards.get(at)
        if at is not None and at in seen:
            circles.update(path[seen[at] :])
        settled.update(path)
    return sorted(circles)
