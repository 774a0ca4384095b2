# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Asks a URL every 100 ms until REPORT.stop is there, then writes what it has seen to REPORT.

usage: client.py URL REPORT
"""

from __future__ import annotations

import dataclasses
import json
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tests" / "integration"))

from probe import Client, Probe


def main() -> None:
    """Ask and write."""
    url, report = sys.argv[1], Path(sys.argv[2])
    stop = report.with_suffix(".stop")
    for path in (stop, report):
        path.unlink(missing_ok=True)
    # Ansible's limit on its job is the end, too.
    end = time.monotonic() + 3500
    with Probe("service", Client(url)) as probe:
        while not stop.exists() and time.monotonic() < end:
            time.sleep(0.2)
    report.write_text(json.dumps(dataclasses.asdict(probe.report)), encoding="utf-8")


if __name__ == "__main__":
    main()
