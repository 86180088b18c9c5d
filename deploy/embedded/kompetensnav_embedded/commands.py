"""The command line: `kompetensnav up | status | down | demo`."""

import json
import os
import signal
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from time import monotonic
from typing import Annotated, Any

import typer

FOLDER = Path(".kompetensnav")
Folder = Annotated[Path, typer.Option(help="Where everything is kept.")]
Ports = Annotated[int, typer.Option(help="The first of eleven ports; 0 = any free ones.")]


class Stopped(Exception):
    """Asked to stop."""


def _stop(*_: Any) -> None:
    raise Stopped


@contextmanager
def _orderly() -> Iterator[None]:
    """Ends in order on Ctrl-C or SIGTERM, and with one line when it cannot start."""
    from kompetensnav_embedded.servers import CannotStart

    signal.signal(signal.SIGTERM, _stop)
    try:
        yield
    except CannotStart as why:
        sys.exit(str(why))
    except (KeyboardInterrupt, Stopped):
        print("Stopped.")


Via = Annotated[
    list[str] | None,
    typer.Option(hidden=True, help="nats=PORT or postgres=PORT: what stands between it and the services."),
]


File = Annotated[
    Path | None, typer.Option(help="stack.toml: name, municipalities, partners, services, region.")
]


def up(folder: Folder = FOLDER, ports: Ports = 8600, file: File = None, via: Via = None) -> None:
    """Start everything on this machine, show how it is, and stop it all on Ctrl-C."""
    from kompetensnav_embedded.progress import Steps
    from kompetensnav_embedded.stack import Stack, running

    with _orderly():
        steps = Steps()
        between = {place: int(port) for place, _, port in (each.partition("=") for each in via or ())}
        with running(Stack(folder, ports, via=between, file=file), steps.step) as supervisor:
            steps.screen(folder)
            supervisor.wait()


def down(folder: Folder = FOLDER) -> None:
    """Stop what `kompetensnav up` started from this folder."""
    from kompetensnav_embedded.stack import Stack, Supervisor, wait_until

    run_file = folder / "run.json"
    started_in = Path(json.loads(run_file.read_text())["folder"]) if run_file.exists() else folder
    stack = Stack(started_in, announced=folder)
    pid = stack.running_pid()
    if pid is None:
        print(f"Nothing runs from {folder}.")
        return
    Supervisor(stack).shut_down()
    wait_until(lambda: stack.running_pid() is None, "the stop", seconds=40)
    stack.remove_run_file()
    print("Stopped.")


def restart(
    services: Annotated[list[str], typer.Argument(help="One after the other.")], folder: Folder = FOLDER
) -> None:
    """Have services end their work in order and begin anew, each ready before the next."""
    from kompetensnav_chassis.ready import is_ready
    from kompetensnav_embedded.stack import Stack, Supervisor, wait_until

    stack = Stack(folder)
    if stack.running_pid() is None:
        sys.exit(f"Nothing runs from {folder}.")
    urls = json.loads(stack.run_file.read_text())["services"]
    if unknown := set(services) - set(urls):
        sys.exit(f"There is no service {', '.join(sorted(unknown))}; there are {', '.join(urls)}")
    with _orderly():
        for name in services:
            Supervisor(stack).restart(name)
            log = folder / f"logs/{name}.log"
            wait_until(partial(is_ready, urls[name]), name, seconds=60, log=log)
            print(f"{name} is ready again.")


def status(
    folder: Folder = FOLDER, as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False
) -> None:
    """What runs, where, and is it well? Exit 1 when something is not."""
    from kompetensnav_chassis.ready import is_ready

    run_file = folder / "run.json"
    running = json.loads(run_file.read_text()) if run_file.exists() else {}
    parts = {**running.get("services", {})}
    if running:
        parts |= {"issuer": running["issuer"]}
    with ThreadPoolExecutor(max(1, len(parts))) as pool:
        healthy = dict(
            zip(parts, pool.map(lambda url: is_ready(url, timeout=0.6), parts.values()), strict=True)
        )
    services = [{"name": name, "url": url, "healthy": healthy[name]} for name, url in parts.items()]
    if as_json:
        print(
            json.dumps(
                {"running": bool(running), "services": services, "mail": running.get("mail", {})}, indent=1
            )
        )
    elif not running:
        print(f"Nothing runs from {folder}. Start with `kompetensnav up`.")
    else:
        for service in services:
            print(
                f"{'ready    ' if service['healthy'] else 'NOT READY'}  {service['name']:14} {service['url']}"
            )
        print(f"           {'mail sink':14} {running['mail']['page']}")
    sys.exit(0 if running and all(healthy.values()) else 1)


def demo(
    once: Annotated[bool, typer.Option(help="Stop everything at the end.")] = False,
    data: Annotated[Path | None, typer.Option(help="A WPI-IQP folder, instead of Norrbotten.")] = None,
    declines: Annotated[int, typer.Option(help="One learner in so many says no; 0 = none.")] = -1,
    localities: Annotated[Path | None, typer.Option(help="Official localities (GeoNames columns).")] = None,
    taxonomy: Annotated[Path | None, typer.Option(help="Official SSYK hierarchy (JobTech JSON).")] = None,
    folder: Annotated[Path | None, typer.Option(help="Where everything is kept.")] = None,
    out: Annotated[Path, typer.Option(help="Where the summary is written.")] = Path("build/demo"),
    ports: Ports = 8600,
    learners: Annotated[int, typer.Option(help="How many learners in Norrbotten.")] = 2700,
) -> None:
    """Run the main job: import, round, approval, offers, answers, placements, report."""
    import shutil

    from kompetensnav_embedded.demo.data import CannotRead
    from kompetensnav_embedded.demo.norrbotten import norrbotten
    from kompetensnav_embedded.demo.story import tell_story
    from kompetensnav_embedded.demo.wpi import wpi
    from kompetensnav_embedded.progress import Steps
    from kompetensnav_embedded.stack import Stack, running

    started = monotonic()
    folder = folder or FOLDER / "demo"
    try:
        region = wpi(data) if data else norrbotten(localities, taxonomy, learners=learners)
    except CannotRead as why:
        sys.exit(str(why))
    one_in = declines if declines >= 0 else 0 if data else 8
    with _orderly():
        stack = Stack(folder, ports, announced=FOLDER if folder == FOLDER / "demo" else None)
        if stack.running_pid() is None and folder.exists():
            from kompetensnav_embedded.servers import reachable

            shutil.rmtree(reachable(folder / "postgres"), ignore_errors=True)
            shutil.rmtree(folder)  # the demo's own folder: each run begins anew
        steps = Steps()
        with running(stack, steps.step) as supervisor:
            good = tell_story(json.loads(stack.run_file.read_text()), region, one_in, out, steps, started)
            if once:
                sys.exit(0 if good else 1)
            steps.screen(folder)
            supervisor.wait()


assert os.name == "posix", "the embedded edition runs on Linux and macOS"
