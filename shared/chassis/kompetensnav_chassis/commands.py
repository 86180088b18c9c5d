"""The console script `kompetensnav`, which finds its commands by entry points, and each service's own
script."""

import asyncio
import gc
import os
import sys
from collections.abc import Callable
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Annotated, Any

import typer

GROUP = "kompetensnav.commands"


def run() -> None:
    """`kompetensnav <command> ...`: the command is loaded only when it is called (a service's imports take
    seconds)."""
    points: dict[str, EntryPoint] = {p.name: p for p in entry_points(group=GROUP)}
    name = sys.argv[1] if len(sys.argv) > 1 else ""
    if name in ("", "--help", "-h") or name not in points:
        known = "\n".join(f"  {n}" for n in sorted(points))
        print(f"Usage: kompetensnav COMMAND ...\n\nCommands:\n{known}\n\nHelp: kompetensnav COMMAND --help")
        sys.exit(0 if name in ("", "--help", "-h") else f"There is no command {name!r}.")
    gc.disable()  # see `serve`
    command = points[name].load()
    gc.enable()
    if not isinstance(command, typer.Typer):
        made = typer.Typer(add_completion=False)
        made.command(name=name)(command)
        command = made
    sys.argv = [f"kompetensnav {name}", *sys.argv[2:]]
    command()


def service_commands(service: str, *, main: Callable[[], Any], package: str = "") -> typer.Typer:
    """`kompetensnav-<service> serve | migrate | revise | openapi | settings`, to which a service may add its
    own.

    `main` imports and returns the service's main module, which offers `app(settings)` and `Settings`.
    `package`: the service's, when it is not `kompetensnav_<service>`.
    """
    package = package or f"kompetensnav_{service}"
    commands = typer.Typer(add_completion=False, no_args_is_help=True, help=f"The {service} service.")

    @commands.command()
    def serve() -> None:
        """Run the service."""
        gc.disable()  # what is imported stays: to look it through meanwhile takes a fifth of the start
        from kompetensnav_chassis import app, settings

        module = main()
        read = settings.read(module.Settings)
        app.serve(module.app(read), read)

    @commands.command()
    def migrate(
        to: str = "head",
        dry_run: Annotated[bool, typer.Option("--plan", help="Only show what would be done.")] = False,
        has: Annotated[str, typer.Option(help="Only say whether this version knows a revision.")] = "",
    ) -> None:
        """Bring the database to the newest revision (or another), under a lock."""
        from kompetensnav_chassis import migrate as work

        if has:
            sys.exit(0 if work.knows(package, has) else f"revision {has} is of a newer version of {service}")
        if not dry_run:
            work.migrate(_owner_url(service), package, to)
            return
        for name, what in work.pending(_owner_url(service), package, to):
            print(f"{name} {what}")

    @commands.command(hidden=True)
    def rebuild(up_to: Annotated[int, typer.Option(help="Last stream sequence.")]) -> None:
        """Replay the log into the empty database of the settings, and say how much (for `verify`)."""
        import json
        from dataclasses import asdict

        from kompetensnav_chassis import logs, settings
        from kompetensnav_chassis.rebuild import rebuild as work

        logs.configure(service)
        module = main()
        done = asyncio.run(work(module.LISTENER, settings.read(module.Settings), module.Outbox, up_to))
        print(json.dumps(asdict(done)))

    @commands.command(hidden=True)
    def revise(message: str) -> None:
        """Write a new migration from the tables (for developers)."""
        from kompetensnav_chassis.migrate import revise as work

        work(_owner_url(service), package, message)

    return commands


def here(run_file: Path, service: str) -> str:
    """The address of a service of the stack that runs on this machine; exits when there is none."""
    import json

    run_file = Path(os.environ.get("KOMPETENSNAV_RUN", run_file))
    if not run_file.exists():
        sys.exit(f"No stack is running here ({run_file} is not there); start one with `kompetensnav up`.")
    address: str = json.loads(run_file.read_text())["services"][service]
    return address


def _owner_url(service: str) -> str:
    from kompetensnav_chassis.settings import secret

    name = f"{service.upper()}_OWNER_DATABASE_URL"
    return secret(name) or sys.exit(f"Settings do not fit: {name}: set it to the owner role's database URL")


def provision(
    services: Annotated[list[str], typer.Argument(help="Services to make databases and roles for.")],
    out: Annotated[Path | None, typer.Option(help="Where the database URLs are written (mode 0600).")] = None,
    given: Annotated[
        Path | None, typer.Option(help="A file with the URLs that the roles are to have; nothing is written.")
    ] = None,
    migrate_too: Annotated[bool, typer.Option("--migrate", help="Also migrate each of them.")] = False,
) -> None:
    """Make databases and roles on the server of KOMPETENSNAV_ADMIN_URL; keeps passwords that are in OUT."""
    import json

    from sqlalchemy.engine import make_url

    from kompetensnav_chassis import migrate
    from kompetensnav_chassis.settings import secret

    admin = secret("KOMPETENSNAV_ADMIN_URL") or sys.exit("Set KOMPETENSNAV_ADMIN_URL to a superuser's URL.")
    source = given or out or sys.exit("Say where the database URLs are (--given) or are to be (--out).")
    before: dict[str, dict[str, str]] = json.loads(source.read_text()) if source.exists() else {}

    async def work() -> dict[str, dict[str, str]]:
        made = {}
        for service in services:
            kept = {role: make_url(url).password or "" for role, url in before.get(service, {}).items()}
            made[service] = await migrate.provision(admin, service, kept or None)
        return made

    urls = asyncio.run(work())
    if out is not None:
        out.touch(mode=0o600)
        out.write_text(json.dumps(urls, indent=1))
    for service in services if migrate_too else ():
        migrate.migrate(urls[service]["owner"], f"kompetensnav_{service}")


def docs(
    write: Annotated[Path | None, typer.Option(help="Root of the repository to write into.")] = None,
) -> None:
    """The generated pages: OpenAPI of each installed service, and the settings tables of their READMEs."""
    from kompetensnav_chassis import pages

    for path, text in pages.files(write or Path()).items():
        if write:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        print(path)
