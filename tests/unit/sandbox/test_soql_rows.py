"""Which rows a query answers, and in what order, against an evaluator that shares nothing with the sandbox's.

The queries are made as small trees and written out as SOQL; the tree is judged here in plain Python on dictionaries,
never parsed. What SOQL leaves open (the order of rows that compare equal) is left open here, too.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from functools import cmp_to_key
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.salesforce.sandbox import Clock, Org
from connectors.salesforce.sandbox.soql_answer import answer_query

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
"""A Sunday, the first of a month and the day after a February's end: every unit has an edge near it."""
TODAY = NOW.date()

Deal = dict[str, Any]


# A company: deals, the accounts that they belong to, and the parents of those


NAMES = st.sampled_from(["a", "B", "ab", "O'x", "50%", "é"])
MONEY = st.none() | st.sampled_from([Decimal(text) for text in ("-2", "0", "0.5", "1", "3.25", "1000000")])
DAYS = st.integers(-800, 800).map(lambda days: TODAY + timedelta(days=days)) | st.integers(-9, 9).map(
    lambda days: TODAY + timedelta(days=days)
)
ACCOUNT = st.fixed_dictionaries(
    {"Name": NAMES, "AnnualRevenue": st.none() | st.integers(-2, 3), "Parent": st.none() | st.integers(0, 2)}
)
DEAL = st.fixed_dictionaries(
    {
        "Name": NAMES,
        "Amount": MONEY,
        "NextStep": st.none() | NAMES,
        "StageName": st.sampled_from(["Closed Won", "Closed Lost", "Prospecting"]),
        "CloseDate": DAYS,
        "CreatedDate": DAYS.map(lambda day: datetime(day.year, day.month, day.day, 23, 59, 59, tzinfo=UTC)),
        "Account": st.none() | st.integers(0, 2),
    }
)


@dataclass
class Company:
    org: Org
    deals: dict[str, Deal]
    """Id -> the deal with its account and the account's parent in it."""

    def ask(self, soql: str) -> Any:
        answer = answer_query(self.org.view(self.org.user_id), soql, "62.0", deleted=False)
        if answer.count_only:
            return answer.total
        texts = answer.records if answer.records is not None else [answer.json_record(row) for row in answer.rows]
        return [without_attributes(json.loads(text, parse_float=Decimal)) for text in texts]


def without_attributes(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    return {name: without_attributes(inner) for name, inner in value.items() if name != "attributes"}


@st.composite
def companies(draw: st.DrawFn) -> Company:
    org = Org(clock=Clock(NOW))
    described = draw(st.lists(ACCOUNT, min_size=3, max_size=3))
    ids = [org.create("Account", {"Name": one["Name"], "AnnualRevenue": one["AnnualRevenue"]}) for one in described]
    accounts = [{**one, "Parent": None} for one in described]
    for number, one in enumerate(described):
        if one["Parent"] is not None and one["Parent"] < number:
            org.update("Account", ids[number], {"ParentId": ids[one["Parent"]]})
            accounts[number]["Parent"] = accounts[one["Parent"]]
    deals = {}
    for one in draw(st.lists(DEAL, max_size=9)):
        place = one["Account"]
        values = {**one, "AccountId": None if place is None else ids[place]}
        del values["Account"]
        key = org.create("Opportunity", values)
        deals[key] = {**one, "Id": key, "Account": None if place is None else accounts[place]}
    gone = org.create("Opportunity", {"Name": "a", "StageName": "Closed Won", "CloseDate": TODAY, "Amount": 1})
    org.delete("Opportunity", gone)
    return Company(org, deals)


def value_of(deal: Deal, path: str) -> Any:
    value: Any = deal
    for step in path.split("."):
        value = None if value is None else value[step]
    return value


# Conditions


Test = Callable[[Deal], bool]
TEXTS = ("Name", "NextStep", "Account.Name", "Account.Parent.Name")
NUMBERS = ("Amount", "Account.AnnualRevenue")
COMPARED: dict[str, Callable[[Any, Any], bool]] = {
    "=": lambda value, wanted: value == wanted,
    "!=": lambda value, wanted: value != wanted,
    "<": lambda value, wanted: value is not None and value < wanted,
    "<=": lambda value, wanted: value is not None and value <= wanted,
    ">": lambda value, wanted: value is not None and value > wanted,
    ">=": lambda value, wanted: value is not None and value >= wanted,
}


def fold(value: Any) -> Any:
    return value.lower() if isinstance(value, str) else value


def literal(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, datetime):
        return value.strftime("%Y-%m-%dT%H:%M:%SZ")
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, str):
        return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"
    return format(value, "f") if isinstance(value, Decimal) else str(value)


