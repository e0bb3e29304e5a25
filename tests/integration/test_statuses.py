"""A referral's status after its import: decided by people, moved on by its source, told by its milestones."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta

import pytest
from companies import TODAY, TOKEN, build_company

from app.domain.events import AdvocacyEvent
from app.domain.model import ReferralStatus
from app.intake.import_events import import_events
from app.store.events import list_events, save_events
from app.store.statuses import SOURCE, decide_statuses, find_event_ids, load_changes
from app.sync.why import explain_change
from connectors.salesforce.sandbox import Org, Sandbox

CLAIMED, VERIFIED, REJECTED, EXPIRED = (
    ReferralStatus.CLAIMED,
    ReferralStatus.VERIFIED,
    ReferralStatus.REJECTED,
    ReferralStatus.EXPIRED,
)
CLAIM = "test/A-Y"
"""A says that it brought Y, too, which B is credited for."""


@pytest.fixture
def company(migrated_database_url):
    with Sandbox(Org(), token=TOKEN) as sandbox:
        built = build_company(sandbox, migrated_database_url)
        built.refer("A-Y", "A", "Y", status=CLAIMED)
        built.services = replace(built.services, now=lambda: TODAY + timedelta(hours=1))
        yield built
        built.services.database.close()


def referral(company, status=None, **more):
    return AdvocacyEvent(
        "test", "A-Y", "referral", date(2025, 2, 1), company.ids["A"], referred_account=company.ids["Y"],
        status=status, **more,
    )  # fmt: skip


def milestone(company, kind, of="A-Y", key=None, system="test"):
    return AdvocacyEvent(
        system, key or f"{kind} {of}", kind, date(2025, 3, 1), company.ids["A"], attributes={"referral": of}
    )


def send(company, *events):
    return save_events(company.services.database, events, now=TODAY, policy=company.services.mapping.policy)


def decide(company, status, *ids, reason=None):
    return decide_statuses(
        company.services.database, ids or (CLAIM,), status, who="ann", now=company.services.now(), reason=reason
    )


def status_of(company, event_id=CLAIM):
    return {one.event_id: one.event.status for one in list_events(company.services.database)}[event_id]


def history(company, event_id=CLAIM):
    with company.services.database.read() as connection:
        return [(one.was, one.status, one.who, one.reason) for one in load_changes(connection, [event_id])]


def why(company, name, since):
    found = explain_change(company.services, company.ids[name], since)
    return {(one.cause, int(one.amounts["referred"]), one.decision) for one in found.parts}


def test_a_claimed_referral_earns_once_a_person_has_verified_it_and_nothing_once_it_is_rejected(company):
    first = company.sync()
    assert company.shown("A") == ("140000.00", "100000.00", "40000.00")

    (change,) = decide(company, VERIFIED, reason="the buyer confirmed it")
    second = company.sync()

    assert (change.was, change.status, change.who) == (CLAIMED, VERIFIED, "ann")
    assert company.shown("A") == ("265000.00", "100000.00", "165000.00")
    assert company.shown("B") == ("155000.00", "30000.00", "125000.00")
    decided = "claimed -> verified by ann on 2026-03-01: the buyer confirmed it"
    assert why(company, "A", first.run_id) == {("referral_verified", 125_000, decided)}
    assert why(company, "B", first.run_id) == {("co_referrer", -125_000, None)}

    decide(company, REJECTED, reason="it was a partner")
    third = company.sync()

    assert company.shown("A") == ("140000.00", "100000.00", "40000.00")
    assert company.shown("B") == ("280000.00", "30000.00", "250000.00")
    rejected = "verified -> rejected by ann on 2026-03-01: it was a partner"
    assert why(company, "A", second.run_id) == {("referral_withdrawn", -125_000, rejected)}
    assert history(company) == [
        (CLAIMED, VERIFIED, "ann", "the buyer confirmed it"),
        (VERIFIED, REJECTED, "ann", "it was a partner"),
    ]
    assert company.sync().counts["written"] == 0
    assert third.status == "ok"


def test_a_verification_that_reached_a_run_is_not_told_again_of_the_next(company):
    company.sync()
    decide(company, VERIFIED)
    company.services = replace(company.services, now=lambda: TODAY + timedelta(days=1))
    verified = company.sync()
    company.services = replace(company.services, now=lambda: TODAY + timedelta(days=2))
    company.org.update("Opportunity", company.ids["D-Y"], {"Amount": 300_000})
    company.sync()

    assert why(company, "A", verified.run_id) == {("opportunity_changed", 25_000, None)}


def test_deciding_what_is_decided_changes_nothing_and_an_unknown_event_changes_none(company):
    company.sync()
    assert decide(company, CLAIMED) == []
    assert history(company) == []
    with pytest.raises(KeyError):
        decide(company, VERIFIED, CLAIM, "test/none")

    assert status_of(company) is CLAIMED
    assert company.sync().counts["valued"] == 0


def test_a_source_that_sends_it_again_with_a_later_status_moves_it_on(company):
    company.sync()

    again = send(company, referral(company, CLAIMED), referral(company))
    moved = send(company, referral(company, VERIFIED, title="now with a title"))

    assert (again.duplicate, again.moved_on, again.conflicts) == (2, 0, ())
    assert (moved.added, moved.duplicate, moved.moved_on) == (0, 1, 1)
    assert [one.differing for one in moved.conflicts] == [("title",)]
    assert history(company) == [(CLAIMED, VERIFIED, SOURCE, None)]
    company.sync()
    assert company.shown("A") == ("265000.00", "100000.00", "165000.00")


def test_an_old_file_imported_again_takes_nothing_back_and_is_no_conflict(company):
    old, new = referral(company, CLAIMED), referral(company, VERIFIED)
    send(company, new)

    for event in (old, new, old, referral(company)):
        report = send(company, event)
        assert (report.duplicate, report.moved_on, report.conflicts) == (1, 0, ())
    assert status_of(company) is VERIFIED


def test_only_a_person_brings_a_rejected_referral_back(company):
    decide(company, REJECTED)

    report = send(company, referral(company, VERIFIED))
    assert [(one.source_event_id, one.differing) for one in report.conflicts] == [("A-Y", ("status",))]
    assert status_of(company) is REJECTED

    decide(company, VERIFIED)
    assert status_of(company) is VERIFIED
    assert send(company, referral(company, REJECTED)).conflicts == ()
    assert status_of(company) is VERIFIED, "the source repeats what the person has overruled"
    assert send(company, milestone(company, "referral.reversed")).moved_on == 1
    assert status_of(company) is REJECTED, "but this is news"


def test_an_event_of_other_content_moves_nothing(company):
    other = replace(referral(company, VERIFIED), referred_account=company.ids["X"])

    report = send(company, other)

    assert [one.differing for one in report.conflicts] == [("referred_account_id",)]
    assert (report.moved_on, status_of(company)) == (0, CLAIMED)


@pytest.mark.parametrize(
    ("kind", "status"),
    [
        ("referral.accepted", VERIFIED),
        ("referral.won", VERIFIED),
        ("referral.expired", EXPIRED),
        ("referral.rejected", REJECTED),
        ("referral.reversed", REJECTED),
        ("referral.qualified", CLAIMED),
        ("referral.lost", CLAIMED),
    ],
)
def test_a_milestone_makes_of_its_referral_what_it_says(company, kind, status):
    report = send(company, milestone(company, kind))

    assert (report.added, report.moved_on, report.conflicts) == (1, int(status is not CLAIMED), ())
    assert status_of(company) is status
    assert [one[3] for one in history(company)] == [kind] * report.moved_on
    assert send(company, milestone(company, kind)).moved_on == 0


def test_a_milestone_may_come_before_its_referral_and_in_any_order(company):
    send(company, milestone(company, "referral.rejected", of="late"), milestone(company, "referral.won", of="late"))
    assert status_of(company) is CLAIMED

    late = replace(referral(company), source_event_id="late", status=CLAIMED)
    report = send(company, late)

    assert (report.added, report.moved_on) == (1, 2)
    assert status_of(company, "test/late") is REJECTED
    assert report.conflicts == ()


def test_a_milestone_of_another_source_or_that_is_rejected_itself_changes_nothing(company):
    send(
        company,
        milestone(company, "referral.won", system="other"),
        replace(milestone(company, "referral.rejected"), status=REJECTED),
        milestone(company, "referral.won", of="B-Z"),
        milestone(company, "referral.won", of="referral.won B-Z"),
    )

    assert history(company) == []


def test_a_milestone_that_would_bring_a_rejected_referral_back_is_stored_and_reported(company):
    decide(company, REJECTED)

    report = send(company, milestone(company, "referral.accepted"))

    assert (report.added, report.moved_on) == (1, 0)
    assert [(one.source_event_id, one.differing) for one in report.conflicts] == [
        ("referral.accepted A-Y", ("status",))
    ]
    assert status_of(company) is REJECTED


def test_a_file_that_tells_the_whole_story_ends_where_the_story_ends(company):
    new = [replace(referral(company, status), source_event_id="N") for status in (CLAIMED, VERIFIED, EXPIRED)]

    report = import_events(company.services.database, new, now=TODAY, policy=company.services.mapping.policy)

    assert (report.added, report.duplicate, report.moved_on, report.is_clean) == (1, 2, 2, True)
    assert status_of(company, "test/N") is EXPIRED
    assert [one[:2] for one in history(company, "test/N")] == [(CLAIMED, VERIFIED), (VERIFIED, EXPIRED)]


def test_an_event_is_found_by_our_id_or_by_its_sources_own(company):
    other = replace(referral(company), source_system="a/b", source_event_id="A-Y")
    send(company, other)
    database = company.services.database

    assert find_event_ids(database, CLAIM) == [CLAIM]
    assert find_event_ids(database, "B-Y") == ["test/B-Y"]
    assert find_event_ids(database, "A-Y") == ["a%2Fb/A-Y", CLAIM]
    assert find_event_ids(database, "none") == find_event_ids(database, "A-Y\x00") == []
