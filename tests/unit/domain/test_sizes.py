"""Bands of company sizes, to the employee; references and look-alikes speak of the same ones."""

from __future__ import annotations

import pytest

from app.domain.sizes import read_size, size_band


@pytest.mark.parametrize(
    ("employees", "band"),
    [(None, None), (0, None), (-1, None), (1, "micro"), (9, "micro"), (10, "small"), (49, "small"), (50, "medium"), (249, "medium"), (250, "large"),
     (999, "large"), (1000, "giant"), (10_000_000, "giant")],
)  # fmt: skip
def test_size_bands_to_the_employee(employees, band):
    assert size_band(employees) == band
    if band is not None:
        assert read_size(str(employees)) == read_size(f" {band.upper()} ") == band


@pytest.mark.parametrize("wrong", ["0", "-1", "huge", "", "1.5"])
def test_no_size(wrong):
    with pytest.raises(ValueError, match="micro, small, medium, large, giant"):
        read_size(wrong)
