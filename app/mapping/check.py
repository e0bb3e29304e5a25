"""The mapping against what the CRM says it has: `check_mapping` gives a `ReadPlan`, or every problem at once.

A field hidden from the connecting user looks exactly like one that does not exist; messages say both.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

from app.domain.rows import Entity
from app.errors import MappingError, Problem
from app.mapping.attributes import SECTIONS
from app.mapping.conditions import fit_filter
from app.mapping.fields import closest_field, find_field, is_known, is_open_path
from app.mapping.file import (
    AttributeMapping,
    EntityMapping,
    MappingFile,
    WriteField,
    filter_content,
    section_content,
)
from app.mapping.kinds import is_perhaps, is_surely, needs
from app.mapping.policy import digest
from app.mapping.render import suggest
from app.mapping.source import Route
from app.mapping.targets import settle_write
from app.mapping.transforms import CoalesceArgument
from connectors.contract import FieldSchema, FieldType, Filter, ObjectSchema

TRANSLATION_VERSION = 1
"""Raised when the translation of the same raw values changes, so that stored rows are read again."""

UNKNOWN_FIELD = FieldSchema("", FieldType.OTHER, updateable=True)
"""Stands for a write-back field that does not exist yet: the measure's usual type decides."""

Schemas = Mapping[str, ObjectSchema | None]


@dataclass(frozen=True, slots=True)
class EntityPlan:
    """What to ask the CRM for, for one section of the mapping."""

    section: str
    entity: Entity
    object: str
    fields: tuple[str, ...]
    """Distinct CRM fields, in the order in which `compile_reader` expects the values."""
    where: Filter
    fields_digest: str
    """Changes when the same record would be translated differently: then everything has to be read again."""
    attributes: Mapping[str, AttributeMapping]
    shown: tuple[WriteField, ...] = ()
    """Accounts only: the write-back fields, read to see what the CRM shows."""


@dataclass(frozen=True, slots=True)
class ReadPlan:
    entities: Mapping[Entity, EntityPlan]
    dated_rates: EntityPlan | None = None
    writes: Mapping[str, WriteField] = field(default_factory=dict)
    """Measure -> field, with type, scale and length settled."""
    dropped: tuple[str, ...] = ()
    """Optional sections and fields that the CRM does not have: a line per section, for people to read."""
    absent: tuple[str, ...] = ()
    """Write-back fields that the CRM does not have yet: planned for, never read, and not to be written."""
    warnings: tuple[Problem, ...] = ()

    @property
    def writable(self) -> tuple[str, ...]:
        """The measures that will be written."""
        return tuple(self.writes)

    def sources(self) -> tuple[EntityPlan, ...]:
        """Everything to pull, rates first: amounts are converted as they come in."""
        order = [Entity.CURRENCY_RATE, None, Entity.ACCOUNT, Entity.OPPORTUNITY, Entity.CONTACT_ROLE, Entity.ADJUSTMENT]
        plans = [self.entities.get(entity) if entity else self.dated_rates for entity in order]
        return tuple(plan for plan in plans if plan)


def objects_of(mapping: MappingFile) -> tuple[str, ...]:
    """The CRM objects to describe before `check_mapping`."""
    return tuple(dict.fromkeys(section.object for section in mapping.sections()))


def check_mapping(mapping: MappingFile, schemas: Schemas, username: str | None, *, writing: bool = True) -> ReadPlan:
    """Compare with the CRM; MappingError carries every problem. Optional parts that are missing are left out.

    `username`: who connects, empty where that is not known, None where the CRM knows no users and hides nothing.

    `writing=False` is for a look without consequences: write-back fields may still be missing or read-only.
    """
    check = _Check(mapping, schemas, username, writing=writing)
    plans = {section.section: plan for section in mapping.sections() if (plan := check.section(section))}
    writes = check.writes()
    if check.problems:
        raise MappingError(check.problems)
    accounts = plans["accounts"]
    shown = tuple(write for write in writes.values() if write.field not in check.absent)
    plans["accounts"] = _with_shown(mapping, accounts, shown)
    return ReadPlan(
        entities={plan.entity: plan for name, plan in plans.items() if name != "dated_rates"},
        dated_rates=plans.get("dated_rates"),
        writes=writes,
        dropped=check.dropped(),
        absent=tuple(check.absent),
        warnings=tuple(check.warnings),
    )


def _with_shown(mapping: MappingFile, plan: EntityPlan, shown: tuple[WriteField, ...]) -> EntityPlan:
    fields = tuple(dict.fromkeys((*plan.fields, *(write.field for write in shown))))
    fresh = replace(plan, fields=fields, shown=shown)
    return replace(fresh, fields_digest=_fields_digest(mapping, fresh))


