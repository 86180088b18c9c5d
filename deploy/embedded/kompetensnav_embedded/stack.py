"""The stack on one machine: what runs where, started in order under a supervisor, stopped as one.

.kompetensnav/   run.json (addresses)   keys/  server.conf  nats/  postgres/  mail/  logs/  databases.json
"""

import concurrent.futures
import hashlib
import http.client
import json
import os
import secrets
import shutil
import subprocess
import sys
import time
import tomllib
import xmlrpc.client
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import cached_property, partial
from pathlib import Path
from typing import Any

from supervisor.xmlrpc import SupervisorTransport

from kompetensnav_chassis.patience import Patience
from kompetensnav_chassis.ready import is_ready
from kompetensnav_embedded import servers
from kompetensnav_embedded.servers import CannotStart

SERVICES = ("registry", "matching", "notifications", "reporting", "operations")
NAME = "local"
ROOM = 500 << 20
"""Bytes of disk that must be free."""
BIN = Path(sys.executable).parent
TETHER = servers.TETHER
PLACES = ("issuer", *SERVICES[:4], "nats", "monitor", "postgres", "smtp", "mail", "operations")
"""What needs a port, in the order of the ports from the base."""


@dataclass
class Stack:
    """A stack in a folder. `base`: the first of eleven ports; 0 = any free ones."""

    folder: Path
    base: int = 8600
    ports: dict[str, int] = field(default_factory=dict)
    durable: bool = True
    via: dict[str, int] = field(default_factory=dict)
    """Ports on which the services reach nats and postgres, when a test has put something between."""
    announced: Path | None = None
    """Another folder whose run.json tells of this stack, so that commands find it without being told where.
    """

    file: Path | None = None
    """stack.toml, when it is more than a stack of our own services."""

    def __post_init__(self) -> None:
        self.folder = self.folder.absolute()
        self.file = self.file and self.file.absolute()

    @property
    def name(self) -> str:
        """The stack's name."""
        return str(self.said.get("name", NAME))

    @cached_property
    def said(self) -> dict[str, Any]:
        """What its file says; the topology judges it. Raises CannotStart when it cannot be read."""
        try:
            return tomllib.loads(self.file.read_text()) if self.file else {}
        except (OSError, tomllib.TOMLDecodeError) as bad:
            raise CannotStart(f"{self.file}: {bad}") from bad

    @property
    def described(self) -> tuple[str, str]:
        """How the topology's commands are told which stack it is."""
        return ("--file", str(self.file)) if self.file else ("--stack", NAME)

    @property
    def run_file(self) -> Path:
        """Where the addresses of the running stack are written."""
        return self.folder / "run.json"

    @property
    def socket(self) -> Path:
        """The supervisor's control socket; short, for a socket's path has at most 107 bytes."""
        own = self.folder / "supervisor.sock"
        if len(str(own)) < 100:
            return own
        return Path("/tmp") / f"kompetensnav-{hashlib.sha256(str(own).encode()).hexdigest()[:16]}.sock"

    def url(self, place: str) -> str:
        """The HTTP address of a part."""
        return f"http://127.0.0.1:{self.ports[place]}"

    def choose_ports(self) -> None:
        """Raises CannotStart when one is taken."""
        if self.base == 0:
            self.ports = {place: servers.free_port() for place in PLACES}
            return
        self.ports = {place: self.base + n for n, place in enumerate(PLACES)}
        for place, port in self.ports.items():
            if not servers.is_free(port):
                raise CannotStart(
                    f"Port {port} ({place}) is taken; stop what uses it, or choose others with --ports"
                )

    def check(self) -> None:
        """Raises CannotStart when something that is needed is missing."""
        if (pid := self.running_pid()) is not None:
            raise CannotStart(
                f"A stack is running from {self.folder} already (process {pid}); `kompetensnav down`"
            )
        self.folder.mkdir(parents=True, exist_ok=True)
        if shutil.disk_usage(self.folder).free < ROOM:
            raise CannotStart(f"Less than {ROOM >> 20} MB of disk is free at {self.folder}")
        servers.nats_binary()
        servers.postgres_binaries()
        for service in SERVICES:
            if not (BIN / f"kompetensnav-{service}").exists():
                raise CannotStart(f"kompetensnav-{service} is not installed; run `make setup`")

    def running_pid(self) -> int | None:
        """The supervisor's process, when one is running from this folder."""
        with suppress(OSError, ValueError, KeyError):
            pid = int(json.loads(self.run_file.read_text())["pid"])
            os.kill(pid, 0)
            if "supervisord" in Path(f"/proc/{pid}/cmdline").read_text():
                return pid
        return None

    def programs(self) -> dict[str, tuple[list[str], dict[str, str], str]]:
        """Name -> (command, environment, stop signal)."""
        urls = json.loads((self.folder / "databases.json").read_text()) if self.databases_known else {}
        issuer = [str(BIN / "kompetensnav"), "issuer", "--key", str(self.folder / "keys/issuer.json")]
        issuer += ["--port", str(self.ports["issuer"])]
        mail = [sys.executable, "-m", "kompetensnav_embedded.mailsink", "--folder", str(self.folder / "mail")]
        mail += ["--smtp-port", str(self.ports["smtp"]), "--page-port", str(self.ports["mail"])]
        made = {
            "nats": (servers.nats_command(self.folder / "server.conf"), {}, "TERM"),
            "postgres": (
                servers.postgres_command(
                    self.folder / "postgres", self.ports["postgres"], durable=self.durable
                ),
                {"LC_ALL": "C"},
                "INT",
            ),
            "issuer": ([*TETHER, *issuer], {}, "TERM"),
            "mail": ([*TETHER, *mail], {}, "TERM"),
        }
        if "region" in self.said:
            watch = [*TETHER, str(BIN / "kompetensnav"), "topology", "watch", *self._at_nats]
            made["links"] = (watch, {}, "TERM")
        if any("webhook" in partner for partner in self.said.get("partner", ())):
            smtp = f"127.0.0.1:{self.ports['smtp']}"
            at = ("--out", str(self.folder), "--url", self._at_nats[3], "--smtp", smtp)
            made["webhooks"] = ([*TETHER, str(BIN / "kompetensnav"), "webhooks", "run", *at], {}, "TERM")
        for service in SERVICES:
            command = [*TETHER, str(BIN / f"kompetensnav-{service}"), "serve"]
            made[service] = (command, self.environment(service, urls.get(service, {})), "TERM")
        return made

    @property
    def _at_nats(self) -> tuple[str, ...]:
        """Where the topology's commands find its server, and as whom."""
        url, seed = f"nats://127.0.0.1:{self.ports['nats']}", str(self.folder / "keys/topology.nk")
        return (*self.described, "--url", url, "--seed", seed, "--monitor", str(self.ports["monitor"]))

    @property
    def databases_known(self) -> bool:
        """Whether the databases have been provisioned."""
        return (self.folder / "databases.json").exists()

    def environment(self, service: str, urls: dict[str, str]) -> dict[str, str]:
        """A service's settings."""
        seed = self.folder / f"keys/{service}.nk"
        values = {
            "STACK": self.name,
            "NATS_URL": f"nats://127.0.0.1:{self.via.get('nats', self.ports['nats'])}",
            "NATS_SEED": seed.read_text().strip() if seed.exists() else "",
            "DATABASE_URL": self._through(urls.get("app", "")),
            "RELAY_DATABASE_URL": self._through(urls.get("relay", "")),
            "ISSUER": self.url("issuer"),
            "PORT": str(self.ports[service]),
            "PUBLIC_URL": self.url(service),
            "SECURITY_LOG": str(self.folder / f"logs/{service}.security.log"),
        }
        if service == "registry":
            values |= {"LINK_SECRET": self.secret("link"), "VAULT_KEY": self.secret("vault")}
            beyond = self.said.get("region", {}).get("neighbours", {}).values()
            values |= {"NEIGHBOURS": ",".join(code for codes in beyond for code in codes)}
        if service == "notifications":
            values |= {"SMTP_PORT": str(self.ports["smtp"])}
        if service == "operations":
            system = self.folder / "keys/system.nk"
            values |= {
                "SYSTEM_SEED": system.read_text().strip() if system.exists() else "",
                "SESSION_SECRET": self.secret("session"),
                "SMTP_PORT": str(self.ports["smtp"]),
                "ALERT_MAIL": "operations@localhost",
            }
        return {f"{service.upper()}_{name}": value for name, value in values.items()}

    def _through(self, database_url: str) -> str:
        """A database's address as the services use it."""
        if "postgres" not in self.via:
            return database_url
        return database_url.replace(f":{self.ports['postgres']}/", f":{self.via['postgres']}/")

    def secret(self, name: str) -> str:
        """A secret of this stack, made the first time."""
        path = self.folder / f"keys/{name}.secret"
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch(mode=0o600)
            path.write_text(secrets.token_urlsafe(36))
        return path.read_text()

    @property
    def admin_url(self) -> str:
        """PostgreSQL's superuser."""
        return (
            f"postgresql://kompetensnav:{self.secret('postgres')}@127.0.0.1:{self.ports['postgres']}/postgres"
        )

    def write_run_file(self, pid: int) -> None:
        """Tells other programs where things are."""
        running = {
            "pid": pid,
            "folder": str(self.folder),
            "stack": self.name,
            "described": self.described,
            "nats": f"nats://127.0.0.1:{self.ports['nats']}",
            "monitor": self.url("monitor"),
            "issuer": self.url("issuer"),
            "services": {service: self.url(service) for service in SERVICES},
            "mail": {"page": self.url("mail"), "folder": str(self.folder / "mail")},
            "care_seed": str(self.folder / "keys/care.nk"),
            "databases": str(self.folder / "databases.json"),
            "admin_url": str(self.folder / "keys/admin.url"),
            "postgres_programs": str(servers.postgres_binaries()),
        }
        secret = self.folder / "keys/admin.url"
        secret.touch(mode=0o600)
        secret.write_text(self.admin_url)
        for folder in {self.folder, self.announced or self.folder}:
            (folder / "run.json").write_text(json.dumps(running, indent=1))

    def remove_run_file(self) -> None:
        """Nothing runs any more."""
        for folder in {self.folder, self.announced or self.folder}:
            (folder / "run.json").unlink(missing_ok=True)


