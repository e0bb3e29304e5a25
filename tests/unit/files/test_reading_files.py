"""Exports as people make them: what is accepted, what is refused, and where."""

from __future__ import annotations

import csv
import io
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.contract import AnyOf, Condition, FieldType, Operator, Page, PullRequest, WriteValue
from connectors.errors import ConfigurationError, IncompleteError, ResumeError, SchemaError
from connectors.files import FilesSettings, connect
from connectors.files.connector import FilesConnector
from connectors.files.filters import compile_filter
from connectors.files.ids import normalise_id
from connectors.files.table import read_header, read_rows


def rows(
    connector: FilesConnector, object_name: str = "accounts", *fields: str, **more: object
) -> list[list[str | None]]:
    request = PullRequest(object_name, fields or ("id", "name"), **more)  # type: ignore[arg-type]
    return [list(row) for page in connector.pull([request]) for row in page.rows]


def test_rows_come_in_the_order_of_the_file_and_of_the_fields(export) -> None:
    assert rows(export(), "accounts", "name", "id") == [["Alpha", "A"], ["Beta", "B"], ["Gamma", "C"]]


def test_pages_are_full_but_for_the_last_which_is_complete(export) -> None:
    pages = list(export(page_rows=2).pull([PullRequest("accounts", ("id",))]))

    assert [len(page.rows) for page in pages] == [2, 1]
    assert [page.complete for page in pages] == [False, True]
    assert [page.watermark is None for page in pages] == [True, False]
    assert all(page.resume is None for page in pages)


def test_a_page_that_ends_with_the_file_is_the_last(export) -> None:
    assert [page.complete for page in export(page_rows=3).pull([PullRequest("accounts", ("id",))])] == [True]


def test_the_watermark_is_taken_before_the_file_is_read(export) -> None:
    connector = export(page_rows=1)
    before = datetime.now(UTC)

    pages = connector.pull([PullRequest("accounts", ("id",))])
    first = next(pages)
    between = datetime.now(UTC)
    last: Page = [first, *pages][-1]

    assert last.watermark is not None
    assert before <= last.watermark <= between


@pytest.mark.parametrize(
    "text",
    [
        "\ufeffid,name\nA,Älpha\n",
        "id;name\nA;Älpha\n",
        "id\tname\nA\tÄlpha\n",
        "id,name\r\nA,Älpha\r\n",
        '"id","name"\n"A","Älpha"\n',
        " id , name \nA,Älpha\n",
        "id,name\nA,Älpha",
        "id,name\n\n\nA,Älpha\n\n",
        "id,name,\nA,Älpha,\n,,\n",
        "name,x,id\nÄlpha,1,A\n",
        "id,name\rA,Älpha\r",
    ],
)
def test_every_usual_form_of_csv_is_read_the_same(export, text: str) -> None:
    assert rows(export(accounts=text)) == [["A", "Älpha"]]


def test_quoted_values_keep_separators_quotes_and_line_breaks(export) -> None:
    text = 'id,name\nA,"a, ""b""\r\nc"\nB,\'x\n'

    assert rows(export(accounts=text)) == [["A", 'a, "b"\r\nc'], ["B", "'x"]]


def test_duplicates_are_delivered_as_they_are(export) -> None:
    assert rows(export(accounts="id,name\nA,one\nA,two\n")) == [["A", "one"], ["A", "two"]]


def test_an_empty_value_is_none_and_blanks_are_text(export) -> None:
    assert rows(export(accounts='id,name\nA,\nB,""\nC,  \n')) == [["A", None], ["B", None], ["C", "  "]]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("id,name\nA,one\nB\n", "accounts.csv:3: 1 values, but the first line names 2 columns"),
        ("id,name\nA,one,two\n", "accounts.csv:2: 3 values"),
        ('id,name\nA,"x\ny"\nB,one,two\n', "accounts.csv:4: 3 values"),
        ('id,name\nA,"one\nB,two\n', "accounts.csv:2: not CSV: unexpected end of data"),
        ('id,name\nA,"one"x\n', "accounts.csv:2: not CSV"),
        ("id,name\nA," + "x" * 200_000 + "\n", "accounts.csv:2: not CSV: field larger"),
        ("id,name,name\nA,x,y\n", "accounts.csv:1: the column 'name' is there twice"),
        ("", "accounts.csv:1: the first line must name the columns"),
        ("\n", "accounts.csv:1: the first line must name the columns"),
        (b"id,name\nA,ok\nB,Gr\xfc\xdfe\n", "accounts.csv:3: byte 0xfc is not UTF-8"),
        ("id,name\nA,x\n".encode("utf-16"), "accounts.csv:1: the file is UTF-16"),
    ],
)
def test_a_broken_file_is_refused_with_its_line(export, text: str | bytes, said: str) -> None:
    connector = export(accounts=text)

    with pytest.raises(ConfigurationError) as refused:
        rows(connector)

    assert said in refused.value.message


