"""From what pydantic found wrong to problems with a position, a stable code and a suggestion."""

from __future__ import annotations

import re
import types
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError

from app.errors import Problem
from app.mapping.render import suggest
from app.mapping.source import Route, Source, Step

Found = Mapping[str, Any]
"""One entry of `ValidationError.errors()`."""

_KINDS = {
    "string_type": "text is needed here",
    "string_sub_type": "text is needed here",
    "int_type": "a whole number is needed here",
    "int_from_float": "a whole number is needed here",
    "bool_type": "true or false is needed here",
    "list_type": "a list is needed here",
    "dict_type": "a block of key: value is needed here",
    "mapping_type": "a block of key: value is needed here",
    "model_type": "a block of key: value is needed here",
    "model_attributes_type": "a block of key: value is needed here",
}
_RANGES = {
    "greater_than_equal": "must be at least {ge}",
    "less_than_equal": "must be at most {le}",
    "too_short": "needs at least {min_length} entries",
    "too_long": "has more than {max_length} entries",
}


def read_faults(source: Source, model: type[BaseModel], failure: ValidationError) -> list[Problem]:
    """All problems of one validation, in the order of the file, without those that only follow from others."""
    found = [error for error in failure.errors(include_url=False) if not _follows(error, failure, model)]
    return sorted((_problem(source, model, error) for error in found), key=lambda one: (one.line, one.column))


def _follows(error: Found, failure: ValidationError, model: type[BaseModel]) -> bool:
    """A missing key is no news where an unknown key beside it is its misspelling."""
    if error["type"] != "missing":
        return False
    parent, name = tuple(error["loc"][:-1]), str(error["loc"][-1])
    siblings = [
        one for one in failure.errors() if one["type"] == "extra_forbidden" and tuple(one["loc"][:-1]) == parent
    ]
    return any(f"did you mean {name!r}?" in suggest(str(one["loc"][-1]), _keys_of(model, parent)) for one in siblings)


def _problem(source: Source, model: type[BaseModel], error: Found) -> Problem:
    kind, context = str(error["type"]), error.get("ctx", {})
    route = route_in(source.data, error["loc"])
    if kind == "extra_forbidden":
        return _unknown(source, model, error, route)
    if kind == "missing":
        return _missing(source, error, route)
    if kind.startswith("ADV-MAP-"):
        place = (*route, *context["at"])
        spot = source.key_spot(place) if context["key"] else source.value_spot(place)
        return source.problem(kind, context["text"], spot, context["hint"])
    code, message, hint = _plain_fault(kind, context, error.get("input"))
    return source.problem(code, message, source.value_spot(route), hint)


def _plain_fault(kind: str, context: Found, value: object) -> tuple[str, str, str]:
    if kind in _KINDS:
        hint = "put it in quotes" if kind.startswith("string") and not isinstance(value, list | dict | None) else ""
        return "ADV-MAP-012", f"{_KINDS[kind]}, not {_describe(value)}", hint
    if kind in ("literal_error", "enum"):
        allowed = re.findall(r"'([^']*)'", str(context.get("expected", ""))) or [str(context.get("expected", ""))]
        return "ADV-MAP-013", f"{_describe(value)} is not allowed here", suggest(str(value), allowed)
    if kind in _RANGES:
        return "ADV-MAP-014", f"{_describe(value)} {_RANGES[kind].format(**context)}", ""
    if kind == "string_pattern_mismatch":
        return "ADV-MAP-014", f"{_describe(value)} is not allowed here", "lower-case letters, digits and _ only"
    return "ADV-MAP-012", f"{_describe(value)} cannot be used here", ""


def _describe(value: object) -> str:
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict | list):
        return "a block" if isinstance(value, dict) else "a list"
    return repr(value[:60]) if isinstance(value, str) else str(value)


def _unknown(source: Source, model: type[BaseModel], error: Found, route: Route) -> Problem:
    name, parent = str(error["loc"][-1]), tuple(error["loc"][:-1])
    code, noun = "ADV-MAP-010", "key"
    if parent[-1:] == ("attributes",):
        code, noun = "ADV-MAP-016", "attribute"
    elif parent[-2:] == ("write_back", "fields"):
        code, noun = "ADV-MAP-023", "measure"
    hint = suggest(name, _keys_of(model, parent))
    return source.problem(code, f"unknown {noun} {name[:60]!r}", source.key_spot(route), hint)


def _missing(source: Source, error: Found, route: Route) -> Problem:
    name, parent = str(error["loc"][-1]), tuple(error["loc"][:-1])
    if name == "version":
        return source.problem("ADV-MAP-009", "'version' is missing", source.key_spot(route), "write version: 1")
    if parent[-1:] == ("attributes",):
        message = f"the attribute {name!r} is missing in {parent[-2]}"
        return source.problem("ADV-MAP-017", message, source.key_spot(route), f"add {name}: and the CRM field")
    where = f" in {parent[-1]}" if parent and isinstance(parent[-1], str) else ""
    return source.problem("ADV-MAP-011", f"{name!r} is missing{where}", source.key_spot(route))


def route_in(data: Any, loc: Sequence[Step]) -> Route:
    """A pydantic location as a way through the file: union tags and spelled-out short forms drop away."""
    route: list[Step] = []
    for step in loc:
        steps: Any = data if isinstance(data, dict) else range(len(data)) if isinstance(data, list) else ()
        if step in steps:
            route.append(step)
            data = data[step]
    return tuple(route)


def _keys_of(model: type[BaseModel], parent: Sequence[Step]) -> list[str]:
    """The keys allowed at a location."""
    kind: Any = model
    for step in parent:
        kind = _inside(kind, step)
    return list(kind.model_fields) if _is_model(kind) else []


def _inside(kind: Any, step: Step) -> Any:
    if _is_model(kind):
        field = kind.model_fields.get(step)
        return _bare(field.annotation) if field else kind
    inner = [_bare(one) for one in get_args(kind)]
    if get_origin(kind) in (list, dict):
        return inner[-1]
    # A union of conditions: the tag in the location says which; `any` is the only key that tells them apart.
    return next((one for one in inner if _is_model(one) and ("any" in one.model_fields) == (step == "one_of")), kind)


def _bare(kind: Any) -> Any:
    """Without Annotated and without `| None`."""
    while get_origin(kind) is Annotated:
        kind = get_args(kind)[0]
    if get_origin(kind) in (Union, types.UnionType):
        rest = [one for one in get_args(kind) if one is not type(None)]
        return _bare(rest[0]) if len(rest) == 1 else kind
    return kind


def _is_model(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, BaseModel)
