"""A folder of CSV exports as a CRM: for every CRM without a connector, and for trying out.

`accounts.csv`, `opportunities.csv` and whatever else the mapping names are read; results go to `scores.csv`.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from connectors.files.connector import FilesConnector

__all__ = ["FilesSettings", "connect"]


@dataclass(frozen=True, slots=True)
class FilesSettings:
    folder: Path
    """Where the CSV files lie. `scores.csv` is written there."""
    page_rows: int = 5000
    """Rows of one `Page`."""


def connect(settings: FilesSettings) -> FilesConnector:
    """A connector for the folder; ConfigurationError when there is no such folder."""
    from connectors.files.connector import build_files  # noqa: PLC0415  settings are asked for before files are read

    return build_files(settings)
