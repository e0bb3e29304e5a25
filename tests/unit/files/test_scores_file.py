"""`scores.csv`: ours merged in, everything else kept, and never half a file."""

from __future__ import annotations

import csv
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.mapping.measures import MEASURES
from connectors.contract import Outcome, PullRequest, Update, UpdateResult
from connectors.errors import ConfigurationError, SchemaError
from connectors.files import FilesSettings, connect
from connectors.files.connector import FilesConnector
from connectors.files.scores import SCORE_COLUMNS


def fence() -> None:
    pass


def push(connector: FilesConnector, *updates: Update, object_name: str = "accounts") -> list[UpdateResult]:
    return list(connector.push(object_name, updates, expected=len(updates), fence=fence))


def scores(folder: Path) -> list[dict[str, str]]:
    with (folder / "scores.csv").open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def shown(connector: FilesConnector, *fields: str) -> list[list[str | None]]:
    return [list(row) for page in connector.pull([PullRequest("accounts", ("id", *fields))]) for row in page.rows]


def test_the_first_write_makes_the_file(export, folder: Path) -> None:
    results = push(
        export(), Update("A", {"total": Decimal("140000.00"), "rank": 2}), Update("C", {"explanation": 'a, "b"\nc'})
    )

    assert [result.outcome for result in results] == [Outcome.OK, Outcome.OK]
    assert scores(folder) == [
        {"id": "A", "total": "140000.00", "rank": "2", "explanation": ""},
        {"id": "C", "total": "", "rank": "", "explanation": 'a, "b"\nc'},
    ]


def test_what_was_written_is_read_as_fields_of_the_accounts(export) -> None:
    connector = export()
    assert shown(connector, "total") == [["A", None], ["B", None], ["C", None]]

    push(connector, Update("A", {"total": Decimal("1E+3"), "as_of": date(2025, 1, 31)}))

    assert shown(connector, "total", "as_of") == [["A", "1000", "2025-01-31"], ["B", None, None], ["C", None, None]]


def test_other_rows_columns_and_values_are_kept(export, folder: Path) -> None:
    connector = export(scores='\ufeffid;note;total\r\nA;mine;1\r\nGone;"old; one";7\r\n')

    push(connector, Update("A", {"total": None}), Update("B", {"total": Decimal(5)}))

    assert scores(folder) == [
        {"id": "A", "note": "mine", "total": ""},
        {"id": "Gone", "note": "old; one", "total": "7"},
        {"id": "B", "note": "", "total": "5"},
    ]


def test_a_column_named_in_the_file_can_be_written(export, folder: Path) -> None:
    connector = export(scores="id,customer_value\n")
    schema = connector.describe(["accounts"])["accounts"]

    (result,) = push(connector, Update("A", {"customer_value": Decimal("1.50")}))

    assert schema is not None
    assert schema.fields["customer_value"].updateable
    assert result.outcome is Outcome.OK
    assert scores(folder) == [{"id": "A", "customer_value": "1.50"}]


def test_text_that_has_no_bytes_is_refused(export) -> None:
    (result,) = push(export(), Update("A", {"explanation": "a\ud800"}))

    assert (result.outcome, result.code) == (Outcome.REJECTED, "BAD_VALUE")


@pytest.mark.parametrize("column", ["id", "name", "unheard_of"])
def test_a_column_that_is_not_ours_is_refused(export, folder: Path, column: str) -> None:
    (result,) = push(export(), Update("A", {column: "x"}))

    assert (result.outcome, result.code, result.fields) == (Outcome.REJECTED, "NO_SUCH_COLUMN", (column,))
    assert not (folder / "scores.csv").exists()


def test_an_export_with_a_score_column_of_its_own_does_not_hide_ours(export) -> None:
    connector = export(accounts="id,total\nA,999\n")

    push(connector, Update("A", {"total": Decimal(5)}))

    assert shown(connector, "total") == [["A", "5"]]


