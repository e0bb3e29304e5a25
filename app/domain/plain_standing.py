"""Accounts of which nobody told more than deeds and sales: most of all, and the same for many of them.

A plain deed is an event without attributes, of a type that only the ladder, the roles and the stance look at. A sale or
a plain deed that has happened holds something up until a day: a rung, a role, a good word. On a day it matters which of
these hold, and when the first of them falls, not what holds them up. So whoever has the same held up stands the same
and is judged once, by `standing.assess_account`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import date
from typing import NamedTuple

from app.domain.commitment import LICENCE, Evidence, evidence_of, holds_until, sale_evidence
from app.domain.contradictions import is_hidden_gem
from app.domain.days import days_after
from app.domain.event_types import EVENT_TYPES
from app.domain.events import VerifiedEvent
from app.domain.model import Policy
from app.domain.roles import list_grants, speaks_for
from app.domain.segments import Quadrant
from app.domain.standing import AccountFacts, Frame, Worth

VOICE = "voice"


def _rung(number: int) -> str:
    return f"rung {number}"


_LICENCE = _rung(LICENCE)


class Sale(NamedTuple):
    """The latest won sale of one term. `term_months`: None where the CRM names none."""

    closed_on: date
    term_months: int | None


class Deed(NamedTuple):
    """The latest plain deed of one type."""

    type: str
    occurred_on: date


Fact = Sale | Deed
Spell = tuple[str, date]
"""What is held up, and the first day on which it is not any more; `date.max`: it lasts."""


class Likeness(NamedTuple):
    """What plain accounts have in common that stand the same on a day."""

    held: frozenset[str]
    quadrant: Quadrant | None
    is_hidden_gem: bool


def is_plain(code: str, frame: Frame) -> bool:
    """Whether an event of this type, for us and without attributes or a period of its own, is a plain deed."""
    event_type = EVENT_TYPES.get(code)
    return (
        event_type is not None
        and not event_type.lasts
        and code not in frame.telling
        and code not in frame.policy.engagement.detractor_types
    )


@dataclass(frozen=True, slots=True)
class Likenesses:
    """Finds out who stands the same, on one day under one policy."""

    frame: Frame
    _spells: dict[Fact, tuple[Spell, ...]] = field(default_factory=dict)

    def of(self, facts: Iterable[Fact], worth: Worth) -> tuple[Likeness, date | None, date | None]:
        """The likeness of an account, and the two days that are its own.

        On the first its licence runs out, on the second time alone changes how it stands; None: never, or no licence.
        """
        longest: dict[str, date] = {}
        for fact in facts:
            for held, until in self._spells_of(fact):
                if held not in longest or until > longest[held]:
                    longest[held] = until
        first = min(longest.values(), default=date.max)
        is_gem = is_hidden_gem(worth.direct, worth.referred, worth.quadrant, self.frame.policy.triage)
        likeness = Likeness(frozenset(longest), worth.quadrant, is_gem)
        return likeness, _day(longest.get(_LICENCE)), _day(first)

    def _spells_of(self, fact: Fact) -> tuple[Spell, ...]:
        """What it still holds up on the day. Days and terms repeat: each is worked out once."""
        if fact not in self._spells:
            spells = _list_spells(fact, self.frame.policy)
            self._spells[fact] = tuple(spell for spell in spells if spell[1] > self.frame.as_of)
        return self._spells[fact]


def _day(day: date | None) -> date | None:
    return None if day == date.max else day


def plain_account(facts: Iterable[Fact], worth: Worth, policy: Policy) -> AccountFacts:
    """The account for `standing.assess_account`: all of its likeness get the same answer, but for their own days."""
    deeds = [_event(fact) for fact in facts if isinstance(fact, Deed)]
    sales = [fact for fact in facts if isinstance(fact, Sale)]
    return AccountFacts("", deeds, _proofs(sales, policy), max((one.closed_on for one in sales), default=None), worth)


def _event(deed: Deed) -> VerifiedEvent:
    return VerifiedEvent("", deed.type, deed.occurred_on)


def _proofs(sales: Iterable[Sale], policy: Policy) -> list[Evidence]:
    proofs = (sale_evidence(one.closed_on, one.term_months, "", policy.commitment) for one in sales)
    return [one for one in proofs if one is not None]


def _list_spells(fact: Fact, policy: Policy) -> Iterator[Spell]:
    """Everything that one fact, which has happened, holds up."""
    if isinstance(fact, Sale):
        proofs, acts, bought_on = _proofs([fact], policy), [], fact.closed_on
    else:
        event = _event(fact)
        proof = evidence_of(event)
        proofs, acts, bought_on = [proof] if proof else [], [event], None
        if speaks_for(event, policy.engagement):
            yield VOICE, days_after(fact.occurred_on, policy.roles.advocate_days)
    for one in proofs:
        yield _rung(one.rung), holds_until(one, policy.commitment) or date.max
    for grant in list_grants(acts, bought_on, policy.roles, policy.engagement):
        yield f"role {grant.role}", grant.until or date.max
