"""Memory of each service when idle (PSS, which counts shared pages in proportion), beside a bare Python
process.

python benchmarks/footprint.py
"""

import os
import platform
import subprocess
import sys
import tempfile
import time
from pathlib import Path

BIN = Path(sys.executable).parent
GOALS = {"registry": 150, "matching": 300, "notifications": 150, "reporting": 150, "operations": 150}
"""MB."""


def pss(pid: str) -> float:
    """Proportional set size of a process in MB."""
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) / 1024
    return 0.0


def main() -> None:
    """Starts the stack, waits until it is idle, measures and prints."""
    folder = Path(tempfile.mkdtemp(prefix="kn-bench-", dir="/var/tmp"))
    folder.chmod(0o755)
    log = folder / "log"
    process = subprocess.Popen(
        [BIN / "kompetensnav", "up", "--folder", folder / "stack", "--ports", "0"], stdout=log.open("wb")
    )
    try:
        while "Everything runs" not in log.read_text():
            if process.poll() is not None:
                sys.exit(log.read_text())
            time.sleep(0.2)
        time.sleep(20)
        bare = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
        time.sleep(1)
        print(f"machine: {os.cpu_count()} cores, Python {platform.python_version()}")
        print(f"{'process':16} {'PSS MB':>8} {'goal':>6}")
        print(f"{'bare Python':16} {pss(str(bare.pid)):8.1f}")
        for entry in Path("/proc").glob("[0-9]*"):
            line = (entry / "cmdline").read_bytes().split(b"\0") if (entry / "cmdline").exists() else []
            if b"serve" in line and str(folder).encode() in (entry / "environ").read_bytes():
                name = next(p for p in line if b"kompetensnav-" in p).decode().rpartition("kompetensnav-")[2]
                print(f"{name:16} {pss(entry.name):8.1f} {GOALS[name]:6}")
        bare.terminate()
        bare.wait()
    finally:
        process.terminate()
        process.wait(60)


if __name__ == "__main__":
    main()
