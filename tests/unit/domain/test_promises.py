"""What was promised in deals against what was delivered, against a table made by hand."""

from __future__ import annotations

from datetime import date

import pytest

from app.domain.permission_events import Grant, Promise, Revocation, Use
from app.domain.permissions import permissions_on
from app.domain.promises import PromisedScope, PromiseState, promised_or_delivered
from app.domain.reference_scopes import ReferenceScope
from app.domain.rules import CommitmentRules

RULES = CommitmentRules()
S = ReferenceScope
D = date.fromisoformat
JAN, MAR, JUN, DEC = D("2026-01-10"), D("2026-03-10"), D("2026-06-10"), D("2026-12-10")


def grant(scope, start=JAN, end=None):
    return Grant("g1", (scope,), start, start, end)


def promised(scopes=(S.LOGO,), made_on=JAN, due_on=None, id_="p1"):
    return Promise(id_, scopes, made_on, "006A", due_on)


@pytest.mark.parametrize(
    ("as_of", "promise", "grants", "uses", "state"),
    [
        ("2026-01-10", promised(), [], [], PromiseState.OPEN),
        ("2026-04-10", promised(), [], [], PromiseState.OPEN),  # day 90 is still in time
        ("2026-04-11", promised(), [], [], PromiseState.OVERDUE),
        ("2026-03-10", promised(due_on=MAR), [], [], PromiseState.OPEN),
        ("2026-03-11", promised(due_on=MAR), [], [], PromiseState.OVERDUE),
        ("2026-12-10", promised(), [grant(S.LOGO, JUN)], [], PromiseState.GRANTED),
        ("2026-12-10", promised(), [grant(S.BASIC, JUN)], [], PromiseState.OVERDUE),
        ("2026-03-10", promised(), [grant(S.LOGO, D("2025-01-01"))], [], PromiseState.GRANTED),
        ("2026-12-10", promised(), [grant(S.LOGO, MAR, JUN)], [], PromiseState.OVERDUE),
        ("2026-12-10", promised(), [], [Use("u", S.LOGO, JAN)], PromiseState.OVERDUE),
        ("2026-12-10", promised(), [grant(S.LOGO)], [Use("u", S.LOGO, JAN)], PromiseState.DELIVERED),
        ("2026-12-10", promised(), [grant(S.LOGO)], [Use("u", S.LOGO, MAR)], PromiseState.DELIVERED),
        ("2026-12-10", promised(), [], [Use("u", S.LOGO, D("2026-01-09"))], PromiseState.OVERDUE),
        ("2026-12-10", promised(), [], [Use("u", S.BASIC, MAR)], PromiseState.OVERDUE),
        ("2026-02-10", promised(), [], [Use("u", S.LOGO, MAR)], PromiseState.OPEN),
    ],
)
def test_s0_21_a_permission_promised_in_a_deal_is_compared_with_what_was_delivered(as_of, promise, grants, uses, state):
    day = D(as_of)
    held = permissions_on(grants, (), (), day)

    (standing,) = promised_or_delivered([promise], held, uses, RULES, day)

    assert (standing.state, standing.opportunity, standing.scope) == (state, "006A", S.LOGO)


def test_what_came_of_a_promise_names_days_consent_and_the_first_use():
    uses = [
        Use("u2", S.LOGO, DEC),
        Use("u3", S.LOGO, MAR, "page b"),
        Use("u1", S.LOGO, DEC),
        Use("u0", S.LOGO, MAR, "page a"),
    ]
    held = permissions_on([grant(S.LOGO)], (), (), DEC)

    (delivered,) = promised_or_delivered([promised()], held, uses, RULES, DEC)
    (today,) = promised_or_delivered([promised()], held, uses[:1], RULES, DEC)

    assert delivered == PromisedScope(
        "p1", S.LOGO, "006A", JAN, D("2026-04-10"), PromiseState.DELIVERED, held.consents[0], uses[3]
    )
    assert today.delivered_by == uses[0]


def test_a_use_of_somebody_who_withdrew_delivers_nothing():
    withdrawn = Revocation("r1", (S.BASIC,), JUN, JUN, None, "C9")
    held = permissions_on([grant(S.BASIC)], [withdrawn], (), DEC)

    def state(person):
        (one,) = promised_or_delivered([promised((S.BASIC,))], held, [Use("u", S.BASIC, DEC, None, person)], RULES, DEC)
        return one.state

    assert (state("C9"), state("C8")) == (PromiseState.GRANTED, PromiseState.DELIVERED)


def test_promises_come_most_urgent_first_and_one_line_a_scope():
    day = D("2026-12-10")
    promises = [
        promised((S.LOGO, S.BASIC), JAN, id_="old"),
        promised((S.LINKEDIN,), DEC, id_="new"),
        promised((S.NDA_ONLY,), D("2026-12-11"), id_="future"),
    ]
    lines = promised_or_delivered(promises, permissions_on([grant(S.BASIC)], (), (), day), [], RULES, day)

    assert [(one.promise, one.scope, one.state) for one in lines] == [
        ("old", S.LOGO, PromiseState.OVERDUE),
        ("new", S.LINKEDIN, PromiseState.OPEN),
        ("old", S.BASIC, PromiseState.GRANTED),
    ]
