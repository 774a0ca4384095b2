# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Compare what goes from pod to pod with what goes from node to node, on two containers of the lab that are nodes.

Prints both in Gbit/s of one TCP connection, and their ratio's median. The pods are two of the lab's test image, deleted
at the end; what sends and takes is Python on the nodes, in the pods' network. Between containers of one machine nothing
is on a wire, so it is the processor that is measured. Nothing is asserted: it is for people who read numbers.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import typing as t

IMAGE = "docker.io/slipway/probe:1.0"
PORT = 5999
TAKE = (
    "import socket, time; s = socket.create_server(('', {port})); print('ready', flush=True); c = s.accept()[0];"
    " begin, n = time.time(), 0\n"
    "while chunk := c.recv(1 << 20): n += len(chunk)\n"
    "print(n * 8 / (time.time() - begin) / 1e9)"
)
SEND = (
    "import socket, time; c = socket.create_connection(('{address}', {port})); end = time.time() + {seconds}\n"
    "while time.time() < end: c.sendall(bytes(1 << 20))"
)


def on(node: str, *argv: str) -> list[str]:
    """The words by which a command is run on a node as root."""
    return ["docker", "exec", "--interactive", f"slipway-{node}", *argv]


def printed(argv: t.Sequence[str], stdin: str = "") -> str:
    """What a command prints; ends the comparison when it fails."""
    done = subprocess.run(argv, input=stdin, text=True, capture_output=True, check=False)
    if done.returncode:
        sys.exit(f"{' '.join(argv)} ended with {done.returncode}:\n{done.stdout}{done.stderr}")
    return done.stdout


class Pods:
    """A pod on each of two nodes."""

    def __init__(self, control_plane: str, nodes: t.Sequence[str]) -> None:
        self._kubectl = on(control_plane, "kubectl", "--kubeconfig=/etc/kubernetes/admin.conf")
        self._nodes = nodes
        container = {"name": "probe", "image": IMAGE, "args": ["netexec"]}
        names = [f"throughput-{number}" for number in range(len(nodes))]
        items = [
            {
                "apiVersion": "v1",
                "kind": "Pod",
                "metadata": {"name": name},
                "spec": {"nodeName": node, "terminationGracePeriodSeconds": 0, "containers": [container]},
            }
            for name, node in zip(names, nodes, strict=True)
        ]
        self.delete()
        printed(
            [*self._kubectl, "apply", "--filename=-"], json.dumps({"apiVersion": "v1", "kind": "List", "items": items})
        )
        printed([*self._kubectl, "wait", "--for=condition=Ready", "--timeout=120s", *(f"pod/{name}" for name in names)])

    def delete(self) -> None:
        """Delete what was made."""
        printed([*self._kubectl, "delete", "pod", "throughput-0", "throughput-1", "--ignore-not-found"])

    def enter(self, number: int) -> list[str]:
        """The words by which a command is run in the network of a pod."""
        uid = self._get(number, "{.metadata.uid}").replace("-", "_")
        found = printed(on(self._nodes[number], "grep", "-lrs", f"pod{uid}", "/proc", "--include=cgroup"))
        pid = next(path.split("/")[2] for path in found.splitlines() if path.split("/")[2].isdigit())
        return on(self._nodes[number], "nsenter", f"--net=/proc/{pid}/ns/net")

    def address(self, number: int) -> str:
        """The address of a pod."""
        return self._get(number, "{.status.podIP}")

    def node_address(self, number: int) -> str:
        """The address of a node."""
        return self._get(number, "{.status.hostIP}")

    def _get(self, number: int, path: str) -> str:
        return printed([*self._kubectl, "get", f"pod/throughput-{number}", f"--output=jsonpath={path}"])


def measure(sender: t.Sequence[str], taker: t.Sequence[str], address: str, seconds: float) -> float:
    """Gbit/s from one place to another one."""
    words = [*taker, "python3", "-c", TAKE.format(port=PORT)]
    with subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True) as taking:
        assert taking.stdout is not None
        taking.stdout.readline()
        printed([*sender, "python3", "-c", SEND.format(address=address, port=PORT, seconds=seconds)])
        return float(taking.stdout.readline())


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("control_plane", help="the lab's name of one")
    parser.add_argument("nodes", nargs=2, help="names of two nodes")
    parser.add_argument("--rounds", type=int, default=3, help="how often each is run")
    parser.add_argument("--seconds", type=float, default=5, help="how long")
    options = parser.parse_args()
    pods, ratios = Pods(options.control_plane, options.nodes), []
    try:
        own = [on(node) for node in options.nodes]
        inner = [pods.enter(number) for number in (0, 1)]
        for number in range(1, options.rounds + 1):
            plain = measure(own[0], own[1], pods.node_address(1), options.seconds)
            there = measure(inner[0], inner[1], pods.address(1), options.seconds)
            ratios.append(there / plain)
            print(
                f"round {number}: nodes {plain:5.1f} Gbit/s, pods {there:5.1f} Gbit/s, ratio {ratios[-1]:.2f}",
                flush=True,
            )
        print(f"median ratio {statistics.median(ratios):.2f}")
    finally:
        pods.delete()


if __name__ == "__main__":
    main()
