"""How far a customer has come with us: eleven rungs, from giving attention to referring others.

Prospects and customers stand on one ladder; the line between them is drawn after rung 7, the annual licence. The level
is the highest rung with valid evidence. Lower rungs without any are gaps: no penalty, a list of what to talk about.

Rungs 1 to 4 and 6 are proven by what people record; 5, 7 and 11 also by what the CRM knows: sales and verified
referrals. Rung 8 is held while any reference permission is valid (`permissions`): a call that was once taken is no
consent to the next one. Rungs 9 and 10 are things delivered, whatever was permitted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from typing import NamedTuple

from app.domain.attributes import AttributeReader
from app.domain.days import days_after, months_after, unite_spans
from app.domain.event_types import EVENT_TYPES, read_custom_type
from app.domain.events import Polarity, VerifiedEvent
from app.domain.permissions import Permissions
from app.domain.rules import CommitmentRules

PILOT, LICENCE, REFERENCE, TOP = 5, 7, 8, 11
MAX_MONTHS = 600
MAX_SEATS = 10_000_000


class Rung(NamedTuple):
    """`advice`: what to do where it is not proven."""

    number: int
    title: str
    proof: str
    advice: str

    @property
    def code(self) -> str:
        """`annual_licence` for the annual licence: how a CRM is told."""
        return self.title.lower().replace(" ", "_")

    @property
    def is_before_the_line(self) -> bool:
        """Whether it is one of a prospect's: whoever has signed for a year has crossed the line."""
        return self.number <= LICENCE


RUNGS: tuple[Rung, ...] = (
    Rung(1, "Attention", "gives attention",
         "Win a conversation: bring one thing about their business that is worth half an hour."),
    Rung(2, "Needs", "shares needs or a problem",
         "Ask what stands in their way and what it costs them; write it down in their words."),
    Rung(3, "Project data", "shares project data for a customised demonstration",
         "Ask for data of a real project and show the product on it."),
    Rung(4, "Evaluation", "spends time and effort on evaluating",
         "Agree on how they evaluate us, or the next product: who tries what, until when, and what decides."),
    Rung(5, "Pilot", "commits money to a limited extent: a few seats for a few months, a full pilot project",
         "Propose a paid pilot, to a customer one of something new: a few seats, a few months, a goal."),
    Rung(6, "Roadmap", "shares longer-term plans or a roadmap, typically under a mutual NDA",
         "Offer a mutual NDA and exchange roadmaps."),
    Rung(7, "Annual licence", "has signed a licence for a year",
         "Propose the annual licence; settle the reference permissions together with price and terms."),
    Rung(8, "Reference", "will act as a reference",
         "Ask for a first permission, such as taking calls, and record who gave it, for what and until when."),
    Rung(9, "Testimonial", "has given a testimonial",
         "Ask for one sentence they would sign about what has improved."),
    Rung(10, "Case study", "has agreed to a case study",
         "Collect the numbers before and after, and offer to write the case study for them."),
    Rung(11, "Refers others", "refers other firms to us",
         "Ask who else has this problem, and make the introduction easy."),
)  # fmt: skip
"""From the least commitment to the most."""
RUNG_CODES: tuple[str, ...] = tuple(rung.code for rung in RUNGS)


def rung_of(number: int) -> Rung:
    """Rung 1 to 11."""
    return RUNGS[number - 1]


# --- what events say -------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class CommitmentTerms:
    """How much was bought and for how long, whether the NDA binds both: as far as the type has any of it."""

    months: int | None = None
    seats: int | None = None
    mutual_nda: bool | None = None


def read_commitment(attributes: Mapping[str, object]) -> CommitmentTerms:
    """The attributes of a commitment without terms: none but a note. Raises ValueError with every problem."""
    return _close(AttributeReader(attributes), CommitmentTerms())


def read_needs(attributes: Mapping[str, object]) -> CommitmentTerms:
    """The attributes of a `needs_shared`: `needs`, in their words. Raises ValueError with every problem."""
    reader = AttributeReader(attributes)
    reader.words("needs")
    return _close(reader, CommitmentTerms())


def read_pilot(attributes: Mapping[str, object]) -> CommitmentTerms:
    """The attributes of a `pilot_purchased`. Raises ValueError with every problem."""
    reader = AttributeReader(attributes)
    return _close(
        reader, CommitmentTerms(months=reader.whole("months", 1, MAX_MONTHS), seats=reader.whole("seats", 1, MAX_SEATS))
    )


