"""Every connector says which promises it keeps, and gives its reason for each that it does not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

import connectors
from connectors.catalogue import connector_names
from connectors.contract import CrmConnector

FOLDER = Path(connectors.__file__).parent

COMMON = {
    "conformance_suite",
    "identify",
    "describe",
    "full_pull",
    "pages_bound_memory",
    "torn_reads_detected",
    "incremental_pull",
    "resumable_pull",
    "deletions",
    "filters",
    "count",
    "re_read_by_ids",
    "push_one_result_per_update",
    "push_atomic",
    "push_fenced",
    "killed_push_ended",
    "unknown_outcomes",
    "merges",
    "multiple_currencies",
    "allowance",
    "setup",
    "health_check",
    "record_links",
}
"""What every connector has to say something about."""


def load(name: str) -> dict[str, Any]:
    return dict(YAML(typ="safe").load((FOLDER / name / "quality.yml").read_text(encoding="utf-8")))


def is_answer(value: object) -> bool:
    """`done`, or `todo` or `exempt` with a reason of a few words."""
    if isinstance(value, dict) and len(value) == 1:
        ((kind, reason),) = value.items()
        return kind in {"todo", "exempt"} and isinstance(reason, str) and len(reason.split()) >= 3
    return value == "done"


@pytest.mark.parametrize("name", connector_names())
def test_a_connector_says_what_it_keeps_and_why_not(name: str) -> None:
    quality = load(name)

    assert quality["connector"] == name
    assert set(quality["rules"]) >= COMMON
    assert [rule for rule, value in quality["rules"].items() if not is_answer(value)] == []


def test_s4_13_every_crm_is_reached_through_one_interface_and_judged_by_one_suite(
    every_crm: list[CrmConnector],
) -> None:
    """A connector that the suite never meets, or that lacks a part of the contract, fails here."""
    promised = {name for name in vars(CrmConnector) if not name.startswith("_")} | set(CrmConnector.__annotations__)

    assert {type(crm).__module__.split(".")[1] for crm in every_crm} == set(connector_names())
    assert {name for name in promised for crm in every_crm if not hasattr(crm, name)} == set()


@pytest.mark.parametrize(
    "value", ["todo", "exempt", "", None, True, {"exempt": ""}, {"todo": "soon"}, {"done": "a b c"}]
)
def test_an_answer_without_a_reason_is_none(value: object) -> None:
    assert not is_answer(value)
