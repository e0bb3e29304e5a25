"""A run that is told to stop, as a deployment does: it ends at once, says so, and blocks nobody."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pytest
from companies import TOKEN, build_company

from app.sync.answers import list_runs
from connectors.salesforce.sandbox import Org, Sandbox

WAIT_SECONDS = 30


@pytest.mark.parametrize("migrated_database_url", ["sqlite"], indirect=True)
def test_sigterm_ends_a_run_as_failed_and_gives_the_lease_back(migrated_database_url, tmp_path):
    with Sandbox(Org(), token=TOKEN) as sandbox:
        company = build_company(sandbox, migrated_database_url)
        sandbox.faults.inject("delay", on="composite", seconds=WAIT_SECONDS, skip=1)
        process = subprocess.Popen(
            [sys.executable, "-m", "app", "sync"],
            cwd=tmp_path,
            env={
                **os.environ,
                "ADVOCACY_DATABASE_URL": migrated_database_url,
                "ADVOCACY_SALESFORCE_ACCESS_TOKEN": TOKEN,
                "ADVOCACY_SALESFORCE_INSTANCE_URL": sandbox.url,
            },
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        _wait_until(lambda: sandbox.faults.struck > 0)

        process.send_signal(signal.SIGTERM)

        assert process.wait(WAIT_SECONDS) == 130
        assert list_runs(company.services)[0].status == "failed"
        sandbox.faults.clear()
        assert company.sync().status == "ok"
        company.services.database.close()


def _wait_until(happened) -> None:
    until = time.monotonic() + WAIT_SECONDS
    while not happened():
        assert time.monotonic() < until, "the run never got there"
        time.sleep(0.02)