def test_a_byte_that_is_not_utf8_far_down_is_found(export) -> None:
    text = b"id,name\n" + b"A,ok\n" * 50_000 + b"B,\xff\n"

    with pytest.raises(ConfigurationError, match=r"accounts.csv:50002: byte 0xff"):
        rows(export(5000, accounts=text))


def test_a_missing_column_is_named_with_those_there_are(export) -> None:
    with pytest.raises(SchemaError, match=r"accounts.csv has no column 'owner'; its columns are: id, name, is_deleted"):
        rows(export(), "accounts", "id", "owner")


@pytest.mark.parametrize("name", ["contacts", "../accounts", "accounts.csv", "", "a/b"])
def test_a_missing_file_and_a_path_are_no_object(export, name: str) -> None:
    connector = export()

    assert connector.describe([name]) == {name: None}
    with pytest.raises(SchemaError, match="There is no file"):
        rows(connector, name)


def test_a_file_that_changes_while_it_is_read_is_not_trusted(export, folder: Path) -> None:
    connector = export(page_rows=1)
    pages = connector.pull([PullRequest("accounts", ("id",))])
    next(pages)

    with (folder / "accounts.csv").open("a") as stream:
        stream.write("D,Delta,\n")

    with pytest.raises(IncompleteError, match="changed while it was read"):
        list(pages)


def test_a_file_that_is_replaced_while_it_is_read_is_read_to_its_end(export, folder: Path) -> None:
    connector = export(page_rows=1)
    pages = connector.pull([PullRequest("accounts", ("id",))])
    first = next(pages)

    (folder / "new.csv").write_text("id,name,is_deleted\nZ,Zeta,\n")
    (folder / "new.csv").replace(folder / "accounts.csv")

    assert [row[0] for page in [first, *pages] for row in page.rows] == ["A", "B", "C"]


def test_there_is_no_place_to_go_on_from(export) -> None:
    with pytest.raises(ResumeError):
        list(export().pull([PullRequest("accounts", ("id",), resume="5")]))


def test_a_re_read_by_ids_looks_through_blanks(export) -> None:
    connector = export(accounts="id,name\n A ,one\nB,two\n")

    assert rows(connector, ids=("A", "nobody")) == [[" A ", "one"]]


def test_describe_knows_the_types_of_the_usual_columns(export) -> None:
    schemas = export().describe(["accounts", "opportunities"])

    accounts, deals = schemas["accounts"], schemas["opportunities"]
    assert accounts is not None
    assert deals is not None
    assert accounts.updateable
    assert not deals.updateable
    assert accounts.fields["id"].type is FieldType.ID
    assert accounts.fields["total"].updateable
    assert not accounts.fields["name"].updateable
    assert (deals.fields["amount"].type, deals.fields["is_won"].type) == (FieldType.NUMBER, FieldType.BOOLEAN)
    assert "total" not in deals.fields


def test_live_records_are_counted(export) -> None:
    connector = export()

    assert connector.count({"accounts": (), "opportunities": ()}) == {"accounts": 2, "opportunities": 2}
    assert connector.count({"accounts": (Condition("name", Operator.LIKE, "%a"),)}) == {"accounts": 2}


def test_another_folder_is_another_organisation(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "a")

    ids = [connect(FilesSettings(tmp_path / name)).organisation_id() for name in ("a", "b", "link")]

    assert ids[0] == ids[2] != ids[1]
    assert connect(FilesSettings(tmp_path / "a")).identify().organisation_name == "a"


def test_no_folder_no_connector(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="ADVOCACY_FILES_DIR"):
        connect(FilesSettings(tmp_path / "none"))