def read_roadmap(attributes: Mapping[str, object]) -> CommitmentTerms:
    """The attributes of a `roadmap_shared`. Raises ValueError with every problem."""
    reader = AttributeReader(attributes)
    return _close(reader, CommitmentTerms(mutual_nda=reader.flag("mutual_nda")))


def read_licence(attributes: Mapping[str, object]) -> CommitmentTerms:
    """The attributes of an `annual_license_signed`. Raises ValueError with every problem."""
    reader = AttributeReader(attributes)
    return _close(reader, CommitmentTerms(months=reader.whole("months", 1, MAX_MONTHS)))


def _close(reader: AttributeReader, terms: CommitmentTerms) -> CommitmentTerms:
    reader.text("note")
    reader.check()
    return terms


READERS: Mapping[str, Callable[[Mapping[str, object]], CommitmentTerms]] = {
    "attention_given": read_commitment,
    "needs_shared": read_needs,
    "project_data_shared": read_commitment,
    "evaluation_effort": read_commitment,
    "pilot_purchased": read_pilot,
    "roadmap_shared": read_roadmap,
    "annual_license_signed": read_licence,
}
"""The strict reader of each type's attributes."""


# --- facts -----------------------------------------------------------------------------------------------------------


class Evidence(NamedTuple):
    """Something that proves a rung from `start` on. `end`: the first day it says nothing any more by itself.

    `end` is None where the rules say how long it lasts (`holds_until`). For rung 5 it is the end of the pilot.
    `source`: the event, or the opportunity, it is known from.
    """

    rung: int
    start: date
    end: date | None = None
    source: str = ""


def evidence_of(event: VerifiedEvent) -> Evidence | None:
    """What an event proves; None for one that proves no rung, speaks against us, or belongs to rung 8.

    Raises ValueError for attributes that no door of ours would have let in.
    """
    event_type = EVENT_TYPES.get(event.type) or read_custom_type(event.type, event.attributes)
    if event_type.rung in (None, REFERENCE) or event.polarity is Polarity.DETRACTOR:
        return None
    months = READERS[event.type](event.attributes).months if event.type in READERS else None
    end = event.valid_to or (months_after(event.start, months) if months else None)
    # Nobody knew before it happened, whatever day it was said to hold from.
    return Evidence(event_type.rung, max(event.start, event.occurred_on), end, event.id)


def sale_evidence(close_on: date, term_months: int | None, source: str, rules: CommitmentRules) -> Evidence | None:
    """What a won sale proves: an annual licence, or with a shorter term a pilot. None: nothing, for an unknown term."""
    months = rules.assumed_term_months if term_months is None else term_months
    if months <= 0:
        return None
    # An assumed term is not evidence of a pilot: it says what we take for a licence.
    is_licence = term_months is None or months >= rules.licence_months
    return Evidence(LICENCE if is_licence else PILOT, close_on, months_after(close_on, months), source)


def reference_evidence(permissions: Permissions, as_of: date) -> list[Evidence]:
    """Rung 8, from the consents: held as long as any of them; else the next time one will be, and those that ended."""
    if permissions.oldest is not None:
        oldest = permissions.oldest
        return [Evidence(REFERENCE, oldest.start, permissions.turns_on, oldest.source)]
    ended = [
        Evidence(REFERENCE, one.start, one.end, one.source)
        for one in permissions.consents
        if one.end is not None and one.end <= as_of
    ]
    return ended + ([Evidence(REFERENCE, permissions.turns_on)] if permissions.turns_on else [])


def holds_until(evidence: Evidence, rules: CommitmentRules) -> date | None:
    """The first day on which it proves its rung no longer; None: it always will."""
    if evidence.rung == PILOT:
        return days_after(evidence.end or evidence.start, rules.pilot_grace_days)
    if evidence.end is not None:
        return evidence.end
    if evidence.rung == LICENCE:
        return months_after(evidence.start, rules.licence_months)
    days = rules.validity_days.get(evidence.rung)
    return None if days is None else days_after(evidence.start, days)


# --- where an account stands -----------------------------------------------------------------------------------------


