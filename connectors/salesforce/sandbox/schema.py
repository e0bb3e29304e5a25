"""Objects and fields as an org knows them, and how `describe` shows them.

A row is a list; each field has a fixed slot in it, slot 0 is the Id. Adding a field lengthens the rows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

Row = list[Any]
Formula = Callable[[Mapping[str, Any]], Any]
"""Computes a field from the record's other fields at the moment of reading: no stamp moves when its result does."""

NUMERIC = frozenset({"currency", "double", "percent"})
TEXTUAL = frozenset(
    {"string", "textarea", "picklist", "multipicklist", "phone", "url", "email", "combobox", "id", "reference"}
)
_SOAP = {
    "id": "tns:ID",
    "reference": "tns:ID",
    "boolean": "xsd:boolean",
    "int": "xsd:int",
    "currency": "xsd:double",
    "double": "xsd:double",
    "percent": "xsd:double",
    "date": "xsd:date",
    "datetime": "xsd:dateTime",
    "address": "urn:address",
}


@dataclass(slots=True)
class Field:
    """`open`: the profile shows it to everyone; otherwise a permission set has to grant it."""

    name: str
    type: str = "string"
    label: str = ""
    length: int = 0
    precision: int = 0
    scale: int = 0
    required: bool = False
    writable: bool = True
    creatable: bool = True
    external_id: bool = False
    unique: bool = False
    case_sensitive: bool = False
    values: tuple[str, ...] = ()
    restricted: bool = False
    refers_to: tuple[str, ...] = ()
    relationship: str = ""
    compound: str = ""
    """Name of the compound field this one is a part of."""
    long_text: bool = False
    formula: Formula | None = None
    open: bool = True
    default: Any = None
    slot: int = -1

    @property
    def custom(self) -> bool:
        return self.name.endswith("__c")

    @property
    def stored(self) -> bool:
        return self.type != "address" and self.formula is None

    @property
    def id_lookup(self) -> bool:
        return self.type == "id" or self.external_id


@dataclass(slots=True)
class ChildRelationship:
    name: str
    object: str
    field: str


@dataclass(slots=True)
class ObjectType:
    name: str
    prefix: str
    label: str = ""
    fields: dict[str, Field] = field(default_factory=dict)
    children: dict[str, ChildRelationship] = field(default_factory=dict)
    createable: bool = True
    updateable: bool = True
    deletable: bool = True
    bulk: bool = True
    width: int = 0
    unique: list[Field] = field(default_factory=list)
    _folded: dict[str, Field] = field(default_factory=dict)

    def add(self, new: Field) -> None:
        """Give the field its slot. A compound or formula field has none: it is computed when read."""
        new.label = new.label or new.name.removesuffix("__c").replace("_", " ")
        if new.stored:
            new.slot = self.width
            self.width += 1
        self.fields[new.name] = new
        self.unique = [one for one in self.fields.values() if one.unique]
        self._folded[new.name.lower()] = new

    def find(self, name: str) -> Field | None:
        """By name without regard to case, as SOQL and REST do."""
        return self.fields.get(name) or self._folded.get(name.lower())

    def parent(self, relationship: str) -> Field | None:
        """The reference field behind `Account` in `Account.Name`."""
        wanted = relationship.lower()
        return next((f for f in self.fields.values() if f.relationship.lower() == wanted and f.relationship), None)

    def slot(self, name: str) -> int:
        return self.fields[name].slot


def build_type(name: str, prefix: str, fields: Iterable[Field], **options: Any) -> ObjectType:
    made = ObjectType(name, prefix, **options)
    made.label = made.label or name
    for one in fields:
        made.add(one)
    return made


def describe_field(of: Field, *, editable: bool) -> dict[str, Any]:
    """The 57 keys of a field in a describe answer."""
    filterable = not of.long_text and of.type != "address"
    return {
        "aggregatable": filterable and of.type != "boolean",
        "aiPredictionField": False,
        "autoNumber": False,
        "byteLength": of.length * 3,
        "calculated": of.formula is not None,
        "calculatedFormula": None,
        "cascadeDelete": False,
        "caseSensitive": of.case_sensitive,
        "compoundFieldName": of.compound or None,
        "controllerName": None,
        "createable": editable and of.creatable and of.stored,
        "custom": of.custom,
        "defaultValue": of.default if of.type == "boolean" else None,
        "defaultValueFormula": None,
        "defaultedOnCreate": of.default is not None or not of.creatable,
        "dependentPicklist": False,
        "deprecatedAndHidden": False,
        "digits": of.precision if of.type == "int" else 0,
        "displayLocationInDecimal": False,
        "encrypted": False,
        "externalId": of.external_id,
        "extraTypeInfo": "plaintextarea" if of.type == "textarea" else None,
        "filterable": filterable,
        "filteredLookupInfo": None,
        "formulaTreatNullNumberAsZero": False,
        "groupable": filterable and of.type not in NUMERIC | {"datetime"},
        "highScaleNumber": False,
        "htmlFormatted": False,
        "idLookup": of.id_lookup,
        "inlineHelpText": None,
        "label": of.label,
        "length": 18 if of.type in {"id", "reference"} else of.length,
        "mask": None,
        "maskType": None,
        "name": of.name,
        "nameField": of.name == "Name",
        "namePointing": False,
        "nillable": not of.required and of.type not in {"boolean", "id"},
        "permissionable": of.writable and not of.required and of.type != "id",
        "picklistValues": [_describe_value(value) for value in of.values],
        "polymorphicForeignKey": False,
        "precision": of.precision,
        "queryByDistance": False,
        "referenceTargetField": None,
        "referenceTo": list(of.refers_to),
        "relationshipName": of.relationship or None,
        "relationshipOrder": None,
        "restrictedDelete": False,
        "restrictedPicklist": of.restricted,
        "scale": of.scale,
        "searchPrefilterable": of.type == "reference",
        "soapType": _SOAP.get(of.type, "xsd:string"),
        "sortable": filterable and of.type != "multipicklist",
        "type": of.type,
        "unique": of.unique,
        "updateable": editable and of.writable and of.stored,
        "writeRequiresMasterRead": False,
    }


def _describe_value(value: str) -> dict[str, Any]:
    return {"active": True, "defaultValue": False, "label": value, "validFor": None, "value": value}
