"""Wiring only: the fixtures every test may use, and how hypothesis draws its examples."""

from __future__ import annotations

import os
from datetime import timedelta
from pathlib import Path

from hypothesis import HealthCheck, Phase, settings

pytest_plugins = ["databases", "isolation", "real_data"]

PROJECT = Path(__file__).resolve().parents[1]

# A fixture per test function is what our database tests want: one database, many examples is their own business.
LENIENT = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow]

settings.register_profile("ci", derandomize=True, deadline=None, database=None, print_blob=True)
# Whether a mutant fails is the question, not how small a world it fails in.
FAILING = [Phase.explicit, Phase.generate]
settings.register_profile(
    "mutants",
    max_examples=20,
    derandomize=True,
    deadline=None,
    database=None,
    phases=FAILING,
    report_multiple_bugs=False,
)
settings.register_profile("dev", deadline=timedelta(seconds=2))
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE") or ("ci" if os.environ.get("CI") else "dev"))