class Proof(NamedTuple):
    """A rung with the evidence for it. `until`: the first day without it; None: it lasts."""

    rung: int
    since: date
    until: date | None
    source: str


class Side(StrEnum):
    """Of the line that the annual licence draws."""

    PROSPECT = "prospect"
    CUSTOMER = "customer"
    FORMER = "former_customer"


@dataclass(frozen=True, slots=True)
class Commitment:
    """`level`: 0 to 11. `is_customer`: an annual licence is valid, whatever the level: a former customer may still
    have a case study. `gaps`: rungs below the level that nothing proves.

    `rungs`: the proven ones from the lowest up, each with the evidence that lasts longest. `lapsed`: of the others
    those that were proven once, with what lasted longest. `licence_until`: the end of the licence that is valid today
    and of those that follow it without a day between: a renewal that is signed is part of it. `next_change_on`: when
    time alone changes any of it.
    """

    level: int = 0
    is_customer: bool = False
    rungs: tuple[Proof, ...] = ()
    gaps: tuple[int, ...] = ()
    lapsed: tuple[Proof, ...] = ()
    licence_until: date | None = None
    next_change_on: date | None = None

    @property
    def side(self) -> Side:
        """Where it stands of the line between prospect and customer."""
        if self.is_customer:
            return Side.CUSTOMER
        return Side.FORMER if any(proof.rung == LICENCE for proof in self.lapsed) else Side.PROSPECT


NO_COMMITMENT = Commitment()


def assess_commitment(evidence: Iterable[Evidence], rules: CommitmentRules, as_of: date) -> Commitment:
    """Where one account stands on the ladder on a day."""
    proofs = [Proof(one.rung, one.start, holds_until(one, rules), one.source) for one in evidence]
    if not proofs:
        return NO_COMMITMENT

    held = _best(proof for proof in proofs if proof.since <= as_of < _end(proof))
    lapsed = _best(proof for proof in proofs if proof.since < _end(proof) <= as_of and proof.rung not in held)
    level = max(held, default=0)
    return Commitment(
        level=level,
        is_customer=LICENCE in held,
        rungs=tuple(held[rung] for rung in sorted(held)),
        gaps=tuple(rung for rung in range(1, level) if rung not in held),
        lapsed=tuple(lapsed[rung] for rung in sorted(lapsed)),
        licence_until=_licence_until(proofs, as_of),
        next_change_on=_next_change(proofs, as_of),
    )


def _licence_until(proofs: Iterable[Proof], as_of: date) -> date | None:
    spans = unite_spans((proof.since, proof.until) for proof in proofs if proof.rung == LICENCE)
    return next((end for start, end in spans if start <= as_of < end < date.max), None)


def _next_change(proofs: Iterable[Proof], as_of: date) -> date | None:
    """Level, gaps and customer hang on which rungs are proven: the next day on which any rung comes or goes."""
    spans: dict[int, list[tuple[date, date | None]]] = {}
    for proof in proofs:
        spans.setdefault(proof.rung, []).append((proof.since, proof.until))
    edges = (day for some in spans.values() for span in unite_spans(some) for day in span)
    return min((day for day in edges if as_of < day < date.max), default=None)


def _end(proof: Proof) -> date:
    return proof.until or date.max


def _best(proofs: Iterable[Proof]) -> dict[int, Proof]:
    """Of every rung what lasts longest; of two that last equally the younger."""
    best: dict[int, Proof] = {}
    for proof in sorted(proofs, key=lambda one: (_end(one), one.since, one.source)):
        best[proof.rung] = proof
    return best


class Advice(NamedTuple):
    """What to do about one rung. `is_next`: it is the step above the level, not a gap below it."""

    rung: int
    is_next: bool
    text: str


def advise(commitment: Commitment) -> list[Advice]:
    """The coaching list: the next step, then the gaps from the lowest up, each with a sentence what to do."""
    lapsed = {proof.rung: proof for proof in commitment.lapsed}
    next_step = [commitment.level + 1] if commitment.level < TOP else []
    return [
        Advice(rung, rung > commitment.level, _advice(rung_of(rung), lapsed.get(rung)))
        for rung in (*next_step, *commitment.gaps)
    ]


def _advice(rung: Rung, lapsed: Proof | None) -> str:
    return rung.advice if lapsed is None else f"Renew it, it lapsed on {lapsed.until}. {rung.advice}"
