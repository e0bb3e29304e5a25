"""The mapping file's shape, as pydantic models: what may stand where, and the JSON schema for editors.

Short forms (`name: Name`) are spelled out before they are checked, so that the rest of the program knows one form.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    Discriminator,
    Field,
    GetJsonSchemaHandler,
    StrictBool,
    StrictInt,
    StrictStr,
    Tag,
    WithJsonSchema,
    create_model,
    model_validator,
)
from pydantic_core import CoreSchema

from app.domain.model import OpportunityType
from app.mapping.attributes import FITTING, SECTIONS, AttributeRule, Kind, SectionRule
from app.mapping.grammar import Name, Strict, as_text, fault
from app.mapping.measures import MEASURES, NUMERIC, TEXTUAL, WRITABLE_AS, MeasureRule, WriteType
from app.mapping.policy import PolicyModel
from app.mapping.render import suggest
from app.mapping.steps import PlainValue, TransformModel
from app.mapping.transforms import TransformName
from connectors.contract import Operator


def _spell_list(value: object) -> object:
    return value if isinstance(value, list) else [value]


class AttributeModel(Strict):
    field: Name | None = Field(None, description="API name in the CRM")
    optional: StrictBool = Field(False, description="left out where the CRM has no such field")
    transform: Annotated[list[TransformModel], BeforeValidator(_spell_list)] = Field([], max_length=10)

    @model_validator(mode="before")
    @classmethod
    def spell_out(cls, value: object) -> object:
        return _spell_field(value, "e.g. name: Name")

    @classmethod
    def __get_pydantic_json_schema__(cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return _or_name(handler(core_schema))


def _spell_field(value: object, example: str) -> object:
    if value is None or isinstance(value, list | int | Decimal | date):
        raise fault(12, "the name of a CRM field is needed here", example)
    return {"field": value} if isinstance(value, str) else value


def _or_name(full: dict[str, Any]) -> dict[str, Any]:
    return {"anyOf": [{"type": "string", "description": "API name in the CRM"}, full]}


def _fits(kind: Kind) -> AfterValidator:
    def check(attribute: AttributeModel) -> AttributeModel:
        names = [step.name for step in attribute.transform]
        for at, name in enumerate(names):
            if name not in FITTING[kind]:
                allowed = ", ".join(sorted(FITTING[kind]))
                message = f"the transform {name.value!r} does not fit this attribute"
                raise fault(20, message, f"allowed: {allowed}", ("transform", at))
            if name is TransformName.SPLIT and at != len(names) - 1:
                raise fault(20, "'split' must be the last transform", "", ("transform", at))
        if attribute.field is None and names[:1] != [TransformName.CONST]:
            raise fault(11, "'field' is missing", "name the CRM field; only const does without one")
        if kind is Kind.TYPE:
            _check_types(attribute)
        return attribute

    return AfterValidator(check)


def _check_types(attribute: AttributeModel) -> None:
    known = [one.value for one in OpportunityType]
    for at, step in enumerate(attribute.transform):
        for crm_value, ours in (step.map.values if step.map else {}).items():
            if ours is not None and as_text(ours) not in known:
                where = ("transform", at, "map", "values", crm_value)
                raise fault(13, f"{as_text(ours)[:60]!r} is not a type of deal", suggest(as_text(ours), known), where)


def _check_value(value: object) -> object:
    if isinstance(value, dict):
        raise fault(12, "a condition compares with one value, or a list of values")
    if isinstance(value, list) and any(isinstance(one, list | dict) or one is None for one in value):
        raise fault(22, "the list of a condition holds plain values only")
    return tuple(value) if isinstance(value, list) else value


Compared = Annotated[
    Any, AfterValidator(_check_value), WithJsonSchema({"type": ["string", "number", "boolean", "null", "array"]})
]


class ConditionModel(Strict):
    field: Name = Field(description="API name in the CRM")
    op: Operator = Field(Operator.EQ, description="how to compare")
    value: Compared = Field(description="what to compare with; a list for in and not in")

    @model_validator(mode="after")
    def check_operator(self) -> ConditionModel:
        reason, hint = _misfit(self.op, self.value)
        if reason:
            raise fault(22, reason, hint, ("value",))
        return self


def _misfit(op: Operator, value: object) -> tuple[str, str]:
    listed = isinstance(value, tuple)
    if op in (Operator.IN, Operator.NOT_IN):
        wrong = not isinstance(value, tuple) or not 1 <= len(value) <= 500
        return (f"'{op}' needs a list of 1 to 500 values" if wrong else "", "e.g. value: [Customer, Partner]")
    if listed:
        return f"'{op}' compares with one value", "use op: in for a list"
    if value is None:
        return ("" if op in (Operator.EQ, Operator.NE) else f"'{op}' cannot compare with null", "use = or !=")
    if op is Operator.LIKE and not isinstance(value, str):
        return "'like' compares with text", "% stands for any text"
    return "", ""


class AnyModel(Strict):
    any: list[ConditionModel] = Field(min_length=1, max_length=50, description="one of these must hold")


def _condition_tag(value: object) -> str:
    return "one_of" if isinstance(value, AnyModel) or (isinstance(value, dict) and "any" in value) else "comparison"


WhereEntry = Annotated[
    Annotated[ConditionModel, Tag("comparison")] | Annotated[AnyModel, Tag("one_of")], Discriminator(_condition_tag)
]


class SectionModel(Strict):
    object: Name = Field(description="API name of the CRM's object")
    optional: StrictBool = Field(False, description="left out where the CRM has no such object")
    where: list[WhereEntry] = Field([], max_length=50, description="only records for which all of these hold")
    attributes: Any = None

    @model_validator(mode="after")
    def check_deletion_filter(self) -> SectionModel:
        mark = getattr(self.attributes, "is_deleted", None)
        for at, entry in enumerate(self.where):
            parts = entry.any if isinstance(entry, AnyModel) else [entry]
            if mark is not None and any(part.field == mark.field for part in parts):
                raise fault(30, f"a condition on {mark.field!r} would hide deleted records", "remove it", ("where", at))
        return self


def _section_model(section: str, rule: SectionRule) -> type[SectionModel]:
    title = section.title().replace("_", "")
    fields: dict[str, Any] = {name: _attribute_field(one) for name, one in rule.attributes.items()}
    attributes = create_model(f"{title}Attributes", __base__=Strict, **fields)
    described = Field(description="our attribute: CRM field")
    return create_model(title, __base__=SectionModel, __doc__=rule.meaning, attributes=(attributes, described))


def _attribute_field(rule: AttributeRule) -> tuple[Any, Any]:
    annotation: Any = Annotated[AttributeModel, _fits(rule.kind)]
    return annotation, _described(rule.meaning, required=rule.required)


def _described(meaning: str, *, required: bool) -> Any:
    """A field that may be absent but not empty: `name:` with nothing behind it is an oversight."""
    return Field(description=meaning) if required else Field(None, description=meaning)


FieldPolicy = Literal["overwrite", "only_if_blank", "never_clear", "protect_if_edited"]


class WriteModel(Strict):
    field: Name = Field(description="API name in the CRM")
    type: WriteType | None = Field(None, description="as the CRM's field, where left out")
    scale: StrictInt | None = Field(
        None, ge=0, le=6, description="decimals; as the CRM's field, at most 2, if left out"
    )
    max_length: StrictInt | None = Field(None, ge=1, le=131072, description="longer text is cut off with an ellipsis")
    policy: FieldPolicy = Field("overwrite", description="what happens to a value that is there already")
    values: dict[str, PlainValue] = Field({}, max_length=500, description="our value: the CRM's value")
    optional: StrictBool = Field(False, description="left out where the CRM has no such field")

    @model_validator(mode="before")
    @classmethod
    def spell_out(cls, value: object) -> object:
        return _spell_field(value, "e.g. total: Total_Customer_Value__c")

    @classmethod
    def __get_pydantic_json_schema__(cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return _or_name(handler(core_schema))


def _writable(rule: MeasureRule) -> AfterValidator:
    allowed = WRITABLE_AS[rule.kind]

    def check(write: WriteModel) -> WriteModel:
        kind = write.type or rule.usual
        if kind not in allowed:
            hint = "allowed: " + ", ".join(allowed)
            raise fault(25, f"this measure cannot be written as {kind.value!r}", hint, ("type",))
        fitting = {"scale": kind in NUMERIC, "max_length": kind in TEXTUAL, "values": kind in TEXTUAL}
        for option, fits in fitting.items():
            if option in write.model_fields_set and not fits:
                raise fault(26, f"{option!r} makes no sense for {kind.value!r}", "remove it", (option,), key=True)
        if kind is WriteType.INTEGER and write.scale:
            raise fault(26, "an integer has no decimals", "remove scale, or use type: number", ("scale",))
        return write

    return AfterValidator(check)


def _measure_field(rule: MeasureRule) -> tuple[Any, Any]:
    return Annotated[WriteModel, _writable(rule)], _described(rule.meaning, required=False)


_FIELDS: dict[str, Any] = {name: _measure_field(rule) for name, rule in MEASURES.items()}
WriteFieldsModel: type[BaseModel] = create_model("WriteFields", __base__=Strict, **_FIELDS)


class LimitsModel(Strict):
    max_changed_percent: StrictInt = Field(25, ge=0, le=100, description="of all accounts that show a value")
    max_cleared_percent: StrictInt = Field(10, ge=0, le=100, description="of all accounts that show a value")
    max_decrease_percent: StrictInt = Field(60, ge=0, le=100, description="of the sum of the totals shown")
    ignore_below: StrictInt = Field(20, ge=0, le=1_000_000, description="accounts; smaller runs are never held")


class WriteBackModel(Strict):
    object: Name | None = Field(None, description="the accounts' object; may be left out")
    limits: LimitsModel = Field(LimitsModel(), description="a run that would change more is held until approved")
    fields: WriteFieldsModel = Field(description="our measure: CRM field")


class Root(Strict):
    """A mapping for advocacy-sync: binds a CRM's fields to ours."""

    version: Literal[1] = Field(description="of this file format")
    crm: Annotated[StrictStr, Field(pattern=r"^[a-z][a-z0-9_]{0,30}$")] = Field(description="name of the connector")
    policy: PolicyModel = Field(PolicyModel(), description="how credit is given")
    write_back: WriteBackModel | None = Field(None, description="which results go to which CRM fields")


def _root_model() -> type[Root]:
    sections: dict[str, Any] = {}
    for section, rule in SECTIONS.items():
        model: Any = _section_model(section, rule)
        sections[section] = (model, _described(rule.meaning, required=rule.required))
    return create_model("Mapping", __base__=Root, __doc__=Root.__doc__, **sections)


DOCUMENT = _root_model()


def json_schema() -> Mapping[str, Any]:
    """For editors: completion, descriptions and errors while typing."""
    schema = DOCUMENT.model_json_schema()
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}
