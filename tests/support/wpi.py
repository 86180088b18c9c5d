"""The published preferences of WPI's project seasons, as an instance; the data are beside the checkout."""

import csv
from pathlib import Path
from typing import Any

import numpy as np

WPI = Path(__file__).parents[3] / "shared/data/matching/wpi-iqp"


def columns(folder: Path) -> tuple[int, Any, Any, Any, Any]:
    """(learners, seats, learner, slot, cost) of a season: pairs that both sides want a little."""

    def table(name: str) -> list[list[str]]:
        with (folder / f"{name}.csv").open() as file:
            return [row[1:] for row in csv.reader(file)][1:]

    seats = np.array([int(row[0]) for row in table("project_capacity")])
    wishes, answers = (
        np.array([[float(v or 0) for v in row] for row in table(f"{who}_preference")])
        for who in ("student", "project")
    )
    answers = answers if answers.shape == wishes.shape else answers.T
    learner, slot = np.nonzero((wishes > 0) & (answers > 0))
    mine, theirs = wishes[learner, slot], answers[learner, slot]
    return len(wishes), seats, learner, slot, np.round(1000 * (1 - mine) + 100 * (1 - theirs)).astype(int)
