"""One mapping file, read and checked by itself: a frozen `MappingFile`, or every problem at once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from dataclasses import field as default
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from app.domain.model import Policy
from app.domain.plan import FieldPolicy, Limits
from app.domain.rows import Entity
from app.errors import MappingError, Problem
from app.mapping.attributes import SECTIONS
from app.mapping.document import DOCUMENT, AnyModel, AttributeModel, ConditionModel, SectionModel, WriteModel
from app.mapping.faults import read_faults
from app.mapping.grammar import as_text
from app.mapping.measures import MEASURES, MeasureKind, WriteType
from app.mapping.policy import apply_policy_overrides, digest, policy_content, policy_version, read_policy
from app.mapping.source import Route, Source, parse_source, read_source
from app.mapping.steps import read_transform
from app.mapping.transforms import CoalesceArgument, Transform
from connectors.contract import AnyOf, Condition, Filter

__all__ = [
    "AttributeMapping",
    "EntityMapping",
    "Limits",
    "MappingFile",
    "WriteBack",
    "WriteField",
    "apply_policy_overrides",
    "load_mapping",
    "parse_mapping",
    "read_mapping",
]


@dataclass(frozen=True, slots=True)
class AttributeMapping:
    """`field` is empty where the first transform is `const`."""

    field: str
    optional: bool = False
    transform: tuple[Transform, ...] = ()

    def crm_fields(self) -> tuple[str, ...]:
        """Every CRM field the attribute reads."""
        others = [step.argument.fields for step in self.transform if isinstance(step.argument, CoalesceArgument)]
        return tuple(dict.fromkeys(name for group in ((self.field,), *others) for name in group if name))


@dataclass(frozen=True, slots=True)
class EntityMapping:
    section: str
    entity: Entity
    object: str
    where: Filter
    attributes: Mapping[str, AttributeMapping]
    optional: bool = False


@dataclass(frozen=True, slots=True)
class WriteField:
    """Where a measure goes. `type`, `scale` and `max_length` None: as the CRM's field (see `check.ReadPlan.writes`)."""

    measure: str
    field: str
    type: WriteType | None = None
    scale: int | None = None
    max_length: int | None = None
    policy: str = "overwrite"
    values: Mapping[str, str] = default(default_factory=dict)
    optional: bool = False
    in_record_currency: bool = False
    """The CRM's field is one for money, whatever `type` says: some CRMs show it in the record's own currency."""

    @property
    def companion(self) -> bool:
        """Written only together with another change of the same record."""
        return MEASURES[self.measure].companion

    @property
    def kind(self) -> MeasureKind:
        return MEASURES[self.measure].kind


@dataclass(frozen=True, slots=True)
class WriteBack:
    object: str
    limits: Limits = default(default_factory=Limits)
    fields: Mapping[str, WriteField] = default(default_factory=dict)


@dataclass(frozen=True, slots=True)
class MappingFile:
    """`entities` holds every section but `dated_rates`, which is a second source of CURRENCY_RATE rows."""

    crm: str
    path: str
    policy: Policy
    policy_version: str
    """12 hex digits; changes exactly when the policy does."""
    digest: str
    """Changes exactly when the meaning does: comments, the order of keys and short forms do not matter."""
    entities: Mapping[Entity, EntityMapping]
    dated_rates: EntityMapping | None
    write_back: WriteBack
    source: Source = default(repr=False, compare=False)

    def sections(self) -> Iterator[EntityMapping]:
        yield from self.entities.values()
        if self.dated_rates:
            yield self.dated_rates

    def problem(self, code: str, message: str, at: Route, hint: str = "") -> Problem:
        """A problem at a value of the file; `at` is the way to it."""
        return self.source.problem(code, message, self.source.value_spot(at), hint)


def load_mapping(path: Path) -> MappingFile:
    """Read and check a mapping file; MappingError carries every problem with its position."""
    return read_mapping(read_source(path))


def parse_mapping(text: str, path: str = "mapping") -> MappingFile:
    """`load_mapping` for text that is already here."""
    return read_mapping(parse_source(text, path))


def read_mapping(source: Source) -> MappingFile:
    if not isinstance(source.data, dict):
        message = "the file is empty" if source.data is None else "the file must be a block of key: value"
        raise MappingError([source.problem("ADV-MAP-008", message, source.value_spot(()), "see mappings/README.md")])
    _check_version(source)
    try:
        document: Any = DOCUMENT.model_validate(source.data)
    except ValidationError as failure:
        raise MappingError(read_faults(source, DOCUMENT, failure)) from None
    mapping = _bind(document, source)
    problems = list(_clashes(mapping))
    if problems:
        raise MappingError(problems)
    return mapping


def _check_version(source: Source) -> None:
    version = source.data.get("version", 1)
    if version != 1 or isinstance(version, bool):
        # Nothing else of the file can be judged by the rules of this version.
        message = f"version {as_text(version) if not isinstance(version, dict | list) else '?'} is not known"
        raise MappingError(
            [source.problem("ADV-MAP-009", message, source.value_spot(("version",)), "write version: 1")]
        )


