# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whose turn it is when, who holds up others, and what is said at the end, with a role that does nothing."""

from __future__ import annotations

import re
import sys
import typing as t
from pathlib import Path

import yaml
from ansible_collections.slipway.kubernetes.tests.unit.playing import run_play

PROJECT = Path(__file__).resolve().parents[3]
PLAYBOOKS = PROJECT / "playbooks"
#: In the place of all modules of ours, and of the role.
MODULE = """#!/usr/bin/python
from ansible.module_utils.basic import AnsibleModule
module = AnsibleModule({"what": {}, "fails": {"type": "bool"}, "log": {}, "host": {}}, supports_check_mode=True)
with open(module.params["log"], "a") as log:
    log.write("{what} {host}\\n".format(**module.params))
if module.params["fails"]:
    module.fail_json(msg="does not start again")
module.exit_json(changed=False, missing=[], crowded=[])
"""
LIBC = {"name": "libc6", "before": "1", "after": "2", "security": True}
Variables = t.Dict[str, t.Any]


def machine(*updates: t.Any, control_plane: bool = False, **more: t.Any) -> Variables:
    kubernetes = {"control_plane": control_plane, "joined": True, "api_ready": control_plane, "unfinished": None}
    planned = {"updates": list(updates), "repaired": False, "reboot_required": [], "held": [], "excluded": []}
    return {
        "ansible_connection": "local",
        "ansible_python_interpreter": sys.executable,
        "cluster_look": {"ansible_facts": {"slipway_node": {"kubernetes": kubernetes}}},
        "patch_plan": planned,
        "patch_updates": planned,
        "cluster_kubeconfig": "/admin.conf",
        **more,
    }


SILENT = {"cluster_look": {"ansible_facts": {"slipway_preflight": {"failure": ["connection", "unreachable", ""]}}}}
GONE = machine(LIBC, ansible_connection="ssh", ansible_host="127.0.0.1", ansible_port=1)


def faked(task: t.Any, folder: Path) -> t.Any:
    """A task without what would touch a machine."""
    for part in ("block", "always"):
        task.update({part: [faked(one, folder) for one in task[part]]} if part in task else {})
    role = task.pop("ansible.builtin.import_role", None)
    modules = [key for key in task if key.startswith("slipway.kubernetes.")]
    if role or modules:
        what = "patch" if role else modules[0].rpartition(".")[2]
        for module in modules:
            given = task.pop(module)
            what += f"-{given['state']}" if "state" in given else ""
        fails = "{{ fails | default(false) }}" if role else False
        task["fake"] = {"what": what, "fails": fails, "log": f"{folder}/log", "host": "{{ inventory_hostname }}"}
    if role:
        task["register"] = "patch_ended"
    return task


class Run(t.NamedTuple):
    """A run of the playbook's plays but for the first one, which looks."""

    calls: t.List[str]
    output: str
    rc: int

    def turns(self) -> t.List[str]:
        """On whom the role was called."""
        return [call.split()[1] for call in self.calls if call.startswith("patch ")]


def run(folder: Path, control_planes: t.Dict[str, Variables], workers: t.Dict[str, Variables], **more: t.Any) -> Run:
    plays = [
        play
        for play in yaml.safe_load((PLAYBOOKS / "patch_nodes.yml").read_text(encoding="utf-8"))
        if "hosts" in play and not play["name"].startswith("Look at")
    ]
    for play in plays:
        play.update(vars_files=[str(PLAYBOOKS / name) for name in play["vars_files"]], become=False)
        play["tasks"] = [faked(task, folder) for task in play["tasks"]]
        play.pop("roles", None)
    (folder / "play.yml").write_text(yaml.safe_dump(plays))
    groups = {
        "kube_control_plane": {"hosts": control_planes},
        "kube_node": {"hosts": workers},
        "slipway_primary": {"hosts": {next(iter(control_planes)): None}},
        "canary": {"hosts": {"w4": None}},
    }
    inventory = {"all": {"children": groups, "vars": more}}
    (folder / "inventory.yml").write_text(yaml.safe_dump(inventory, sort_keys=False))
    (folder / "library").mkdir()
    (folder / "library/fake.py").write_text(MODULE)
    done = run_play(folder)
    calls = (folder / "log").read_text(encoding="utf-8").splitlines()
    return Run(calls, done.stdout + done.stderr, done.returncode)


CONTROL_PLANES = {"cp1": machine(LIBC, control_plane=True), "cp2": machine(control_plane=True)}


def test_machines_that_do_not_answer_hold_up_nobody(tmp_path: Path) -> None:
    """Neither one that did not when the run began, nor one that does not when its turn comes."""
    workers = {"w1": machine(LIBC), "w2": SILENT, "w3": GONE, "w4": machine(LIBC)}
    done = run(tmp_path, CONTROL_PLANES, workers, patch_pools=["canary"])
    assert done.rc != 0
    assert done.turns() == ["cp1", "cp2", "w4", "w1"], done.output
    assert "w2, w3 could not be updated or did not answer, and the others have been." in done.output
    assert re.search(r"cp1  1 package updated: libc6 2\b", done.output)
    assert re.search(r"cp2  nothing to do\b", done.output)
    assert re.search(r"w3   not finished, or not begun\b", done.output)
    # Requests are kept away only from a control plane to which something is done, and let in again in any case.
    drained = [call for call in done.calls if call.startswith("haproxy_drain-drained")]
    ready = [call for call in done.calls if call.startswith("haproxy_drain-ready")]
    assert (drained, ready) == (
        ["haproxy_drain-drained cp1"] * 2,
        ["haproxy_drain-ready cp1"] * 2 + ["haproxy_drain-ready cp2"] * 2,
    )
    assert done.calls.index("patch cp1") > done.calls.index("haproxy_drain-drained cp1")


def test_a_worker_that_fails_ends_the_run_after_its_batch(tmp_path: Path) -> None:
    workers = {"w1": machine(LIBC, fails=True), "w2": machine(LIBC), "w3": machine(LIBC), "w4": machine(LIBC)}
    done = run(tmp_path, CONTROL_PLANES, workers, patch_serial=2)
    assert done.rc != 0
    assert sorted(done.turns()) == ["cp1", "cp2", "w1", "w2"], done.output
    assert "w3 is left as it is, since w1 could not be updated." in done.output


def test_a_control_plane_that_fails_ends_the_run(tmp_path: Path) -> None:
    control_planes = {"cp1": {**CONTROL_PLANES["cp1"], "fails": True}, "cp2": CONTROL_PLANES["cp2"]}
    done = run(tmp_path, control_planes, {"w1": machine(LIBC)})
    assert done.rc != 0
    assert done.turns() == ["cp1"]
    assert done.calls[-1] == "haproxy_drain-ready cp1"


def test_workers_alone(tmp_path: Path) -> None:
    done = run(tmp_path, {"cp1": CONTROL_PLANES["cp1"]}, {"w1": machine()}, patch_control_planes=False)
    assert done.rc == 0, done.output
    assert done.turns() == ["w1"]
    assert re.search(r"\bw1  nothing to do\b", done.output) and not re.search(r"\bcp1  n", done.output)
    # Nothing was drained, so CoreDNS is where it was.
    assert "kube_wait cp1" in done.calls and not [call for call in done.calls if call.startswith("kube_spread")]
