# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Compare site.yml with the same work by a plain shell script, in turn on the same fresh nodes of the lab.

Prints wall times, their ratio's median, the time of a second run and of check mode, and task executions per host. The
script ends when all nodes are Ready; site.yml goes on until CoreDNS answers, so both its ends are printed.
Nothing is asserted: it is for people who read numbers. It takes about five minutes a round.
"""

from __future__ import annotations

import argparse
import datetime
import re
import statistics
import subprocess
import sys
import time
import typing as t
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[1]
NODES = {"cp1": "debian12", "worker1": "debian13", "worker2": "debian12"}
#: Variables that leave out what the plain script leaves out without --addons.
WITHOUT_ADDONS = '{"metrics_server_enabled": false, "metallb_address_pools": []}'


def run(*argv: str) -> t.Tuple[float, str]:
    """Seconds that a command took, and what it printed; ends the comparison when it fails."""
    start = time.monotonic()
    done = subprocess.run(argv, cwd=PROJECT, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    seconds = time.monotonic() - start
    if done.returncode:
        sys.exit(f"{' '.join(argv)} ended with {done.returncode}:\n{done.stdout[-3000:]}")
    return seconds, done.stdout


def fresh_nodes() -> None:
    """The lab's three nodes, bare."""
    run(sys.executable, "-m", "lab", "nodes", "--fresh", *(f"{name}:{system}" for name, system in NODES.items()))


def ready_after(start: float) -> float:
    """Seconds from ``start`` until the last node became Ready, by the cluster's own account."""
    template = '{range .items[*].status.conditions[?(@.type=="Ready")]}{.lastTransitionTime}{"\\n"}{end}'
    kubectl = ["kubectl", "--kubeconfig=/etc/kubernetes/admin.conf", "get", "nodes", f"--output=jsonpath={template}"]
    _seconds, output = run("docker", "exec", "slipway-cp1", *kubectl)
    return max(datetime.datetime.fromisoformat(line).timestamp() for line in output.split()) - start


def recap(output: str) -> t.Dict[str, t.Dict[str, int]]:
    """The numbers of Ansible's recap, by host."""
    hosts = {}
    for name, numbers in re.findall(r"^(\S+)\s+: (ok=.*)$", output, re.MULTILINE):
        hosts[name] = {key: int(value) for key, value in re.findall(r"(\w+)=(\d+)", numbers)}
    return hosts


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3, help="how often each is run from bare")
    parser.add_argument("--addons", action="store_true", help="with metrics-server and MetalLB")
    options = parser.parse_args()
    extra = [] if options.addons else ["--extra-vars", WITHOUT_ADDONS]
    site = ["ansible-playbook", "site.yml", "-i", "inventory", *extra]
    run(sys.executable, "-m", "lab", "mirror")
    ratios, ready_ratios = [], []
    for number in range(1, options.rounds + 1):
        fresh_nodes()
        shell = ["bash", "benchmarks/bare_kubeadm.sh", *(["--addons"] if options.addons else []), *NODES]
        plain, output = run(*shell)
        print(f"round {number}: shell script {plain:6.1f} s  ({', '.join(output.splitlines())})", flush=True)
        fresh_nodes()
        start = time.time()
        built, _output = run(*site)
        ready = ready_after(start)
        ratios.append(built / plain)
        ready_ratios.append(ready / plain)
        print(f"round {number}: site.yml     {built:6.1f} s  ratio {ratios[-1]:.2f}; ", end="")
        print(f"all nodes Ready {ready:6.1f} s  ratio {ready_ratios[-1]:.2f}", flush=True)
    second, output = run(*site)
    check, _output = run(*site, "--check")
    print(f"median ratio until all nodes are Ready {statistics.median(ready_ratios):.2f}")
    print(f"median ratio {statistics.median(ratios):.2f}; second run {second:.1f} s, check mode {check:.1f} s")
    for name, numbers in recap(output).items():
        print(f"second run on {name}: {numbers['ok']} task executions, {numbers['changed']} changed")


if __name__ == "__main__":
    main()
