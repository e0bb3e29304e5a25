"""What the numbers and days of a request can be, so that an impossible one is refused before it is asked for."""

from __future__ import annotations

from datetime import date
from typing import Annotated

from pydantic import Field

from app.domain.days import FIRST_DAY, LAST_DAY

AskedDay = Annotated[date, Field(ge=FIRST_DAY, le=LAST_DAY)]
Number = Annotated[int, Field(ge=0, le=2**31 - 1)]
"""The number of a run or a request."""
