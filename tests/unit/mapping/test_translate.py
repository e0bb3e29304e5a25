"""Pages of raw text into rows: nothing raises, nothing is guessed, and the fast way gives what the slow one gives."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal, localcontext
from fractions import Fraction
from functools import cache
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.model import Rate
from app.domain.money import RateBook
from app.domain.rows import COLUMNS, Batch, Entity, RowIssue
from app.mapping.check import EntityPlan, check_mapping, objects_of
from app.mapping.columns import NO_CURRENCY
from app.mapping.file import MappingFile, parse_mapping
from app.mapping.translate import compile_reader
from connectors.contract import FieldSchema, FieldType, ObjectSchema

FULL = """\
version: 1
crm: test
policy: {time_zone: ZONE, reporting_currency: USD}
accounts:
  object: accounts
  attributes: {id: id, name: name, parent_id: parent, domain: site, currency: currency, is_deleted: deleted}
opportunities:
  object: opportunities
  attributes:
    id: id
    account_id: account
    name: name
    amount: amount
    currency: currency
    created_on: created
    close_on: close
    is_won: won
    is_closed: closed
    is_deleted: deleted
    type: {field: type, transform: [trim, {map: {values: {New: new, Again: renewal}}}]}
    probability: probability
    contact_ids: {field: contacts, transform: {split: ";"}}
contact_roles:
  object: roles
  attributes: {id: id, opportunity_id: opportunity, contact_id: contact}
currency_rates:
  object: rates
  attributes: {currency: code, rate: rate, start_on: start, decimal_places: places}
adjustments:
  object: refunds
  attributes: {id: id, opportunity_id: opportunity, amount: amount, currency: currency, dated_on: day}
write_back:
  fields: {total: total, rank: rank, explanation: why, as_of: day}
