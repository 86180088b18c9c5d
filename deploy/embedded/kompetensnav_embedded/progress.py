"""What is shown while something is done: one line a step, with a bar and its seconds."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

console = Console()


class Bar:
    """The bar of a step; its length may be unknown at first."""

    def __init__(self, progress: Progress, task: TaskID) -> None:
        self._progress, self._task = progress, task

    def to(self, done: float, of: float) -> None:
        """So much of so much is done."""
        self._progress.update(self._task, completed=done, total=of)


class Steps:
    """Steps one after the other, and how long each took."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextmanager
    def step(self, name: str) -> Iterator[Bar]:
        """One step: a moving bar, then a line that stays."""
        began = monotonic()
        columns = (
            TextColumn("{task.description:28}"),
            BarColumn(30),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
        )
        with Progress(*columns, console=console, transient=True) as progress:
            yield Bar(progress, progress.add_task(name, total=None))
        self.seconds[name] = round(monotonic() - began, 2)
        console.print(f"  {name:28} {self.seconds[name]:6.1f} s", highlight=False)

    def screen(self, folder: Path) -> None:
        """What runs and where to look."""
        import json

        running = json.loads((folder / "run.json").read_text())
        console.print("\nEverything runs. Ctrl-C stops it all.", style="bold")
        for name, url in running["services"].items():
            console.print(f"  {name:14} {url}", highlight=False)
        console.print(f"  {'mail sink':14} {running['mail']['page']}", highlight=False)
        command = Path(sys.argv[0]).parent / "kompetensnav"
        shown = os.path.relpath(command) if command.exists() else "kompetensnav"
        console.print(
            f"  A token for the API: {shown} token --role coordinator --municipality 2580", highlight=False
        )
