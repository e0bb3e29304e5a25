"""API keys: 256 random bits, of which only a hash is kept. Losing the database gives nobody access."""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from app.store.database import Database
from app.store.tables import api_key, audit_entry

PREFIX = "advk_"
SCOPES = ("read", "events:write", "calendar", "admin")
"""`admin` includes the others, `read` includes `calendar`: a key that calendar programs may keep."""


@dataclass(frozen=True, slots=True)
class ApiKey:
    key_id: str
    name: str
    scopes: tuple[str, ...]
    created_at: datetime
    revoked_at: datetime | None = None

    def allows(self, scope: str) -> bool:
        sufficient = {scope, "admin", *(("read",) if scope == "calendar" else ())}
        return self.revoked_at is None and not sufficient.isdisjoint(self.scopes)


def digest_key(secret: str) -> str:
    """What is kept of a key. A slow hash would add nothing to 256 random bits."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()


def save_key(database: Database, *, name: str, scopes: Sequence[str], now: datetime, who: str) -> tuple[ApiKey, str]:
    """Make a key and return it with its secret, which nobody can ever see again."""
    secret = PREFIX + secrets.token_urlsafe(32)
    key = ApiKey(f"k{secrets.token_hex(5)}", name, tuple(sorted(set(scopes))), now)
    with database.begin() as connection:
        connection.execute(
            sa.insert(api_key).values(
                key_id=key.key_id,
                name=name,
                digest=digest_key(secret),
                scopes=" ".join(key.scopes),
                created_at=now,
            )
        )
        _audit(connection, "key added", key.key_id, now=now, who=who, detail={"name": name, "scopes": key.scopes})
    return key, secret


def load_key(database: Database, secret: str) -> ApiKey | None:
    """The key with this secret, revoked ones included; None when there is none."""
    query = sa.select(api_key).where(api_key.c.digest == digest_key(secret))
    with database.read() as connection:
        row = connection.execute(query).mappings().first()
    return None if row is None else _from_row(row)


def list_keys(database: Database) -> list[ApiKey]:
    with database.read() as connection:
        rows = connection.execute(sa.select(api_key).order_by(api_key.c.created_at, api_key.c.key_id)).mappings()
        return [_from_row(row) for row in rows]


def revoke_key(database: Database, key_id: str, *, now: datetime, who: str) -> bool:
    """Stop a key from working; False when there is no such working key."""
    with database.begin() as connection:
        done = connection.execute(
            sa.update(api_key).where(api_key.c.key_id == key_id, api_key.c.revoked_at.is_(None)).values(revoked_at=now)
        )
        if done.rowcount == 1:
            _audit(connection, "key revoked", key_id, now=now, who=who, detail={})
        return done.rowcount == 1


def _audit(
    connection: sa.Connection, action: str, subject: str, *, now: datetime, who: str, detail: dict[str, object]
) -> None:
    text = json.dumps(detail, sort_keys=True)
    connection.execute(sa.insert(audit_entry).values(at=now, who=who, action=action, subject=subject, detail=text))


def _from_row(row: sa.RowMapping) -> ApiKey:
    scopes = tuple(row["scopes"].split())
    return ApiKey(row["key_id"], row["name"], scopes, row["created_at"], row["revoked_at"])
