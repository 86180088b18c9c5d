"""Patience: as long as the clock where nobody else works, longer where many do."""

import os
import subprocess
import sys
import time

from kompetensnav_chassis import patience
from kompetensnav_chassis.patience import Patience


def used_up(seconds):
    """How long it lasted by the clock."""
    began, mine = time.monotonic(), Patience(seconds)
    while not mine.is_over:
        os.sched_yield()
    return time.monotonic() - began, str(mine)


def test_it_is_never_over_before_its_time():
    lasted, said = used_up(0.2)
    assert lasted >= 0.2
    assert said.startswith("0 s")


def test_it_lasts_longer_while_many_want_a_processor():
    """As many busy loops as four times the processors: each gets a quarter of what it wants, or less."""
    loops = [
        subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(4 * (os.cpu_count() or 1))
    ]
    try:
        lasted, said = used_up(1)
    finally:
        for loop in loops:
            loop.kill()
            loop.wait()
    assert lasted > 2
    assert "by the clock on a busy machine" in said


def test_a_share_is_a_whole_one_where_the_system_does_not_tell(monkeypatch, tmp_path):
    monkeypatch.setattr(patience, "_LOAD", tmp_path / "none")
    assert patience.share() == 1
