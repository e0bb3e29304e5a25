"""A mapping for one particular CRM: a shipped one, with the names that this CRM uses. `advocacy mapping init`.

Names are replaced in the text of the file, so that its comments and layout stay.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from difflib import SequenceMatcher

from app.errors import MappingError, Problem
from app.mapping.check import Schemas, check_mapping
from app.mapping.file import EntityMapping, MappingFile, parse_mapping
from app.mapping.transforms import MapArgument
from connectors.contract import ObjectSchema

NEAR = 0.85
_NAME = re.compile(r"[A-Za-z0-9_.]+")
_SUGGESTION = re.compile(r"did you mean '([A-Za-z0-9_.]+)'\?")
_RENAMED = ("ADV-MAP-050", "ADV-MAP-051", "ADV-MAP-052")


@dataclass(frozen=True, slots=True)
class Proposal:
    """`text`: the new file. `changes` and `open`: what was replaced, and what a person has to decide."""

    text: str
    changes: tuple[str, ...] = ()
    open: tuple[str, ...] = ()


def propose_mapping(template: str, schemas: Schemas, username: str | None = "", path: str = "mapping") -> Proposal:
    """Adapt a mapping to what the CRM has. Raises MappingError when the template itself is wrong."""
    changes: list[str] = []
    problems = _problems(parse_mapping(template, path), schemas, username)
    # A corrected object brings its fields into view, so a second look can find more; a third never does.
    for _ in range(3):
        edits = list(_edits(problems, template))
        if not edits:
            break
        template = _edited(template, edits)
        changes += [f"line {one.line}: {one.old} -> {one.new}" for one in edits]
        problems = _problems(parse_mapping(template, path), schemas, username)
    mapping = parse_mapping(template, path)
    questions = [*_needed_only(mapping, schemas, username), *_unmapped_types(mapping, schemas)]
    return Proposal(template, tuple(changes), tuple(questions))


@dataclass(frozen=True, slots=True)
class _Edit:
    line: int
    column: int
    old: str
    new: str


def _edits(problems: Iterable[Problem], text: str) -> Iterator[_Edit]:
    """Near names, where nothing speaks against them: two measures never share the field they are written to."""
    before, _, written = text.partition("\nwrite_back:")
    first_written, taken = before.count("\n") + 2, set(_NAME.findall(written))
    for problem in problems:
        found = _SUGGESTION.search(problem.hint)
        old = problem.source[problem.column - 1 : problem.column - 1 + problem.width].strip("'\"")
        if not found or problem.code not in _RENAMED or old == found[1]:
            continue
        is_written = problem.line >= first_written
        # Our own fields have names that resemble each other: there only a package's prefix makes a near one the same.
        if not (_is_prefixed(old, found[1]) if is_written else _is_near(old, found[1])):
            continue
        if is_written and found[1] in taken:
            continue
        taken.add(found[1])
        yield _Edit(problem.line, problem.column, old, found[1])


def _is_near(old: str, new: str) -> bool:
    """Near enough to replace without asking: the same with a package's prefix, or a slip of the pen."""
    return _is_prefixed(old, new) or SequenceMatcher(None, old.casefold(), new.casefold()).ratio() >= NEAR


def _is_prefixed(old: str, new: str) -> bool:
    first, second = old.casefold(), new.casefold()
    return second.endswith(first) or first.endswith(second)


def _edited(text: str, edits: Sequence[_Edit]) -> str:
    """From the end to the beginning, so that places stay where they are."""
    lines = text.split("\n")
    for edit in sorted(edits, key=lambda one: (one.line, one.column), reverse=True):
        line, at = lines[edit.line - 1], edit.column - 1
        lines[edit.line - 1] = line[:at] + line[at:].replace(edit.old, edit.new, 1)
    return "\n".join(lines)


def _problems(mapping: MappingFile, schemas: Schemas, username: str | None) -> tuple[Problem, ...]:
    """What would be wrong if nothing were optional: a near name is worth more than leaving a field out."""
    strict = replace(
        mapping,
        entities={entity: _needed(section) for entity, section in mapping.entities.items()},
        dated_rates=_needed(mapping.dated_rates) if mapping.dated_rates else None,
        write_back=replace(
            mapping.write_back,
            fields={name: replace(one, optional=False) for name, one in mapping.write_back.fields.items()},
        ),
    )
    return _check(strict, schemas, username)


def _needed(section: EntityMapping) -> EntityMapping:
    attributes = {name: replace(one, optional=False) for name, one in section.attributes.items()}
    return replace(section, optional=False, attributes=attributes)


def _check(mapping: MappingFile, schemas: Schemas, username: str | None) -> tuple[Problem, ...]:
    try:
        check_mapping(mapping, schemas, username)
    except MappingError as refused:
        return refused.problems
    return ()


def _needed_only(mapping: MappingFile, schemas: Schemas, username: str | None) -> Iterator[str]:
    for problem in _check(mapping, schemas, username):
        yield f"line {problem.line}: {problem.message}"


def _unmapped_types(mapping: MappingFile, schemas: Mapping[str, ObjectSchema | None]) -> Iterator[str]:
    """Values of the deals' type that the file does not mention: all of them would count as unknown."""
    section = next(one for one in mapping.sections() if one.section == "opportunities")
    attribute, schema = section.attributes.get("type"), schemas.get(section.object)
    field = schema.fields.get(attribute.field) if schema and attribute else None
    if attribute is None or field is None:
        return
    listed = {
        value
        for step in attribute.transform
        if isinstance(step.argument, MapArgument)
        for value in step.argument.values
    }
    missing = [value for value in field.picklist_values if value not in listed]
    if missing:
        yield f"values of {section.object}.{field.name} that count as unknown: {', '.join(missing)}"
