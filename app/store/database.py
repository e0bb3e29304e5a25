"""Opening the database, and the two kinds of transaction.

`begin` writes: on SQLite it takes the write lock at once, because a transaction that reads first and writes later
fails there without waiting. `read` sees one consistent state and never blocks a writer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from app.errors import ConfigError

SQLITE_CACHE_KIB = 8_000
SQLITE_CHECKPOINT_PAGES = 4_000
"""Pages of the log before it is written back: less often than by default, because each time waits for the disk."""
STATEMENT_TIMEOUT_MS = 3_600_000
LOCK_TIMEOUT_MS = 60_000
HIDE_PARAMETERS = True  # what a statement carried is the company's data: an error must not take it into a log
MIGRATION_LOCK = 7_304_221
"""Any constant will do, as long as nobody else uses it in this database."""

TRANSIENT_DATABASE_ERRORS: tuple[type[Exception], ...] = (sa.exc.OperationalError, sa.exc.TimeoutError)
"""Busy, restarting or out of connections: worth another try."""


@dataclass(frozen=True, slots=True)
class Database:
    """An engine and what the rooms above may do with it. `fence`: asked at the end of every writing transaction."""

    engine: sa.Engine
    fence: Callable[[sa.Connection], None] | None = None

    def fenced(self, fence: Callable[[sa.Connection], None]) -> Database:
        """The same database, on which nothing is committed that the fence refuses by raising."""
        return replace(self, fence=fence)

    @property
    def is_sqlite(self) -> bool:
        return self.engine.dialect.name == "sqlite"

    @contextmanager
    def begin(self, *, durable: bool = True) -> Iterator[sa.Connection]:
        """One writing transaction: committed at the end, rolled back on any exception.

        `durable=False`: a power cut may take it back, as a whole, until a durable one has followed. It waits for no
        disk; for what can be had again.
        """
        with (
            self.engine.connect().execution_options(writes=True) as connection,
            connection.begin() if durable else _hurried(connection),
        ):
            yield connection
            if self.fence is not None:
                self.fence(connection)

    @contextmanager
    def read(self) -> Iterator[sa.Connection]:
        with self.engine.connect() as connection, connection.begin():
            yield connection

    def close(self) -> None:
        self.engine.dispose()


@contextmanager
def _hurried(connection: sa.Connection) -> Iterator[None]:
    """A transaction whose commit waits for no disk."""
    if connection.dialect.name != "sqlite":
        with connection.begin():
            connection.exec_driver_sql("set local synchronous_commit = off")
            yield
        return
    driver: Any = connection.connection.driver_connection
    (before,) = driver.execute("PRAGMA synchronous").fetchone()
    driver.execute("PRAGMA synchronous = NORMAL")
    try:
        with connection.begin():
            yield
    finally:
        driver.execute(f"PRAGMA synchronous = {before}")


def open_database(url: str) -> Database:
    """Open (and for SQLite create) the database at a SQLAlchemy URL. Raises ConfigError for one we cannot use."""
    try:
        parsed = sa.make_url(url)
    except sa.exc.ArgumentError:
        raise ConfigError(
            "the database URL is not a URL", hint="use sqlite:///advocacy.db or postgresql+psycopg://user@host/name"
        ) from None
    if parsed.get_backend_name() == "sqlite":
        return Database(_sqlite_engine(parsed))
    if parsed.get_backend_name() == "postgresql":
        return Database(_postgres_engine(parsed.set(drivername="postgresql+psycopg")))
    raise ConfigError(
        f"the database kind '{parsed.get_backend_name()}' is not supported", hint="use SQLite or PostgreSQL"
    )


def _sqlite_engine(url: sa.URL) -> sa.Engine:
    if url.database not in (None, "", ":memory:"):
        Path(str(url.database)).expanduser().parent.mkdir(parents=True, exist_ok=True)
    # The driver must not open transactions on its own: `BEGIN IMMEDIATE` is ours to say.
    engine = sa.create_engine(
        url,
        hide_parameters=HIDE_PARAMETERS,
        connect_args={"timeout": 60, "check_same_thread": False, "isolation_level": None},
    )

    @sa.event.listens_for(engine, "connect")
    def configure(connection: Any, _record: Any) -> None:
        for pragma in (
            "journal_mode = WAL",
            "foreign_keys = ON",
            "temp_store = FILE",  # staged tables may be as large as the mirror; memory must stay flat
            "synchronous = FULL",  # an acknowledged webhook must survive a power cut
            f"cache_size = -{SQLITE_CACHE_KIB}",
            f"wal_autocheckpoint = {SQLITE_CHECKPOINT_PAGES}",
        ):
            connection.execute(f"PRAGMA {pragma}")

    @sa.event.listens_for(engine, "begin")
    def begin(connection: sa.Connection) -> None:
        writes = connection.get_execution_options().get("writes", False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    return engine


def _postgres_engine(url: sa.URL) -> sa.Engine:
    # A valuation stages, sorts and sums hundreds of thousands of rows: by default the server puts them on the disk, and
    # reads 30,000 of each staged table to plan the next step, where 3,000 tell as much. Autovacuum, which has its own
    # settings, looks at the tables that stay more closely afterwards. And by default it takes a look-up for four times
    # as dear as reading on, as on turning disks: it would rather read a million rows than look up a few thousand.
    settings = {
        "statement_timeout": STATEMENT_TIMEOUT_MS,
        "lock_timeout": LOCK_TIMEOUT_MS,
        "timezone": "UTC",
        "work_mem": "64MB",
        "temp_buffers": "64MB",
        "random_page_cost": "1.1",
        "default_statistics_target": "10",
    }
    options = " ".join(f"-c {name}={value}" for name, value in settings.items())
    try:
        return sa.create_engine(
            url,
            hide_parameters=HIDE_PARAMETERS,
            pool_pre_ping=True,
            connect_args={"options": options, "connect_timeout": 15},
        )
    except ModuleNotFoundError:
        raise ConfigError("PostgreSQL needs the psycopg driver", hint="pip install 'advocacy-sync[postgres]'") from None


def alembic_config() -> Config:
    """Where the migrations lie, for whoever runs them."""
    config = Config()
    config.set_main_option("script_location", str(migrations_path()))
    return config


def migrations_path() -> Path:
    """Where the migration scripts lie: beside the package in a checkout, inside it in an installed wheel."""
    checkout = Path(__file__).resolve().parents[2] / "alembic"
    return checkout if checkout.joinpath("env.py").exists() else Path(__file__).resolve().parent / "migrations"


def upgrade_database(database: Database) -> str:
    """Bring the schema to the newest revision and return it. Safe when several processes start at once."""
    config = alembic_config()
    with database.begin() as connection:
        if not database.is_sqlite:
            connection.execute(sa.text("select pg_advisory_xact_lock(:key)"), {"key": MIGRATION_LOCK})
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
    return newest_revision()


def newest_revision() -> str:
    return str(ScriptDirectory.from_config(alembic_config()).get_current_head())


def current_revision(database: Database) -> str | None:
    """The revision of the schema in the database; None for an empty one."""
    with database.read() as connection:
        return MigrationContext.configure(connection).get_current_revision()


def check_revision(database: Database) -> None:
    """Raise ConfigError unless the schema is the one this code was written for."""
    current, newest = current_revision(database), newest_revision()
    if current != newest:
        raise ConfigError(
            f"the database schema is at {current or 'nothing'}, this version needs {newest}",
            hint="run: advocacy db upgrade",
        )