def test_an_account_that_is_not_in_the_export_is_gone(export) -> None:
    results = push(export(), Update("nobody", {"total": Decimal(5)}), Update("A", {"total": Decimal(5)}))

    assert [result.outcome for result in results] == [Outcome.GONE, Outcome.OK]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (True, "true"),
        (False, "false"),
        (0, "0"),
        (Decimal("0.00"), "0.00"),
        (Decimal("-1E-2"), "-0.01"),
        ("=1+1", "=1+1"),
        (datetime(2025, 1, 31, 10, 30, tzinfo=UTC), "2025-01-31T10:30:00Z"),
        ("", ""),
    ],
)
def test_values_have_one_form(export, folder: Path, value: object, text: str) -> None:
    push(export(), Update("A", {"explanation": value, "rank": 1}))  # type: ignore[dict-item]

    assert scores(folder)[0]["explanation"] == text


def test_a_number_without_a_form_is_refused_and_changes_nothing(export, folder: Path) -> None:
    (result,) = push(export(), Update("A", {"rank": 1, "total": Decimal("Infinity")}))

    assert (result.outcome, result.code) == (Outcome.REJECTED, "BAD_VALUE")
    assert not (folder / "scores.csv").exists()


def test_only_accounts_have_scores(export) -> None:
    with pytest.raises(SchemaError, match="accounts only"):
        push(export(), Update("1", {"total": 1}), object_name="opportunities")


def test_a_closed_fence_leaves_the_old_file_and_nothing_else(export, folder: Path) -> None:
    connector = export(scores="id,total\nA,1\n")
    before = sorted(path.name for path in folder.iterdir())

    def closed() -> None:
        raise RuntimeError("the lease is lost")

    with pytest.raises(RuntimeError, match="lease"):
        list(connector.push("accounts", [Update("A", {"total": Decimal(2)})], expected=1, fence=closed))

    assert scores(folder) == [{"id": "A", "total": "1"}]
    assert sorted(path.name for path in folder.iterdir()) == before


def test_a_disk_that_is_full_leaves_the_old_file_whole(export, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    connector = export(scores="id,total\nA,1\n")

    def full(_handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("connectors.files.scores.os.fsync", full)
    with pytest.raises(ConfigurationError, match=r"scores.csv cannot be written: No space left on device"):
        push(connector, Update("A", {"total": Decimal(2)}))

    assert scores(folder) == [{"id": "A", "total": "1"}]
    assert not list(folder.glob(".*"))


def test_a_file_left_behind_by_a_killed_run_is_no_hindrance(export, folder: Path) -> None:
    connector = export()
    (folder / ".scores.csv.tmp").write_text("half a li")

    push(connector, Update("A", {"total": Decimal(2)}))

    assert scores(folder) == [{"id": "A", "total": "2"}]
    assert not list(folder.glob(".*"))


def test_a_broken_scores_file_stops_the_run_before_it_is_overwritten(export, folder: Path) -> None:
    connector = export(scores="id,total\nA,1\n,5\n")

    with pytest.raises(ConfigurationError, match=r"scores.csv:3: the id is empty"):
        push(connector, Update("A", {"total": Decimal(2)}))

    assert (folder / "scores.csv").read_text() == "id,total\nA,1\n,5\n"


def test_writing_the_same_again_gives_the_same_bytes(export, folder: Path) -> None:
    connector = export()
    updates = [Update(key, {"total": Decimal("1.00"), "explanation": "a\r\nb"}) for key in "ABC"]
    push(connector, *updates)
    before = (folder / "scores.csv").read_bytes()

    push(connector, *updates)

    assert (folder / "scores.csv").read_bytes() == before


@given(
    texts=st.dictionaries(
        st.sampled_from("ABC"),
        st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=30),
        min_size=1,
    )
)
def test_any_text_comes_back_as_it_was_written(texts: dict[str, str], tmp_path_factory) -> None:
    folder = tmp_path_factory.mktemp("crm")
    (folder / "accounts.csv").write_text("id\nA\nB\nC\n")
    connector = connect(FilesSettings(folder))

    push(connector, *(Update(key, {"explanation": text}) for key, text in texts.items()))

    found = {str(row[0]): row[1] for row in shown(connector, "explanation")}
    assert {key: found[key] for key in texts} == {key: text or None for key, text in texts.items()}


def test_every_measure_has_a_column_but_the_currency_which_the_export_has_itself() -> None:
    assert set(SCORE_COLUMNS) == set(MEASURES) - {"currency"}
