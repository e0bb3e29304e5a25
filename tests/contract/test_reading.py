"""What every connector owes a reader: all records, once, as text, provably complete, and a place to go on from."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta

import pytest

from connectors.contract import (
    AnyOf,
    Condition,
    CrmConnector,
    FieldType,
    Operator,
    Page,
    PullRequest,
    RawRow,
)
from connectors.errors import ConnectorError


def rows_of(pages: Iterable[Page]) -> list[RawRow]:
    return [row for page in pages for row in page.rows]


def names_of(pages: Iterable[Page]) -> list[str | None]:
    return sorted((row[1] for row in rows_of(pages)), key=str)


def accounts(world, **more) -> PullRequest:
    return PullRequest(world.names.account, (world.names.id, world.names.name), **more)


@pytest.fixture
def ten(world) -> list[str]:
    return [world.create_account(f"Account {i}") for i in range(10)]


def test_describe_tells_the_fields_and_none_for_an_object_that_does_not_exist(world, crm: CrmConnector) -> None:
    schemas = crm.describe([world.names.account, "NoSuchThing"])

    account = schemas[world.names.account]
    assert account is not None
    assert account.fields[world.names.id].type is FieldType.ID
    assert account.fields[world.names.name].type is FieldType.TEXT
    assert account.fields[world.names.number].updateable
    assert schemas["NoSuchThing"] is None


def test_a_full_pull_yields_every_record_once(world, crm: CrmConnector, ten) -> None:
    pages = list(crm.pull([accounts(world)]))

    assert sorted(str(row[0]) for row in rows_of(pages)) == sorted(ten)


def test_a_pull_ends_with_one_complete_page_that_carries_the_watermark(world, crm: CrmConnector, ten) -> None:
    pages = list(crm.pull([accounts(world)]))

    assert [page.complete for page in pages] == [False] * (len(pages) - 1) + [True]
    assert pages[-1].watermark is not None
    assert abs(pages[-1].watermark - world.now()) < timedelta(seconds=5)


def test_an_empty_object_still_ends_with_a_complete_page_and_a_watermark(world, crm: CrmConnector) -> None:
    pages = list(crm.pull([accounts(world)]))

    assert rows_of(pages) == []
    assert pages[-1].complete
    assert pages[-1].watermark is not None


def test_requests_are_answered_one_after_another_in_the_order_given(world, crm: CrmConnector, ten) -> None:
    world.create_opportunity(ten[0], "Deal", "10", won=True)
    deals = PullRequest(world.names.opportunity, (world.names.id, world.names.amount))

    pages = list(crm.pull([deals, accounts(world)]))

    order = [page.request.object for page in pages if page.rows or page.complete]
    assert order == sorted(order, key=[world.names.opportunity, world.names.account].index)
    assert {page.request.object for page in pages if page.complete} == set(order)


def test_values_are_text_or_none_and_in_the_order_of_the_request(world, crm: CrmConnector) -> None:
    account = world.create_account("Ärger & Søn, “quoted”\nsecond line")
    world.create_opportunity(account, 'He said "yes"', "1234.50", won=True)
    world.create_opportunity(account, "none", None, won=False)
    fields = (world.names.won, world.names.amount, world.names.name)

    rows = rows_of(crm.pull([PullRequest(world.names.opportunity, fields), accounts(world)]))

    assert all(value is None or (isinstance(value, str) and value) for row in rows for value in row)
    deals = {row[2]: (row[0], row[1]) for row in rows if len(row) == 3}
    assert deals['He said "yes"'][0] == "true"
    assert float(str(deals['He said "yes"'][1])) == 1234.5
    assert deals["none"] == ("false", None)
    assert "Ärger & Søn, “quoted”\nsecond line" in [row[1] for row in rows if len(row) == 2]


def test_a_field_asked_for_twice_comes_twice(world, crm: CrmConnector, ten) -> None:
    request = PullRequest(world.names.account, (world.names.id, world.names.name, world.names.id))

    rows = rows_of(crm.pull([request]))

    assert len(rows) == 10
    assert all(row[0] == row[2] for row in rows)


def test_a_field_that_does_not_exist_is_an_error_and_not_a_gap(world, crm: CrmConnector, ten) -> None:
    request = PullRequest(world.names.account, (world.names.id, "No_Such_Field"))

    with pytest.raises(ConnectorError, match=r"No_Such_Field|[Nn]o such"):
        list(crm.pull([request]))


def test_conditions_narrow_a_pull(world, crm: CrmConnector) -> None:
    for name in ("it's", "plain", "other", "50% off"):
        world.create_account(name)
    either = AnyOf(tuple(Condition(world.names.name, Operator.EQ, name) for name in ("it's", "plain")))
    among = Condition(world.names.name, Operator.IN, ("it's", "other"))

    assert names_of(crm.pull([accounts(world, where=(either,))])) == ["it's", "plain"]
    assert names_of(crm.pull([accounts(world, where=(either, among))])) == ["it's"]
    assert names_of(crm.pull([accounts(world, where=(Condition(world.names.name, Operator.IN, ()),))])) == []


def test_counts_are_of_live_records_under_the_filter(world, crm: CrmConnector, ten) -> None:
    world.create_opportunity(ten[0], "won", "1", won=True)
    world.create_opportunity(ten[0], "open", "1", won=False)
    world.delete_account(ten[9])

    counts = crm.count(
        {world.names.account: (), world.names.opportunity: (Condition(world.names.won, Operator.EQ, True),)}
    )

    assert counts == {world.names.account: 9, world.names.opportunity: 1}


def test_a_re_read_by_ids_yields_just_those_and_no_watermark(world, crm: CrmConnector, ten) -> None:
    pages = list(crm.pull([accounts(world, ids=(*ten[2:9], ten[3]))]))

    assert sorted(str(row[0]) for row in rows_of(pages)) == sorted(ten[2:9])
    assert pages[-1].complete
    assert all(page.watermark is None for page in pages)


def test_a_re_read_of_nothing_is_complete(world, crm: CrmConnector, ten) -> None:
    pages = list(crm.pull([accounts(world, ids=())]))

    assert rows_of(pages) == []
    assert pages[-1].complete


def test_an_incremental_pull_misses_nothing_that_changed_in_the_second_of_the_watermark(
    world, crm: CrmConnector, ten
) -> None:
    if not crm.capabilities.incremental:
        pytest.skip("every pull is the full snapshot")
    watermark = list(crm.pull([accounts(world)]))[-1].watermark
    world.rename(ten[4], "changed in the same second")
    world.pass_time(60)
    for i in range(6):
        world.create_account(f"later {i}")

    found = names_of(crm.pull([accounts(world, since=watermark)]))

    assert {"changed in the same second", *(f"later {i}" for i in range(6))} <= set(found)


def test_an_incremental_pull_leaves_out_what_has_not_changed(world, crm: CrmConnector, ten) -> None:
    if not crm.capabilities.incremental:
        pytest.skip("every pull is the full snapshot")
    world.pass_time(60)
    since = world.now()
    world.rename(ten[1], "changed")

    pages = list(crm.pull([accounts(world, since=since)]))

    assert names_of(pages) == ["changed"]
    assert pages[-1].complete


def test_watermarks_never_go_back_within_a_pull(world, crm: CrmConnector) -> None:
    if not crm.capabilities.incremental:
        pytest.skip("every pull is the full snapshot")
    since = world.now()
    for i in range(15):
        world.create_account(f"Account {i}")
        world.pass_time(1)

    marks = [page.watermark for page in crm.pull([accounts(world, since=since)]) if page.watermark]

    assert marks == sorted(marks)


def test_a_watermark_covers_only_what_has_been_yielded(world, crm: CrmConnector) -> None:
    if not crm.capabilities.incremental:
        pytest.skip("every pull is the full snapshot")
    since = world.now()
    changed = {}
    for i in range(15):
        changed[world.create_account(f"Account {i}")] = world.now().replace(microsecond=0)
        world.pass_time(7)
    seen: set[str | None] = set()

    for request in (accounts(world, since=since), accounts(world)):
        seen.clear()
        for page in crm.pull([request]):
            seen.update(row[0] for row in page.rows)
            if page.watermark is not None:
                assert {key for key, at in changed.items() if at < page.watermark} <= seen


def test_deleted_records_are_yielded_with_their_mark(world, crm: CrmConnector, ten) -> None:
    if not crm.capabilities.deletions:
        pytest.skip("absence from a full pull means deleted")
    since = world.now()
    world.pass_time(30)
    world.delete_account(ten[0])
    fields = (world.names.id, world.names.deleted)

    for request in (
        PullRequest(world.names.account, fields),
        PullRequest(world.names.account, fields, since=since),
        PullRequest(world.names.account, fields, ids=(ten[0],)),
    ):
        assert dict(rows_of(crm.pull([request])))[ten[0]] == "true"


@pytest.mark.parametrize("pages_before_the_kill", [1, 2, 3])
def test_a_killed_pull_goes_on_where_it_stopped_without_loss_or_doubles(world, ten, pages_before_the_kill: int) -> None:
    pages = world.connect().pull([accounts(world)])
    stored = [next(pages) for _ in range(pages_before_the_kill) if pages]
    position = stored[-1].resume
    if position is None:
        pytest.skip("this pull is too small to be resumed, or this connector does not resume")

    rest = list(world.connect().pull([accounts(world, resume=position)]))

    assert sorted(str(row[0]) for row in [*rows_of(stored), *rows_of(rest)]) == sorted(ten)
    assert rest[-1].complete
    assert rest[-1].watermark is not None


def test_identity_is_the_same_every_time(world, crm: CrmConnector) -> None:
    first, second = crm.identify(), world.connect().identify()

    assert first.organisation_id
    assert first == second


def test_ids_have_one_canonical_form(world, crm: CrmConnector, ten) -> None:
    assert [crm.normalise_id(key) for key in ten] == ten
    with pytest.raises(ValueError, match=r"\w"):
        crm.normalise_id("")


def test_the_health_check_finds_nothing_wrong_with_a_healthy_crm(world, crm: CrmConnector) -> None:
    assert [finding for finding in crm.check_health() if finding.level == "error"] == []


def test_what_was_spent_is_counted(world, crm: CrmConnector, ten) -> None:
    before = crm.usage.api_calls

    list(crm.pull([accounts(world)]))

    allowance = crm.allowance()
    assert crm.usage.api_calls >= before
    assert allowance.left is None or allowance.left >= 0


def test_set_up_creates_what_is_missing_and_is_offered_only_where_it_works(world, crm: CrmConnector) -> None:
    if not crm.capabilities.setup:
        assert tuple(crm.plan_setup()) == tuple(crm.apply_setup(check_only=True)) == ()
        return
    planned = crm.plan_setup()

    checked = crm.apply_setup(check_only=True)
    applied = crm.apply_setup(check_only=False)

    assert checked == planned
    assert [step.name for step in applied] == [step.name for step in planned]
    assert all(step.present for step in applied)
