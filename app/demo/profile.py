"""Where the demo keeps its things, all in the working folder, and the settings that lead there."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from app.config import DEMO_PROFILE
from app.demo.world import TODAY

ORG_FILE = Path("advocacy-demo-org.json")
DATABASE_FILE = Path("advocacy-demo.db")
PROFILE_FILE = Path(DEMO_PROFILE)


def list_demo_settings() -> dict[str, Any]:
    """The settings of the demo, strong enough to keep it away from anything real that the environment names."""
    shipped = Path(__file__).resolve().parents[2] / "mappings" / "salesforce.yaml"
    installed = Path(__file__).resolve().parents[1] / "mapping" / "shipped" / "salesforce.yaml"
    return {
        "crm": "salesforce",
        "mapping": str(shipped if shipped.is_file() else installed),
        "database_url": f"sqlite:///{DATABASE_FILE}",
        "sandbox_state": str(ORG_FILE),
        "schedule": "off",
        # Scores fade and waiting times grow: a fixed day keeps what the demo shows the same.
        "today": TODAY.isoformat(),
    }


def save_profile() -> None:
    """Let later commands in this folder find the demo, as long as nothing else is set up here."""
    lines = [f'{name} = "{value}"' for name, value in list_demo_settings().items() if name != "mapping"]
    text = (
        "# Written by `advocacy demo`. Used while there is no advocacy.toml; delete it together with advocacy-demo*.\n"
    )
    PROFILE_FILE.write_text(text + "\n".join(lines) + "\n", "utf-8")
