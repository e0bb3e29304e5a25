"""What a failing database may say."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
import sqlalchemy as sa

from app.store.database import open_database
from app.store.inbox import save_delivery


def test_an_error_does_not_tell_what_the_statement_carried(migrated_database_url):
    database = open_database(migrated_database_url)
    with database.begin() as connection:
        connection.execute(sa.text("alter table delivery drop column body"))

    with pytest.raises(sa.exc.DBAPIError) as caught:
        save_delivery(
            database,
            sender_id="1",
            source="test",
            body=b'{"email": "somebody"}',
            now=datetime(2026, 3, 1, tzinfo=UTC),
        )

    assert "insert into delivery" in str(caught.value).lower()
    assert "somebody" not in str(caught.value)
    database.close()
