"""How a transform is written in the file: `trim`, or `scale: 0.01`, or `map: {values: {…}}`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal
from fractions import Fraction
from typing import Annotated, Any, ClassVar, Literal

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    GetJsonSchemaHandler,
    StrictBool,
    StrictInt,
    StrictStr,
    WithJsonSchema,
    model_validator,
)
from pydantic_core import CoreSchema

from app.mapping.grammar import ANY_SCALAR, Name, Scalar, Strict, as_text, fault
from app.mapping.render import suggest
from app.mapping.transforms import (
    Argument,
    BoolArgument,
    CoalesceArgument,
    MapArgument,
    Transform,
    TransformName,
    check_date_format,
)

_FACTOR = re.compile(r"-?[0-9]{1,18}(?:/[1-9][0-9]{0,17}|\.[0-9]{1,18})?", re.ASCII)


def _check_scalar(value: object) -> object:
    if isinstance(value, list | dict):
        raise fault(12, "one plain value is needed here")
    return value


PlainValue = Annotated[Any, AfterValidator(_check_scalar), ANY_SCALAR]


class MapModel(Strict):
    """`map: {values: {CRM value: our value}, otherwise: keep}`"""

    values: dict[str, PlainValue] = Field(min_length=1, max_length=2000, description="CRM value: our value")
    otherwise: PlainValue = Field("keep", description="for values not listed: keep, null (empty), or a value")


class CoalesceModel(Strict):
    """`coalesce: [Other, Third]` or `coalesce: {fields: [...], default: text}`"""

    fields: list[Name] = Field([], max_length=10, description="CRM fields to try, in this order")
    default: PlainValue = Field(None, description="when all of them are empty")


class BoolModel(Strict):
    """`bool: {"true": [Closed Won]}`: with one list given, everything else is the other."""

    true: list[PlainValue] | None = Field(None, description="values that mean yes")
    false: list[PlainValue] | None = Field(None, description="values that mean no")
    otherwise: StrictBool | None = Field(None, description="what any other value means")


def _spell_coalesce(value: object) -> object:
    return {"fields": value} if isinstance(value, list) else value


def _read_factor(value: object) -> Fraction:
    text = as_text(value) if isinstance(value, str | int | Decimal) and not isinstance(value, bool) else ""
    if not _FACTOR.fullmatch(text) or not Fraction(text):
        raise fault(19, "scale needs a number other than 0", "e.g. scale: 0.01 or scale: 1/1000")
    return Fraction(text)


def _read_layouts(value: object) -> list[str]:
    layouts = [value] if isinstance(value, str) else value
    hint = "e.g. parse_date: DD.MM.YYYY"
    if not isinstance(layouts, list) or not layouts or not all(isinstance(one, str) for one in layouts):
        raise fault(19, "parse_date needs a format, or a list of formats", hint)
    for layout in layouts:
        try:
            check_date_format(layout)
        except ValueError as reason:
            raise fault(19, f"{layout[:40]!r}: {reason}", hint) from None
    return layouts


def _read_constant(value: object) -> str:
    if value is None or isinstance(value, list | dict):
        raise fault(19, "const needs one value", "e.g. const: EUR")
    return as_text(value)  # type: ignore[arg-type]  # lists and dicts were refused above


def _check_separator(value: str) -> str:
    if not 1 <= len(value) <= 5:
        raise fault(19, "split needs a separator of 1 to 5 characters", 'e.g. split: ";"')
    return value


Constant = Annotated[str, BeforeValidator(_read_constant), WithJsonSchema({"type": ["string", "number", "boolean"]})]
Factor = Annotated[Fraction, BeforeValidator(_read_factor), WithJsonSchema({"type": ["number", "string"]})]
_ONE_OR_MORE = {"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}, "minItems": 1}]}
Layouts = Annotated[list[str], BeforeValidator(_read_layouts), WithJsonSchema(_ONE_OR_MORE)]


class TransformModel(Strict):
    """Exactly one of these; those that need no argument may stand as a bare name."""

    trim: Literal[True] | None = Field(None, description="remove blanks around the text")
    lower: Literal[True] | None = Field(None, description="lower case")
    upper: Literal[True] | None = Field(None, description="upper case")
    domain: Literal[True] | None = Field(None, description="the host of a web or e-mail address")
    map: MapModel | None = Field(None, description="replace listed values")
    const: Constant | None = Field(None, description="always this value")
    coalesce: Annotated[CoalesceModel, BeforeValidator(_spell_coalesce)] | None = Field(
        None, description="the first field that is not empty"
    )
    scale: Factor | None = Field(None, description="multiply, exactly")
    round: Annotated[StrictInt, Field(ge=0, le=12)] | None = Field(None, description="decimals; halves away from zero")
    parse_date: Layouts | None = Field(None, description="read dates such as 31.12.2025: DD.MM.YYYY")
    split: Annotated[StrictStr, AfterValidator(_check_separator)] | None = Field(None, description="cut into a list")
    bool: BoolModel | None = Field(None, description="true or false")

    bare: ClassVar[Mapping[str, object]] = {
        "trim": True,
        "lower": True,
        "upper": True,
        "domain": True,
        "bool": {},
        "split": ";",
    }
    """What a transform without an argument stands for."""

    @model_validator(mode="before")
    @classmethod
    def spell_out(cls, value: object) -> object:
        if isinstance(value, str):
            _check_transform_name(value, key=False)
            return {value: cls._without_argument(value)}
        if not isinstance(value, dict) or len(value) != 1:
            raise fault(12, "a transform is one name, or one name with its argument", "e.g. trim, or scale: 0.01")
        name, argument = next(iter(value.items()))
        _check_transform_name(name, key=True)
        return {name: cls._without_argument(name)} if argument is None else value

    @classmethod
    def _without_argument(cls, name: str) -> object:
        if name not in cls.bare:
            raise fault(19, f"{name!r} needs an argument", f"write {name}: and its argument")
        return cls.bare[name]

    @classmethod
    def __get_pydantic_json_schema__(cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        full = handler(core_schema) | {"minProperties": 1, "maxProperties": 1}
        return {"anyOf": [{"enum": sorted(cls.bare)}, full]}

    @property
    def name(self) -> TransformName:
        return TransformName(next(iter(self.model_fields_set)))


def _check_transform_name(name: str, *, key: bool) -> None:
    names = [one.value for one in TransformName]
    if name not in names:
        raise fault(18, f"unknown transform {name[:60]!r}", suggest(name, names), (name,) if key else (), key=key)


def read_transform(model: TransformModel) -> Transform:
    return Transform(model.name, _read_argument(model))


def _read_argument(model: TransformModel) -> Argument:
    if model.map is not None:
        keep = model.map.otherwise == "keep"
        values = {key: _text(value) for key, value in model.map.values.items()}
        return MapArgument(values, keep, None if keep else _text(model.map.otherwise))
    if model.coalesce is not None:
        return CoalesceArgument(tuple(model.coalesce.fields), _text(model.coalesce.default))
    if model.bool is not None:
        return _bool_argument(model.bool)
    if model.parse_date is not None:
        return tuple(model.parse_date)
    return next((one for one in (model.const, model.scale, model.round, model.split) if one is not None), None)


def _bool_argument(model: BoolModel) -> BoolArgument:
    if model.true is None and model.false is None:
        return BoolArgument(otherwise=model.otherwise)
    one_sided = model.false is not None if model.true is None else (False if model.false is None else None)
    otherwise = one_sided if model.otherwise is None else model.otherwise
    return BoolArgument(_words(model.true), _words(model.false), otherwise)


def _words(values: list[Any] | None) -> frozenset[str]:
    return frozenset(as_text(value).strip().casefold() for value in values or ())


def _text(value: Scalar) -> str | None:
    return None if value is None or value == "" else as_text(value)
