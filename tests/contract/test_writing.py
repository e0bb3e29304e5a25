"""What every connector owes a writer: three states of a value, one result for every update, and a fence asked each time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from connectors.contract import CrmConnector, Outcome, Update, UpdateResult


def open_fence() -> None:
    pass


class Fence:
    """Counts how often it was asked, and closes after `passes` times."""

    def __init__(self, passes: int = 1_000_000) -> None:
        self.asked = 0
        self.passes = passes

    def __call__(self) -> None:
        self.asked += 1
        if self.asked > self.passes:
            raise RuntimeError("the lease is lost")


@pytest.fixture(params=[5, 2500], ids=["few expected", "many expected"])
def expected(request) -> int:
    """What the caller announces; a connector may choose another way for many."""
    return request.param


def push(world, crm: CrmConnector, updates: Sequence[Update], expected: int, fence=open_fence) -> list[UpdateResult]:
    return list(crm.push(world.names.account, updates, expected=expected, fence=fence))


def same(shown: object, wanted: str) -> bool:
    return shown is not None and Decimal(str(shown)) == Decimal(wanted)


@pytest.fixture
def five(world) -> list[str]:
    return [world.create_account(f"Account {i}") for i in range(5)]


def test_a_value_sets_none_clears_and_an_absent_field_is_left_alone(world, crm: CrmConnector, five, expected) -> None:
    number, text = world.names.number, world.names.text
    push(world, crm, [Update(key, {number: Decimal("1.50"), text: "before"}) for key in five], expected)

    results = push(
        world,
        crm,
        [
            Update(five[0], {number: Decimal("280000.25")}),
            Update(five[1], {number: None}),
            Update(five[2], {text: "after"}),
            Update(five[3], {number: Decimal("1E+3"), text: None}),
        ],
        expected,
    )

    assert {result.outcome for result in results} == {Outcome.OK}
    assert same(world.shown(five[0], number), "280000.25")
    assert world.shown(five[0], text) == "before"
    assert world.shown(five[1], number) is None
    assert world.shown(five[1], text) == "before"
    assert same(world.shown(five[2], number), "1.50")
    assert world.shown(five[2], text) == "after"
    assert same(world.shown(five[3], number), "1000")
    assert world.shown(five[3], text) is None
    assert same(world.shown(five[4], number), "1.50")


def test_zero_is_a_value_and_not_a_blank(world, crm: CrmConnector, five, expected) -> None:
    push(world, crm, [Update(five[0], {world.names.number: Decimal("0.00")})], expected)

    assert same(world.shown(five[0], world.names.number), "0")


@pytest.mark.parametrize(
    "text",
    ['comma, "quote"', "two\nlines", "two\r\nlines", "ends\r", "Søn 株式会社 🎉", "#N/A", "NA", "007", "true", "-"],
)
def test_text_arrives_as_it_was_sent(world, crm: CrmConnector, five, expected, text: str) -> None:
    push(world, crm, [Update(five[0], {world.names.text: text}), Update(five[1], {world.names.text: "x"})], expected)

    assert world.shown(five[0], world.names.text) == text


def test_a_moment_arrives_as_the_same_moment(world, crm: CrmConnector, five, expected) -> None:
    if not world.names.moment:
        pytest.skip("no such field")
    moment = datetime(2024, 3, 31, 1, 30, tzinfo=UTC)

    push(world, crm, [Update(five[0], {world.names.moment: moment})], expected)

    assert datetime.fromisoformat(str(world.shown(five[0], world.names.moment))) == moment


def test_there_is_exactly_one_result_for_every_update(world, crm: CrmConnector, expected) -> None:
    keys = [world.create_account(f"Account {i}") for i in range(450)]

    results = push(world, crm, [Update(key, {world.names.number: Decimal(i)}) for i, key in enumerate(keys)], expected)

    assert Counter(result.record_id for result in results) == Counter(keys)
    assert {result.outcome for result in results} == {Outcome.OK}
    assert all(same(world.shown(key, world.names.number), str(i)) for i, key in enumerate(keys))


def test_a_refused_record_is_a_result_and_does_not_stop_the_others(world, crm: CrmConnector, five, expected) -> None:
    if not world.refuse(five[2]):
        pytest.skip("this CRM refuses nothing")

    results = push(world, crm, [Update(key, {world.names.number: Decimal(7)}) for key in five], expected)

    found = {result.record_id: result for result in results}
    assert found[five[2]].outcome is Outcome.REJECTED
    assert found[five[2]].code
    assert found[five[2]].message
    assert {found[key].outcome for key in five if key != five[2]} == {Outcome.OK}
    assert world.shown(five[2], world.names.number) is None


def test_a_deleted_record_is_gone(world, crm: CrmConnector, five, expected) -> None:
    if not crm.capabilities.deletions:
        pytest.skip("this CRM does not tell")
    world.delete_account(five[1])

    results = push(world, crm, [Update(key, {world.names.number: Decimal(7)}) for key in five], expected)

    assert {result.record_id: result.outcome for result in results}[five[1]] is Outcome.GONE


def test_a_value_that_has_no_form_is_refused_before_it_is_sent(world, crm: CrmConnector, five, expected) -> None:
    updates = [Update(five[0], {world.names.number: Decimal("NaN")}), Update(five[1], {world.names.number: Decimal(1)})]

    results = push(world, crm, updates, expected)

    assert {result.record_id: result.outcome for result in results} == {
        five[0]: Outcome.REJECTED,
        five[1]: Outcome.OK,
    }


def test_nothing_is_written_once_the_fence_is_closed(world, crm: CrmConnector, five, expected) -> None:
    fence = Fence(passes=0)

    with pytest.raises(RuntimeError, match="the lease is lost"):
        push(world, crm, [Update(five[0], {world.names.number: Decimal(9)})], expected, fence)

    assert fence.asked == 1
    assert world.shown(five[0], world.names.number) is None


def test_the_fence_is_asked_before_every_write(world, crm: CrmConnector, five, expected) -> None:
    fence = Fence()

    push(world, crm, [Update(five[0], {world.names.number: Decimal(9)})], expected, fence)

    assert fence.asked >= 1


def test_a_push_that_came_to_its_end_has_left_nothing_to_end(world, crm: CrmConnector, five, expected) -> None:
    traces: list[str] = []
    updates = [Update(five[0], {world.names.number: Decimal(9)})]

    list(crm.push(world.names.account, updates, expected=expected, fence=open_fence, trace=traces.append))
    before = crm.usage.api_calls
    crm.end_push(traces[-1] if traces else "", fence=open_fence)

    assert traces[-1:] in ([], [""])
    assert crm.usage.api_calls == before


def test_no_updates_cost_nothing(world, crm: CrmConnector, expected) -> None:
    before = crm.usage.api_calls

    assert push(world, crm, [], expected) == []
    assert crm.usage.api_calls == before
