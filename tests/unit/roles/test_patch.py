# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the role patch does to a node and in which order, run by Ansible with modules that only write it down.

Each case is a host of one run; those of check mode have a run of their own.
"""

from __future__ import annotations

import json
import sys
import types
import typing as t
from pathlib import Path

import pytest
import yaml
from ansible_collections.slipway.kubernetes.tests.unit.playing import run_play

PROJECT = Path(__file__).resolve().parents[3]
ROLE = PROJECT / "roles/patch"
#: In the place of each module that would touch something.
MODULE = """#!/usr/bin/python
import json
from ansible.module_utils.basic import AnsibleModule
module = AnsibleModule({key: {"type": "raw"} for key in ("what", "given", "says", "log")}, supports_check_mode=True)
with open(module.params["log"], "a") as log:
    log.write(json.dumps([module.params["what"], module.params["given"], module.check_mode]) + "\\n")
module.exit_json(**{"changed": False, **(module.params["says"] or {})})
"""
FAKED = ("ansible.builtin.reboot", "ansible.builtin.slurp", "ansible.builtin.systemd_service")
LIBC = {"name": "libc6", "before": "1", "after": "2", "security": True}
Call = t.Tuple[str, t.Dict[str, t.Any], bool]


def plan(*updates: t.Any, reasons: t.Sequence[str] = (), repaired: bool = False) -> t.Dict[str, t.Any]:
    return {"updates": list(updates), "reboot_required": list(reasons), "repaired": repaired}


class Case(t.NamedTuple):
    """A node: what its plan and its updates say, what is set for it, and what is done to it after the plan."""

    planned: t.Dict[str, t.Any]
    then: t.Dict[str, t.Any]
    expected: t.List[str]
    variables: t.Mapping[str, t.Any] = types.MappingProxyType({})


#: What is done to a node on which nothing is to be done: it is let go where a run has left it drained.
QUIET = ["kube_wait", "kube_drain uncordoned"]
UPDATED = ["kube_drain drained", "package_updates"]
RESTARTED = ["reboot", "slurp"]
HEALTHY = ["kube_wait", "kubeadm_upgrade", "etcd_member_info", "kube_drain uncordoned"]
KERNEL = plan(LIBC, reasons=["kernel"])
CONTROL_PLANE = {"control_plane": True}
ALL = {
    "patch_security": True,
    "patch_exclude": ["linux-*"],
    "patch_lock_timeout": 9,
    "patch_drain_timeout": 8,
    "patch_drain_delete_emptydir_data": False,
    "patch_drain_force": True,
    "patch_drain_disable_eviction": True,
    "patch_timeout": 7,
    "patch_reboot_timeout": 6,
}
CASES = {
    "nothing": Case(plan(), {}, QUIET),
    "updates": Case(plan(LIBC), plan(LIBC), [*UPDATED, *QUIET]),
    "reboot": Case(plan(LIBC), KERNEL, [*UPDATED, *RESTARTED, *QUIET], {"api_endpoint_provider": "keepalived"}),
    "killed-before-reboot": Case(plan(reasons=["kernel"]), KERNEL, [*UPDATED, *RESTARTED, *QUIET]),
    "interrupted": Case(plan(repaired=True), plan(repaired=True), [*UPDATED, *QUIET]),
    "control-plane": Case(plan(LIBC), KERNEL, [*UPDATED, *RESTARTED, *HEALTHY], CONTROL_PLANE),
    "endpoint": Case(
        plan(LIBC),
        KERNEL,
        [*UPDATED, "systemd_service stopped", *RESTARTED, *HEALTHY],
        {**CONTROL_PLANE, "api_endpoint_provider": "keepalived"},
    ),
    "endpoint-to-come": Case(
        plan(LIBC),
        KERNEL,
        [*UPDATED, *RESTARTED, *HEALTHY],
        {**CONTROL_PLANE, "api_endpoint_provider": "keepalived", "listens": "sshd"},
    ),
    "foreign-endpoint": Case(
        plan(LIBC),
        KERNEL,
        [*UPDATED, *RESTARTED, *HEALTHY],
        {**CONTROL_PLANE, "api_endpoint_provider": "external"},
    ),
    "endpoint-without-reboot": Case(
        plan(LIBC), plan(LIBC), [*UPDATED, *HEALTHY], {**CONTROL_PLANE, "api_endpoint_provider": "keepalived"}
    ),
    "never": Case(plan(LIBC), KERNEL, [*UPDATED, *HEALTHY], {**CONTROL_PLANE, "patch_reboot": "never"}),
    "never-and-nothing": Case(plan(reasons=["kernel"]), {}, QUIET, {"patch_reboot": "never"}),
    "settings": Case(plan(LIBC), KERNEL, [*UPDATED, *RESTARTED, *QUIET], ALL),
}
#: In check mode nothing is asked of a boot that does not come.
CHECKED = {
    "nothing": CASES["nothing"],
    "reboot": Case(plan(LIBC), KERNEL, [*UPDATED, "reboot", *QUIET]),
    "control-plane": Case(plan(LIBC), KERNEL, [*UPDATED, "reboot", *HEALTHY], CONTROL_PLANE),
}


def faked(task: t.Dict[str, t.Any], folder: Path) -> t.Dict[str, t.Any]:
    """A task of the role with another module."""
    for module in [key for key in task if key.startswith("slipway.kubernetes.") or key in FAKED]:
        name = module.rpartition(".")[2]
        says = f"{{{{ said_{name} | default({{}}) }}}}"
        if name == "package_updates" and not task.get("check_mode"):
            says = "{{ said_then }}"
        log = f"{folder}/{{{{ inventory_hostname }}}}.log"
        task["fake"] = {"what": name, "given": task.pop(module), "says": says, "log": log}
    return task


def host(case: Case) -> t.Dict[str, t.Any]:
    """The variables of a case's host."""
    is_control_plane = case.variables.get("control_plane", False)
    state = {"control_plane": is_control_plane, "static_pods": {"etcd": "3.6"} if is_control_plane else {}}
    return {
        "ansible_connection": "local",
        "ansible_python_interpreter": sys.executable,
        "cluster_node": {
            "kubernetes": state,
            "boot_id": "before",
            "listening": [{"process": ""}, {"process": case.variables.get("listens", "haproxy")}],
        },
        "cluster_kubeconfig": "/admin.conf",
        "cluster_cri_socket": "unix:///x",
        "said_package_updates": case.planned,
        "said_then": case.then,
        "said_slurp": {"content": "YWZ0ZXIK"},
        "said_etcd_member_info": {"members": [{"name": "node1", "healthy": True}]},
        "said_reboot": {"changed": True},
        **case.variables,
    }


