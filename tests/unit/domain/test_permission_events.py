"""What events about consents say: the strict readers of the door, and the facts that verified events state."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest

from app.domain.attributes import describe
from app.domain.events import VerifiedEvent
from app.domain.permission_events import (
    READERS,
    Departure,
    Grant,
    Promise,
    Revocation,
    Use,
    departure_of,
    grant_of,
    promise_of,
    read_grant,
    read_promise,
    read_revocation,
    read_use,
    revocation_of,
    use_of,
)
from app.domain.reference_scopes import ReferenceScope

S = ReferenceScope
D = date.fromisoformat
JAN, MAR, JUN = D("2026-01-10"), D("2026-03-10"), D("2026-06-10")


def event(code, attributes=None, **fields):
    return VerifiedEvent("e1", code, fields.pop("on", JAN), attributes=attributes or {}, **fields)


def test_a_grant_is_read_with_its_person_document_and_term():
    terms = {"scopes": ["logo", "basic"], "granted_by": "Ada", "document": "contract 7"}
    read = grant_of(event("permission_granted", terms, contact="C1", valid_to=JUN, valid_from=MAR))

    assert read == Grant("e1", (S.BASIC, S.LOGO), JAN, MAR, JUN, None, "C1", "Ada", "contract 7")


def test_revocations_departures_and_promises_are_read():
    assert revocation_of(event("permission_revoked")).scopes == tuple(S)
    assert revocation_of(event("permission_revoked", {"scopes": "logo"}, contact="C1", valid_from=MAR)) == Revocation(
        "e1", (S.LOGO,), JAN, MAR, None, "C1"
    )
    assert departure_of(event("contact_left", contact="C1")) == Departure("e1", "C1", JAN, JAN)
    assert promise_of(event("permission_promised", {"scopes": "logo", "due_on": "2026-06-10"}, opportunity="006A")) == (
        Promise("e1", (S.LOGO,), JAN, "006A", JUN)
    )


def test_the_hour_of_what_was_said_is_kept():
    nine = datetime(2026, 1, 10, 9, tzinfo=UTC)

    said = (
        grant_of(event("permission_granted", {"scopes": "logo"}, occurred_at=nine)),
        revocation_of(event("permission_revoked", occurred_at=nine)),
        departure_of(event("contact_left", contact="C1", occurred_at=nine)),
    )

    assert [one.made_at for one in said] == [nine] * 3


@pytest.mark.parametrize(
    ("code", "attributes", "fields", "scope", "where"),
    [
        ("permission_used", {"scopes": "logo", "where": "home page"}, {"opportunity": "006A"}, S.LOGO, "home page"),
        ("reference_call", {}, {"opportunity": "006A"}, S.BASIC, "Reference call"),
        ("nda_slide_use", {}, {}, S.NDA_ONLY, "NDA slide use"),
        ("linkedin_recommendation", {}, {}, S.LINKEDIN, "LinkedIn recommendation"),
        ("web_release", {}, {"title": "Their page"}, S.WEB_RELEASE, "Their page"),
        ("press_quote", {}, {"url": "https://x.example"}, S.PRESS_RELEASE, "https://x.example"),
        ("case_study", {}, {}, S.OTHER_PUBLIC_DOCUMENT, "Case study"),
        ("joint_press_release", {}, {}, S.JOINT_PRESS_RELEASE, "Joint press release"),
        ("logo_use", {}, {}, S.LOGO, "Logo use"),
    ],
)
def test_what_takes_a_permission_is_a_use_of_it(code, attributes, fields, scope, where):
    use = use_of(event(code, attributes, contact="C1", **fields))

    assert use == Use("e1", scope, JAN, where, "C1", fields.get("opportunity"))


@pytest.mark.parametrize("code", ["testimonial_quote", "referral", "permission_granted", "x_ours"])
def test_other_events_are_no_use(code):
    assert use_of(event(code)) is None


@pytest.mark.parametrize(
    ("read", "attributes", "problem"),
    [
        (read_grant, {}, "`scopes` is missing"),
        (read_grant, {"scopes": []}, "`scopes` names at least one of basic, nda_only"),
        (read_grant, {"scopes": ["logos"]}, "Did you mean logo?"),
        (read_grant, {"scope": "logo"}, "Did you mean scopes?"),
        (read_grant, {"scopes": "logo", "granted_by": 3}, "`granted_by` is a text"),
        (read_revocation, {"scopes": []}, "`scopes` names at least one"),
        (read_revocation, {"scopes": ["8a"]}, "`scopes` knows no '8a'"),
        (read_promise, {"due_on": "soon"}, "`due_on` is a date"),
        (read_promise, {"due_on": "2026-06-10"}, "`scopes` is missing"),
        (read_use, {"where": "page"}, "`scopes` is missing"),
    ],
)
def test_attributes_that_do_not_fit_are_refused(read, attributes, problem):
    with pytest.raises(ValueError) as refused:
        read(attributes)
    assert problem in str(refused.value)


def test_every_reader_takes_a_note_and_names_of_ones_own():
    for code, read in READERS.items():
        needed = {} if code in ("contact_left", "permission_revoked") else {"scopes": "logo"}
        assert read({**needed, "note": "by phone", "x_mood": 3}) == read(needed) or code == "contact_left"


def test_a_departure_names_who_left_and_a_promise_names_the_deal():
    with pytest.raises(ValueError, match=r"^`contact` is missing: who left\?$"):
        departure_of(event("contact_left"))
    with pytest.raises(ValueError, match=r"^`opportunity` is missing: in which deal was it promised\?$"):
        promise_of(event("permission_promised", {"scopes": "logo"}))


def test_a_use_is_of_one_scope():
    with pytest.raises(ValueError, match=r"^`scopes` is exactly one scope: log one use for each$"):
        read_use({"scopes": ["logo", "basic"]})
    assert describe(read_use).rules == ("`scopes` is exactly one scope: log one use for each",)