@st.composite
def plain_conditions(draw: st.DrawFn) -> tuple[str, Test]:
    kinds = {**dict.fromkeys(TEXTS, NAMES), **dict.fromkeys(NUMBERS, MONEY), "CloseDate": DAYS, "IsWon": st.booleans()}
    path = draw(st.sampled_from(sorted(kinds)))
    wanted = draw(kinds[path])
    equalities = wanted is None or isinstance(wanted, bool)
    op = draw(st.sampled_from(["=", "!="] if equalities else sorted(COMPARED)))

    def test(deal: Deal) -> bool:
        value = deal["StageName"] == "Closed Won" if path == "IsWon" else value_of(deal, path)
        return COMPARED[op](fold(value), fold(wanted))

    return f"{path} {op} {literal(wanted)}", test


@st.composite
def memberships(draw: st.DrawFn) -> tuple[str, Test]:
    path = draw(st.sampled_from([*TEXTS, "StageName"]))
    values, negated = draw(st.lists(NAMES, min_size=1, max_size=3)), draw(st.booleans())
    text = f"{path} {'NOT IN' if negated else 'IN'} ({', '.join(map(literal, values))})"
    return text, lambda deal: (fold(value_of(deal, path)) in map(fold, values)) != negated


UNITS: dict[str, Callable[[date], int]] = {
    "DAY": date.toordinal,
    "WEEK": lambda day: day.toordinal() // 7,  # day 7 of the calendar was a Sunday
    "MONTH": lambda day: day.year * 12 + day.month,
    "QUARTER": lambda day: day.year * 4 + (day.month - 1) // 3,
    "YEAR": lambda day: day.year,
}
"""The number of the day, week, month ... that a day lies in."""


def spans_of(unit: str, n: int) -> dict[str, tuple[int, int]]:
    """Literal -> the first and the last unit that it means, counted from the present one."""
    spans = {
        f"LAST_N_{unit}S:{n}": (-n, 0 if unit == "DAY" else -1),
        f"NEXT_N_{unit}S:{n}": (1, n),
        f"N_{unit}S_AGO:{n}": (-n, -n),
    }
    if unit == "DAY":
        spans |= {"TODAY": (0, 0), "YESTERDAY": (-1, -1), "TOMORROW": (1, 1)}
        return spans | {"LAST_90_DAYS": (-90, 0), "NEXT_90_DAYS": (1, 90)}
    return spans | {f"LAST_{unit}": (-1, -1), f"THIS_{unit}": (0, 0), f"NEXT_{unit}": (1, 1)}


def is_within(unit: str, span: tuple[int, int], op: str, day: date, today: date) -> bool:
    """The judge only compares the numbers of units."""
    (low, high), away = span, UNITS[unit](day) - UNITS[unit](today)
    inside = low <= away <= high
    return {
        "=": inside, "!=": not inside, "<": away < low, "<=": away <= high, ">": away > high, ">=": away >= low
    }[op]  # fmt: skip


@st.composite
def relative_dates(draw: st.DrawFn) -> tuple[str, Test]:
    unit, n = draw(st.sampled_from(sorted(UNITS))), draw(st.integers(1, 30))
    word, span = draw(st.sampled_from(sorted(spans_of(unit, n).items())))
    path, op = draw(st.sampled_from(["CloseDate", "CreatedDate"])), draw(st.sampled_from(sorted(COMPARED)))

    def test(deal: Deal) -> bool:
        value = deal[path]
        return is_within(unit, span, op, value.date() if isinstance(value, datetime) else value, TODAY)

    return f"{path} {op} {word}", test


PARTS: dict[str, Callable[[date], int]] = {
    "CALENDAR_YEAR": lambda day: day.year,
    "CALENDAR_QUARTER": lambda day: 1 + (day.month > 3) + (day.month > 6) + (day.month > 9),
    "CALENDAR_MONTH": lambda day: day.month,
    "DAY_IN_MONTH": lambda day: day.day,
    "DAY_IN_WEEK": lambda day: ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"].index(day.strftime("%a")) + 1,
    "DAY_IN_YEAR": lambda day: int(day.strftime("%j")),
}


@st.composite
def date_parts(draw: st.DrawFn) -> tuple[str, Test]:
    part, op = draw(st.sampled_from(sorted(PARTS))), draw(st.sampled_from(sorted(COMPARED)))
    wanted = draw(st.sampled_from([1, 2, 3, 7, 12, 60, 2025, 2026]))
    return f"{part}(CloseDate) {op} {wanted}", lambda deal: COMPARED[op](PARTS[part](deal["CloseDate"]), wanted)


