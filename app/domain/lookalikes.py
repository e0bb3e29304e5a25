"""Prospects that resemble customers who could not live without us, each with what the two have in common."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple


class Kind(StrEnum):
    """What two accounts can have in common, in the order in which it is named."""

    REASON = "reason"
    """Why the one cares, what the other needs."""
    USE_CASE = "use_case"
    PRODUCT = "product"
    INDUSTRY = "industry"
    SIZE = "size"
    REGION = "region"
    ROLE = "role"
    LANGUAGE = "language"


@dataclass(frozen=True, slots=True)
class Trait:
    """`key`: the value as it is compared, without case and outer blanks."""

    kind: Kind
    key: str
    shown: str = field(compare=False)


@dataclass(frozen=True, slots=True)
class Profile:
    """An account as far as resemblance goes. `pipeline`: what is open with it, in minor units."""

    id: str
    name: str = ""
    traits: frozenset[Trait] = frozenset()
    pipeline: int = 0


class Lookalike(NamedTuple):
    """A prospect, the customer it resembles, and what they share; the prospect's own words."""

    prospect: Profile
    ideal: Profile
    shared: tuple[Trait, ...]

    @property
    def kinds(self) -> int:
        """How many kinds of things they share."""
        return len({trait.kind for trait in self.shared})

    @property
    def reasons(self) -> tuple[str, ...]:
        """One line per kind, for people: `industry: Retail`."""
        lines = []
        for kind in Kind:
            shown = [trait.shown for trait in self.shared if trait.kind is kind]
            if shown:
                lines.append(f"{kind.replace('_', ' ')}: {', '.join(shown)}")
        return tuple(lines)


def traits_of(told: Mapping[Kind, Iterable[str | None]]) -> frozenset[Trait]:
    """Traits from plain values; what is empty says nothing."""
    found: dict[tuple[Kind, str], str] = {}
    for kind, values in told.items():
        for value in values:
            shown = " ".join((value or "").split())
            if shown:
                # Of two spellings the lesser one is shown, so that the order of values does not matter.
                key = (kind, shown.casefold())
                found[key] = min(found.get(key, shown), shown)
    return frozenset(Trait(kind, key, shown) for (kind, key), shown in found.items())


def compare(prospect: Profile, ideal: Profile) -> Lookalike:
    """What a prospect shares with a customer."""
    order = list(Kind)
    shared = (trait for trait in prospect.traits if trait in ideal.traits)
    return Lookalike(prospect, ideal, tuple(sorted(shared, key=lambda one: (order.index(one.kind), one.key))))


def rank_lookalikes(prospects: Iterable[Profile], ideals: Collection[Profile], least: int) -> list[Lookalike]:
    """Every prospect that shares at least so many kinds of things with one of the customers, with the one it
    resembles most; the closest first.

    Close is to share more kinds of things, then more things. Ties between customers go to the lesser id, between
    prospects to the larger pipeline, then to the lesser id. An account does not resemble itself.
    """
    ranked = sorted(ideals, key=lambda one: one.id)
    # The customers with a trait are the bits of one number: many are compared at once.
    having: dict[Trait, int] = {}
    for place, ideal in enumerate(ranked):
        for trait in ideal.traits:
            having[trait] = having.get(trait, 0) | 1 << place
    places = {ideal.id: place for place, ideal in enumerate(ranked)}
    found = []
    for prospect in prospects:
        others = (1 << len(ranked)) - 1
        if prospect.id in places:
            others ^= 1 << places[prospect.id]
        if others:
            closest = compare(prospect, ranked[_closest(prospect, others, having)])
            if closest.kinds >= least:
                found.append(closest)
    return sorted(found, key=lambda one: (-one.kinds, -len(one.shared), -one.prospect.pipeline, one.prospect.id))


def _closest(prospect: Profile, others: int, having: Mapping[Trait, int]) -> int:
    """The place of the customer that shares most kinds, then most traits, then comes first."""
    kinds: dict[Kind, int] = {}
    for trait in prospect.traits:
        kinds[trait.kind] = kinds.get(trait.kind, 0) | having.get(trait, 0)
    near = _in_most([having.get(trait, 0) for trait in prospect.traits], _in_most(kinds.values(), others))
    return (near & -near).bit_length() - 1


def _in_most(sets: Iterable[int], among: int) -> int:
    """Those of `among` that are in most of the sets; members are bits."""
    in_at_least = [among]
    for members in sets:
        in_at_least.append(0)
        for count in range(len(in_at_least) - 1, 0, -1):
            in_at_least[count] |= in_at_least[count - 1] & members
    return next(members for members in reversed(in_at_least) if members)
