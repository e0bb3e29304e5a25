"""An attribute's source: which column of the page, through which transforms."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from app.mapping.file import AttributeMapping
from app.mapping.memo import Memo, Notes, read_all
from app.mapping.transforms import CoalesceArgument, Step, Transform, TransformName, build_step
from connectors.contract import RawValue

Columns = Sequence[Sequence[RawValue]]
Pipe = Callable[[Columns, Notes], Sequence[RawValue]]
_Stage = Callable[[Sequence[RawValue], Columns, Notes], Sequence[RawValue]]


def build_pipe(attribute: AttributeMapping, places: Mapping[str, int], name: str) -> Pipe:
    """The function that picks an attribute's texts out of a transposed page and transforms them."""
    place = places.get(attribute.field, -1)
    stages = _stages([one for one in attribute.transform if one.name is not TransformName.SPLIT], places, name)

    def pick(columns: Columns, notes: Notes) -> Sequence[RawValue]:
        texts = columns[place] if place >= 0 else [None] * len(columns[0])
        for stage in stages:
            texts = stage(texts, columns, notes)
        return texts

    return pick


def _stages(transforms: Sequence[Transform], places: Mapping[str, int], name: str) -> list[_Stage]:
    """Steps that look at one value are joined into one stage each; `coalesce` is a stage of its own."""
    stages: list[_Stage] = []
    joined: list[Step] = []
    for transform in transforms:
        if isinstance(transform.argument, CoalesceArgument):
            stages += [_value_stage(joined, name)] if joined else []
            joined = []
            stages.append(_coalesce_stage(transform.argument, places))
        else:
            joined.append(build_step(transform))
    return stages + ([_value_stage(joined, name)] if joined else [])


def _value_stage(steps: list[Step], name: str) -> _Stage:
    def through(text: RawValue) -> RawValue:
        for step in steps:
            text = step(text)
        return text

    memo = Memo(through)
    return lambda texts, _columns, notes: read_all(memo, texts, notes, name)


def _coalesce_stage(argument: CoalesceArgument, places: Mapping[str, int]) -> _Stage:
    others = [places[field] for field in argument.fields]

    def first_of(texts: Sequence[RawValue], columns: Columns, _notes: Notes) -> Sequence[RawValue]:
        for place in others:
            texts = [mine or other for mine, other in zip(texts, columns[place], strict=True)]
        return [text or argument.default for text in texts] if argument.default else texts

    return first_of