def combine(inner: st.SearchStrategy[tuple[str, Test]]) -> st.SearchStrategy[tuple[str, Test]]:
    def joined(op: str, parts: Sequence[tuple[str, Test]]) -> tuple[str, Test]:
        judge = all if op == "AND" else any
        return f" {op} ".join(f"({text})" for text, _ in parts), lambda deal: judge(test(deal) for _, test in parts)

    several = st.builds(joined, st.sampled_from(["AND", "OR"]), st.lists(inner, min_size=2, max_size=3))
    return several | inner.map(lambda part: (f"NOT ({part[0]})", lambda deal: not part[1](deal)))


SINGLE = plain_conditions() | memberships() | relative_dates() | date_parts()
CONDITIONS = st.just(("", lambda _: True)) | st.recursive(SINGLE, combine, max_leaves=4).map(
    lambda part: (f" WHERE {part[0]}", part[1])
)


# Order


@dataclass(frozen=True)
class Key:
    path: str
    descending: bool
    nulls_last: bool
    spelled: bool
    """Whether the place of nulls is said; unsaid, they come first either way."""

    @property
    def text(self) -> str:
        direction = " DESC" if self.descending else ""
        return f"{self.path}{direction}" + (f" NULLS {'LAST' if self.nulls_last else 'FIRST'}" if self.spelled else "")

    def compare(self, left: Any, right: Any) -> int:
        if left is None or right is None:
            last = self.spelled and self.nulls_last
            return 0 if left is right else (1 if (left is None) == last else -1)
        left, right = fold(left), fold(right)
        return ((left > right) - (left < right)) * (-1 if self.descending else 1)


KEYS = st.lists(
    st.builds(
        Key,
        st.sampled_from([*TEXTS, *NUMBERS, "CloseDate", "CreatedDate", "StageName"]),
        st.booleans(),
        st.booleans(),
        st.booleans(),
    ),
    max_size=3,
    unique_by=lambda key: key.path,
)


def in_order(rows: Sequence[Any], keys: Sequence[Key], value: Callable[[Any, Key], Any]) -> list[Any]:
    def compare(left: Any, right: Any) -> int:
        return next((c for key in keys if (c := key.compare(value(left, key), value(right, key)))), 0)

    return sorted(rows, key=cmp_to_key(compare))


def order_text(keys: Sequence[Key]) -> str:
    return f" ORDER BY {', '.join(key.text for key in keys)}" if keys else ""


LIMITS = st.none() | st.integers(0, 12)


def limit_text(limit: int | None, offset: int | None) -> str:
    return (f" LIMIT {limit}" if limit is not None else "") + (f" OFFSET {offset}" if offset is not None else "")


# The rows of a query


@settings(deadline=None)
@given(companies(), CONDITIONS, KEYS, LIMITS, LIMITS)
def test_a_query_answers_the_rows_it_means_in_the_order_it_asks_for(company, condition, keys, limit, offset) -> None:
    text, test = condition
    soql = f"SELECT Id FROM Opportunity{text}{order_text(keys)}{limit_text(limit, offset)}"
    matching = [deal for deal in company.deals.values() if test(deal)]
    start, end = offset or 0, None if limit is None else (offset or 0) + limit
    expected = in_order(matching, keys, lambda deal, key: value_of(deal, key.path))[start:end]

    found = [company.deals[record["Id"]] for record in company.ask(soql)]

    assert len({deal["Id"] for deal in found}) == len(found) == len(expected), soql
    assert all(deal in matching for deal in found), soql
    sorted_by = [[fold(value_of(deal, key.path)) for key in keys] for deal in found]
    assert sorted_by == [[fold(value_of(deal, key.path)) for key in keys] for deal in expected], soql


@settings(deadline=None)
@given(companies(), CONDITIONS)
def test_the_count_is_the_number_of_rows(company, condition) -> None:
    text, test = condition

    assert company.ask(f"SELECT COUNT() FROM Opportunity{text}") == sum(map(test, company.deals.values()))


@settings(deadline=None)
@given(companies(), st.lists(st.sampled_from([*TEXTS, *NUMBERS, "CloseDate"]), min_size=1, max_size=4, unique=True))
def test_fields_of_parents_stand_in_the_parents_and_a_missing_parent_is_null(company, paths) -> None:
    for record in company.ask(f"SELECT Id, {', '.join(paths)} FROM Opportunity"):
        deal = company.deals[record["Id"]]
        for path in paths:
            wanted, shown = value_of(deal, path), record
            for step in path.split("."):
                shown = None if shown is None else shown[step]
            assert shown == (wanted.isoformat() if isinstance(wanted, date) else wanted), path


