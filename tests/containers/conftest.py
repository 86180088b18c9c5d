"""A whole stack in containers, brought up by compose.yaml as a municipality would, and taken down with all it
kept."""

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from email import message_from_string, policy
from pathlib import Path
from time import monotonic
from typing import Any

import httpx
import pytest

from kompetensnav_embedded.servers import free_port
from support.processes import taken_away
from support.stack import Stack, Town

ROOT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent
SERVICES = ("registry", "matching", "notifications", "reporting", "operations")
PROFILES = (*SERVICES, "issuer", "mail", "prometheus")


@dataclass
class Containers(Stack):
    """A stack in containers, as its users see it."""

    seconds: float = 0.0
    """From `up` to healthy."""

    def compose(self, *arguments: str, check: bool = True) -> str:
        """`docker compose ...` on this stack; what it printed."""
        at = ("--project-directory", str(self.folder), "-f", str(ROOT / "compose.yaml"))
        done = subprocess.run(
            [str(BIN / "docker-compose"), *at, "-p", self.folder.name, *arguments],
            env=os.environ | self.running["environment"], capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert not check or done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def up(self) -> None:
        """Starts what does not run, and waits until all of it is healthy."""
        began = monotonic()
        self.compose("up", "-d", "--wait", "--wait-timeout", "120", "--no-build")
        self.seconds = monotonic() - began

    def inspect(self, part: str) -> Any:
        """What the engine says of a container."""
        id = self.compose("ps", "-aq", part).strip()
        done = subprocess.run(["docker", "inspect", id], capture_output=True, text=True, check=True)
        return json.loads(done.stdout)[0]

    def mails(self, to: str) -> list[Any]:
        """What was sent to an address, the latest first."""
        page = self.running["mail"]["page"]
        found = httpx.get(f"{page}/api/v1/messages").raise_for_status().json()["messages"]
        mine = [m["ID"] for m in found if to in {one["Address"] for one in m["To"]}]
        return [self._mail(httpx.get(f"{page}/api/v1/message/{id}").raise_for_status().json()) for id in mine]

    @staticmethod
    def _mail(read: dict[str, Any]) -> Any:
        made = message_from_string("", policy=policy.default)
        made["Subject"] = read["Subject"]
        made.set_content(read["Text"])
        return made


@pytest.fixture(scope="session")
def containers(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The stack; its images must be there (`make images`)."""
    folder = tmp_path_factory.mktemp("kompetensnavtest")
    (folder / "deploy").mkdir()
    shutil.copytree(ROOT / "deploy/prometheus", folder / "deploy/prometheus")
    made = [
        str(BIN / "kompetensnav"),
        "topology",
        "containers",
        "--out",
        str(folder / ".kompetensnav/compose"),
    ]
    subprocess.run(made, check=True, capture_output=True)
    ports = {place: free_port() for place in PROFILES}
    running = {
        "services": {service: f"http://127.0.0.1:{ports[service]}" for service in SERVICES},
        "issuer": f"http://127.0.0.1:{ports['issuer']}",
        "mail": {"page": f"http://127.0.0.1:{ports['mail']}"},
        "prometheus": f"http://127.0.0.1:{ports['prometheus']}",
        "environment": {
            "COMPOSE_PROFILES": ",".join(PROFILES),
            **{f"{place.upper()}_PORT": str(port) for place, port in ports.items()},
            **{f"{s.upper()}_PUBLIC_URL": f"http://127.0.0.1:{ports[s]}" for s in SERVICES},
        },
    }
    stack = Containers(folder, running, None)  # type: ignore[arg-type]  # the engine runs it
    named = f"label=com.docker.compose.project={folder.name}"
    removed = (
        f"docker rm -f $(docker ps -aq --filter {named}); docker volume rm $(docker volume ls -q --filter"
    )
    removed += f" {named}); docker network rm $(docker network ls -q --filter {named})"
    with taken_away("sh", "-c", removed):
        try:
            stack.up()
            yield stack
        finally:
            stack.compose("down", "--volumes", "--timeout", "10", check=False)


@pytest.fixture
def town(containers: Containers) -> Town:
    """A town in it."""
    return Town(containers, "2580")
