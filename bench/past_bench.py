"""How long questions about past moments take, of a log with checkpoints, as a user asks them.

``python -m bench.past_bench [--events COUNT]``: each question is a process of its own, so that the interpreter's start
and all imports count. The first question, about the log's end, folds all of it and leaves the checkpoints.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from random import Random
from typing import Final

from bench.made_up_log import write_log

_ASKED: Final = 10


def ask(folder: Path, *arguments: str) -> float:
    """How long a command takes (seconds) whose data is in a folder."""
    environment = os.environ | {"ROUTEKEEPER_DATA_DIR": str(folder)}
    begun = time.perf_counter()
    subprocess.run([sys.executable, "-m", "service", *arguments], env=environment, check=True, capture_output=True)  # noqa: S603 - our own command
    return time.perf_counter() - begun


def measure(events: int) -> None:
    """Write a log of so many events, ask about its end and about random positions, and print how long that took."""
    random = Random(1)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_log(folder / "events.db", events)
        start = min(ask(folder, "--version") for _ in range(3))
        first = ask(folder, "get", "deployments", "--at", str(events))
        asked = [str(random.randint(1, events)) for _ in range(_ASKED)]
        later = sorted(ask(folder, "get", "deployments", "--at", position) for position in asked)
        files = list(folder.glob("checkpoints/*/*/*.db"))
        size = sum(file.stat().st_size for file in files)
    print(f"{events:,} events")
    print(f"`--version`      {start:8.2f} s")
    print(f"first question   {first:8.2f} s, leaving {len(files)} checkpoints of {size / 1e6:,.0f} MB")
    print(f"later questions  {later[_ASKED // 2]:8.2f} s (median), {later[-1]:.2f} s (longest) of {_ASKED}")


def main() -> None:
    """Print the numbers."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=1_000_000, metavar="COUNT")
    measure(parser.parse_args().events)


if __name__ == "__main__":
    main()
