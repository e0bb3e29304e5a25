"""A folder of exports, written by the test."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from connectors.files import FilesSettings, connect
from connectors.files.connector import FilesConnector

ACCOUNTS = "id,name,is_deleted\nA,Alpha,false\nB,Beta,true\nC,Gamma,\n"
OPPORTUNITIES = "id,account_id,amount,is_won\n1,A,100.50,true\n2,B,,false\n"

Write = Callable[..., FilesConnector]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path


@pytest.fixture
def export(folder: Path) -> Write:
    """`export(accounts=text, …)` writes the files and gives a connector with small pages."""

    def write(page_rows: int = 2, **files: str | bytes) -> FilesConnector:
        for name, content in ({"accounts": ACCOUNTS, "opportunities": OPPORTUNITIES} | files).items():
            data = content if isinstance(content, bytes) else content.encode()
            (folder / f"{name}.csv").write_bytes(data)
        return connect(FilesSettings(folder, page_rows))

    return write
