"""One account on the commitment ladder, for people: eleven rungs with their evidence, and what to do next."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

from app.domain.commitment import RUNGS, Advice, Commitment, Proof, Rung, advise, rung_of
from app.domain.days import iso
from app.domain.event_types import EVENT_TYPES
from app.domain.events import VerifiedEvent
from app.domain.permission_events import Use
from app.domain.permissions import Permissions, Verdict, read_record, uncovered_uses
from app.domain.promises import PromisedScope, promised_or_delivered
from app.domain.standing import assess_account, build_frame
from app.store.history import load_names
from app.store.standing import load_facts
from app.sync.consents import show_consent
from app.sync.services import Services


@dataclass(frozen=True, slots=True)
class RungView:
    """`state`: proven, lapsed (it was once) or open. `because`: what proves it, in words."""

    rung: Rung
    state: str
    proof: Proof | None = None
    because: str = ""

    def as_json(self) -> dict[str, Any]:
        proof = self.proof
        return {
            "rung": self.rung.number,
            "code": self.rung.code,
            "title": self.rung.title,
            "side": "prospect" if self.rung.is_before_the_line else "customer",
            "state": self.state,
            "since": proof.since.isoformat() if proof else None,
            "until": proof.until.isoformat() if proof and proof.until else None,
            "source": (proof.source or None) if proof else None,
            "because": self.because or None,
        }


@dataclass(frozen=True, slots=True)
class Ladder:
    """Where one account stands. `uncovered`: uses that no consent covered on their day, with the reason."""

    account: str
    account_name: str
    as_of: date
    commitment: Commitment
    rungs: tuple[RungView, ...]
    advice: tuple[Advice, ...]
    permissions: Permissions
    promised: tuple[PromisedScope, ...]
    uncovered: tuple[tuple[Use, Verdict], ...]

    def as_json(self) -> dict[str, Any]:
        """The documented object."""
        level = self.commitment.level
        change = self.commitment.next_change_on
        return {
            "id": self.account,
            "name": self.account_name,
            "as_of": self.as_of.isoformat(),
            "level": level,
            "rung": rung_of(level).code if level else None,
            "is_customer": self.commitment.is_customer,
            "side": self.commitment.side.value,
            "gaps": list(self.commitment.gaps),
            "rungs": [one.as_json() for one in self.rungs],
            "coaching": [
                {"rung": one.rung, "code": rung_of(one.rung).code, "is_next": one.is_next, "advice": one.text}
                for one in self.advice
            ],
            "permissions": [scope.value for scope in self.permissions.valid],
            "strongest_permission": self.permissions.strongest,
            "consents": [show_consent(one, one.holds_on(self.as_of)) for one in self.permissions.consents],
            "promised": [
                {
                    "scope": one.scope.value,
                    "opportunity": one.opportunity,
                    "due_on": one.due_on.isoformat(),
                    "state": one.state.value,
                }
                for one in self.promised
            ],
            "uncovered_uses": [
                {
                    "scope": use.scope.value,
                    "used_on": use.used_on.isoformat(),
                    "where": use.where,
                    "event": use.id,
                    "reason": verdict.reason,
                }
                for use, verdict in self.uncovered
            ],
            "next_change_on": iso(change),
        }


def show_ladder(services: Services, account_id: str, *, as_of: date | None = None) -> Ladder:
    """Where an account stands on the commitment ladder. It needs no deal: prospects stand on it too."""
    day, policy = as_of or services.today, services.mapping.policy
    with services.database.read() as connection:
        facts = load_facts(connection, account_id, policy, day)
        standing = assess_account(facts, build_frame(policy, day))
        proofs = (*standing.commitment.rungs, *standing.commitment.lapsed)
        deals = load_names(connection, "opportunity", {proof.source for proof in proofs})
        names = load_names(connection, "account", [account_id])
    record = read_record(facts.events)
    because = _reasons(facts.events, deals)
    return Ladder(
        account_id,
        names.get(account_id, ""),
        day,
        standing.commitment,
        tuple(_rung_view(rung, standing.commitment, because) for rung in RUNGS),
        tuple(advise(standing.commitment)),
        standing.permissions,
        tuple(promised_or_delivered(record.promises, standing.permissions, record.uses, policy.commitment, day)),
        tuple(uncovered_uses(record.uses, standing.permissions, day)),
    )


def _reasons(events: Iterable[VerifiedEvent], deals: Mapping[str, str]) -> dict[str, str]:
    """Source of a proof -> what it was, in words."""
    told = {event.id: ": ".join(text for text in (_title(event.type), event.title) if text) for event in events}
    return {**{id_: f"Sale: {name or id_}" for id_, name in deals.items()}, **told}


def _title(code: str) -> str:
    known = EVENT_TYPES.get(code)
    return known.title if known else code


def _rung_view(rung: Rung, commitment: Commitment, because: Mapping[str, str]) -> RungView:
    for state, proofs in (("proven", commitment.rungs), ("lapsed", commitment.lapsed)):
        for proof in proofs:
            if proof.rung == rung.number:
                return RungView(rung, state, proof, because.get(proof.source, ""))
    return RungView(rung, "open")
