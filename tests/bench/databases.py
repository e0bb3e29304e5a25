"""Where the measured rows go: a fresh SQLite file, or a fresh database on a PostgreSQL server."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit
from uuid import uuid4

from measure import parent_of

SERVER_VARIABLE = "ADVOCACY_TEST_POSTGRES_URL"
SHOWN = "fsync synchronous_commit full_page_writes autovacuum shared_buffers work_mem server_version".split()


@dataclass(frozen=True, slots=True)
class Database:
    """`servers`: the processes that work for it, where this machine can see them."""

    kind: str
    settings: str
    servers: tuple[int, ...]
    scratch: Path
    url: str = ""

    @contextmanager
    def fresh(self) -> Iterator[str]:
        """The SQLAlchemy URL of an empty database that is gone afterwards."""
        name = f"advocacy_bench_{uuid4().hex[:10]}"
        if self.kind == "sqlite":
            with tempfile.TemporaryDirectory(dir=self.scratch) as folder:
                yield f"sqlite:///{folder}/{name}.db"
            return
        self._execute(f'create database "{name}" template template0')
        try:
            yield urlunsplit(urlsplit(self.url)._replace(path=f"/{name}"))
        finally:
            self._execute(f'drop database "{name}" with (force)')

    def rest(self, url: str) -> None:
        """What a server does in the hours between two nights: autovacuum refreshes the statistics."""
        if self.kind == "postgresql":
            self._execute("analyze", url)

    def _execute(self, statement: str, url: str = "") -> None:
        import psycopg

        with psycopg.connect((url or self.url).replace("+psycopg", ""), autocommit=True) as connection:
            connection.execute(statement)


@contextmanager
def open_database(kind: str, scratch: Path) -> Iterator[Database]:
    if kind == "sqlite":
        yield Database(kind, "floors: driver's defaults; service: WAL, synchronous=FULL", (), scratch)
        return
    with _server_url() as url:
        settings, server = _look_at(url)
        yield Database(kind, settings, server, scratch, url)


@contextmanager
def _server_url() -> Iterator[str]:
    if given := os.environ.get(SERVER_VARIABLE):
        yield given
        return
    sys.path.append(str(Path(__file__).resolve().parents[1] / "fixtures"))
    from postgres_cluster import postgres_cluster  # type: ignore[import-not-found]

    with postgres_cluster() as url:
        yield url


def _look_at(url: str) -> tuple[str, tuple[int, ...]]:
    """The settings that decide about speed, and the server's process when it runs on this machine."""
    import psycopg

    with psycopg.connect(url.replace("+psycopg", "")) as connection:
        query = "select name, current_setting(name) from pg_settings where name = any(%s)"
        found: dict[str, str] = dict(connection.execute(query, (SHOWN,)).fetchall())
        is_local = connection.info.host.startswith("/") or connection.info.hostaddr in ("127.0.0.1", "::1")
        server = parent_of(connection.info.backend_pid) if is_local else None
    settings = ", ".join(f"{name}={found[name]}" for name in SHOWN) + "; analyze after each night"
    if server is None or server < 2:
        return f"{settings}; the server's CPU seconds cannot be seen from here", ()
    return settings, (server,)
