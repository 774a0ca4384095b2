# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Compare upgrade.yml with kubeadm's documented steps by a plain shell script, on the same nodes of the lab.

Each round builds a cluster of the old version twice. Prints wall times, their ratio's median, and the time of a second
run. The script neither looks before it begins, nor takes a snapshot of etcd, nor waits for a control plane that its new
kubelet starts anew. Nothing is asserted: it is for people who read numbers.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time

from compare import fresh_nodes, recap, run

VARIABLES = '{"metrics_server_enabled": false, "metallb_address_pools": []}'


def build(version: str) -> None:
    """A new cluster of that version."""
    fresh_nodes()
    run("ansible-playbook", "site.yml", "-i", "inventory", "-e", VARIABLES, "-e", f"cluster_version={version}")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=1, help="how often each is run")
    parser.add_argument("--old", default="1.36.4", help="the version to begin with")
    parser.add_argument("--new", default="1.37.1", help="the version to go to")
    options = parser.parse_args()
    upgrade = ["ansible-playbook", "playbooks/upgrade.yml", "-i", "inventory", "-e", VARIABLES]
    upgrade += ["-e", f"cluster_version={options.new}"]
    run(sys.executable, "-m", "lab", "mirror", "--kubernetes", f"{options.new},{options.old}")
    ratios = []
    for number in range(1, options.rounds + 1):
        build(options.old)
        plain, output = run("bash", "benchmarks/bare_upgrade.sh", options.new, "cp1", "worker1", "worker2")
        print(f"round {number}: shell script {plain:6.1f} s  ({', '.join(output.splitlines())})", flush=True)
        build(options.old)
        start = time.monotonic()
        run(*upgrade)
        ratios.append((time.monotonic() - start) / plain)
        print(f"round {number}: upgrade.yml  {ratios[-1] * plain:6.1f} s  ratio {ratios[-1]:.2f}", flush=True)
    second, output = run(*upgrade)
    print(f"median ratio {statistics.median(ratios):.2f}; second run {second:.1f} s")
    for name, numbers in recap(output).items():
        print(f"second run on {name}: {numbers['ok']} task executions, {numbers['changed']} changed")


if __name__ == "__main__":
    main()