class Supervisor:
    """The supervisor of a stack, as its client sees it."""

    process: subprocess.Popen[bytes] | None = None

    def __init__(self, stack: Stack) -> None:
        self._stack = stack

    @property
    def _rpc(self) -> Any:
        """A fresh connection: the transport does not recover from a failed one."""
        transport = SupervisorTransport(None, None, f"unix://{self._stack.socket}")
        return xmlrpc.client.ServerProxy("http://127.0.0.1", transport=transport)

    def configure(self) -> None:
        """Writes the configuration and has it read, when the supervisor runs."""
        path = self._stack.folder / "supervisord.conf"
        path.touch(mode=0o600)
        path.write_text(_configuration(self._stack))

    def start(self) -> subprocess.Popen[bytes]:
        """Starts the supervisor, tied to this process. Raises CannotStart."""
        self.configure()
        self._stack.socket.unlink(missing_ok=True)
        process = subprocess.Popen(
            [*TETHER, str(BIN / "supervisord"), "-n", "-c", str(self._stack.folder / "supervisord.conf")],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,  # Ctrl-C is ours to answer
        )
        wait_until(self._answers, "the supervisor", process=process)
        self.process = process
        return process

    def wait(self) -> None:
        """Waits until the supervisor ends, because somebody said `kompetensnav down`."""
        if self.process is not None:
            self.process.wait()

    def _answers(self) -> bool:
        with suppress(OSError, xmlrpc.client.Error, http.client.HTTPException):
            return bool(self._rpc.supervisor.getState()["statename"] == "RUNNING")
        return False

    def reload(self) -> None:
        """Takes in a changed configuration; programs that changed are replaced, the others go on."""
        self.configure()
        added, changed, removed = self._rpc.supervisor.reloadConfig()[0]
        for name in (*changed, *removed):
            self._rpc.supervisor.stopProcessGroup(name)
            self._rpc.supervisor.removeProcessGroup(name)
        for name in (*added, *changed):
            self._rpc.supervisor.addProcessGroup(name)

    def launch(self, *names: str) -> None:
        """Starts programs, without waiting for them to be ready."""
        for name in names:
            with suppress(xmlrpc.client.Fault):  # it runs already
                self._rpc.supervisor.startProcess(name, False)

    def stop(self, *names: str) -> None:
        """Has programs end their work in order, and waits until they have."""
        for name in names:
            with suppress(xmlrpc.client.Fault, OSError, http.client.HTTPException):  # it does not run
                self._rpc.supervisor.stopProcess(name, False)  # told to wait, it would spin meanwhile
        wait_until(partial(self._stopped, names), "an orderly stop", seconds=20)

    def restart(self, name: str) -> None:
        """Has a program end its work in order, and begins it anew."""
        self.stop(name)
        self._rpc.supervisor.startProcess(name, False)

    def processes(self) -> list[dict[str, Any]]:
        """What runs, as the supervisor sees it."""
        return list(self._rpc.supervisor.getAllProcessInfo())

    def shut_down(self) -> None:
        """Stops everything: services first, then what they stand on."""
        for group in (SERVICES, ("issuer", "mail"), ("nats", "postgres")):
            self.stop(*group)
        with suppress(xmlrpc.client.Fault, OSError, http.client.HTTPException):
            self._rpc.supervisor.shutdown()

    def _stopped(self, names: tuple[str, ...]) -> bool:
        with suppress(OSError, http.client.HTTPException):
            busy = {"RUNNING", "STARTING", "STOPPING", "BACKOFF"}
            return not any(p["name"] in names and p["statename"] in busy for p in self.processes())
        return True


