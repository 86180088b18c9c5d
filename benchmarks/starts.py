"""Processor seconds until a service has imported what it needs, beside the frameworks alone; and what that
would take without bytecode, or with garbage collection meanwhile. `python -X importtime` tells which modules
they are.

python benchmarks/starts.py
"""

import os
import platform
import resource
import statistics
import subprocess
import sys

from rich.console import Console
from rich.table import Table

SERVICES = ("registry", "matching", "notifications", "reporting", "operations")
FRAMEWORKS = "import fastapi, faststream.nats, sqlalchemy.ext.asyncio, asyncpg, uvicorn, structlog, jinja2"
TIMES = 5
NO_BYTECODE = {"PYTHONDONTWRITEBYTECODE": "1", "PYTHONPYCACHEPREFIX": "/dev/null"}
WAYS: dict[str, tuple[str, dict[str, str]]] = {
    "as it starts": ("import gc; gc.disable()\n", {}),
    "collecting": ("", {}),
    "without bytecode": ("import gc; gc.disable()\n", NO_BYTECODE),
}


def seconds(program: str, **environment: str) -> float:
    """Processor seconds of a Python program, the median of some runs."""
    found = []
    for _ in range(TIMES):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run([sys.executable, "-c", program], check=True, env=os.environ | environment)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        found.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    return statistics.median(found)


def main() -> None:
    """Prints the table."""
    bare, frameworks = seconds("pass"), seconds(f"import gc; gc.disable()\n{FRAMEWORKS}")
    print(
        f"Python {platform.python_version()}, {os.cpu_count()} cores; medians of {TIMES}, processor seconds"
    )
    table = Table("", *WAYS, "of the frameworks alone")
    for service in SERVICES:
        took = [
            seconds(f"{first}import kompetensnav_{service}.main", **more) for first, more in WAYS.values()
        ]
        table.add_row(service, *(f"{each:.2f}" for each in took), f"{took[0] / frameworks:.2f} x")
    table.add_row("the frameworks alone", f"{frameworks:.2f}", "", "", "1")
    table.add_row("a bare Python", f"{bare:.2f}", "", "", "")
    Console().print(table)


if __name__ == "__main__":
    main()
