"""Accounts of which nobody told more than deeds and sales: most of all, and the same for many of them.

A plain deed is an event without attributes, of a type that only the ladder, the roles and the stance look at. A sale or
a plain deed that has happened holds something up until a day: a rung, a role, a good word. On a day it matters which of
these hold, and when the first of them falls, not what holds them up. So of all accounts that have the same held up one
is judged, by `standing.assess_account`, and the others stand like it, but for two days that are their own: on which the
licence runs out, and on which time alone changes how they stand.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import date
from typing import NamedTuple

from app.domain.commitment import LICENCE, Evidence, evidence_of, holds_until, sale_evidence
from app.domain.days import MONTHS, days_after
from app.domain.event_types import EVENT_TYPES
from app.domain.events import VerifiedEvent
from app.domain.model import Policy
from app.domain.roles import list_grants, speaks_for
from app.domain.standing import Frame

VOICE = "voice"
HIDDEN_GEM = "hidden gem"
"""Held up by what an account is worth: `contradictions.is_hidden_gem`. Nothing else of its worth matters here."""
MOST_HELD = 62
"""So many different things at most may be held up: each is a bit of a whole number in either database."""


def _rung(number: int) -> str:
    return f"rung {number}"


LICENCE_RUNG = _rung(LICENCE)


class Sale(NamedTuple):
    """The latest won sale of one term. `term_months`: None where the CRM names none."""

    closed_on: date
    term_months: int | None


class Deed(NamedTuple):
    """A plain deed."""

    type: str
    occurred_on: date


Fact = Sale | Deed


class Spell(NamedTuple):
    """What is held up, and the first day on which it is not any more; `date.max`: it lasts."""

    held: str
    until: date


def list_plain_types(frame: Frame) -> list[str]:
    """The types of plain deeds. What they and sales hold up leaves no more different things than there may be."""
    sales = (Sale(frame.as_of, 1), Sale(frame.as_of, MONTHS))
    held = {HIDDEN_GEM, *(spell.held for sale in sales for spell in _list_spells(sale, frame.policy))}
    plain: list[str] = []
    for code in sorted(code for code in EVENT_TYPES if is_plain(code, frame)):
        more = held.union(spell.held for spell in _list_spells(Deed(code, frame.as_of), frame.policy))
        if len(more) <= MOST_HELD:
            plain.append(code)
            held = more
    return plain


def is_plain(code: str, frame: Frame) -> bool:
    """Whether an event of this type, for us and without attributes or a period of its own, is no more than a deed."""
    event_type = EVENT_TYPES.get(code)
    return (
        event_type is not None
        and not event_type.lasts
        and code not in frame.telling
        and code not in frame.policy.engagement.detractor_types
    )


def list_spells(fact: Fact, frame: Frame) -> list[Spell]:
    """What a fact that has happened still holds up on the day."""
    return [spell for spell in _list_spells(fact, frame.policy) if spell.until > frame.as_of]


def _list_spells(fact: Fact, policy: Policy) -> Iterator[Spell]:
    """Everything that it holds up, for however short a time."""
    if isinstance(fact, Sale):
        proofs, acts, bought_on = prove_sales([fact], policy), [], fact.closed_on
    else:
        event = VerifiedEvent("", fact.type, fact.occurred_on)
        proof = evidence_of(event)
        proofs, acts, bought_on = [proof] if proof else [], [event], None
        if speaks_for(event, policy.engagement):
            yield Spell(VOICE, days_after(fact.occurred_on, policy.roles.advocate_days))
    for one in proofs:
        yield Spell(_rung(one.rung), holds_until(one, policy.commitment) or date.max)
    for grant in list_grants(acts, bought_on, policy.roles, policy.engagement):
        yield Spell(f"role {grant.role}", grant.until or date.max)


def prove_sales(sales: Iterable[Sale], policy: Policy) -> list[Evidence]:
    """What the latest sales of an account prove."""
    proofs = (sale_evidence(one.closed_on, one.term_months, "", policy.commitment) for one in sales)
    return [one for one in proofs if one is not None]
