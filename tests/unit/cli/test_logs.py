"""One line per entry, with the run's id, and without secrets."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator

import pytest
import structlog

from app.logs import bound, configure_logs, open_log


@pytest.fixture
def stream() -> Iterator[io.StringIO]:
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    target = io.StringIO()
    configure_logs("json", "info", target)
    yield target
    root.handlers[:] = before
    root.setLevel(level)
    structlog.reset_defaults()


def lines(stream: io.StringIO) -> list[dict[str, object]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_an_entry_is_one_line_with_the_runs_id(stream: io.StringIO) -> None:
    with bound(run_id=7):
        open_log().info("pulled", rows=3)
    open_log().info("after")

    first, second = lines(stream)
    assert (first["event"], first["run_id"], first["rows"], first["level"]) == ("pulled", 7, 3, "info")
    assert str(first["timestamp"]).endswith("Z")
    assert "run_id" not in second


@pytest.mark.parametrize(
    "text",
    [
        "Bearer s3cr3t.x",
        "whsec_s3cr3t",
        "advk_s3cr3t",
        "postgresql://u:s3cr3t@h/d",
        "00D000000000001!s3cr3t",
        "-----BEGIN PRIVATE KEY-----\ns3cr3t\n-----END PRIVATE KEY-----",
        "Basic czNjcjN0s3cr3t",
    ],
)
def test_secrets_are_removed_wherever_they_stand(stream: io.StringIO, text: str) -> None:
    open_log().warning(f"failed with {text}", detail=text, nested={"list": [text]}, error=ValueError(text))
    logging.getLogger("uvicorn.error").warning("from a library: %s", text)
    try:
        raise RuntimeError(text)
    except RuntimeError:
        open_log().exception("it broke")

    assert len(lines(stream)) == 3
    assert "s3cr3t" not in stream.getvalue()
    assert "failed with" in stream.getvalue()


def test_values_named_like_secrets_are_masked(stream: io.StringIO) -> None:
    open_log().info("x", access_token="s3cr3t", headers={"Authorization": "s3cr3t"}, password="")

    assert "s3cr3t" not in stream.getvalue()
    assert lines(stream)[0]["password"] == ""


def test_quieter_levels_are_left_out(stream: io.StringIO) -> None:
    open_log().debug("noise")
    logging.getLogger("httpx").info("GET https://x.example?token=1")

    assert stream.getvalue() == ""
