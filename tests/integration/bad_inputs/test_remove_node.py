# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""remove_node.yml with modules that only note that they were called: who does what, when, and with which names."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
import time
import typing as t
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[3]
MEMBERS = [{"name": name, "healthy": True, "learner": False} for name in ("cp1", "cp2", "cp3")]

MODULE = """\
#!/usr/bin/python
import json, os, sys
from ansible.module_utils.basic import _load_params
from ansible.module_utils.basic import AnsibleModule
params = _load_params()
host, folder = os.path.basename(params["_ansible_remote_tmp"]), os.path.dirname(params["_ansible_remote_tmp"])
with open(f"{folder}/answers.json") as stream:
    answers = json.load(stream)
arguments = {key: value for key, value in params.items() if not key.startswith("_ansible")}
with open(f"{folder}/log", "a") as stream:
    stream.write(json.dumps([host, "NAME", arguments]) + chr(10))
print(json.dumps(answers.get(f"NAME:{host}", answers.get("NAME", {"changed": True}))))
sys.exit()
"""


def facts(control_plane: bool = True, **more: t.Any) -> dict[str, t.Any]:
    kubernetes = {
        "installer": "kubeadm",
        "control_plane": control_plane,
        "unfinished": None,
        "api_ready": control_plane,
        **more,
    }
    return {"changed": False, "ansible_facts": {"slipway_node": {"kubernetes": kubernetes}}}


def judged(**more: t.Any) -> dict[str, t.Any]:
    empty: dict[str, t.Any] = {key: [] for key in ("problems", "cordon", "drain", "members", "control_planes", "gone")}
    return {"changed": False, "addresses": {}, **empty, **more}