def _fields_digest(mapping: MappingFile, plan: EntityPlan) -> str:
    section = EntityMapping(plan.section, plan.entity, plan.object, plan.where, plan.attributes)
    shown = [[one.measure, one.field, one.type, one.scale, one.max_length] for one in plan.shown]
    zone, currency = mapping.policy.time_zone, mapping.policy.reporting_currency
    content = [TRANSLATION_VERSION, section_content(section), filter_content(plan.where), shown]
    # Only opportunities hold values that depend on these two.
    return digest([*content, zone, currency] if plan.entity is Entity.OPPORTUNITY else content)[:16]


class _Check:
    """Collects while it walks over one mapping. One use."""

    def __init__(self, mapping: MappingFile, schemas: Schemas, username: str | None, *, writing: bool) -> None:
        self.mapping = mapping
        self.writing = writing
        self.absent: list[str] = []
        self.schemas = schemas
        self.username = username
        self.problems: list[Problem] = []
        self.warnings: list[Problem] = []
        self._dropped: dict[str, list[str]] = {}

    def dropped(self) -> tuple[str, ...]:
        """One line for each part of the mapping that is not read or written as a whole."""
        return tuple(f"{part}: {', '.join(dict.fromkeys(names))}" for part, names in self._dropped.items())

    def _drop(self, part: str, *names: str) -> None:
        self._dropped.setdefault(part, []).extend(names)

    def section(self, section: EntityMapping) -> EntityPlan | None:
        schema = self.schemas.get(section.object)
        if schema is None:
            self._note_no_object(section)
            return None
        before = len(self.problems)
        attributes = {
            name: kept
            for name, one in section.attributes.items()
            if (kept := self._attribute(section, schema, name, one)) is not None
        }
        where = self._where(section, schema)
        if len(self.problems) > before:
            self._forgive_optional(section, before)
            return None
        fields = tuple(dict.fromkeys(name for one in attributes.values() for name in one.crm_fields()))
        plan = EntityPlan(section.section, section.entity, section.object, fields, where, "", attributes)
        return replace(plan, fields_digest=_fields_digest(self.mapping, plan))

    def _note_no_object(self, section: EntityMapping) -> None:
        if section.optional:
            self._drop(section.section, f"the object {section.object}")
            return
        known = [name for name, schema in self.schemas.items() if schema is not None]
        hint = suggest(section.object, known, listed=False) or "check the API name, or mark the section optional: true"
        self._note(
            "ADV-MAP-050",
            f"object {section.object} does not exist{self._or_hidden()}",
            (section.section, "object"),
            hint,
        )

    def _forgive_optional(self, section: EntityMapping, before: int) -> None:
        """An optional section with a missing field is left out whole; any other keeps its problems."""
        found = self.problems[before:]
        if section.optional and all(one.code == "ADV-MAP-051" for one in found):
            del self.problems[before:]
            self._drop(section.section, "; ".join(one.message for one in found))

    def _attribute(
        self, section: EntityMapping, schema: ObjectSchema, name: str, attribute: AttributeMapping
    ) -> AttributeMapping | None:
        missing = [one for one in attribute.crm_fields() if not is_known(schema, one, self.schemas)]
        if missing and attribute.optional and not SECTIONS[section.section].attributes[name].required:
            self._drop(section.section, *missing)
            return _without(attribute, missing)
        base: Route = (section.section, "attributes", name)
        if attribute.field:
            found = self._field(schema, attribute.field, self._field_route(base))
            if found is not None and not attribute.transform:
                self._kind(section, name, found)
        for other, at in self._coalesced(attribute, base):
            self._field(schema, other, at)
        return attribute

    def _kind(self, section: EntityMapping, name: str, found: FieldSchema) -> None:
        """Refuse a field that can never hold what is needed, warn of one that may; a transform may make anything of it.

        In a CRM without users, a folder of tables, every type is a guess from a name: the values decide there.
        """
        kind = SECTIONS[section.section].attributes[name].kind
        if self.username is None or is_surely(kind, found.type):
            return
        message = f"{name} needs {needs(kind)}, but {section.object}.{found.name} is a {found.type} field"
        at = self._field_route((section.section, "attributes", name))
        problem = self.mapping.problem("ADV-MAP-064", message, at, "read another field, or add a transform")
        (self.warnings if is_perhaps(kind, found.type) else self.problems).append(problem)

    def _coalesced(self, attribute: AttributeMapping, base: Route) -> Iterator[tuple[str, Route]]:
        """The further fields of an attribute and where each stands, in whichever of its forms it is written."""
        written = self.mapping.source.values
        for step, transform in enumerate(attribute.transform):
            if not isinstance(transform.argument, CoalesceArgument):
                continue
            heads = [(*base, "transform", step, "coalesce"), (*base, "transform", "coalesce")]
            head = next((one for one in heads if one in written), base)
            head = (*head, "fields") if (*head, "fields") in written else head
            yield from ((name, (*head, at)) for at, name in enumerate(transform.argument.fields))

    def _field_route(self, route: Route) -> Route:
        full: Route = (*route, "field")
        return full if full in self.mapping.source.values else route

    def _field(self, schema: ObjectSchema, name: str, at: Route) -> FieldSchema | None:
        """The field's schema; notes the problem when it is not there or has no single value."""
        found = find_field(schema, name, self.schemas)
        if found is None and not is_open_path(schema, name, self.schemas):
            self._note_missing(schema, name, at)
        if found is not None and found.type is FieldType.COMPOUND:
            parts = ", ".join(found.compound_parts)
            self._note(
                "ADV-MAP-053", f"{schema.name}.{name} is a compound field", at, f"its parts: {parts}" if parts else ""
            )
        return found

    def _note_missing(self, schema: ObjectSchema, name: str, at: Route) -> None:
        by_folded = {one.lower(): one for one in schema.fields}
        if name.lower() in by_folded:
            message = f"field {name} is spelled {by_folded[name.lower()]} on {schema.name}"
            self._note("ADV-MAP-052", message, at, f"did you mean {by_folded[name.lower()]!r}?")
            return
        message = f"field {name} does not exist on {schema.name}{self._or_hidden()}"
        self._note("ADV-MAP-051", message, at, closest_field(name, schema))

    def _where(self, section: EntityMapping, schema: ObjectSchema) -> Filter:
        def look(name: str, at: Route) -> FieldSchema | None:
            return self._field(schema, name, at)

        def note(message: str, at: Route, hint: str) -> None:
            self._note("ADV-MAP-061", message, at, hint)

        return fit_filter(section.where, (section.section, "where"), look, note)

    def writes(self) -> dict[str, WriteField]:
        write_back = self.mapping.write_back
        schema = self.schemas.get(write_back.object)
        if schema is None or not write_back.fields:
            return {}
        if self.writing and not schema.updateable:
            message = f"{self._user() or 'nobody'} may not change records of {schema.name}"
            self._note("ADV-MAP-060", message, ("write_back",), "give edit access to the object")
        settled = {measure: self._write(schema, write) for measure, write in write_back.fields.items()}
        self.warnings.extend(self._currency_warnings(schema, write_back.fields))
        return {measure: write for measure, write in settled.items() if write is not None}

    def _write(self, schema: ObjectSchema, write: WriteField) -> WriteField | None:
        base: Route = ("write_back", "fields", write.measure)
        if write.optional and find_field(schema, write.field, self.schemas) is None:
            self._drop("write_back", write.field)
            return None
        if not self.writing and find_field(schema, write.field, self.schemas) is None:
            self.absent.append(write.field)
            return settle_write(write, UNKNOWN_FIELD, self.mapping.policy.reporting_currency)[0]
        found = self._field(schema, write.field, self._field_route(base))
        if found is None:
            return None
        settled, faults = settle_write(write, found, self.mapping.policy.reporting_currency)
        for one in faults if self.writing else ():
            at = (*base, one.option) if (*base, one.option) in self.mapping.source.values else self._field_route(base)
            self._note(one.code, f"{schema.name}.{write.field} {one.message}", at, one.hint)
        return settled

    def _currency_warnings(self, schema: ObjectSchema, writes: Mapping[str, WriteField]) -> Iterator[Problem]:
        currency = self.mapping.entities[Entity.ACCOUNT].attributes.get("currency")
        if currency is None or find_field(schema, currency.field, self.schemas) is None:
            return
        for measure, write in writes.items():
            found = schema.fields.get(write.field)
            if found is not None and found.type is FieldType.CURRENCY:
                message = f"{write.field} is shown in each account's own currency: {measure} is converted into it from "
                message += self.mapping.policy.reporting_currency
                hint = "to compare accounts, use a number field, beside one for the currency"
                yield self.mapping.problem("ADV-MAP-062", message, ("write_back", "fields", measure), hint)

    def _note(self, code: str, message: str, at: Route, hint: str = "") -> None:
        self.problems.append(self.mapping.problem(code, message, at, hint))

    def _or_hidden(self) -> str:
        return f" or is hidden from {user}" if (user := self._user()) else ""

    def _user(self) -> str:
        if self.username is None:
            return ""
        return f"user {self.username}" if self.username else "the connecting user"


def _without(attribute: AttributeMapping, missing: list[str]) -> AttributeMapping | None:
    """The attribute without some of its fields; None when nothing is left to read."""
    kept = [name for name in attribute.crm_fields() if name not in missing]
    if not kept:
        return None
    steps = tuple(
        replace(step, argument=replace(step.argument, fields=tuple(n for n in step.argument.fields if n in kept)))
        if isinstance(step.argument, CoalesceArgument)
        else step
        for step in attribute.transform
    )
    return AttributeMapping(attribute.field if attribute.field in kept else "", attribute.optional, steps)