def test_health_names_the_file_that_is_missing_or_broken(export, folder: Path) -> None:
    connector = export(scores="id,total\nA,1\n")
    assert [finding.level for finding in connector.check_health()] == ["ok", "ok", "ok"]

    (folder / "opportunities.csv").unlink()
    (folder / "accounts.csv").write_text("name\nx\n")
    (folder / "scores.csv").write_text('id,total\nA,"1\n')

    findings = connector.check_health()
    assert [finding.level for finding in findings] == ["error", "error", "error"]
    assert "no column 'id'" in findings[0].message
    assert "no file opportunities.csv" in findings[1].message
    assert "scores.csv:2" in findings[2].message


@pytest.mark.parametrize(
    ("op", "value", "text", "holds"),
    [
        (Operator.EQ, "a", "a", True),
        (Operator.EQ, "a", "A", False),
        (Operator.EQ, None, None, True),
        (Operator.EQ, "a", None, False),
        (Operator.NE, "a", None, True),
        (Operator.NE, None, None, False),
        (Operator.EQ, True, "Yes", True),
        (Operator.EQ, False, None, True),
        (Operator.EQ, Decimal("1.50"), "1.5", True),
        (Operator.EQ, 1, "one", False),
        (Operator.GT, 5, "10", True),
        (Operator.GT, 5, None, False),
        (Operator.LE, 5, None, False),
        (Operator.GE, Decimal(5), "NaN", False),
        (Operator.LT, date(2025, 1, 1), "2024-12-31", True),
        (Operator.LT, date(2025, 1, 1), "soon", False),
        (Operator.GE, datetime(2025, 1, 1, tzinfo=UTC), "2025-01-01T00:00:00Z", True),
        (Operator.GE, datetime(2025, 1, 1, tzinfo=UTC), "2025-01-01T01:00:00+02:00", False),
        (Operator.LT, "b", "a", True),
        (Operator.IN, ("a", "b"), "b", True),
        (Operator.IN, (), "b", False),
        (Operator.NOT_IN, ("a", "b"), "c", True),
        (Operator.NOT_IN, ("a",), None, True),
        (Operator.LIKE, "Ac%", "acme", True),
        (Operator.LIKE, "a_me", "acme", True),
        (Operator.LIKE, "a.*", "acme", False),
        (Operator.LIKE, "%", None, False),
    ],
)
def test_conditions_compare_by_the_type_of_their_value(
    op: Operator, value: WriteValue, text: str | None, holds: bool
) -> None:
    test = compile_filter((Condition("f", op, value),), ["f"].index)

    assert test([text]) is holds


def test_all_conditions_must_hold_and_one_of_any() -> None:
    where = (
        AnyOf((Condition("a", Operator.EQ, "1"), Condition("b", Operator.EQ, "1"))),
        Condition("c", Operator.EQ, "1"),
    )
    test = compile_filter(where, ["a", "b", "c"].index)

    assert [test(row) for row in (["1", "0", "1"], ["0", "1", "1"], ["0", "0", "1"], ["1", "1", "0"])] == [
        True,
        True,
        False,
        False,
    ]


@pytest.mark.parametrize("bad", ["", "   ", "x" * 256, "a\0b", "a\nb", "a\ud800", "a\x7f"])
def test_what_cannot_be_an_id_is_refused(bad: str) -> None:
    with pytest.raises(ValueError, match="the id"):
        normalise_id(bad)


@pytest.mark.parametrize("good", ["1", "001Ab", "a b", "株式会社", "=1+1", "a,b;c", "x" * 255, "🎉"])
def test_any_other_text_is_an_id(good: str) -> None:
    assert normalise_id(f" {good} ") == good


cells = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=12)


@given(table=st.lists(st.tuples(cells, cells, cells), max_size=6), delimiter=st.sampled_from(",;\t"))
def test_what_a_csv_writer_writes_is_what_is_read(tmp_path_factory, table, delimiter: str) -> None:
    buffer = io.StringIO()
    csv.writer(buffer, delimiter=delimiter, lineterminator="\r\n").writerows([("id", "x", "y"), *table])
    path = tmp_path_factory.mktemp("t") / "t.csv"
    path.write_bytes(buffer.getvalue().encode())

    header = read_header(path)

    assert header is not None
    found = [tuple(value or "" for value in row) for _, row in read_rows(header)]
    assert found == [row for row in table if any(row)]