"""
RATES = [
    Rate("EUR", Fraction(9, 10)),
    Rate("EUR", Fraction(8, 10), date(2025, 1, 1)),
    Rate("JPY", Fraction(150), decimal_places=0),
]


def normalise_id(text: str) -> str:
    if not text.strip() or len(text) > 20 or "\0" in text:
        raise ValueError("not an id")
    return text.strip().upper()


def mapping_in(zone: str = "UTC", *replacements: tuple[str, str]) -> MappingFile:
    text = FULL.replace("ZONE", zone)
    for old, new in replacements:
        assert old in text
        text = text.replace(old, new)
    return parse_mapping(text)


def plan_of(mapping: MappingFile, entity: Entity) -> EntityPlan:
    names = {name for s in mapping.sections() for a in s.attributes.values() for name in a.crm_fields()}
    names |= {write.field for write in mapping.write_back.fields.values()}
    fields = {name: FieldSchema(name, FieldType.OTHER, updateable=True) for name in names}
    schemas = {name: ObjectSchema(name, name, True, fields) for name in objects_of(mapping)}
    return check_mapping(mapping, schemas, "").entities[entity]


def reader_of(
    entity: Entity, mapping: MappingFile | None = None, rates: Sequence[Rate] = RATES
) -> Callable[..., Batch]:
    mapping = mapping or mapping_in()
    plan = plan_of(mapping, entity)
    read = compile_reader(mapping, plan, normalise_id=normalise_id, rates=RateBook(rates, "USD"))
    return lambda *records: read([[record.get(name) for name in plan.fields] for record in records])


@cache
def deals_in(zone: str = "UTC") -> Callable[..., Batch]:
    """A reader of opportunities, compiled once for all examples of a property."""
    return reader_of(Entity.OPPORTUNITY, mapping_in(zone))


def as_dict(batch: Batch, row: int = 0) -> dict[str, Any]:
    return dict(zip(COLUMNS[batch.entity], batch.rows[row], strict=True))


def issues(batch: Batch) -> list[tuple[str, str]]:
    return [(problem.code.value, problem.attribute) for problem in batch.problems]


DEAL = {
    "id": "o1",
    "account": "a1",
    "name": "Deal",
    "amount": "950000000.0",
    "currency": "USD",
    "created": "2020-10-22T21:03:23.000+0000",
    "close": "2021-01-31",
    "won": "true",
    "closed": "true",
    "deleted": "false",
    "type": "New",
    "probability": "50.0",
    "contacts": "c1; c2;c1",
}


def test_an_opportunity_is_read_into_its_columns() -> None:
    batch = reader_of(Entity.OPPORTUNITY)(DEAL)

    assert batch.problems == []
    assert batch.rows == [
        (
            "O1",
            "A1",
            "Deal",
            "950000000",
            "USD",
            "2020-10-22",
            "2021-01-31",
            1,
            1,
            0,
            "new",
            500000,
            95000000000,
            None,
            None,
            None,
            None,
        )
    ]
    assert batch.contacts == [("O1", ("C1", "C2"))]


def test_an_empty_record_is_kept_with_what_a_blank_means() -> None:
    batch = reader_of(Entity.OPPORTUNITY)({"id": "o1"})

    assert batch.rows == [
        ("O1", None, "", None, None, None, None, 0, 0, 0, "unknown", None, None, None, None, None, None)
    ]
    assert issues(batch) == [("required_missing", "created_on"), ("required_missing", "close_on")]


def test_an_empty_page_is_an_empty_batch() -> None:
    batch = reader_of(Entity.OPPORTUNITY)()

    assert (batch.rows, batch.problems, list(batch.contacts or ())) == ([], [], [])


def test_an_account_shows_what_the_crm_shows() -> None:
    batch = reader_of(Entity.ACCOUNT)(
        {
            "id": "a1",
            "name": "Åcme",
            "site": "https://www.acme.com/",
            "total": "1234.5",
            "rank": "3.0",
            "why": "a\r\nb ",
            "day": "2025-01-01",
        }
    )

    row = as_dict(batch)
    assert row["domain"] == "acme.com"
    assert row["shown"] == '{"as_of":"2025-01-01","explanation":"a\\nb","rank":"3","total":"1234.50"}'
    assert json.loads(row["shown"])["total"] == "1234.50"


def test_an_account_that_shows_nothing_says_null_for_every_measure() -> None:
    batch = reader_of(Entity.ACCOUNT)({"id": "a1"})

    assert as_dict(batch)["shown"] == '{"as_of":null,"explanation":null,"rank":null,"total":null}'


def test_text_stays_as_it_is_in_shown_json() -> None:
    assert '"explanation":"é 🎉"' in as_dict(reader_of(Entity.ACCOUNT)({"id": "a", "why": "é 🎉"}))["shown"]


def test_rates_are_read_with_an_empty_start_for_static_ones() -> None:
    batch = reader_of(Entity.CURRENCY_RATE)(
        {"code": "eur", "rate": "0.90", "places": "2"},
        {"code": "EUR", "rate": "8E-1", "start": "2025-01-01"},
        {"code": "EUR", "rate": "0"},
        {"code": "??", "rate": "1"},
        {"rate": "1"},
    )

    assert batch.rows == [("EUR", "", "0.9", 2), ("EUR", "2025-01-01", "0.8", None)]
    assert issues(batch) == [("bad_currency", "currency"), ("bad_number", "rate"), ("required_missing", "currency")]


def test_contact_roles_and_adjustments_lead_nowhere_without_their_links() -> None:
    role = reader_of(Entity.CONTACT_ROLE)({"id": "r1", "opportunity": "o1"})
    refund = reader_of(Entity.ADJUSTMENT)({"id": "f1", "amount": "-10.50", "day": "2025-02-01T10:00:00Z"})

    assert role.rows == [("R1", "O1", "", None, 0)]
    assert issues(role) == [("required_missing", "contact_id")]
    assert refund.rows == [("F1", "", "-10.5", None, "2025-02-01", 0)]


@pytest.mark.parametrize(
    ("field", "value", "column", "code"),
    [
        ("amount", "NaN", "amount", RowIssue.BAD_AMOUNT),
        ("amount", "1e400", "amount", RowIssue.BAD_AMOUNT),
        ("amount", "Infinity", "amount", RowIssue.BAD_AMOUNT),
        ("amount", "1000000000000000", "amount", RowIssue.BAD_AMOUNT),
        ("amount", "1E15", "amount", RowIssue.BAD_AMOUNT),
        ("amount", "1E-19", "amount", RowIssue.BAD_AMOUNT),
        ("amount", "0." + "1" * 19, "amount", RowIssue.BAD_AMOUNT),
        ("amount", "123456789012345." + "1" * 19, "amount", RowIssue.BAD_AMOUNT),
        ("amount", "12,50", "amount", RowIssue.BAD_AMOUNT),
        ("amount", "1,234", "amount", RowIssue.BAD_AMOUNT),
        ("amount", "EUR 5", "amount", RowIssue.BAD_AMOUNT),
        ("amount", "1_0", "amount", RowIssue.BAD_AMOUNT),
        ("amount", "٣", "amount", RowIssue.BAD_AMOUNT),
        ("account", "x" * 21, "account_id", RowIssue.BAD_REFERENCE),
        ("created", "2021-02-30T10:00:00Z", "created_on", RowIssue.BAD_DATE),
        ("created", "2021-02-03T25:00:00Z", "created_on", RowIssue.BAD_DATE),
        ("created", "yesterday", "created_on", RowIssue.BAD_DATE),
        ("created", "0001-01-01T00:00:00+1400", "created_on", RowIssue.BAD_DATE),
        ("close", "31.12.2021", "close_on", RowIssue.BAD_DATE),
        ("close", "2021-13-01", "close_on", RowIssue.BAD_DATE),
        ("close", "20210101", "close_on", RowIssue.BAD_DATE),
        ("close", "2021-W01-1", "close_on", RowIssue.BAD_DATE),
        ("close", "2021-01-01x", "close_on", RowIssue.BAD_DATE),
        ("probability", "101", "probability", RowIssue.BAD_NUMBER),
        ("probability", "-1", "probability", RowIssue.BAD_NUMBER),
        ("probability", "high", "probability", RowIssue.BAD_NUMBER),
    ],
)
def test_a_bad_value_is_left_out_and_listed_and_the_record_is_kept(field, value, column, code) -> None:
    batch = reader_of(Entity.OPPORTUNITY)(DEAL, {**DEAL, "id": "o2", field: value})

    assert as_dict(batch, 0) == as_dict(reader_of(Entity.OPPORTUNITY)(DEAL))
    assert as_dict(batch, 1)[column] is None
    assert [(p.record_id, p.code, p.attribute) for p in batch.problems] == [("o2", code, column)]


@pytest.mark.parametrize("flag", ["won", "closed", "deleted"])
def test_a_bad_flag_counts_as_false_and_is_listed(flag: str) -> None:
    batch = reader_of(Entity.OPPORTUNITY)({**DEAL, flag: "perhaps"})

    assert as_dict(batch)[f"is_{flag}"] == 0
    assert issues(batch) == [("bad_flag", f"is_{flag}")]


def test_an_unreadable_currency_never_passes_for_the_reporting_currency() -> None:
    row = as_dict(batch := reader_of(Entity.OPPORTUNITY)({**DEAL, "currency": "Euro"}))

    assert (row["currency"], row["home_amount"]) == (NO_CURRENCY, None)
    assert issues(batch) == [("bad_currency", "currency")]


def test_bad_contacts_are_left_out_one_by_one() -> None:
    batch = reader_of(Entity.OPPORTUNITY)({**DEAL, "contacts": f"c1;{'x' * 30};;c2"})

    assert batch.contacts == [("O1", ("C1", "C2"))]
    assert issues(batch) == [("bad_reference", "contact_ids")]


@pytest.mark.parametrize("bad", [None, "", "   ", "x" * 21, "a\0b"])
def test_a_record_that_cannot_be_keyed_is_listed_and_not_kept(bad: str | None) -> None:
    batch = reader_of(Entity.OPPORTUNITY)({**DEAL, "id": bad}, DEAL)

    assert [row[0] for row in batch.rows] == ["O1"]
    assert issues(batch) == [("bad_id", "id")]
    assert "\0" not in batch.problems[0].record_id
    assert [key for key, _ in batch.contacts or ()] == ["O1"]


def test_the_id_in_a_problem_is_cut() -> None:
    assert reader_of(Entity.ACCOUNT)({"id": "y" * 500}).problems[0].record_id == "y" * 100


def test_of_several_records_with_one_id_the_last_counts_and_differences_are_listed() -> None:
    batch = reader_of(Entity.OPPORTUNITY)(
        DEAL, {**DEAL, "id": "o2"}, {**DEAL, "id": " O1 ", "name": "Other"}, {**DEAL, "id": "o2"}
    )

    assert sorted((row[0], row[2]) for row in batch.rows) == [("O1", "Other"), ("O2", "Deal")]
    assert issues(batch) == [("duplicate_id", "id")]


@pytest.mark.parametrize("text", ["Na\0me", "Na\ud800me"])
def test_what_no_database_stores_is_removed_from_text(text: str) -> None:
    batch = reader_of(Entity.ACCOUNT)({"id": "a", "name": text}, {"id": "b", "name": "ok"})

    assert [row[1] for row in batch.rows] == ["Name", "ok"]
    assert issues(batch) == [("text_cleaned", "name")]


@pytest.mark.parametrize("name", ["🎉 株式会社", "two\nlines", 'a, "b"', "\u202eevil", "x" * 5000, "=cmd()", "e\u0301"])
def test_any_other_name_stays_exactly_as_it_is(name: str) -> None:
    batch = reader_of(Entity.ACCOUNT)({"id": "a", "name": name})

    assert as_dict(batch)["name"] == name
    assert batch.problems == []


def test_messages_hold_no_control_characters_of_the_data() -> None:
    batch = reader_of(Entity.OPPORTUNITY)({**DEAL, "amount": "1\x1b[31m\n" + "9" * 1000})

    assert batch.problems[0].message.isprintable()
    assert len(batch.problems[0].message) < 200


@pytest.mark.parametrize(
    ("zone", "text", "day"),
    [
        ("UTC", "2024-12-31T23:59:59.000+0000", "2024-12-31"),
        ("Europe/Berlin", "2024-12-31T23:59:59.000+0000", "2025-01-01"),
        ("Europe/Berlin", "2024-12-31T22:59:59Z", "2024-12-31"),
        ("America/New_York", "2025-01-01T04:59:00.000Z", "2024-12-31"),
        ("Asia/Kolkata", "2025-01-01T18:29:59Z", "2025-01-01"),
        ("Asia/Kolkata", "2025-01-01T18:30:00Z", "2025-01-02"),
        ("Europe/Berlin", "2025-03-30T22:00:00Z", "2025-03-31"),
        ("UTC", "2025-01-01T00:30:00+02:00", "2024-12-31"),
        ("UTC", "2025-01-01T00:30:00-0700", "2025-01-01"),
        ("UTC", "2025-01-01T10:00", "2025-01-01"),
        ("UTC", "2025-01-01 10:00:00", "2025-01-01"),
        ("Pacific/Auckland", "2025-01-01", "2025-01-01"),
        ("UTC", " 2025-01-01T10:00:00Z ", "2025-01-01"),
        ("UTC", "2025-01-01T10:00:00.123456789Z", "2025-01-01"),
    ],
)
def test_a_moment_becomes_a_date_of_the_policys_time_zone(zone: str, text: str, day: str) -> None:
    batch = reader_of(Entity.OPPORTUNITY, mapping_in(zone))({**DEAL, "created": text})

    assert as_dict(batch)["created_on"] == day
    assert batch.problems == []


@given(
    moments=st.lists(
        st.datetimes(datetime(1970, 1, 1), datetime(2099, 1, 1), timezones=st.just(UTC)), min_size=1, max_size=20
    ),
    zone=st.sampled_from(["UTC", "Asia/Kathmandu", "America/St_Johns", "Pacific/Apia", "Australia/Lord_Howe"]),
)
def test_moments_by_the_hour_give_the_same_dates_as_one_by_one(moments: list[datetime], zone: str) -> None:
    batch = deals_in(zone)(
        *(
            {**DEAL, "id": f"o{n}", "created": one.strftime("%Y-%m-%dT%H:%M:%S.000+0000")}
            for n, one in enumerate(moments)
        )
    )

    assert [row[5] for row in batch.rows] == [one.astimezone(ZoneInfo(zone)).date().isoformat() for one in moments]


@given(day=st.dates(), clock=st.sampled_from(["", "T23:59:59+1400", "T00:00:00Z", " 12:00"]))
def test_a_business_date_is_never_converted(day: date, clock: str) -> None:
    batch = deals_in("Pacific/Kiritimati")({**DEAL, "close": f"{day.isoformat()}{clock}"})

    assert as_dict(batch)["close_on"] == day.isoformat()


amounts = st.decimals(
    allow_nan=False,
    allow_infinity=False,
    min_value=Decimal(-99999999999999),
    max_value=Decimal(99999999999999),
    places=4,
)


@given(st.lists(amounts, min_size=1, max_size=8), st.sampled_from(["plain", "zeros", "exponent", "mixed"]))
def test_the_same_amount_gives_the_same_row_however_it_is_written(values: list[Decimal], style: str) -> None:
    spell = {
        "plain": lambda n, v: format(v.normalize(), "f"),
        "zeros": lambda n, v: format(v, "f"),
        "exponent": lambda n, v: f"{v:E}",
        "mixed": lambda n, v: f"{v:E}" if n % 2 else format(v, "f"),
    }[style]

    batch = deals_in()(*({**DEAL, "id": f"o{n}", "amount": spell(n, value)} for n, value in enumerate(values)))

    with localcontext(prec=60):
        cents = [int((value * 100).to_integral_value(ROUND_HALF_UP)) for value in values]
        assert [Decimal(str(row[3])) for row in batch.rows] == values
    assert [row[12] for row in batch.rows] == cents
    assert all("E" not in str(row[3]) and not str(row[3]).endswith(".0") for row in batch.rows)


@given(
    st.lists(
        st.tuples(
            amounts, st.sampled_from(["USD", "EUR", "JPY", None, "CHF"]), st.dates(date(2023, 1, 1), date(2026, 1, 1))
        ),
        min_size=1,
        max_size=8,
    )
)
def test_amounts_are_converted_as_the_rate_book_says(deals) -> None:
    book = RateBook(RATES, "USD")

    batch = deals_in()(
        *(
            {**DEAL, "id": f"o{n}", "amount": str(amount), "currency": code, "close": day.isoformat()}
            for n, (amount, code, day) in enumerate(deals)
        )
    )

    assert [row[12:15] for row in batch.rows] == [
        book.convert(amount, code, day.isoformat()) for amount, code, day in deals
    ]
    assert batch.problems == []


def test_the_largest_amount_keeps_every_digit() -> None:
    text = "999999999999999." + "9" * 18

    row = as_dict(deals_in()({**DEAL, "amount": text}))

    assert (row["amount"], row["home_amount"]) == (text, 10**17)


def test_negative_zero_and_zero_are_one_amount() -> None:
    batch = deals_in()(
        *({**DEAL, "id": f"o{n}", "amount": t} for n, t in enumerate(["0", "-0.0", "0.00", "0E5", "-0"]))
    )

    assert {(row[3], row[12]) for row in batch.rows} == {("0", 0)}


def test_an_amount_too_large_for_the_reporting_currency_is_left_out() -> None:
    tiny = [Rate("ZWL", Fraction(1, 10**6))]

    row = as_dict(
        batch := reader_of(Entity.OPPORTUNITY, rates=tiny)({**DEAL, "amount": "900000000000000", "currency": "ZWL"})
    )

    assert (row["amount"], row["home_amount"], row["rate"]) == (None, None, None)
    assert issues(batch) == [("bad_amount", "amount")]


def test_transforms_run_before_the_value_is_read() -> None:
    mapping = mapping_in(
        "UTC",
        ("    amount: amount\n", "    amount: {field: amount, transform: [{scale: 1/100}]}\n"),
        ("    close_on: close\n", "    close_on: {field: close, transform: {parse_date: [DD.MM.YYYY, YYYY-MM-DD]}}\n"),
        ("    is_won: won\n", "    is_won: {field: stage, transform: {bool: {'true': [Closed Won]}}}\n"),
        (
            "    name: name\n    amount",
            "    name: {field: name, transform: [{coalesce: {fields: [title, id], default: none}}]}\n    amount",
        ),
        ("    currency: currency\n    created", "    currency: {transform: {const: EUR}}\n    created"),
    )
    read = reader_of(Entity.OPPORTUNITY, mapping)

    row = as_dict(
        read({**DEAL, "name": None, "title": "Titel", "amount": "12345", "close": "31.12.2020", "stage": "closed won"})
    )
    bad = read({**DEAL, "amount": "many", "close": "31/12/2020", "name": None})

    assert (row["name"], row["amount"], row["close_on"], row["is_won"]) == ("Titel", "123.45", "2020-12-31", 1)
    assert (row["currency"], row["home_amount"], row["rate"]) == ("EUR", 13717, "0.9")
    assert as_dict(bad)["name"] == "o1"
    assert sorted(issues(bad)) == [("bad_date", "close_on"), ("bad_number", "amount")]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("New", "new"),
        (" New ", "new"),
        ("Again", "renewal"),
        ("upsell", "upsell"),
        ("Other", "unknown"),
        (None, "unknown"),
    ],
)
def test_types_that_nobody_mapped_are_unknown(text: str | None, found: str) -> None:
    assert as_dict(deals_in()({**DEAL, "type": text}))["type"] == found


@pytest.mark.parametrize(
    ("text", "millionths"), [("0", 0), ("100.0", 1_000_000), ("33.3", 333_000), ("1E1", 100_000), (None, None)]
)
def test_probability_is_in_millionths(text: str | None, millionths: int | None) -> None:
    assert as_dict(deals_in()({**DEAL, "probability": text}))["probability"] == millionths


raw = st.one_of(
    st.none(),
    st.text(max_size=25),
    st.sampled_from(["1", "true", "2025-01-01", "NaN", "1e999", "\ud800", "2025-01-01T00:00:00Z"]),
)


@given(st.lists(st.fixed_dictionaries(dict.fromkeys(DEAL, raw)), max_size=6))
def test_no_raw_value_ever_raises_or_reaches_the_store_unsuited(records: list[dict[str, str | None]]) -> None:
    batch = deals_in()(*records)

    assert len({row[0] for row in batch.rows}) == len(batch.rows)
    for row in batch.rows:
        found = dict(zip(COLUMNS[Entity.OPPORTUNITY], row, strict=True))
        assert found["id"]
        assert {found["is_won"], found["is_closed"], found["is_deleted"]} <= {0, 1}
        for column in ("created_on", "close_on"):
            assert found[column] is None or date.fromisoformat(found[column])
        assert all(not isinstance(cell, float) for cell in row)
        assert all("\0" not in cell and cell.encode() is not None for cell in row if isinstance(cell, str))


@given(st.lists(st.fixed_dictionaries(dict.fromkeys(DEAL, raw)), min_size=2, max_size=6))
def test_a_record_is_read_the_same_whatever_stands_beside_it(records: list[dict[str, str | None]]) -> None:
    records = [{**record, "id": f"o{n}"} for n, record in enumerate(records)]
    read = deals_in()

    together = read(*records)
    alone = [read(record) for record in records]

    assert together.rows == [row for batch in alone for row in batch.rows]
    assert sorted(map(str, together.problems)) == sorted(str(p) for batch in alone for p in batch.problems)
    assert list(together.contacts or ()) == [one for batch in alone for one in batch.contacts or ()]


clean = st.fixed_dictionaries(
    {
        "account": st.sampled_from(["A1", "a2", None]),
        "name": st.sampled_from(["Deal", "", None, "Ærø 😀"]),
        "amount": st.none()
        | st.builds(format, st.decimals(0, 10**14, places=2), st.just("f"))
        | st.integers(0, 10**6).map(str),
        "currency": st.sampled_from(["USD", "EUR", "JPY", "CHF", None]),
        "created": st.datetimes(datetime(2023, 1, 1), datetime(2026, 1, 1)).map(
            lambda at: at.isoformat(timespec="milliseconds") + "Z"
        ),
        "close": st.dates(date(2023, 1, 1), date(2026, 1, 1)).map(date.isoformat),
        "won": st.sampled_from(["true", "false", None]),
        "closed": st.sampled_from(["true", "false"]),
        "deleted": st.just("false"),
        "type": st.sampled_from(["New", "Again", "Other"]),
        "probability": st.sampled_from(["100", "12.5", None]),
    }
)
ODD = {**DEAL, "account": "?" * 30, "name": "\0", "amount": "-1E3", "created": "2025-01-01 1:00", "won": "maybe"}


@given(st.lists(clean, min_size=1, max_size=8), st.sampled_from(["UTC", "Asia/Kolkata", "America/New_York"]))
def test_a_clean_page_gives_the_rows_that_it_gives_beside_an_odd_record(records, zone) -> None:
    """Clean pages are read by the column; one odd value, and its column is read one by one."""
    records = [{**record, "id": f"o{n}"} for n, record in enumerate(records)]

    alone, beside = deals_in(zone)(*records), deals_in(zone)(*records, {**ODD, "id": "odd"})

    assert alone.rows == beside.rows[:-1]
    assert len(beside.problems) > len(alone.problems)


def test_hours_with_a_change_of_date_are_told_apart_by_the_minute() -> None:
    start = datetime(2025, 1, 1, 18, 0, tzinfo=UTC)
    moments = [start + timedelta(minutes=n) for n in range(60)]

    batch = deals_in("Asia/Kolkata")(
        *({**DEAL, "id": f"o{n}", "created": one.strftime("%Y-%m-%dT%H:%M:%SZ")} for n, one in enumerate(moments))
    )

    assert [row[5] for row in batch.rows] == ["2025-01-01"] * 30 + ["2025-01-02"] * 30
