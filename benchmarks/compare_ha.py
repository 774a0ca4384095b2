# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Compare site.yml with the same work by a plain shell script for three control planes behind one address, two workers.

Then a third worker joins: by plain shell and, another machine, by add_nodes.yml, with the task executions on each host.
Nothing is asserted: it is for people who read numbers. It takes about six minutes a round.
"""

from __future__ import annotations

import argparse
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

PROJECT = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(PROJECT / "tests" / "integration"))

from lab_support import Result, Site, behind, remove_nodes, start_nodes

CONTROL_PLANES = {"bench-cp1": "debian12", "bench-cp2": "debian13", "bench-cp3": "debian12"}
WORKERS = {"bench-w1": "debian12", "bench-w2": "debian13"}
BY_HAND, BY_PLAYBOOK = "bench-w3", "bench-w4"
VIP = "172.30.0.231"


def words(*groups: dict[str, str]) -> list[str]:
    """Machines as ``lab nodes`` takes them."""
    return [f"{name}:{system}" for group in groups for name, system in group.items()]


def shell(*arguments: str) -> tuple[float, str]:
    """Seconds that the plain script took, and its phases; ends the comparison when it fails."""
    start = time.monotonic()
    argv = ["bash", "benchmarks/bare_kubeadm.sh", *arguments]
    done = subprocess.run(argv, cwd=PROJECT, text=True, stdout=subprocess.PIPE, check=False)
    if done.returncode:
        sys.exit(f"{' '.join(argv)} ended with {done.returncode}:\n{done.stdout}")
    return time.monotonic() - start, ", ".join(done.stdout.splitlines())


def play(site: Site, *arguments: str, playbook: str = "site.yml") -> tuple[float, Result]:
    """Seconds that a playbook took, and its result; ends the comparison when it fails."""
    start = time.monotonic()
    result = site.run(*arguments, playbook=playbook)
    if result.rc:
        sys.exit(f"{playbook} ended with {result.rc}:\n{result.output[-3000:]}")
    return time.monotonic() - start, result


def executions(result: Result) -> str:
    """Task executions on each host."""
    numbers = {host: counts["ok"] + counts["failed"] for host, counts in result.recap.items()}
    return ", ".join(f"{host} {number}" for host, number in sorted(numbers.items()))


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=1, help="how often each is run from bare")
    rounds = parser.parse_args().rounds
    ratios = []
    machines = words(CONTROL_PLANES, WORKERS)
    site = None
    try:
        for number in range(1, rounds + 1):
            start_nodes(*machines)
            plain, phases = shell("--endpoint", VIP, ",".join(CONTROL_PLANES), *WORKERS)
            print(f"round {number}: shell script {plain:6.1f} s  ({phases})", flush=True)
            systems = {**CONTROL_PLANES, **WORKERS}
            if site is None:
                folder = pathlib.Path(tempfile.mkdtemp(prefix="slipway-bench-"))
                site = Site(folder, list(CONTROL_PLANES), list(WORKERS), systems, behind(VIP))
            else:
                site.renew(*systems)
            built, _result = play(site)
            ratios.append(built / plain)
            print(f"round {number}: site.yml     {built:6.1f} s  ratio {ratios[-1]:.2f}", flush=True)
        assert site is not None, "no round, nothing to look at"
        second, result = play(site)
        print(
            f"median ratio {statistics.median(ratios):.2f}; second run {second:.1f} s: {executions(result)}", flush=True
        )
        start_nodes(BY_HAND)
        plain, phases = shell("--join", "bench-cp1", BY_HAND)
        print(f"one more worker, shell script {plain:6.1f} s  ({phases})", flush=True)
        site.groups["kube_node"].append(BY_PLAYBOOK)
        site.renew(BY_PLAYBOOK)
        added, result = play(site, "--limit", BY_PLAYBOOK, playbook="playbooks/add_nodes.yml")
        print(f"one more worker, add_nodes.yml {added:5.1f} s  ratio {added / plain:.2f}: {executions(result)}")
    finally:
        if site is not None:
            site.close()
        remove_nodes([*CONTROL_PLANES, *WORKERS, BY_HAND, BY_PLAYBOOK])


if __name__ == "__main__":
    main()
