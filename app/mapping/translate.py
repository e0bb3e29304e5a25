"""The compiled mapping: pages of raw text become typed rows, and our values become updates.

A million rows pass through here on a first night, so a page is turned on its side and read column by column.
From here on no CRM field name exists.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any

from app.domain.money import RateBook, minor_places
from app.domain.rows import COLUMNS, Batch, Entity, Row, RowIssue, RowProblem, batch_of
from app.mapping.amounts import amount_column
from app.mapping.attributes import SECTIONS, Kind
from app.mapping.check import EntityPlan, ReadPlan
from app.mapping.columns import (
    NO_CURRENCY,
    Column,
    clean,
    currency_column,
    flag_column,
    key_column,
    keys_column,
    memo_column,
    read_count,
    read_day,
    read_domain,
    read_places,
    read_probability,
    read_rate,
    read_type,
    reference_column,
    text_column,
)
from app.mapping.file import AttributeMapping, MappingFile
from app.mapping.instants import instant_column
from app.mapping.memo import Notes, RowMemo
from app.mapping.pipeline import Columns, build_pipe
from app.mapping.transforms import TransformName
from app.mapping.writer import Writer, canonical_text
from connectors.contract import RawRow, RawValue

Reader = Callable[[Sequence[RawRow]], Batch]
Produce = Callable[[Columns, Notes], list[Any]]
NormaliseId = Callable[[str], str]

HOME_LIMIT = 2**63 - 1
"""Home amounts are stored as 64-bit integers."""

_NEEDED: Mapping[Entity, tuple[str, ...]] = {
    Entity.OPPORTUNITY: ("created_on", "close_on"),
    Entity.CONTACT_ROLE: ("opportunity_id", "contact_id"),
    Entity.CURRENCY_RATE: ("currency", "rate"),
    Entity.ADJUSTMENT: ("opportunity_id", "dated_on"),
}
"""Attributes without which a record counts for nothing: their absence is reported."""

_EMPTY: Mapping[tuple[Entity, str], str] = {
    (Entity.ACCOUNT, "name"): "",
    (Entity.OPPORTUNITY, "name"): "",
    (Entity.CONTACT_ROLE, "opportunity_id"): "",
    (Entity.CONTACT_ROLE, "contact_id"): "",
    (Entity.ADJUSTMENT, "opportunity_id"): "",
    (Entity.CURRENCY_RATE, "start_on"): "",
}
"""What stands for null where the tables do not know null. A link to `` leads nowhere, and replaces an old one."""


def compile_writer(mapping: MappingFile, plan: ReadPlan, places: int | None = None) -> Writer:
    """`places`: decimal places of the reporting currency (`RateBook.places`); from ISO 4217 where not given."""
    currency = mapping.policy.reporting_currency
    return Writer(dict(plan.writes), minor_places(currency) if places is None else places)


def compile_reader(mapping: MappingFile, plan: EntityPlan, *, normalise_id: NormaliseId, rates: RateBook) -> Reader:
    """A function from a page's rows (in the order of `plan.fields`) to a batch in the columns of its entity.

    It never raises for a value: what cannot be used is left out and listed. Rows without a usable key are dropped.
    """
    places = {name: at for at, name in enumerate(plan.fields)}
    produce = {
        name: _producer(plan, places, name, rule.kind, mapping, normalise_id)
        for name, rule in SECTIONS[plan.section].attributes.items()
    }
    shown = _shown_producer(plan, places)
    keyed_by = 2 if plan.entity is Entity.CURRENCY_RATE else 1

    def read(rows: Sequence[RawRow]) -> Batch:
        if not rows:
            return batch_of(plan.entity, ())
        columns = list(zip(*rows, strict=True))
        notes = Notes()
        made = {name: make(columns, notes) for name, make in produce.items()}
        _settle_amounts(plan, made, rates, notes)
        if plan.entity is Entity.ACCOUNT:
            made["shown"] = shown(columns)
        _note_missing(plan, made, notes)
        keys = columns[places[plan.attributes[_key_attribute(plan)].field]]
        return _batch(plan, made, keys, notes, keyed_by)

    return read


def _producer(
    plan: EntityPlan,
    places: Mapping[str, int],
    name: str,
    kind: Kind,
    mapping: MappingFile,
    normalise_id: NormaliseId,
) -> Produce:
    attribute = plan.attributes.get(name)
    empty = _EMPTY.get((plan.entity, name))
    if attribute is None:
        absent = {Kind.FLAG: 0, Kind.TYPE: "unknown"}.get(kind, empty)
        return lambda columns, _notes: [absent] * len(columns[0])
    column = _column(name, kind, attribute, mapping, normalise_id)
    produce = _produce(build_pipe(attribute, places, name), column)
    if empty is None:
        return produce
    return lambda columns, notes: _filled(produce(columns, notes), empty)


def _filled(values: list[Any], empty: str) -> list[Any]:
    return [empty if value is None else value for value in values] if None in values else values


def _produce(pipe: Callable[[Columns, Notes], Sequence[RawValue]], column: Column) -> Produce:
    return lambda columns, notes: column(pipe(columns, notes), notes)


def _column(
    name: str, kind: Kind, attribute: AttributeMapping, mapping: MappingFile, normalise_id: NormaliseId
) -> Column:
    build: Mapping[Kind, Callable[[], Column]] = {
        Kind.KEY: lambda: key_column(name, normalise_id),
        Kind.KEYS: lambda: keys_column(name, normalise_id, _separator(attribute)),
        Kind.TEXT: lambda: text_column(name),
        Kind.AMOUNT: lambda: amount_column(name),
        Kind.FLAG: lambda: flag_column(name),
        Kind.CURRENCY: lambda: currency_column(name),
        Kind.INSTANT: lambda: instant_column(name, mapping.policy.time_zone),
        Kind.REFERENCE: lambda: reference_column(name, normalise_id),
    }
    return build[kind]() if kind in build else memo_column(name, _ONE_BY_ONE[kind])


_ONE_BY_ONE: Mapping[Kind, Callable[[RawValue], Any]] = {
    Kind.DOMAIN: read_domain,
    Kind.DAY: read_day,
    Kind.TYPE: read_type,
    Kind.PERCENT: read_probability,
    Kind.RATE: read_rate,
    Kind.PLACES: read_places,
    Kind.COUNT: read_count,
}


def _separator(attribute: AttributeMapping) -> str:
    given = [one.argument for one in attribute.transform if one.name is TransformName.SPLIT]
    return str(given[0]) if given else ";"


def _key_attribute(plan: EntityPlan) -> str:
    return "currency" if plan.entity is Entity.CURRENCY_RATE else "id"


def _settle_amounts(plan: EntityPlan, made: dict[str, list[Any]], rates: RateBook, notes: Notes) -> None:
    """Convert the amounts of opportunities."""
    if plan.entity is Entity.OPPORTUNITY:
        made["home_amount"], made["rate"], made["rate_on"] = _convert(made, rates)
        _check_home(made, notes)


def _convert(made: Mapping[str, list[Any]], rates: RateBook) -> tuple[list[Any], list[Any], list[Any]]:
    amounts, currencies, days = made["amount"], made["currency"], made["close_on"]
    minors = _whole_minors(amounts, rates.places)
    if minors is not None:
        return rates.convert_minors(minors, currencies, days)
    converted = [
        (None, None, None) if text is None else rates.convert(Decimal(text), currency, day or "")
        for text, currency, day in zip(amounts, currencies, days, strict=True)
    ]
    home, rate, rate_on = zip(*converted, strict=True)
    return list(home), list(rate), list(rate_on)


def _whole_minors(amounts: Sequence[str | None], places: int) -> list[int | None] | None:
    """Canonical amounts in minor units; None where there is anything to round in one of them."""
    minors: list[int | None] = []
    for text in amounts:
        if text is None:
            minors.append(None)
            continue
        whole, _, part = text.partition(".")
        if len(part) > places:
            return None
        minors.append(int(whole + part.ljust(places, "0")))
    return minors


def _check_home(made: dict[str, list[Any]], notes: Notes) -> None:
    home = made["home_amount"]
    if max(map(abs, filter(None, home)), default=0) <= HOME_LIMIT:
        return
    for row, value in enumerate(home):
        if value is not None and abs(value) > HOME_LIMIT:
            home[row] = made["amount"][row] = made["rate"][row] = made["rate_on"][row] = None
            notes.add(row, RowIssue.BAD_AMOUNT, "amount", "too large in the reporting currency")


def _shown_producer(plan: EntityPlan, places: Mapping[str, int]) -> Callable[[Columns], list[str]]:
    """What the CRM shows of our measures, as canonical JSON. Most accounts show nothing, or nothing new."""
    at = [places[write.field] for write in plan.shown]

    def read(texts: Sequence[RawValue]) -> str:
        values = {write.measure: canonical_text(write, text) for write, text in zip(plan.shown, texts, strict=True)}
        return json.dumps(values, sort_keys=True, separators=(",", ":"), ensure_ascii=False)

    memo = RowMemo(read)

    def produce(columns: Columns) -> list[str]:
        if not at:
            return ["{}"] * len(columns[0])
        return [memo[texts] for texts in zip(*(columns[place] for place in at), strict=True)]

    return produce


def _note_missing(plan: EntityPlan, made: Mapping[str, list[Any]], notes: Notes) -> None:
    """A needed value that is not there, unless it was found bad already."""
    for name in _NEEDED.get(plan.entity, ()):
        values = made[name]
        if None not in values and "" not in values:
            continue
        noted = {row for row, _, attribute, _ in notes if attribute == name}
        for row, value in enumerate(values):
            if not value and row not in noted:
                notes.add(row, RowIssue.REQUIRED_MISSING, name, "nothing there")


def _batch(
    plan: EntityPlan, made: Mapping[str, list[Any]], keys: Sequence[RawValue], notes: Notes, keyed_by: int
) -> Batch:
    columns: list[list[Any]] = [made[name] for name in COLUMNS[plan.entity]]
    contacts = list(zip(made["id"], made["contact_ids"], strict=True)) if "contact_ids" in plan.attributes else None
    heads: Sequence[Any] = columns[0] if keyed_by == 1 else list(zip(*columns[:keyed_by], strict=True))
    unusable = plan.entity is Entity.CURRENCY_RATE and None in made["rate"]
    if unusable or None in columns[0] or len(set(heads)) != len(heads):
        kept = _kept(plan, list(zip(*columns, strict=True)), heads, notes)
        columns = [[column[at] for at in kept] for column in columns]
        contacts = None if contacts is None else [contacts[at] for at in kept]
    problems = [
        RowProblem(plan.entity, clean(keys[row] or "")[:100], issue, attribute, message)
        for row, issue, attribute, message in notes
    ]
    return Batch(plan.entity, columns, problems, contacts)


def _kept(plan: EntityPlan, rows: Sequence[Row], heads: Sequence[Any], notes: Notes) -> list[int]:
    """The rows to keep: those with a key, and of several with one key the last."""
    last: dict[Any, int] = {}
    for at, (row, head) in enumerate(zip(rows, heads, strict=True)):
        if row[0] in (None, NO_CURRENCY) or (plan.entity is Entity.CURRENCY_RATE and row[2] is None):
            continue
        if head in last and rows[last[head]] != row:
            notes.add(at, RowIssue.DUPLICATE_ID, COLUMNS[plan.entity][0], "came twice with different contents")
        last[head] = at
    return sorted(last.values())