def _bind(document: Any, source: Source) -> MappingFile:
    sections = {name: _bind_section(name, model) for name in SECTIONS if (model := getattr(document, name))}
    policy = read_policy(document.policy)
    write_back = _bind_write_back(document, sections["accounts"].object)
    content = {
        "crm": document.crm,
        "policy": policy_content(policy),
        "sections": {name: section_content(section) for name, section in sections.items()},
        "write_back": _write_back_content(write_back),
    }
    return MappingFile(
        crm=document.crm,
        path=source.path,
        policy=policy,
        policy_version=policy_version(policy),
        digest=digest(content),
        entities={one.entity: one for name, one in sections.items() if name != "dated_rates"},
        dated_rates=sections.get("dated_rates"),
        write_back=write_back,
        source=source,
    )


def _bind_section(name: str, model: SectionModel) -> EntityMapping:
    bound = {
        attribute: _bind_attribute(one)
        for attribute in type(model.attributes).model_fields
        if (one := getattr(model.attributes, attribute)) is not None
    }
    where = tuple(_bind_condition(entry) for entry in model.where)
    return EntityMapping(name, SECTIONS[name].entity, model.object, where, bound, model.optional)


def _bind_attribute(model: AttributeModel) -> AttributeMapping:
    return AttributeMapping(model.field or "", model.optional, tuple(read_transform(one) for one in model.transform))


def _bind_condition(entry: ConditionModel | AnyModel) -> Condition | AnyOf:
    if isinstance(entry, AnyModel):
        return AnyOf(tuple(Condition(one.field, one.op, one.value) for one in entry.any))
    return Condition(entry.field, entry.op, entry.value)


def _bind_write_back(document: Any, accounts_object: str) -> WriteBack:
    model = document.write_back
    if model is None:
        return WriteBack(accounts_object)
    bound = {name: _bind_write(name, one) for name in MEASURES if (one := getattr(model.fields, name)) is not None}
    return WriteBack(model.object or accounts_object, Limits(**model.limits.model_dump()), bound)


def _bind_write(measure: str, model: WriteModel) -> WriteField:
    values = {ours: as_text(crm) for ours, crm in model.values.items() if crm is not None}
    return WriteField(
        measure, model.field, model.type, model.scale, model.max_length, model.policy, values, model.optional
    )


def section_content(section: EntityMapping) -> dict[str, Any]:
    """A section as plain data, for digests."""
    return {
        "object": section.object,
        "optional": section.optional,
        "where": filter_content(section.where),
        "attributes": {name: repr(_settled(one)) for name, one in section.attributes.items()},
    }


def _settled(attribute: AttributeMapping) -> tuple[Any, ...]:
    """The attribute without sets and dictionaries, whose text would depend on the order of writing or hashing."""
    return (
        attribute.field,
        attribute.optional,
        [(str(one.name), _settle(one.argument)) for one in attribute.transform],
    )


def _settle(argument: Any) -> Any:
    if isinstance(argument, Mapping):
        return sorted(argument.items())
    if isinstance(argument, frozenset):
        return sorted(argument)
    if hasattr(argument, "__slots__") and hasattr(argument, "__dataclass_fields__"):
        return [(name, _settle(getattr(argument, name))) for name in argument.__dataclass_fields__]
    return argument


def filter_content(where: Filter) -> list[Any]:
    """A filter as plain data, for digests."""
    return [
        [_comparison(one) for one in entry.conditions] if isinstance(entry, AnyOf) else _comparison(entry)
        for entry in where
    ]


def _comparison(condition: Condition) -> list[str]:
    return [condition.field, str(condition.op), repr(condition.value)]


def _write_back_content(write_back: WriteBack) -> dict[str, Any]:
    fields = {
        name: [one.field, one.type, one.scale, one.max_length, one.policy, sorted(one.values.items()), one.optional]
        for name, one in write_back.fields.items()
    }
    limits = {name: getattr(write_back.limits, name) for name in Limits.__dataclass_fields__}
    return {"object": write_back.object, "fields": fields, "limits": limits}


def _clashes(mapping: MappingFile) -> Iterator[Problem]:
    """What only shows when several parts of the file are looked at together."""
    accounts = mapping.entities[Entity.ACCOUNT]
    if mapping.write_back.object != accounts.object:
        message = f"results can only be written to {accounts.object!r}, the object of accounts"
        yield mapping.problem("ADV-MAP-031", message, ("write_back", "object"), "leave object out")
    readers = {name.lower(): ours for ours, one in accounts.attributes.items() for name in one.crm_fields()}
    writers: dict[str, str] = {}
    for measure, write in mapping.write_back.fields.items():
        at = _write_route(mapping, measure)
        name = write.field.lower()
        if name in readers:
            message = f"{write.field!r} is read as accounts.{readers[name]} and would be overwritten"
            yield mapping.problem("ADV-MAP-029", message, at, "write to a field of its own")
        if name in writers:
            message = f"{write.field!r} is already the field of {writers[name]!r}"
            yield mapping.problem("ADV-MAP-024", message, at, "give each measure its own field")
        writers.setdefault(name, measure)
        if MEASURES[measure].is_consent and write.policy != FieldPolicy.OVERWRITE:
            message = f"with the policy {write.policy!r} {measure!r} could go on showing a consent that was taken back"
            yield mapping.problem("ADV-MAP-033", message, (*at[:3], "policy"), "leave policy out")


def _write_route(mapping: MappingFile, measure: str) -> Route:
    """The way to the name of a measure's CRM field, in either form."""
    full: Route = ("write_back", "fields", measure, "field")
    return full if full in mapping.source.values else full[:-1]
