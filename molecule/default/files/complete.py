# SPDX-License-Identifier: GPL-3.0-or-later
"""Types the beginning of a command and a tab into an interactive shell, and prints what the shell makes of it.

Arguments: the shell, what is typed, what is expected. It ends with 1 when that does not come.
"""

from __future__ import annotations

import os
import pty
import select
import signal
import sys
import time

PATIENCE = 60  # seconds


def until(terminal: int, text: str) -> str:
    """Read until ``text`` has come."""
    seen = ""
    deadline = time.monotonic() + PATIENCE
    while text not in seen and time.monotonic() < deadline:
        if select.select([terminal], [], [], 0.5)[0]:
            # The bell says that there is more than one way to go on.
            seen += os.read(terminal, 4096).decode("utf-8", "replace").replace("\a", "")
    return seen


def main(shell: str, typed: str, expected: str) -> int:
    """Whether it came, as an exit code."""
    child, terminal = pty.fork()
    if child == 0:
        os.environ["TERM"] = "dumb"
        os.execvp(shell, [shell, "-i"])
    try:
        # What is typed is echoed; only the shell puts the two halves together.
        os.write(terminal, b"echo rea''dy\n")
        seen = until(terminal, "ready\r\n")
        os.write(terminal, typed.encode() + b"\t")
        seen += until(terminal, expected)
        print(seen)
        return 0 if expected in seen else 1
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