# Every date literal, on days around every edge


PRESENTS = (TODAY, date(2024, 2, 29), date(2025, 12, 31), date(2025, 5, 14), date(2025, 10, 4))


@pytest.fixture(scope="module")
def calendar() -> tuple[Org, dict[str, date]]:
    """A deal for every day around the days it is asked on, and for the edges of all months of some years."""
    org = Org(clock=Clock(NOW))
    firsts = [date(year, month, 1) for year in range(2023, 2028) for month in range(1, 13)]
    around = [today + timedelta(days=days) for today in PRESENTS for days in range(-16, 17)]
    days = sorted({*firsts, *(day - timedelta(days=1) for day in firsts), *around})
    moments = [datetime(day.year, day.month, day.day, 23, 59, 59, tzinfo=UTC) for day in days]
    ids = [
        org.create("Opportunity", {"Name": "d", "StageName": "Closed Won", "CloseDate": day, "CreatedDate": moment})
        for day, moment in zip(days, moments, strict=True)
    ]
    return org, dict(zip(ids, days, strict=True))


@pytest.mark.parametrize("op", sorted(COMPARED))
@pytest.mark.parametrize("path", ["CloseDate", "CreatedDate"])
@pytest.mark.parametrize("unit", sorted(UNITS))
def test_a_date_literal_is_the_days_it_means_whatever_day_it_is(calendar, unit, path, op) -> None:
    org, days = calendar
    for today in PRESENTS:
        org.clock.freeze(datetime(today.year, today.month, today.day, 12, tzinfo=UTC))
        spans = spans_of(unit, 1) | spans_of(unit, 2) | spans_of(unit, 13)
        for word, span in spans.items():
            found = {
                record["Id"] for record in Company(org, {}).ask(f"SELECT Id FROM Opportunity WHERE {path} {op} {word}")
            }
            assert found == {key for key, day in days.items() if is_within(unit, span, op, day, today)}, (word, today)


@pytest.mark.parametrize("part", sorted(PARTS))
def test_a_part_of_a_date_is_that_part_of_it(calendar, part) -> None:
    org, days = calendar
    for wanted in sorted({PARTS[part](today) for today in PRESENTS}):
        found = {
            row["Id"] for row in Company(org, {}).ask(f"SELECT Id FROM Opportunity WHERE {part}(CloseDate) = {wanted}")
        }
        assert found == {key for key, day in days.items() if PARTS[part](day) == wanted}, wanted


# Groups


GROUPED: dict[str, Callable[[Deal], Any]] = {
    "StageName": lambda deal: deal["StageName"],
    "Account.Parent.Name": lambda deal: value_of(deal, "Account.Parent.Name"),
    "NextStep": lambda deal: deal["NextStep"],
    "CALENDAR_YEAR(CloseDate)": lambda deal: deal["CloseDate"].year,
    "CALENDAR_MONTH(CloseDate)": lambda deal: deal["CloseDate"].month,
}


def amounts(deals: Sequence[Deal], path: str = "Amount") -> list[Any]:
    return [value for deal in deals if (value := value_of(deal, path)) is not None]


AGGREGATES: dict[str, Callable[[Sequence[Deal]], Any]] = {
    "COUNT(Id)": len,
    "COUNT(Amount)": lambda deals: len(amounts(deals)),
    "COUNT_DISTINCT(StageName)": lambda deals: len({deal["StageName"] for deal in deals}),
    "SUM(Amount)": lambda deals: sum(map(Fraction, amounts(deals))) if amounts(deals) else None,
    "AVG(Amount)": lambda deals: sum(map(Fraction, amounts(deals))) / len(amounts(deals)) if amounts(deals) else None,
    "MIN(Amount)": lambda deals: min(amounts(deals), default=None),
    "MAX(Account.AnnualRevenue)": lambda deals: max(amounts(deals, "Account.AnnualRevenue"), default=None),
    "MIN(CloseDate)": lambda deals: min(deal["CloseDate"] for deal in deals),
    "MAX(CloseDate)": lambda deals: max(deal["CloseDate"] for deal in deals),
}
NUMERIC = sorted(name for name in AGGREGATES if "CloseDate" not in name)


@st.composite
def havings(draw: st.DrawFn) -> tuple[str, Callable[[Sequence[Deal]], bool]]:
    name, op = draw(st.sampled_from(NUMERIC)), draw(st.sampled_from(sorted(COMPARED)))
    wanted = draw(st.integers(-2, 4))
    return f"{name} {op} {wanted}", lambda deals: COMPARED[op](AGGREGATES[name](deals), wanted)