_RPC = "supervisor.rpcinterface:make_main_rpcinterface"


def _configuration(stack: Stack) -> str:
    logs = stack.folder / "logs"
    for private in (logs, stack.folder / "mail"):
        private.mkdir(parents=True, exist_ok=True)
        private.chmod(0o700)  # addresses, and who did what: nobody's but the owner's
    parts = [
        f"[unix_http_server]\nfile={stack.socket}\nchmod=0600",
        "\n".join(
            (
                "[supervisord]",
                f"logfile={logs}/supervisor.log",
                "logfile_maxbytes=5MB",
                f"pidfile={stack.folder}/supervisor.pid",
                "minfds=1024",
                "umask=077",
                "silent=true",
            )
        ),
        f"[rpcinterface:supervisor]\nsupervisor.rpcinterface_factory={_RPC}",
    ]
    if os.geteuid() == 0:
        parts[1] += "\nuser=root"
    for name, (command, environment, signal) in stack.programs().items():
        values = ",".join(f'{key}="{value}"' for key, value in environment.items())
        line = " ".join(f'"{part}"' if " " in part else part for part in command)
        parts.append(
            f"[program:{name}]\ncommand={line.replace('%', '%%')}\nenvironment={values.replace('%', '%%')}\n"
            f"autostart=false\nautorestart=true\nstartsecs=1\nstartretries=20\nstopsignal={signal}\n"
            "stopwaitsecs=15\n"
            f"redirect_stderr=true\nstdout_logfile={logs}/{name}.log\nstdout_logfile_maxbytes=20MB\n"
            f"stdout_logfile_backups=2\ndirectory=/"
        )
    return "\n\n".join(parts) + "\n"


