"""A web application over an empty database, and a clock that the test holds."""

from __future__ import annotations

import base64
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from app.bootstrap import Services, build_services
from app.config import load_settings
from app.store.keys import save_key
from app.web.api import create_app

SECRET = "whsec_" + base64.b64encode(b"k" * 32).decode()


@dataclass
class Site:
    """The application and what a test does with it."""

    services: Services
    client: TestClient
    wakes: list[int] = field(default_factory=list)

    def key(self, *scopes: str) -> dict[str, str]:
        _, secret = save_key(self.services.database, name="test", scopes=scopes, now=datetime.now(UTC), who="test")
        return {"Authorization": f"Bearer {secret}"}


@pytest.fixture
def site(tmp_path: Path, sqlite_template: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    monkeypatch.chdir(tmp_path)
    shutil.copyfile(sqlite_template, tmp_path / "advocacy.db")
    services = build_services(load_settings(webhook_secrets=SECRET, salesforce_access_token="unused"))
    wakes: list[int] = []
    app: Any = create_app(services, on_delivery=lambda: wakes.append(1))
    with TestClient(app, base_url="http://testserver", raise_server_exceptions=False) as client:
        yield Site(services, client, wakes)
    services.database.close()
