# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the role change_cni does to a node and in which order, by its tasks as Ansible runs them with other modules."""

from __future__ import annotations

import json
import sys
import typing as t
from pathlib import Path

import pytest
import yaml
from ansible_collections.slipway.kubernetes.tests.unit.playing import run_play

PROJECT = Path(__file__).resolve().parents[3]
ROLE = PROJECT / "roles/change_cni"
MODULE = """#!/usr/bin/python
import json
from ansible.module_utils.basic import AnsibleModule
module = AnsibleModule({key: {"type": "raw"} for key in ("what", "given", "says", "log")}, supports_check_mode=True)
with open(module.params["log"], "a") as log:
    log.write(json.dumps([module.params["what"], module.params["given"], module.check_mode]) + "\\n")
module.exit_json(**{"changed": False, **(module.params["says"] or {})})
"""
#: What the look says, and what is done after it.
REST = ["node_pod_network handed_over", "kube_wait", "kube_drain uncordoned"]
CASES: t.Dict[str, t.Tuple[t.Dict[str, t.Any], t.List[str]]] = {
    "nothing": ({"pods": [], "removed": {}}, REST),
    "pods": ({"changed": True, "pods": ["shop/web"], "removed": {}}, ["kube_drain drained", *REST]),
    "file": ({"changed": True, "pods": [], "removed": {"files": ["x"]}}, ["kube_drain drained", *REST]),
}


def faked(task: t.Dict[str, t.Any], folder: Path) -> t.Dict[str, t.Any]:
    """A task of the role with another module."""
    for module in [key for key in task if key.startswith("slipway.kubernetes.")]:
        name, log = module.rpartition(".")[2], f"{folder}/{{{{ inventory_hostname }}}}.log"
        says = "{{ said | default({}) }}" if name == "node_pod_network" else {}
        task["fake"] = {"what": name, "given": task.pop(module), "says": says, "log": log}
    return task


def play(folder: Path, *options: str) -> t.Dict[str, t.List[t.Any]]:
    role = folder / "roles/change_cni"
    (role / "tasks").mkdir(parents=True)
    tasks = yaml.safe_load((ROLE / "tasks/main.yml").read_text(encoding="utf-8"))
    (role / "tasks/main.yml").write_text(yaml.safe_dump([faked(task, folder) for task in tasks]))
    (role / "defaults").symlink_to(ROLE / "defaults")
    (folder / "library").mkdir()
    (folder / "library/fake.py").write_text(MODULE)
    (folder / "play.yml").write_text(yaml.safe_dump([{"hosts": "all", "gather_facts": False, "roles": ["change_cni"]}]))
    hosts = {
        name: {
            "ansible_connection": "local",
            "ansible_python_interpreter": sys.executable,
            "cluster_node": {},
            "cluster_cni": "calico",
            "cluster_kubeconfig": "/admin.conf",
            "change_cni_networks": ["flannel"],
            "change_cni_drain_timeout": 8,
            "said": said,
        }
        for name, (said, _expected) in CASES.items()
    }
    (folder / "inventory.yml").write_text(yaml.safe_dump({"all": {"hosts": hosts}}))
    done = run_play(folder, *options)
    assert done.returncode == 0, done.stdout + done.stderr
    return {
        name: [json.loads(line) for line in (folder / f"{name}.log").read_text(encoding="utf-8").splitlines()]
        for name in CASES
    }


@pytest.mark.parametrize("options", [(), ("--check",)], ids=["real", "check"])
def test_what_is_done(tmp_path: Path, options: t.Tuple[str, ...]) -> None:
    calls = play(tmp_path, *options)
    for name, (_said, expected) in CASES.items():
        (look, given, is_check), *others = calls[name]
        assert look == "node_pod_network" and is_check
        assert (given["networks"], given["successor"], given["state"]) == (["flannel"], "calico", "handed_over")
        assert [f"{what} {arguments.get('state', '')}".rstrip() for what, arguments, _check in others] == expected
        assert all(check == bool(options) for _what, _given, check in others)
    drain = next(arguments for what, arguments, _check in calls["pods"] if what == "kube_drain")
    assert (int(drain["timeout"]), drain["delete_emptydir_data"], drain["force"]) == (8, True, False)