Tell = Callable[[str], Any]


@contextmanager
def running(stack: Stack, step: Callable[[str], Any]) -> Iterator[Supervisor]:
    """The stack, started in order; stopped in order at the end. `step` makes a context for each step's
    progress.

    Raises CannotStart with one readable line, and leaves nothing half started.
    """
    stack.check()
    stack.choose_ports()
    supervisor = Supervisor(stack)
    process: subprocess.Popen[bytes] | None = None
    try:
        with step("Databases and broker"):
            _run(
                "topology",
                "render",
                *stack.described,
                "--out",
                str(stack.folder),
                "--store",
                str(stack.folder / "nats"),
                "--pid-file",
                str(stack.folder / "nats.pid"),
                "--port",
                str(stack.ports["nats"]),
                "--monitor",
                str(stack.ports["monitor"]),
            )
            servers.prepare_postgres(stack.folder / "postgres", stack.secret("postgres"))
            process = supervisor.start()
            stack.write_run_file(process.pid)
            supervisor.launch("nats", "postgres", "issuer", "mail")
            wait_until(
                lambda: servers.opens(stack.ports["postgres"]),
                "PostgreSQL",
                log=stack.folder / "logs/postgres.log",
            )
            wait_until(
                lambda: is_ready(stack.url("monitor"), "/healthz"), "NATS", log=stack.folder / "logs/nats.log"
            )
        with step("Streams, tables"), concurrent.futures.ThreadPoolExecutor(1) as pool:
            topology = pool.submit(
                _run, "topology", "apply", *stack.described, "--url",
                f"nats://127.0.0.1:{stack.ports['nats']}", "--seed",
                str(stack.folder / "keys/topology.nk"),
            )  # fmt: skip
            _run(
                "provision",
                *SERVICES,
                "--migrate",
                "--out",
                str(stack.folder / "databases.json"),
                KOMPETENSNAV_ADMIN_URL=stack.admin_url,
            )
            topology.result()
        with step("Services"):
            supervisor.reload()
            supervisor.launch(*SERVICES, *({"links", "webhooks"} & stack.programs().keys()))
            for part in (*SERVICES, "issuer"):
                log = stack.folder / f"logs/{part}.log"
                wait_until(partial(is_ready, stack.url(part)), part, seconds=60, log=log)
            stack.write_run_file(process.pid)
        yield supervisor
    finally:
        if process is not None:
            supervisor.shut_down()
            with suppress(subprocess.TimeoutExpired):
                process.wait(20)
            process.kill()
            stack.remove_run_file()


def _run(command: str, *arguments: str, **environment: str) -> None:
    done = subprocess.run(
        [str(BIN / "kompetensnav"), command, *arguments],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | environment,
    )
    if done.returncode:
        raise CannotStart(f"`kompetensnav {command}` failed: {_last(done.stderr or done.stdout)}")


def _last(text: str) -> str:
    lines = [line for line in text.strip().splitlines() if line.strip()]
    return lines[-1] if lines else "no reason given"


def wait_until(
    check: Callable[[], bool],
    what: str,
    *,
    seconds: float = 30,
    log: Path | None = None,
    process: subprocess.Popen[bytes] | None = None,
) -> None:
    """Polls. Raises CannotStart, with the log's last line, when patience is over (later on a busy machine)
    or the process has ended."""
    patience = Patience(seconds)
    while not check():
        if patience.is_over or (process is not None and process.poll() is not None):
            last = _last(log.read_text(errors="replace")) if log and log.exists() else ""
            raise CannotStart(f"{what} did not start within {patience}. {last}".strip())
        time.sleep(0.03)
