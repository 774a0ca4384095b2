# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Bad inputs that need real machines: what node_facts and package_source see there is in the report.

Runs over SLIPWAY_INVENTORY, or the lab's inventory; skipped when its machines do not answer. Changes nothing on them
but for a web server on two ports while a test runs. They should be bare: ports of a built cluster are taken.
"""

from __future__ import annotations

import functools
import json
import os
import pathlib
import re
import subprocess
import sys
import typing as t

import pytest

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[2]
INVENTORY = os.environ.get("SLIPWAY_INVENTORY", str(ROOT / "inventory"))
BIN = os.path.dirname(sys.executable)


def ansible(tool: str, *arguments: str) -> t.Tuple[int, str]:
    """Run an Ansible command over the inventory; its return code and all it printed, as one line."""
    environment = {**os.environ, "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"), "ANSIBLE_NOCOLOR": "1"}
    argv = [os.path.join(BIN, tool), "-i", INVENTORY, *arguments]
    done = subprocess.run(argv, env=environment, capture_output=True, text=True, check=False, cwd=ROOT)
    return done.returncode, re.sub(r"\s+", " ", done.stdout + done.stderr)


@functools.lru_cache(maxsize=1)
def control_plane() -> str:
    """The first control plane of the inventory; skips when it does not answer."""
    done = subprocess.run(
        [os.path.join(BIN, "ansible-inventory"), "-i", INVENTORY, "--list"], capture_output=True, text=True, check=False
    )
    names = json.loads(done.stdout or "{}").get("kube_control_plane", {}).get("hosts", [])
    return names[0] if names and ansible("ansible", names[0], "-m", "ansible.builtin.ping")[0] == 0 else ""


@pytest.fixture
def lab() -> str:
    if not control_plane():
        pytest.skip(f"no machines of {INVENTORY} answer")
    return control_plane()


def refused(*expected: str, **variables: t.Any) -> str:
    """Run the role with ``variables`` over the inventory's: it must fail, say ``expected`` and change nothing."""
    rc, output = ansible("ansible-playbook", str(HERE / "role.yml"), "--become", "--extra-vars", json.dumps(variables))
    assert rc != 0, output
    for text in ("nothing was changed.", *expected):
        assert text in output, output
    assert output.count("fatal: ") == 1, output
    assert set(re.findall(r"changed=(\d+)", output)) == {"0"}, output
    return output


def test_good_machines_pass(lab: str) -> None:
    rc, output = ansible("ansible-playbook", str(HERE / "role.yml"), "--become")
    assert rc == 0, output


def test_a_version_that_the_repository_has_not(lab: str) -> None:
    refused(
        "kube_packages_repository: does not provide Kubernetes 1.37.999:",
        "no version 1.37.999",
        cluster_version="1.37.999",
    )


def test_a_repository_that_does_not_answer(lab: str) -> None:
    refused("kube_packages_repository: does not provide Kubernetes", kube_packages_repository="http://127.0.0.1:9")


def test_a_repository_that_another_key_signed(lab: str) -> None:
    refused(
        "kube_packages_repository: does not provide Kubernetes", kube_packages_repository_key_fingerprints=["AB" * 20]
    )


def test_foreign_processes_on_ports(lab: str) -> None:
    ports = (6443, 10250)
    try:
        for port in ports:
            argv = f"systemd-run --unit=slipway-foreign-{port} python3 -m http.server {port}"
            rc, output = ansible("ansible", lab, "--become", "-m", "ansible.builtin.command", "-a", argv)
            assert rc == 0, output
        refused(*(f"{lab}: port {port}: is held by python3 (pid " for port in ports))
    finally:
        units = " ".join(f"slipway-foreign-{port}" for port in ports)
        ansible("ansible", lab, "--become", "-m", "ansible.builtin.command", "-a", f"systemctl stop {units}")


def test_thresholds_address_and_pool(lab: str) -> None:
    refused(
        "memory_mb: ",
        "cpu_count: ",
        "cluster_node_ip: 203.0.113.1 is on no interface of the host",
        "os: Debian GNU/Linux",
        preflight_minimum_memory_mb_control_plane=10**8,
        preflight_minimum_cpus_control_plane=10**4,
        preflight_supported_os={"debian": ["7"]},
        cluster_node_ip="203.0.113.1",
    )


def test_machines_without_python(lab: str) -> None:
    refused("python: no Python was found on the host.", ansible_python_interpreter="/nonexistent/python3")


def test_machines_that_do_not_answer(lab: str) -> None:
    refused("connection: the host is unreachable:", ansible_port=9)