def as_call(line: str) -> Call:
    """A call of a module; ansible-core 2.18 hands numbers of templates over as texts, which modules take."""
    what, given, check_mode = json.loads(line)
    texts = {key: value for key, value in given.items() if isinstance(value, str)}
    return what, {**given, **{key: int(text) for key, text in texts.items() if text.isdigit()}}, check_mode


class Run:
    """One run over the hosts of all cases."""

    def __init__(self, folder: Path, cases: t.Mapping[str, Case], *options: str) -> None:
        role = folder / "roles/patch"
        (role / "tasks").mkdir(parents=True)
        for name in ("main", "plan"):
            tasks = yaml.safe_load((ROLE / f"tasks/{name}.yml").read_text(encoding="utf-8"))
            (role / f"tasks/{name}.yml").write_text(yaml.safe_dump([faked(task, folder) for task in tasks]))
        for name in ("defaults", "vars"):
            (role / name).symlink_to(ROLE / name)
        (folder / "library").mkdir()
        (folder / "library/fake.py").write_text(MODULE)
        (folder / "play.yml").write_text(yaml.safe_dump([{"hosts": "all", "gather_facts": False, "roles": ["patch"]}]))
        hosts = {name: host(case) for name, case in cases.items()}
        (folder / "inventory.yml").write_text(yaml.safe_dump({"all": {"hosts": hosts}}))
        done = run_play(folder, *options)
        self.output = done.stdout + done.stderr
        assert done.returncode == 0, self.output
        self.calls: t.Dict[str, t.List[Call]] = {
            name: [as_call(line) for line in (folder / f"{name}.log").read_text().splitlines()] for name in cases
        }

    def names(self, case: str) -> t.List[str]:
        """The modules that were called on a host, with the state that some are given."""
        return [f"{what} {given.get('state', '')}".rstrip() for what, given, _check in self.calls[case]]

    def given(self, case: str, what: str, state: str = "") -> t.Dict[str, t.Any]:
        """The options of the last call of a module on a host."""
        calls = [given for name, given, _check in self.calls[case] if name == what]
        return [given for given in calls if not state or given["state"] == state][-1]

    def boot_id(self, case: str) -> str:
        """The boot that a node is waited for in."""
        (condition,) = self.given(case, "kube_wait")["conditions"]
        assert condition["names"] == [case] and condition["type"] == "nodes_ready"
        return dict(condition["boot_ids"])[case]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return Run(tmp_path_factory.mktemp("run"), CASES)


@pytest.fixture(scope="module")
def checked(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return Run(tmp_path_factory.mktemp("checked"), CHECKED, "--check")


@pytest.mark.parametrize("case", CASES)
def test_what_is_done(case: str, run: Run) -> None:
    first, *others = run.names(case)
    assert (first, others) == ("package_updates", CASES[case].expected)
    # The plan changes nothing but the index; all others do what they say.
    assert [check for _what, _given, check in run.calls[case]] == [True] + [False] * len(others)
    assert run.calls[case][0][1]["refresh_in_check_mode"] is True
    assert run.calls[case][0][1]["update_cache_max_age"] == 0
    assert run.boot_id(case) == ("after" if "reboot" in others else "before")


@pytest.mark.parametrize("case", CHECKED)
def test_what_would_be_done(case: str, checked: Run) -> None:
    assert checked.names(case)[1:] == CHECKED[case].expected
    assert checked.calls[case][0][1]["refresh_in_check_mode"] is False
    assert checked.calls[case][0][1]["update_cache_max_age"] == 3600
    assert all(check for _what, _given, check in checked.calls[case])
    assert checked.boot_id(case) == "before"


def test_what_is_said(run: Run) -> None:
    assert run.given("reboot", "reboot")["msg"] == "Updates need it: kernel"
    for case in ("never", "never-and-nothing"):
        assert f"Warning: {case} has to be started anew for kernel." in run.output
    assert "Warning: reboot has" not in run.output
    assert run.given("endpoint", "kubeadm_upgrade") == {"operation": "wait", "name": "endpoint", "timeout": 300}


def test_settings_are_handed_on(run: Run) -> None:
    assert run.given("settings", "kube_drain", "drained") == {
        "name": "settings",
        "state": "drained",
        "timeout": 8,
        "delete_emptydir_data": False,
        "force": True,
        "disable_eviction": True,
        "kubeconfig": "/admin.conf",
    }
    for given in [given for what, given, _check in run.calls["settings"] if what == "package_updates"]:
        assert (given["security"], given["exclude"], given["lock_timeout"]) == (True, ["linux-*"], 9)
    assert run.given("settings", "reboot")["reboot_timeout"] == 6
    assert run.given("settings", "kube_wait")["timeout"] == 7
    assert run.given("reboot", "reboot")["reboot_timeout"] == 900