HAVINGS = st.just(("", lambda _: True)) | st.recursive(
    havings(),
    lambda inner: st.tuples(inner, inner).map(
        lambda two: (f"({two[0][0]}) OR ({two[1][0]})", lambda deals: two[0][1](deals) or two[1][1](deals))
    ),
    max_leaves=2,
).map(lambda part: (f" HAVING {part[0]}", part[1]))


def same(shown: Any, wanted: Any) -> bool:
    """JSON against what it should be; an average need not end."""
    if isinstance(wanted, date):
        return bool(shown == wanted.isoformat())
    if isinstance(wanted, Fraction) and shown is not None:
        return abs(Fraction(shown) - wanted) < Fraction(1, 10**9)
    return bool(shown == wanted)


@settings(deadline=None)
@given(
    companies(),
    CONDITIONS,
    st.lists(st.sampled_from(sorted(GROUPED)), min_size=1, max_size=2, unique=True),
    st.lists(st.sampled_from(sorted(AGGREGATES)), min_size=1, max_size=3, unique=True),
    HAVINGS,
)
def test_groups_hold_what_belongs_together_and_having_judges_them(company, condition, keys, functions, having) -> None:
    selected = [
        *(key if "(" not in key else f"{key} k{i}" for i, key in enumerate(keys)),
        *(f"{name} v{i}" for i, name in enumerate(functions)),
    ]
    soql = f"SELECT {', '.join(selected)} FROM Opportunity{condition[0]} GROUP BY {', '.join(keys)}{having[0]}"
    groups: dict[tuple[Any, ...], list[Deal]] = {}
    for deal in filter(condition[1], company.deals.values()):
        groups.setdefault(tuple(GROUPED[key](deal) for key in keys), []).append(deal)
    expected = {key: deals for key, deals in groups.items() if having[1](deals)}

    found = company.ask(soql)

    names = [key.rpartition(".")[2] if "(" not in key else f"k{i}" for i, key in enumerate(keys)]
    shown = {tuple(record[name] for name in names): record for record in found}
    assert len(found) == len(shown), soql
    assert shown.keys() == expected.keys(), soql
    for key, record in shown.items():
        for i, name in enumerate(functions):
            assert same(record[f"v{i}"], AGGREGATES[name](expected[key])), (soql, key, name)


@settings(deadline=None)
@given(companies(), st.sampled_from(sorted(GROUPED)), st.sampled_from(NUMERIC), st.booleans(), st.booleans(), LIMITS)
def test_groups_come_in_the_order_of_their_aggregates(company, key, function, descending, nulls_last, limit) -> None:
    order = Key(function, descending, nulls_last, spelled=True)
    selected = f"{key} k" if "(" in key else key
    soql = (
        f"SELECT {selected}, {function} v FROM Opportunity GROUP BY {key}"
        f" ORDER BY {order.text}{limit_text(limit, None)}"
    )
    groups: dict[Any, list[Deal]] = {}
    for deal in company.deals.values():
        groups.setdefault(GROUPED[key](deal), []).append(deal)
    expected = in_order(list(groups.values()), [order], lambda deals, _: AGGREGATES[function](deals))[:limit]

    found = [record["v"] for record in company.ask(soql)]

    assert len(found) == len(expected), soql
    assert all(same(shown, AGGREGATES[function](deals)) for shown, deals in zip(found, expected, strict=True)), soql


@settings(deadline=None)
@given(companies(), CONDITIONS, st.lists(st.sampled_from(sorted(AGGREGATES)), min_size=1, max_size=3, unique=True))
def test_without_groups_everything_is_one(company, condition, functions) -> None:
    deals = [deal for deal in company.deals.values() if condition[1](deal)]
    selected = ", ".join(f"{name} v{i}" for i, name in enumerate(functions))

    (record,) = company.ask(f"SELECT {selected} FROM Opportunity{condition[0]}")

    for i, name in enumerate(functions):
        wanted = None if not deals and "Close" in name else AGGREGATES[name](deals)
        assert same(record[f"v{i}"], wanted), name


def test_the_judge_tells_a_wrong_answer_from_a_right_one() -> None:
    """It could be that nothing is ever generated which the two might see differently."""
    key = Key("Amount", descending=True, nulls_last=True, spelled=True)

    assert in_order([1, None, 2], [key], lambda value, _: value) == [2, 1, None]
    assert not same(Decimal("0.4"), Fraction(1, 3))
    assert {unit for unit in UNITS if UNITS[unit](TODAY) != UNITS[unit](TODAY - timedelta(days=1))} == {
        "DAY",
        "WEEK",
        "MONTH",
    }
