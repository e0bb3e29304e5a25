"""The folder as a CRM: full snapshots in, one scores file out.

It keeps no record of changes, so every pull is the whole of a file, and a record that is missing from it was deleted.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path

from connectors.contract import (
    Afford,
    Allowance,
    AnyOf,
    Capabilities,
    Fence,
    FieldSchema,
    FieldType,
    Filter,
    Finding,
    Identity,
    ObjectSchema,
    Outcome,
    Page,
    PullRequest,
    RawRow,
    SetupStep,
    Trace,
    Update,
    UpdateResult,
    Usage,
    free,
    untraced,
)
from connectors.errors import ConfigurationError, ConnectorError, ResumeError, SchemaError
from connectors.files import FilesSettings
from connectors.files.filters import compile_filter
from connectors.files.ids import normalise_id
from connectors.files.scores import FILE, ID, Scores, load_scores, render, score_columns
from connectors.files.table import Header, read_header, read_rows

SCORED = "accounts"
"""The object whose records have scores."""
DELETED = "is_deleted"

_OBJECT = re.compile(r"[A-Za-z0-9_]{1,100}", re.ASCII)
_KNOWN_TYPES: Mapping[str, FieldType] = {
    ID: FieldType.ID,
    "amount": FieldType.NUMBER,
    "rate": FieldType.NUMBER,
    "probability": FieldType.NUMBER,
    "employees": FieldType.NUMBER,
    "term_months": FieldType.NUMBER,
    "decimal_places": FieldType.NUMBER,
    "is_won": FieldType.BOOLEAN,
    "is_closed": FieldType.BOOLEAN,
    DELETED: FieldType.BOOLEAN,
    "close_date": FieldType.DATE,
    "start_date": FieldType.DATE,
    "date": FieldType.DATE,
}
"""Every other column is text."""

Pick = Callable[[RawRow], RawRow]


def build_files(settings: FilesSettings) -> FilesConnector:
    if not settings.folder.is_dir():
        raise ConfigurationError("ADVOCACY_FILES_DIR must name a folder with accounts.csv and opportunities.csv.")
    return FilesConnector(settings.folder.resolve(), settings.page_rows)


class FilesConnector:
    """One folder. Holds no open file between calls."""

    capabilities = Capabilities(incremental=False, deletions=False, resumable=False, setup=False, users=False)

    def __init__(self, folder: Path, page_rows: int) -> None:
        self._folder = folder
        self._page_rows = page_rows
        self.usage = Usage()

    def identify(self) -> Identity:
        return Identity(organisation_id=self.organisation_id(), organisation_name=self._folder.name)

    def organisation_id(self) -> str:
        """Another folder is another organisation: its ids mean other companies."""
        return f"files-{hashlib.sha256(os.fsencode(self._folder)).hexdigest()[:18]}"

    def normalise_id(self, text: str) -> str:
        return normalise_id(text)

    def describe(self, objects: Sequence[str]) -> Mapping[str, ObjectSchema | None]:
        return {name: self._describe(name) for name in objects}

    def _describe(self, name: str) -> ObjectSchema | None:
        header = self._header(name)
        if header is None:
            return None
        fields = {column: _field(column) for column in header.columns if column}
        if name == SCORED:
            for column in score_columns(self._folder, header.columns):
                # No type: a column of the scores file takes whatever is written.
                fields[column] = FieldSchema(column, FieldType.OTHER, label=column, updateable=True)
        return ObjectSchema(name, f"{name}.csv", updateable=name == SCORED, fields=fields)

    def _header(self, name: str) -> Header | None:
        return read_header(self._folder / f"{name}.csv") if _OBJECT.fullmatch(name) else None

    def _needed_header(self, name: str) -> Header:
        header = self._header(name)
        if header is None:
            raise SchemaError(f"There is no file {name[:100]}.csv in the folder {self._folder.name}.")
        return header

    def pull(self, requests: Sequence[PullRequest], *, afford: Afford = free) -> Iterator[Page]:
        afford(0)
        for request in requests:
            if request.resume is not None:
                raise ResumeError("A folder of files has no position to go on from.")
            yield from self._pull(request)

    def shows_several_currencies(self) -> bool:
        """A folder hides nothing: what it does not say, nobody knows."""
        return False

    def abandon(self, positions: Sequence[str]) -> None:
        """Nothing is held."""

    def _pull(self, request: PullRequest) -> Iterator[Page]:
        # Before the first byte is read: what comes into the file later is not in this pull.
        watermark = datetime.now(UTC) if request.ids is None else None
        rows = self._rows(request)
        page = list(islice(rows, self._page_rows))
        while len(page) == self._page_rows and (following := list(islice(rows, self._page_rows))):
            yield Page(request, page)
            page = following
        yield Page(request, page, watermark=watermark, complete=True)

    def _rows(self, request: PullRequest) -> Iterator[RawRow]:
        header = self._needed_header(request.object)
        fields = dict.fromkeys((*request.fields, *_fields_of(request.where)))
        pick = self._picker(header, request.object, tuple(fields))
        passes = compile_filter(request.where, list(fields).index)
        wanted = None if request.ids is None else frozenset(map(normalise_id, request.ids))
        key = header.place(ID) if wanted is not None else 0
        places = [list(fields).index(name) for name in request.fields]
        for _, row in read_rows(header):
            if wanted is not None and _key_of(row[key]) not in wanted:
                continue
            values = pick(row)
            if passes(values):
                yield [values[place] for place in places]

    def _picker(self, header: Header, name: str, fields: Sequence[str]) -> Pick:
        """From a row of the file to the values of `fields`, scores joined by id."""
        scored = score_columns(self._folder, header.columns) if name == SCORED else ()
        sources = [field if field in scored else header.place(field) for field in fields]
        if not any(isinstance(source, str) for source in sources):
            return lambda row: [row[source] for source in sources]  # type: ignore[index]  # no name among them
        scores, at = load_scores(self._folder), header.place(ID)

        def pick(row: RawRow) -> RawRow:
            key = _key_of(row[at])
            return [scores.value(key, source) if isinstance(source, str) else row[source] for source in sources]

        return pick

    def count(self, objects: Mapping[str, Filter]) -> Mapping[str, int]:
        return {name: self._count(name, where) for name, where in objects.items()}

    def _count(self, name: str, where: Filter) -> int:
        """Records, not rows: an id that stands there twice is one record; its last row says whether it lives."""
        header = self._needed_header(name)
        known = tuple(column for column in (ID, DELETED) if column in header.columns)
        fields = tuple(dict.fromkeys((*known, *_fields_of(where))))
        live: dict[object, bool] = {}
        for number, row in enumerate(self._rows(PullRequest(name, fields, where=where))):
            cells = dict(zip(fields, row, strict=True))
            live[cells.get(ID) or number] = not _is_true(cells.get(DELETED))
        return sum(live.values())

    def push(
        self,
        object_name: str,
        updates: Iterable[Update],
        *,
        expected: int,  # noqa: ARG002  one way for few and for many
        fence: Fence,
        trace: Trace = untraced,  # noqa: ARG002  nothing goes on after this process
    ) -> Iterator[UpdateResult]:
        pending = list(updates)
        if not pending:
            return
        if object_name != SCORED:
            raise SchemaError(f"Scores can be written for {SCORED} only, not for {object_name[:100]}.")
        known = self._keys()
        columns = self._needed_header(SCORED).columns
        scores = load_scores(self._folder)
        writable = frozenset(score_columns(self._folder, columns))
        results = [_merge(update, scores, known, writable) for update in pending]
        if any(result.outcome is Outcome.OK for result in results):
            fence()
            scores.save()
        yield from results

    def end_push(self, trace: str, *, fence: Fence) -> None:
        """Nothing goes on after its process."""

    def _keys(self) -> frozenset[str]:
        """The ids of all accounts that are there now."""
        request = PullRequest(SCORED, (ID,))
        return frozenset(_key_of(row[0]) for row in self._rows(request))

    def allowance(self) -> Allowance:
        return Allowance()

    def check_health(self, written: Sequence[str] = ()) -> Sequence[Finding]:  # noqa: ARG002  files set nothing off
        return [*(self._check_file(name) for name in (SCORED, "opportunities")), self._check_scores()]

    def _check_file(self, name: str) -> Finding:
        try:
            header = self._needed_header(name)
            header.place(ID)
        except ConnectorError as error:
            return Finding("error", f"{name}.csv", error.message, "put the export into the folder")
        return Finding("ok", f"{name}.csv", f"{len([one for one in header.columns if one])} columns")

    def _check_scores(self) -> Finding:
        try:
            count = len(load_scores(self._folder).rows)
        except ConnectorError as error:
            return Finding("error", FILE, error.message, "repair the file, or delete it to have it written anew")
        if not os.access(self._folder, os.W_OK):
            return Finding("error", FILE, "the folder may not be written to", "give write access to the folder")
        return Finding("ok", FILE, f"{count} records")

    # There is nothing to set up, for whomever.
    def plan_setup(self, *, user: str = "", viewers: Sequence[str] = ()) -> Sequence[SetupStep]:  # noqa: ARG002  see above
        return ()

    def apply_setup(
        self,
        *,
        check_only: bool,  # noqa: ARG002  as above
        user: str = "",  # noqa: ARG002  as above
        viewers: Sequence[str] = (),  # noqa: ARG002  as above
    ) -> Sequence[SetupStep]:
        return ()

    def record_url(self, object_name: str, record_id: str) -> str:  # noqa: ARG002  files have no pages
        return ""

    def close(self) -> None:
        """Nothing is kept open."""


def _field(column: str) -> FieldSchema:
    return FieldSchema(column, _KNOWN_TYPES.get(column, FieldType.TEXT), label=column)


def _fields_of(where: Filter) -> tuple[str, ...]:
    groups = [entry.conditions if isinstance(entry, AnyOf) else (entry,) for entry in where]
    return tuple(condition.field for group in groups for condition in group)


def _key_of(text: str | None) -> str:
    """The canonical id, or an empty text for what cannot be one: it matches nothing."""
    try:
        return normalise_id(text or "")
    except ValueError:
        return ""


def _is_true(text: str | None) -> bool:
    return (text or "").strip().lower() in ("true", "1", "yes", "y", "t")


def _merge(update: Update, scores: Scores, known: frozenset[str], writable: frozenset[str]) -> UpdateResult:
    """Put one update into the scores, or say why not."""
    key = update.record_id
    if key not in known:
        return UpdateResult(key, Outcome.GONE, "NOT_FOUND", f"{SCORED}.csv has no such record any more")
    foreign = tuple(name for name in update.values if name not in writable)
    if foreign:
        message = f"{FILE} has no column {', '.join(foreign)}: add it to its first line"
        return UpdateResult(key, Outcome.REJECTED, "NO_SUCH_COLUMN", message, foreign)
    try:
        texts = {name: render(value) for name, value in update.values.items()}
    except ValueError as fault:
        return UpdateResult(key, Outcome.REJECTED, "BAD_VALUE", str(fault))
    scores.set(update, texts)
    return UpdateResult(key, Outcome.OK)
