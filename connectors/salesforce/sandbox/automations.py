"""What an administrator has let run when records are saved: names only. Nothing of it is executed here.

What it does to a write is told with `Org.refuse`, which refuses a record as a failing trigger or a rule would.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from connectors.salesforce.sandbox.schema import Field, ObjectType, build_type

SET_UP_QUERY = re.compile(r"\bfrom\s+(flowdefinitionview|apextrigger)\b", re.IGNORECASE)
"""Queries for set-up objects that the ordinary query call answers too."""


@dataclass(frozen=True, slots=True)
class Automation:
    """`kind`: flow, trigger or rule (validation). `on`: Create, Update, CreateAndUpdate or Delete."""

    kind: str
    object: str
    name: str
    on: str = "CreateAndUpdate"
    active: bool = True


def automation_types() -> list[ObjectType]:
    usages = [Field(f"Usage{when}{what}", "boolean") for when in ("Before", "After") for what in ("Insert", "Update")]
    flow = ("ApiName", "Label", "TriggerType", "RecordTriggerType")
    return [
        build_type("EntityDefinition", "4ie", [Field("Id"), Field("QualifiedApiName")]),
        build_type(
            "FlowDefinitionView",
            "3dd",
            [Field("Id"), *map(Field, flow), Field("IsActive", "boolean"), _entity("TriggerObjectOrEvent")],
        ),
        build_type(
            "ApexTrigger", "01q", [Field("Id"), *map(Field, ("Name", "TableEnumOrId", "Status")), *usages, _entity()]
        ),
        build_type(
            "ValidationRule", "03d", [Field("Id"), Field("ValidationName"), Field("Active", "boolean"), _entity()]
        ),
    ]


def _entity(relationship: str = "EntityDefinition") -> Field:
    return Field(f"{relationship}Id", "reference", refers_to=("EntityDefinition",), relationship=relationship)


def records_of(automations: Iterable[Automation], entities: dict[str, str]) -> Iterable[tuple[str, dict[str, object]]]:
    """(object, values) of every record; `entities`: object -> id of its EntityDefinition."""
    for one in automations:
        yield _RECORDS[one.kind](one, entities[one.object])


def _flow(one: Automation, entity: str) -> tuple[str, dict[str, object]]:
    named = {"ApiName": one.name, "Label": one.name, "IsActive": one.active, "TriggerObjectOrEventId": entity}
    return "FlowDefinitionView", {**named, "TriggerType": "RecordAfterSave", "RecordTriggerType": one.on}


def _trigger(one: Automation, entity: str) -> tuple[str, dict[str, object]]:
    usages = {"UsageAfterInsert": "Create" in one.on, "UsageAfterUpdate": "Update" in one.on}
    unused = {"UsageBeforeInsert": False, "UsageBeforeUpdate": False}
    named = {"Name": one.name, "TableEnumOrId": one.object, "EntityDefinitionId": entity}
    return "ApexTrigger", {**named, **usages, **unused, "Status": "Active" if one.active else "Inactive"}


def _rule(one: Automation, entity: str) -> tuple[str, dict[str, object]]:
    return "ValidationRule", {"ValidationName": one.name, "Active": one.active, "EntityDefinitionId": entity}


_RECORDS = {"flow": _flow, "trigger": _trigger, "rule": _rule}
