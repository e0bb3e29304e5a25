from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.salesforce.sandbox.ids import checksum, full_id, new_id

ID15 = st.text("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789", min_size=15, max_size=15)


def test_checksum_is_the_documented_one():
    assert full_id("001Tt0000000001") == "001Tt0000000001IAA"
    assert checksum("AAAAAAAAAAAAAAA") == "555"
    assert checksum("aaaaaaaaaaaaaaa") == "AAA"


@given(ID15)
def test_full_ids_of_different_short_ids_differ_also_without_case(short):
    swapped = short.swapcase()

    assert (full_id(short).lower() == full_id(swapped).lower()) == (short == swapped)


@given(ID15)
def test_full_id_accepts_its_own_result(short):
    assert full_id(full_id(short)) == full_id(short)


@pytest.mark.parametrize(
    "wrong", ["", "001", "001Tt0000000001IAB", "001Tt0000000001iaa", "001Tt000000000é", "001Tt0000000001IA"]
)
def test_typing_errors_and_lower_cased_ids_are_refused(wrong):
    with pytest.raises(ValueError, match="record id"):
        full_id(wrong)


def test_neighbouring_ids_collide_without_case_in_the_short_form():
    first, second = new_id("001", 0), new_id("001", 1)

    assert first[:15] != second[:15]
    assert first[:15].lower() == second[:15].lower()
    assert first.lower() != second.lower()


def test_new_ids_never_repeat():
    assert len({new_id("001", number) for number in range(10_000)}) == 10_000
