"""The eight consents, against tables made by hand and against the definition said day by day."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.events import VerifiedEvent
from app.domain.permission_events import (
    RECORD_TYPES,
    Departure,
    Grant,
    Revocation,
    Use,
)
from app.domain.permissions import NOTHING_ALLOWED, Ending, may_use, permissions_on, read_record, uncovered_uses
from app.domain.reference_scopes import ReferenceScope
from app.domain.rules import CommitmentRules

RULES = CommitmentRules()
S = ReferenceScope
D = date.fromisoformat
JAN, MAR, JUN, DEC = D("2026-01-10"), D("2026-03-10"), D("2026-06-10"), D("2026-12-10")


def grant(scopes, start=JAN, end=None, *, contact=None, id_="g1", made_on=None, at=None):
    scopes = (scopes,) if isinstance(scopes, S) else tuple(scopes)
    return Grant(id_, scopes, made_on or start, start, end, at, contact, "Ada", "contract 7")


def revoked(day, scopes=tuple(S), *, contact=None, made_on=None, at=None):
    return Revocation("r1", scopes, made_on or day, day, at, contact)


def left(day, contact="C1", *, at=None):
    return Departure("l1", contact, day, day, at)


def valid(as_of, grants, revocations=(), departures=()):
    return permissions_on(grants, revocations, departures, as_of).valid


def only_allows(scope, sub_level, *, is_personal):
    """A consent for one scope is a consent for nothing else, on the days it is for, and has its own place."""
    granted = permissions_on([grant(scope, JAN, JUN, contact="C1")], (), (), MAR)
    assert granted.valid == (scope,)
    assert [one for one in S if may_use(granted, one, MAR).is_allowed] == [scope]
    assert (scope.sub_level, scope.is_personal) == (sub_level, is_personal)
    assert scope.meaning
    gone = permissions_on([grant(scope, JAN, JUN, contact="C1")], (), [left(JAN + timedelta(1))], MAR)
    assert gone.valid == (() if is_personal else (scope,))


def test_s0_10_basic_consent_lets_prospects_call_and_nothing_else():
    only_allows(S.BASIC, "8a", is_personal=True)


def test_s0_11_nda_only_consent_puts_name_title_and_company_on_a_slide_under_nda():
    only_allows(S.NDA_ONLY, "8b", is_personal=True)


def test_s0_12_linkedin_consent_suits_service_firms():
    only_allows(S.LINKEDIN, "8c", is_personal=True)
    assert "services" in S.LINKEDIN.meaning


def test_s0_13_web_release_consent_covers_the_web_site():
    only_allows(S.WEB_RELEASE, "8d", is_personal=True)


def test_s0_14_press_release_consent_belongs_to_the_company():
    only_allows(S.PRESS_RELEASE, "8e", is_personal=False)


def test_s0_15_other_public_document_consent_covers_case_studies_and_papers():
    only_allows(S.OTHER_PUBLIC_DOCUMENT, "8f", is_personal=False)


def test_s0_16_joint_press_release_consent_says_how_hard_it_is():
    only_allows(S.JOINT_PRESS_RELEASE, "8g", is_personal=False)
    assert "hard" in S.JOINT_PRESS_RELEASE.meaning


def test_s0_17_logo_consent_is_more_effort_than_the_word_of_one_person():
    only_allows(S.LOGO, "8h", is_personal=False)
    assert "more effort" in S.LOGO.meaning


@pytest.mark.parametrize(
    ("as_of", "grants", "revocations", "departures", "expected"),
    [
        ("2026-01-09", [grant(S.LOGO)], [], [], ()),
        ("2026-01-10", [grant(S.LOGO)], [], [], (S.LOGO,)),
        ("2026-06-09", [grant(S.LOGO, JAN, JUN)], [], [], (S.LOGO,)),
        ("2026-06-10", [grant(S.LOGO, JAN, JUN)], [], [], ()),  # the end is the first day without
        ("2026-03-09", [grant(S.LOGO)], [revoked(MAR)], [], (S.LOGO,)),
        ("2026-03-10", [grant(S.LOGO)], [revoked(MAR)], [], ()),
        ("2026-03-10", [grant((S.LOGO, S.BASIC))], [revoked(MAR, (S.LOGO,))], [], (S.BASIC,)),
        ("2026-03-10", [grant(S.BASIC, contact="C1")], [revoked(MAR, contact="C2")], [], (S.BASIC,)),
        ("2026-03-10", [grant(S.BASIC, contact="C1")], [revoked(MAR, contact="C1")], [], ()),
        ("2026-03-10", [grant(S.BASIC)], [revoked(MAR, contact="C1")], [], (S.BASIC,)),
        # Given again after it was revoked.
        ("2026-06-10", [grant(S.LOGO), grant(S.LOGO, JUN, id_="g2")], [revoked(MAR)], [], (S.LOGO,)),
        # Revoked before its first day: it never holds.
        ("2026-06-10", [grant(S.LOGO, JUN, made_on=JAN)], [revoked(MAR)], [], ()),
        # Written down later than it holds from.
        ("2026-03-09", [grant(S.LOGO, JAN, made_on=MAR)], [], [], ()),
        ("2026-03-10", [grant(S.LOGO, JAN, made_on=MAR)], [], [], (S.LOGO,)),
        # Notice was given in March for the end of June.
        ("2026-06-09", [grant(S.LOGO)], [revoked(JUN, made_on=MAR)], [], (S.LOGO,)),
        ("2026-06-10", [grant(S.LOGO)], [revoked(JUN, made_on=MAR)], [], ()),
        ("2026-03-10", [grant((S.BASIC, S.LOGO), contact="C1")], [], [left(MAR)], (S.LOGO,)),
        ("2026-03-10", [grant((S.BASIC, S.LOGO), contact="C2")], [], [left(MAR)], (S.BASIC, S.LOGO)),
        # One of two people left; the other's consent stands.
        ("2026-03-10", [grant(S.BASIC, contact="C1"), grant(S.BASIC, contact="C2", id_="g2")], [], [left(MAR)], (S.BASIC,)),
        # The person's later word replaces the earlier one, here by a shorter consent.
        ("2026-06-10", [grant(S.WEB_RELEASE), grant(S.WEB_RELEASE, MAR, JUN, id_="g2")], [], [], ()),
        ("2026-03-09", [grant(S.WEB_RELEASE), grant(S.WEB_RELEASE, MAR, JUN, id_="g2")], [], [], (S.WEB_RELEASE,)),
        # A consent for no day at all says nothing.
        ("2026-06-10", [grant(S.LOGO), grant(S.LOGO, MAR, MAR, id_="g2")], [], [], (S.LOGO,)),
    ],
)  # fmt: skip
def test_which_consents_hold_on_a_day(as_of, grants, revocations, departures, expected):
    assert valid(D(as_of), grants, revocations, departures) == expected
    assert valid(D(as_of), grants[::-1], revocations, departures) == expected


def test_on_one_day_a_revocation_beats_a_consent_unless_both_times_are_known():
    morning, evening = datetime(2026, 3, 10, 9, tzinfo=UTC), datetime(2026, 3, 10, 18, tzinfo=UTC)

    assert valid(MAR, [grant(S.LOGO, MAR)], [revoked(MAR)]) == ()
    assert valid(MAR, [grant(S.LOGO, MAR, at=evening)], [revoked(MAR)]) == ()
    assert valid(MAR, [grant(S.LOGO, MAR)], [revoked(MAR, at=morning)]) == ()
    assert valid(MAR, [grant(S.LOGO, MAR, at=morning)], [revoked(MAR, at=evening)]) == ()
    assert valid(MAR, [grant(S.LOGO, MAR, at=morning)], [revoked(MAR, at=morning)]) == ()
    assert valid(MAR, [grant(S.LOGO, MAR, at=evening)], [revoked(MAR, at=morning)]) == (S.LOGO,)
    assert valid(MAR, [grant(S.BASIC, MAR, contact="C1", at=evening)], [], [left(MAR, at=morning)]) == (S.BASIC,)


def test_of_two_consents_of_one_day_the_later_hour_counts():
    morning, evening = datetime(2026, 3, 10, 9, tzinfo=UTC), datetime(2026, 3, 10, 18, tzinfo=UTC)
    short, long = grant(S.LOGO, MAR, JUN, id_="a", at=evening), grant(S.LOGO, MAR, DEC, id_="b", at=morning)

    assert valid(JUN, [short, long]) == valid(JUN, [long, short]) == ()


@pytest.mark.parametrize(
    ("grants", "as_of", "lapses_on"),
    [
        ([grant(S.LOGO, JAN, JUN)], JAN, JUN),
        ([grant(S.LOGO, JAN, JUN)], JUN - timedelta(1), JUN),
        ([grant(S.LOGO, JAN, JUN)], JUN, None),
        ([grant(S.LOGO, JAN, JUN)], JAN - timedelta(1), None),
        ([grant(S.LOGO)], MAR, None),
        ([grant(S.LOGO, JAN, JUN), grant(S.BASIC, id_="g2")], MAR, JUN),
        ([grant(S.LOGO, JAN, DEC), grant(S.BASIC, JAN, JUN, id_="g2")], MAR, JUN),
        # Another consent for the same scope takes over, on the day or not.
        ([grant(S.LOGO, JAN, JUN), grant(S.LOGO, MAR, DEC, contact="C1", id_="g2")], MAR, DEC),
        (
            [grant(S.LOGO, JAN, JUN), grant(S.LOGO, JUN + timedelta(1), DEC, contact="C1", id_="g2", made_on=JAN)],
            MAR,
            JUN,
        ),
    ],
)
def test_the_day_on_which_something_that_is_allowed_no_longer_is(grants, as_of, lapses_on):
    assert permissions_on(grants, (), (), as_of).lapses_on == lapses_on


def test_the_strongest_is_the_last_of_the_list_and_the_standing_is_a_set():
    allowed = permissions_on([grant((S.LOGO, S.BASIC))], (), (), MAR)

    assert allowed.valid == (S.BASIC, S.LOGO)
    assert allowed.strongest is S.LOGO
    assert NOTHING_ALLOWED.strongest is None


def test_consents_are_listed_by_scope_start_and_person_those_for_everybody_first():
    grants = [
        grant(S.LOGO, contact="C1", id_="a"),
        grant(S.BASIC, MAR, contact="C0", id_="b"),
        grant(S.BASIC, contact="C1", id_="c"),
        grant(S.BASIC, id_="d"),
    ]

    assert [one.source for one in permissions_on(grants, (), (), DEC).consents] == ["d", "c", "b", "a"]


def test_a_consent_keeps_who_gave_it_where_it_is_written_and_how_it_ended():
    (consent,) = permissions_on([grant(S.BASIC, JAN, DEC, contact="C1")], [], [left(MAR)], JUN).consents

    assert (consent.granted_by, consent.document, consent.contact) == ("Ada", "contract 7", "C1")
    assert (consent.start, consent.end, consent.ending) == (JAN, MAR, Ending.LEFT)


@pytest.mark.parametrize(
    ("scope", "day", "contact", "is_allowed", "reason"),
    [
        (S.BASIC, "2026-01-10", None, True, "allowed by Ada since 2026-01-10, until 2026-06-10 exclusive"),
        (S.BASIC, "2026-06-09", "C1", True, "allowed by Ada"),
        (S.BASIC, "2026-06-10", "C1", False, "granted by Ada, but expired on 2026-06-10"),
        (S.BASIC, "2026-03-10", "C2", False, "nobody has granted basic (8a)"),
        (S.BASIC, "2026-01-09", None, False, "granted by Ada only from 2026-01-10 on"),
        (S.LOGO, "2026-03-09", "C2", True, "allowed by Ada since 2026-01-10"),
        (S.LOGO, "2026-03-10", None, False, "granted by Ada, but revoked on 2026-03-10"),
        (S.NDA_ONLY, "2026-03-10", None, False, "granted by Ada, who left on 2026-03-10"),
        (S.LINKEDIN, "2026-03-10", None, False, "nobody has granted linkedin (8c)"),
        (S.WEB_RELEASE, "2026-06-10", None, False, "but expired on 2026-06-10"),
        (S.PRESS_RELEASE, "2026-06-10", None, False, "granted by Ada, but revoked on 2026-03-10"),
        (S.PRESS_RELEASE, "2026-04-10", None, False, "granted by Ada, but revoked on 2026-03-10"),
        (S.PRESS_RELEASE, "2026-03-10", None, False, "granted by Ada, but revoked on 2026-03-10"),
    ],
)
def test_a_use_is_allowed_or_refused_with_the_reason(scope, day, contact, is_allowed, reason):
    grants = [
        grant(S.BASIC, JAN, JUN, contact="C1", id_="a"),
        grant(S.LOGO, contact="C1", id_="b"),
        grant(S.NDA_ONLY, contact="C3", id_="c"),
        grant(S.WEB_RELEASE, contact="C1", id_="d"),
        grant(S.WEB_RELEASE, MAR, JUN, contact="C1", id_="e"),
        grant(S.PRESS_RELEASE, JUN, made_on=JAN, id_="f"),
    ]
    held = permissions_on(grants, [revoked(MAR, (S.LOGO, S.PRESS_RELEASE))], [left(MAR, "C3")], DEC)

    verdict = may_use(held, scope, D(day), contact)

    assert (verdict.is_allowed, reason in verdict.reason) == (is_allowed, True), verdict


MORNING, EVENING = datetime(2026, 3, 10, 9, tzinfo=UTC), datetime(2026, 3, 10, 18, tzinfo=UTC)


@pytest.mark.parametrize(
    ("scope", "contact", "grants", "revocations", "departures", "day", "reason"),
    [
        (S.BASIC, "C9", [grant(S.BASIC)], [revoked(MAR, contact="C9")], [], MAR, "granted by Ada, but revoked on 2026-03-10"),
        (S.BASIC, "C9", [grant(S.BASIC)], [revoked(MAR, contact="C9")], [], MAR - timedelta(1), ""),
        (S.BASIC, "C8", [grant(S.BASIC)], [revoked(MAR, contact="C9")], [], MAR, ""),
        (S.BASIC, None, [grant(S.BASIC)], [revoked(MAR, contact="C9")], [], MAR, ""),
        (S.BASIC, "C9", [grant(S.BASIC)], [revoked(MAR, (S.LINKEDIN,), contact="C9")], [], MAR, ""),
        # Given again for everybody, or by the person itself.
        (S.BASIC, "C9", [grant(S.BASIC), grant(S.BASIC, JUN, id_="g2")], [revoked(MAR, contact="C9")], [], JUN, ""),
        (S.BASIC, "C9", [grant(S.BASIC), grant(S.BASIC, JUN, id_="g2", contact="C9")], [revoked(MAR, contact="C9")], [], JUN, ""),
        (S.BASIC, "C9", [grant(S.BASIC, MAR)], [revoked(MAR, contact="C9")], [], MAR, "but revoked on 2026-03-10"),
        (S.BASIC, "C9", [grant(S.BASIC, MAR, at=EVENING)], [revoked(MAR, contact="C9", at=MORNING)], [], MAR, ""),
        # Notice was given in March for June.
        (S.BASIC, "C9", [grant(S.BASIC)], [revoked(JUN, contact="C9", made_on=MAR)], [], MAR, "until 2026-06-10 exclusive"),
        (S.BASIC, "C9", [grant(S.BASIC, JAN, MAR)], [revoked(JUN, contact="C9")], [], JUN, "expired on 2026-03-10"),
        (S.BASIC, "C9", [grant(S.BASIC)], [], [left(MAR, "C9")], MAR, "granted by Ada for everybody, but C9 left on 2026-03-10"),
        (S.BASIC, "C9", [grant(S.BASIC)], [], [left(MAR, "C9")], MAR - timedelta(1), ""),
        (S.BASIC, "C8", [grant(S.BASIC)], [], [left(MAR, "C9")], MAR, ""),
        # What was given for everybody later brings nobody back; a word of its own does.
        (S.BASIC, "C9", [grant(S.BASIC, JUN)], [], [left(MAR, "C9")], JUN, "C9 left on 2026-03-10"),
        (S.BASIC, "C9", [grant(S.BASIC, JUN), grant(S.LOGO, JUN, id_="g2", contact="C9")], [], [left(MAR, "C9")], JUN, ""),
        # The company's name is one: anybody there may withdraw it, and nobody takes it along.
        (S.LOGO, None, [grant(S.LOGO)], [revoked(MAR, contact="C9")], [], MAR, "but revoked on 2026-03-10"),
        (S.LOGO, "C1", [grant(S.LOGO, contact="C1")], [revoked(MAR, contact="C9")], [], MAR, "but revoked on 2026-03-10"),
        (S.LOGO, "C9", [grant(S.LOGO)], [], [left(MAR, "C9")], MAR, ""),
    ],
    ids=range(19),
)  # fmt: skip
def test_a_consent_for_everybody_covers_nobody_who_withdrew_or_left(
    scope, contact, grants, revocations, departures, day, reason
):
    verdict = may_use(permissions_on(grants, revocations, departures, DEC), scope, day, contact)

    assert (verdict.is_allowed, reason in verdict.reason) == (reason == "" or reason.startswith("until"), True), verdict


@pytest.mark.parametrize(
    ("grants", "day", "source", "reason"),
    [
        ([grant(S.LOGO, id_="a")], MAR, "a", "allowed by Ada since 2026-01-10"),
        ([replace(grant(S.LOGO, id_="a"), granted_by=None)], MAR, "a", "allowed since 2026-01-10"),
        (
            [replace(grant(S.LOGO, id_="a", contact="C1"), granted_by=None)],
            MAR,
            "a",
            "allowed by C1 since 2026-01-10",
        ),
        # Of those that are still to come the first, then the smaller id; of those that are over what lasted longest.
        (
            [grant(S.LOGO, JUN, made_on=JAN, id_="z"), grant(S.LOGO, JUN, made_on=JAN, id_="a", contact="C1")],
            MAR,
            "a",
            "granted by Ada only from 2026-06-10 on",
        ),
        (
            [grant(S.LOGO, JAN, JUN, id_="a"), grant(S.LOGO, MAR, MAR + timedelta(1), id_="b", contact="C1")],
            JUN,
            "a",
            "granted by Ada, but expired on 2026-06-10",
        ),
    ],
)
def test_a_verdict_names_the_consent_that_decides_it(grants, day, source, reason):
    verdict = may_use(permissions_on(grants, (), (), DEC), S.LOGO, day)

    assert (verdict.consent.source, verdict.reason) == (source, reason)


def test_a_consent_that_expires_on_the_day_it_is_withdrawn_has_expired():
    held = permissions_on([grant(S.BASIC, JAN, MAR)], [revoked(MAR, contact="C9")], (), DEC)

    assert may_use(held, S.BASIC, MAR, "C9").reason == "granted by Ada, but expired on 2026-03-10"


def test_who_withdrew_or_left_today_is_not_covered_today():
    withdrew = revoked(MAR, contact="C9")
    held = permissions_on([grant(S.BASIC), grant(S.BASIC, contact="C1", id_="g2")], [withdrew], [left(MAR)], MAR)

    assert held.revocations == (withdrew,)
    assert [may_use(held, S.BASIC, MAR, who).is_allowed for who in ("C1", "C8", "C9")] == [False, True, False]
    assert [held.has_left("C1", day) for day in (MAR - timedelta(1), MAR, JUN)] == [False, True, True]
    assert not held.has_left("C8", date.max - timedelta(1))


def test_a_replaced_consent_says_so_where_the_later_one_does_not_reach():
    earlier, later = grant(S.LOGO, JAN, id_="a"), grant(S.LOGO, MAR, id_="b")
    held = permissions_on([earlier, later], (), (), DEC)

    assert [one.ending for one in held.consents] == [Ending.REPLACED, None]
    assert may_use(held, S.LOGO, JAN).is_allowed
    assert may_use(held, S.LOGO, DEC).is_allowed


def test_every_use_is_checked_against_the_day_it_happened():
    held = permissions_on([grant(S.LOGO, MAR, JUN)], (), (), DEC)
    uses = [Use("u1", S.LOGO, MAR), Use("u2", S.LOGO, JUN), Use("u3", S.LOGO, JAN), Use("u4", S.LOGO, D("2027-01-01"))]

    assert [(use.id, verdict.is_allowed) for use, verdict in uncovered_uses(uses, held, DEC)] == [
        ("u3", False),
        ("u2", False),
    ]


def test_a_use_of_today_is_checked_for_the_person_whose_word_it_was():
    held = permissions_on([grant(S.BASIC)], [revoked(MAR, contact="C9")], (), JUN)
    uses = [Use(f"u{person}", S.BASIC, JUN, None, person) for person in ("C8", "C9")]

    assert [use.id for use, _ in uncovered_uses(uses, held, JUN)] == ["uC9"]


# --- properties ------------------------------------------------------------------------------------------------------

DAYS = st.dates(JAN, JAN + timedelta(40))
PEOPLE = st.sampled_from((None, "C1", "C2"))
SCOPES = st.sets(st.sampled_from((S.BASIC, S.LINKEDIN, S.LOGO)), min_size=1).map(
    lambda some: tuple(one for one in S if one in some)
)
HOURS = st.none() | st.sampled_from([datetime(2026, 1, 1, hour, tzinfo=UTC) for hour in (8, 12)])


@st.composite
def grant_lists(draw):
    made = draw(st.lists(st.tuples(SCOPES, DAYS, DAYS, st.none() | DAYS, PEOPLE, HOURS), max_size=5))
    return [
        Grant(f"g{n}", scopes, on, start, end, at and datetime.combine(on, at.timetz()), contact)
        for n, (scopes, on, start, end, contact, at) in enumerate(made)
    ]


REVOCATIONS = st.lists(
    st.builds(lambda scopes, on, day, contact: Revocation("r", scopes, on, day, None, contact), SCOPES, DAYS, DAYS, PEOPLE),
    max_size=3,
)  # fmt: skip
DEPARTURES = st.lists(
    st.builds(lambda on, day, who: Departure("l", who, on, day), DAYS, DAYS, st.sampled_from(("C1", "C2"))), max_size=2
)


def by_definition(grants, revocations, departures, scope, day):
    """Granted <= d < min(expires, revoked, left), by the latest word of each person."""
    for one in grants:
        if scope not in one.scopes or one.made_on > day or not one.start <= day or (one.end and day >= one.end):
            continue
        if any(
            scope in r.scopes and r.made_on <= day and r.day <= day and one.made_on <= r.made_on
            and (r.contact in (None, one.contact) or not scope.is_personal)
            for r in revocations
        ):  # fmt: skip
            continue
        if scope.is_personal and any(
            left.contact == one.contact and left.made_on <= day and left.day <= day and one.made_on <= left.made_on
            for left in departures
        ):
            continue

        def rank(other):
            return other.made_on, other.made_at.timestamp() if other.made_at else 0, other.id

        if any(
            other.contact == one.contact and scope in other.scopes and rank(other) > rank(one)
            and other.made_on <= day and other.start <= day and (other.end is None or other.start < other.end)
            for other in grants
        ):  # fmt: skip
            continue
        return True
    return False


@given(grant_lists(), REVOCATIONS, DEPARTURES, DAYS)
def test_a_permission_is_valid_exactly_as_the_definition_says(grants, revocations, departures, day):
    expected = tuple(one for one in S if by_definition(grants, revocations, departures, one, day))

    assert valid(day, grants, revocations, departures) == expected


@given(grant_lists(), REVOCATIONS, DEPARTURES, DAYS)
def test_the_next_change_is_exactly_the_first_day_on_which_something_flips(grants, revocations, departures, as_of):
    now = permissions_on(grants, revocations, departures, as_of)
    days = [as_of + timedelta(n) for n in range(1, 90)]
    later = [(day, valid(day, grants, revocations, departures)) for day in days]

    assert now.next_change_on == next((day for day, held in later if held != now.valid), None)
    assert now.turns_on == next((day for day, held in later if bool(held) != bool(now.valid)), None)
    is_basic = S.BASIC in now.valid
    assert now.basic_turns_on == next((day for day, held in later if (S.BASIC in held) != is_basic), None)


@given(grant_lists(), REVOCATIONS, DEPARTURES, DAYS, st.data())
def test_asking_before_a_use_agrees_with_the_set(grants, revocations, departures, day, data):
    held = permissions_on(grants, revocations, departures, day)

    assert tuple(one for one in S if may_use(held, one, day).is_allowed) == held.valid
    shuffled = permissions_on(data.draw(st.permutations(grants)), revocations, departures, day)
    assert shuffled == held


# --- what an account has said ---------------------------------------------------------------------------------------


def event(code, attributes=None, **fields):
    return VerifiedEvent("e1", code, fields.pop("on", JAN), attributes=attributes or {}, **fields)


def test_a_revocation_that_cannot_be_read_revokes_everything():
    granted = event("permission_granted", {"scopes": ["basic", "logo"]}, contact="C1")
    for attributes in ({"scope": "logo"}, {"scopes": "logos"}, {"scopes": []}, {"scopes": 7}):
        revoked_ = event("permission_revoked", attributes, on=MAR)
        assert read_record([granted, revoked_]).on(MAR).valid == ()
        assert read_record([granted, revoked_]).on(MAR - timedelta(1)).valid == (S.BASIC, S.LOGO)
    left_ = event("contact_left", {"nte": 7}, on=MAR, contact="C1")
    assert read_record([granted, left_]).on(MAR).valid == (S.LOGO,)


def test_a_record_knows_who_is_gone_and_who_came_back():
    record = read_record(
        [
            event("contact_left", contact="C1", on=MAR),
            event("contact_left", contact="C2", on=MAR),
            event("permission_granted", {"scopes": "logo"}, contact="C2", on=JUN),
        ]
    )

    assert record.departed_on(MAR - timedelta(1)) == {}
    assert record.departed_on(MAR) == {"C1": MAR, "C2": MAR}
    assert record.departed_on(JUN) == {"C1": MAR}


def test_a_record_sorts_out_events_and_leaves_out_what_cannot_be_read():
    record = read_record(
        [
            event("permission_granted", {"scopes": "logo"}, opportunity="006A"),
            event("permission_granted", {"scope": "logo"}),
            event("permission_revoked", {"scopes": "basic"}),
            event("contact_left", contact="C1"),
            event("contact_left"),
            event("permission_promised", {"scopes": "logo"}, opportunity="006A"),
            event("permission_promised", {"scopes": "logo"}),
            event("permission_used", {"scopes": "logo"}),
            event("reference_call"),
            event("referral"),
            event("x_ours"),
        ]
    )

    counts = [len(getattr(record, name)) for name in ("grants", "revocations", "departures", "promises", "uses")]
    assert counts == [1, 1, 1, 1, 2]
    assert record.on(JAN).valid == (S.LOGO,)
    assert record.on(JAN).consents == record.consents_on(JAN) != ()
    assert {"permission_granted", "contact_left", "case_study"} <= set(RECORD_TYPES)
    assert "referral" not in RECORD_TYPES
