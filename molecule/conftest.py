# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the tests of all scenarios have in common. Molecule starts them by its verifier and says where things are."""

from __future__ import annotations

import json
import os
import re
import subprocess
import time
import typing as t
from pathlib import Path

import pytest
import testinfra
import yaml
from testinfra.host import Host

PROJECT = Path(os.environ["MOLECULE_PROJECT_DIRECTORY"])
SCENARIO = Path(os.environ["MOLECULE_SCENARIO_DIRECTORY"])
CONVERGE = SCENARIO / "converge.yml"
#: Files of a scenario on the controller; they are gone when it is destroyed.
ARTIFACTS = Path(os.environ["MOLECULE_EPHEMERAL_DIRECTORY"]) / "artifacts"
_INVENTORY = str(Path(os.environ["MOLECULE_INVENTORY_FILE"]).parent)


# The names of sets of addresses, by a regular expression: `ipset` is not on the lab's machines.
_LIST_SETS = """
import re, socket, struct
kernel = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 12)
kernel.settimeout(2)
body = struct.pack("=BBHHHBxxxHHBBBB", 2, 0, 0, 5, 1, 6, 8, 0x4006, 0, 0, 0, 2)
kernel.send(struct.pack("=IHHII", 16 + len(body), 6 << 8 | 7, 0x301, 1, 0) + body)
print(*sorted(set(re.findall(rb"%s", kernel.recv(1 << 16)))))
"""


def list_sets(pattern: str) -> str:
    """The shell command that prints the names of a machine's sets of addresses in which the pattern is found."""
    return f"python3 -c '{_LIST_SETS % pattern}'"


def platforms() -> list[dict[str, t.Any]]:
    """Return the scenario's machines as molecule.yml describes them."""
    return yaml.safe_load((SCENARIO / "molecule.yml").read_text(encoding="utf-8"))["platforms"]


def names(group: str = "lab_nodes") -> list[str]:
    """Return the names of the machines that are in a group."""
    return [platform["name"] for platform in platforms() if group in platform["groups"]]


def connect(name: str) -> Host:
    """Return a machine of the scenario, seen from outside of Ansible."""
    inventory = Path(_INVENTORY) / "machines.yml"
    machines = yaml.safe_load(inventory.read_text(encoding="utf-8"))["lab_machines"] if inventory.exists() else {}
    if name not in machines.get("hosts", {}):
        return testinfra.get_host(f"docker://slipway-{name}")
    return testinfra.get_host(
        f"ssh://{machines['vars']['ansible_user']}@{machines['hosts'][name]['ansible_host']}",
        ssh_identity_file=machines["vars"]["ansible_ssh_private_key_file"],
        ssh_extra_args=machines["vars"]["ansible_ssh_common_args"],
        sudo=True,
        # A connection that is kept hangs when the machine loses its power.
        controlpersist=0,
    )


def start(
    playbook: str | Path, *arguments: str, variables: t.Mapping[str, t.Any] | None = None
) -> subprocess.Popen[str]:
    """Begin a playbook on the scenario's machines: a file, or the name of one that the collection has.

    The configuration is that of the checkout and not molecule's, whose callbacks would print after the recap.
    """
    more = ["--extra-vars", json.dumps(variables)] if variables else []
    return subprocess.Popen(
        ["ansible-playbook", "--inventory", _INVENTORY, *more, *arguments, PROJECT / "playbooks" / playbook],
        cwd=PROJECT,
        env={**os.environ, "ANSIBLE_CONFIG": str(PROJECT / "ansible.cfg"), "ANSIBLE_FORCE_COLOR": "0"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def play(playbook: str | Path, *arguments: str, rc: int = 0, variables: t.Mapping[str, t.Any] | None = None) -> str:
    """Run a playbook to its end, as `start` begins it, and return what it prints."""
    begun = time.monotonic()
    process = start(playbook, *arguments, variables=variables)
    output = process.communicate()[0]
    print(f"{playbook} {' '.join(arguments)}: rc {process.returncode}, {time.monotonic() - begun:.0f} s", flush=True)
    assert process.returncode == rc, output
    return output


def left(node: Host, scripts: t.Mapping[str, str]) -> dict[str, str]:
    """What scripts print that look for what should be gone from a machine; without those that print nothing."""
    found = {kind: str(node.run(script).stdout).strip() for kind, script in scripts.items()}
    return {kind: text for kind, text in found.items() if text}


def changes(output: str) -> int:
    """How many tasks changed something, by the recap."""
    return sum(map(int, re.findall(r"changed=(\d+)", output)))


@pytest.fixture
def machines() -> set[str]:
    """The names of all machines of the scenario."""
    return set(names())


@pytest.fixture(params=names())
def node(request: pytest.FixtureRequest) -> Host:
    """Each machine in turn."""
    return connect(request.param)


@pytest.fixture(params=names("kube_control_plane"))
def control_plane(request: pytest.FixtureRequest) -> Host:
    """Each control plane in turn."""
    return connect(request.param)


@pytest.fixture(params=names("kube_node"))
def worker(request: pytest.FixtureRequest) -> Host:
    """Each worker in turn."""
    return connect(request.param)


def pytest_configure(config: pytest.Config) -> None:
    """Declare our own marker."""
    config.addinivalue_line("markers", "last: changes the machines, so it runs after all other tests")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let tests that change the machines come last."""
    items.sort(key=lambda item: item.get_closest_marker("last") is not None)