class Site:
    """Three control planes and two workers, all of them this machine, and what their modules answer."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.inventory = folder / "hosts.json"
        # Where it is run, what runs it, and what its environment has besides.
        self.current = folder
        self.run_by: list[str] = []
        self.environment = {"ANSIBLE_HOME": str(folder / "home")}
        self.dead: set[str] = set()
        # Machines on which each task takes longer than on the others.
        self.slow: set[str] = set()
        self.control_planes = ["cp1", "cp2", "cp3"]
        self.answers: dict[str, t.Any] = {
            "node_facts": facts(),
            "node_facts:w1": facts(False),
            "node_facts:w2": facts(False),
            "run_lock": {"changed": False},
            "etcd_member_info": {"changed": False, "members": MEMBERS},
            "kube_nodes_info": {"changed": False, "table": ["the table"]},
        }
        self.collections = folder / "collections"
        collection = self.collections / "ansible_collections/slipway/kubernetes"
        for part in ("playbooks", "roles", "plugins", "meta"):
            shutil.copytree(PROJECT / part, collection / part, ignore=shutil.ignore_patterns("__pycache__"))
        shutil.copy(PROJECT / "galaxy.yml", collection)
        for path in (collection / "plugins/modules").glob("*.py"):
            path.write_text(MODULE.replace("NAME", path.stem))
        (folder / "ansible.cfg").write_text("[defaults]\n")

    @contextlib.contextmanager
    def for_one_test(self) -> t.Iterator[t.Any]:
        """What a test changes is undone after it; the copies of the collection stay."""
        before = dict(self.answers), set(self.dead), set(self.slow), list(self.control_planes)
        yield self
        self.answers, self.dead, self.slow, self.control_planes = before

    def remove(self, node: str, *arguments: str, rc: int = 0) -> str:
        """Run the playbook and return what it prints."""
        return self.play("remove_node", "-e", f"node={node}", *arguments, rc=rc)

    def play(self, name: str, *arguments: str, rc: int = 0) -> str:
        """Run a playbook of the collection and return what it prints."""
        dead = {"ansible_connection": "ssh", "ansible_host": "127.0.0.1", "ansible_port": 1}
        groups = {"kube_control_plane": self.control_planes, "kube_node": ["w1", "w2"]}
        variables = {
            "ansible_connection": "local",
            "ansible_become": False,
            "ansible_python_interpreter": sys.executable,
            "ansible_remote_tmp": f"{self.folder}/{{{{ inventory_hostname }}}}",
            "cluster_endpoint": "192.0.2.9:8443",
        }
        slow = {"ansible_become": "{{ lookup('pipe', 'sleep 0.3') != '' }}"}
        settings = {**dict.fromkeys(self.slow, slow), **dict.fromkeys(self.dead, dead)}
        children = {
            group: {"hosts": {name: settings.get(name, {}) for name in names}} for group, names in groups.items()
        }
        self.inventory.write_text(json.dumps({"all": {"vars": variables, "children": children}}))
        (self.folder / "answers.json").write_text(json.dumps(self.answers))
        (self.folder / "log").write_text("")
        command = [
            *self.run_by,
            Path(sys.executable).with_name("ansible-playbook"),
            f"slipway.kubernetes.{name}",
            "-i",
            self.inventory,
        ]
        environment = {
            **os.environ,
            "ANSIBLE_COLLECTIONS_PATH": str(self.collections),
            "ANSIBLE_CONFIG": str(self.folder / "ansible.cfg"),
            "ANSIBLE_NOCOLOR": "1",
            **self.environment,
        }
        done = subprocess.run(
            [*command, *arguments],
            cwd=self.current,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            text=True,
            check=False,
        )
        # What gives the lock back is a process of its own, which ends a moment later and still notes its calls.
        deadline = time.monotonic() + 300
        while processes := self._processes():
            assert time.monotonic() < deadline, processes
            time.sleep(0.05)
        assert done.returncode == rc, done.stdout
        return done.stdout

    def _processes(self) -> list[str]:
        """Command lines of the processes that are about this folder."""
        found = []
        for path in Path("/proc").glob("[0-9]*/cmdline"):
            with contextlib.suppress(OSError):
                found.append(path.read_bytes().replace(b"\0", b" ").decode("utf-8", "replace"))
        return [line for line in found if str(self.inventory) in line]

    def calls(self, *modules: str) -> list[tuple[str, str, str]]:
        """Host, module and node of the calls of these modules."""
        log = [json.loads(line) for line in (self.folder / "log").read_text().splitlines()]
        return [
            (host, module, str(arguments.get("name") or arguments.get("server") or arguments.get("names") or ""))
            for host, module, arguments in log
            if module in modules
        ]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Site:
    return Site(tmp_path_factory.mktemp("site"))


@pytest.fixture
def site(made: Site) -> t.Iterator[Site]:
    with made.for_one_test() as kept:
        yield kept


CHANGING = ("kube_drain", "config_files", "etcd_member", "kubeadm_reset", "kube_node_delete")


def test_the_first_control_plane(site: Site) -> None:
    site.answers["kube_node_removal_info"] = judged(
        cordon=["cp1"], drain=["cp1"], members=["cp1"], control_planes=["cp1"], addresses={"cp1": "192.0.2.11"}
    )
    output = site.remove("cp1")
    assert site.calls(*CHANGING) == [
        ("cp2", "kube_drain", "cp1"),
        ("cp1", "config_files", ""),
        ("cp2", "etcd_member", "cp1"),
        ("cp1", "kubeadm_reset", ""),
        ("cp2", "kube_node_delete", "['cp1']"),
    ]
    # Drained on all; on those that stay that is ended, as it would last when one comes back under that name.
    calls = [(name, "haproxy_drain", "cp1") for name in ("cp1", "cp2", "cp2", "cp3", "cp3")]
    assert sorted(site.calls("haproxy_drain")) == calls
    states = [line for line in (site.folder / "log").read_text().splitlines() if '"state": "ready"' in line]
    assert [json.loads(line)[0] for line in sorted(states)] == ["cp2", "cp3"]
    assert "Take cp1 out of the inventory" in output


def test_a_dead_one_and_a_worker(site: Site) -> None:
    site.dead = {"cp1"}
    site.answers["kube_node_removal_info"] = judged(
        cordon=["cp1", "w1"], drain=["w1"], members=["cp1"], control_planes=["cp1"]
    )
    output = site.remove("cp1, w1".replace(" ", ""))
    assert site.calls(*CHANGING) == [
        ("cp2", "kube_drain", "cp1"),
        ("cp2", "kube_drain", "w1"),
        ("cp2", "etcd_member", "cp1"),
        ("w1", "kubeadm_reset", ""),
        ("cp2", "kube_node_delete", "['cp1', 'w1']"),
    ]
    log = (site.folder / "log").read_text()
    assert '"state": "cordoned"' in log and '"state": "drained", "timeout": 600' in log
    assert "Not reset, since not reached: cp1." in output


def test_members_that_are_not_healthy_leave_first(site: Site) -> None:
    site.answers["kube_node_removal_info"] = judged(members=["cp2", "cp1"], control_planes=["cp1", "cp2"])
    site.remove("cp1,cp2")
    assert site.calls("etcd_member") == [("cp3", "etcd_member", "cp2"), ("cp3", "etcd_member", "cp1")]


def test_what_is_known_of_machines_is_handed_over(site: Site) -> None:
    site.dead = {"w2"}
    site.answers["kube_node_removal_info"] = judged()
    site.answers["node_facts:w1"] = facts(False, node_name="w7", ca_cert_hashes=["sha256:2"])
    site.answers["node_facts:cp1"] = facts(node_name="cp1", endpoint="192.0.2.9:8443")
    site.remove("w1,w2")
    log = [json.loads(line) for line in (site.folder / "log").read_text().splitlines()]
    [given] = [arguments for _host, module, arguments in log if module == "kube_node_removal_info"]
    assert list(given["reachable"]) == ["w1"] and given["reachable"]["w1"]["node_name"] == "w7"
    assert given["cluster"]["endpoint"] == "192.0.2.9:8443"
    assert site.calls("haproxy_drain", "kube_drain", "config_files") == []


def test_out_of_the_inventory(site: Site) -> None:
    site.control_planes = ["cp2", "cp3"]
    site.answers["kube_node_removal_info"] = judged(cordon=["cp1"], members=["cp1"], control_planes=["cp1"])
    site.remove("cp1")
    assert [call[1] for call in site.calls(*CHANGING)] == ["kube_drain", "etcd_member", "kube_node_delete"]


def test_problems_stop_it_before_anything_is_changed(site: Site) -> None:
    site.answers["kube_node_removal_info"] = judged(problems=["one", "two"], cordon=["w1"], drain=["w1"])
    assert "Nothing was changed. one. two." in site.remove("w1", rc=2)
    assert site.calls(*CHANGING, "haproxy_drain", "etcd_member_info") == []


def test_a_drain_that_fails_stops_it(site: Site) -> None:
    site.answers["kube_node_removal_info"] = judged(cordon=["w1"], drain=["w1"])
    site.answers["kube_drain"] = {"failed": True, "msg": "a budget"}
    site.remove("w1", rc=2)
    assert [call[1] for call in site.calls(*CHANGING)] == ["kube_drain"]


def test_a_machine_that_cannot_be_reset_holds_up_no_other(site: Site) -> None:
    """Its Node object stays, so that the next run finds it, and it is named; those of the others are deleted."""
    site.dead = {"cp1"}
    site.answers["kube_node_removal_info"] = judged(cordon=["cp1", "w1", "w2"], members=["cp1"], control_planes=["cp1"])
    site.answers["kubeadm_reset:w1"] = {"failed": True, "msg": "a mount is busy"}
    output = site.remove("w1,cp1,w2", rc=2)
    assert site.calls("kube_node_delete", "kube_nodes_info") == [
        ("cp2", "kube_node_delete", "['cp1', 'w2']"),
        ("cp2", "kube_nodes_info", ""),
    ]
    assert "w1 could not be reset; what is wrong is said above" in output
    assert "Take cp1, w2 out of the inventory" in output


@pytest.mark.parametrize("names", ["", "kube_node,w1,!cp1"])
def test_no_names(site: Site, names: str) -> None:
    assert "Say which nodes are to be removed by their names" in site.remove(names, rc=2)
    assert (site.folder / "log").read_text() == ""


def test_the_drain_is_the_users_choice(site: Site) -> None:
    site.answers["kube_node_removal_info"] = judged(cordon=["w1"], drain=["w1"])
    options = "remove_node_force=true remove_node_drain_timeout=5 remove_node_disable_eviction=yes"
    site.remove("w1", "-e", options, "-e", "remove_node_delete_emptydir_data=false")
    [line] = [line for line in (site.folder / "log").read_text().splitlines() if '"kube_drain"' in line]
    arguments = json.loads(line)[2]
    assert (arguments["force"], arguments["timeout"], arguments["disable_eviction"]) == (True, 5, True)
    assert arguments["delete_emptydir_data"] is False


@pytest.mark.parametrize("strategy", ["ansible.builtin.free", "ansible.builtin.host_pinned"])
def test_a_controller_that_lets_machines_run_ahead(site: Site, strategy: str) -> None:
    """The strategy of an ansible.cfg; an API server is stopped when all load balancers have left it, and not before."""
    site.answers["kube_node_removal_info"] = judged(cordon=["cp1"], members=["cp1"], control_planes=["cp1"])
    site.slow = {"cp3"}
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(site.environment, "ANSIBLE_STRATEGY", strategy)
        site.remove("cp1")
    log = [json.loads(line) for line in (site.folder / "log").read_text().splitlines()]
    steps = [(module, host) for host, module, arguments in log if arguments.get("state") != "ready"]
    stopped = steps.index(("config_files", "cp1"))
    assert {("haproxy_drain", name) for name in ("cp1", "cp2", "cp3")} <= set(steps[:stopped])
    assert steps.count(("kube_node_delete", "cp2")) == 1
