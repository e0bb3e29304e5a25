"""Change data capture from the org's change to the corrected number in the CRM, over gRPC on this machine."""

from __future__ import annotations

from datetime import timedelta

import pytest

pytest.importorskip("grpc", reason="the extra cdc is not installed")
pytest.importorskip("fastavro", reason="the extra cdc is not installed")

from companies import TODAY, TOKEN, build_company, open_services
from pub_sub import TOPIC, Peer, position

from app.bootstrap import build_change_source
from app.jobs.listener import ChangeJob, listen_for_changes
from app.jobs.worker import InboxWorker
from app.store.announcements import load_heard, save_heard
from app.store.inbox import list_deliveries
from connectors.salesforce.sandbox import Org, Sandbox


@pytest.fixture
def peer():
    with Peer() as made:
        yield made


@pytest.fixture
def company(migrated_database_url, peer):
    """A company that is in order, and heard up to now."""
    with Sandbox(Org(), token=TOKEN) as sandbox:
        built = build_company(sandbox, migrated_database_url)
        built.sync()
        built.services.database.close()
        built.services = open_services(
            sandbox, migrated_database_url, salesforce_changes="on", salesforce_changes_endpoint=peer.address
        )
        save_heard(built.services.database, TOPIC, position(0))
        yield built
        built.services.database.close()


def listen(company, streams=1):
    """Hear what there is, up to the end of so many streams that the peer cuts."""
    job = ChangeJob(company.services, build_change_source(company.services.settings), TOPIC, pause=0, first_wait=0)
    for _ in range(streams):
        job.listen()


def work(company):
    object.__setattr__(company.services, "now", lambda: TODAY + timedelta(minutes=2))
    InboxWorker(company.services).work_once()
    object.__setattr__(company.services, "now", lambda: TODAY)


def test_a_changed_deal_moves_the_number_in_the_crm_within_one_run(company, peer):
    company.org.update("Opportunity", company.ids["D-Y"], {"Amount": 260_000})
    peer.announce("Opportunity", "UPDATE", company.ids["D-Y"])
    peer.drop_after = [2]

    listen(company)
    work(company)

    assert company.shown("B")[0] == "290000.00"
    assert load_heard(company.services.database, TOPIC) == position(1)


def test_a_deal_that_is_deleted_and_restored_goes_and_comes_back(company, peer):
    deal = company.ids["D-Y"]
    company.org.delete("Opportunity", deal)
    peer.announce("Opportunity", "DELETE", deal)
    peer.drop_after = [2, 2]
    listen(company)
    work(company)
    gone = company.shown("B")[0]

    company.org.undelete("Opportunity", deal)
    peer.announce("Opportunity", "UNDELETE", deal)
    listen(company)
    work(company)

    assert (gone, company.shown("B")[0]) == ("30000.00", "280000.00")


def test_a_new_deal_and_a_gap_are_read_like_any_change(company, peer):
    company.deal("D-Z", "Y", 1_000)
    company.org.update("Opportunity", company.ids["D-X"], {"Amount": 50_000})
    peer.announce("Opportunity", "CREATE", company.ids["D-Z"])
    peer.announce("Opportunity", "GAP_UPDATE", company.ids["D-X"])
    peer.drop_after = [2]

    listen(company)
    work(company)

    assert (company.shown("A")[0], company.shown("B")[0]) == ("150000.00", "281000.00")


@pytest.mark.parametrize("trouble", ["overflow", "forgotten"])
def test_what_was_not_named_is_found_by_a_pull(company, peer, trouble):
    company.org.update("Opportunity", company.ids["D-Y"], {"Amount": 260_000})
    peer.announce("Opportunity", "GAP_OVERFLOW", "000000000000000AAA")
    peer.forgotten = 1 if trouble == "forgotten" else 0
    peer.drop_after = [1, 1]

    listen(company)
    work(company)

    assert company.shown("B")[0] == "290000.00"
    assert load_heard(company.services.database, TOPIC) == position(1)


def test_our_own_write_and_anything_told_twice_end_without_a_write(company, peer):
    company.org.update("Opportunity", company.ids["D-Y"], {"Amount": 260_000})
    peer.announce("Opportunity", "UPDATE", company.ids["D-Y"])
    peer.drop_after = [2, 2, 2]
    listen(company)
    work(company)
    written = company.sandbox.written["Account"]

    peer.announce("Account", "UPDATE", company.ids["B"], company.ids["Y"])
    listen(company)
    work(company)
    save_heard(company.services.database, TOPIC, position(0))
    listen(company)
    work(company)

    assert company.sandbox.written["Account"] == written


def test_the_running_jobs_hear_across_broken_connections_and_end_when_told(company, peer):
    peer.batch, peer.drop_after = 1, [1, 1, 1]
    for name in ("A", "B", "X", "Y"):
        peer.announce("Account", "UPDATE", company.ids[name])
    jobs = listen_for_changes(company.services, build_change_source(company.services.settings))
    for job in jobs:
        job.pause = job.first_wait = 0
    try:
        for _ in range(2000):
            if load_heard(company.services.database, TOPIC) == position(4):
                break
            jobs[0].thread.join(0.01)
    finally:
        for job in jobs:
            job.halt()
        jobs[0].thread.join(10)

    assert not jobs[0].thread.is_alive()
    assert load_heard(company.services.database, TOPIC) == position(4)
    assert len(list_deliveries(company.services.database)) == 4
