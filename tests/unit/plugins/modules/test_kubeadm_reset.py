# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
import os
import tempfile
import types
import typing as t
from pathlib import Path

import pytest
from ansible_collections.slipway.kubernetes.plugins.module_utils import _marks, _records
from ansible_collections.slipway.kubernetes.plugins.module_utils._command import SlipwayError
from ansible_collections.slipway.kubernetes.plugins.module_utils._kube import kubeconfig
from ansible_collections.slipway.kubernetes.plugins.module_utils._kubeadm import kubeadm, kubeadm_files
from ansible_collections.slipway.kubernetes.plugins.module_utils._layout import RKE2
from ansible_collections.slipway.kubernetes.plugins.module_utils._machine import leftovers, own_interfaces
from ansible_collections.slipway.kubernetes.plugins.module_utils._network import (
    ip_sets,
    ipvs,
    netfilter,
    traffic_filters,
)
from ansible_collections.slipway.kubernetes.plugins.module_utils._packages import PackageManager
from ansible_collections.slipway.kubernetes.plugins.module_utils._pod_networks import beside, declared
from ansible_collections.slipway.kubernetes.plugins.module_utils._runtimes.runtime import Runtime
from ansible_collections.slipway.kubernetes.plugins.modules import kubeadm_reset
from ansible_collections.slipway.kubernetes.tests.unit.plugins import kubectl_config
from ansible_collections.slipway.kubernetes.tests.unit.plugins.package_fakes import FakeRunner
from ansible_collections.slipway.kubernetes.tests.unit.plugins.utils import ModuleRunner

RULES = "*nat\n:KUBE-X - [0:0]\n-A POSTROUTING -j KUBE-X\nCOMMIT\n"
LOADED = "LoadState=loaded\nActiveState={}\nUnitFileState={}\n"
CA = kubectl_config.pem("ours")


class Machine:
    """A node: files are real below a folder, the rest is what the functions that look at it return."""

    def __init__(self, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.root = root
        self.containers = ["a", "b"]
        self.links = ["veth1", "cni0"]
        self.rules = RULES
        self.tables = [("ip", "kube-proxy")]
        self.sets: t.List[str] = []
        self.filters: t.List[str] = []
        self.groups = ["/sys/fs/cgroup/kubepods.slice"]
        self.points = ["/run/netns/cni-1"]
        self.namespaces: t.List[str] = []
        self.pids = [4000001]
        self.routes = "10.244.1.0/24 via 192.0.2.12 dev eth0\n10.244.0.0/24 dev cni0 proto kernel\n"
        self.kubelet = LOADED.format("active", "enabled")
        self.busy = False
        self.runner = FakeRunner(
            {
                "systemctl show": lambda _words: self.kubelet,
                "systemctl disable": self._disable,
                "systemctl": "",
                "containers ls": lambda _words: "\n".join(self.containers),
                "containers delete": lambda words: self.containers.remove(words[-1]) or "",
                "ctr": "",
                "ip route show": lambda _words: self.routes,
                "ip route delete": self._delete_route,
                "ip link delete": lambda words: self.links.remove(words[-1]) or "",
                "tables-nft-save": lambda _words: self.rules,
                "tables-save": lambda _words: self.rules,
                "tables-legacy-save": "",
                "restore": self._restore,
                "dpkg-query": (1, "", "no path found"),
                "kubeadm reset": "",
                "umount --lazy": lambda _words: self.points.clear() or "",
                "umount": "",
                "config view": kubectl_config.view,
            },
            tools={
                "kubectl",
                "systemctl",
                "ctr",
                "ip",
                "iptables-nft-save",
                "iptables-nft-restore",
                "kubeadm",
                "umount",
                "dpkg-query",
            },
        )
        for name, value in {
            "cgroups": lambda: list(self.groups),
            "remove_cgroup": self._remove_cgroup,
            "processes": lambda _groups, _address: list(self.pids),
            "kill": lambda _pids: self.pids.clear(),
            "mounts": lambda networks=None: list(self.points),
            "network_namespaces": lambda: [path for path in self.namespaces if os.path.exists(path)],
            "interfaces": lambda: list(self.links),
        }.items():
            monkeypatch.setattr(leftovers, name, value)
        monkeypatch.setattr(netfilter, "nft_tables", self._tables)
        monkeypatch.setattr(netfilter, "delete_nft_table", self._delete_table)
        monkeypatch.setattr(ip_sets, "names", lambda: list(self.sets))
        monkeypatch.setattr(ip_sets, "destroy", self._destroy_set)
        monkeypatch.setattr(traffic_filters, "found", lambda: list(self.filters))
        monkeypatch.setattr(traffic_filters, "remove", self._remove_filters)
        monkeypatch.setattr(kubeadm, "wait_for_running", lambda _timeout: False)
        monkeypatch.setattr(Runtime, "is_active", lambda _runtime, _socket: True)
        monkeypatch.setattr(kubeadm_reset.pwd, "getpwnam", self._account)
        monkeypatch.setattr(kubeadm_files, "RECORD", "/var/lib/slipway/given.json")
        monkeypatch.setattr(_records.KUBEADM, "path", f"{root}/var/lib/slipway/kubeadm.json")
        for name, text in {
            "etc/kubernetes/kubelet.conf": "",
            "etc/kubernetes/pki/ca.crt": CA,
            "etc/kubernetes/slipway/keys/encryption.yaml": "",
            "etc/kubernetes/manifests/etcd.yaml": "- --data-dir=/srv/etcd",
            "var/lib/kubelet/config.yaml": "",
            "srv/etcd/member/snap/db": "",
            "var/lib/slipway/archives/helm.json": "",
            "var/lib/slipway/run.json": "",
            "var/lib/slipway/etcd-backup/etcd-lab.tar.gz": "",
            "var/lib/slipway/upgrade.json": "",
            "var/lib/cni/networks/cbr0/10.244.1.2": "",
            "var/lib/cni/networks/podman/10.88.0.2": "",
            "run/flannel/subnet.env": "FLANNEL_NETWORK=10.244.0.0/16\n",
            "etc/cni/net.d/10-flannel.conflist": '{"name": "cbr0"}',
            "etc/cni/net.d/87-podman.conflist": "",
            "opt/cni/bin/flannel": "",
            "opt/cni/bin/bridge": "",
            "root/.kube/config": kubectl_config.admin(),
            "etc/keepalived/keepalived.conf": "# Ansible managed (slipway.kubernetes): x\n",
            "etc/keepalived/slipway.conf": "",
            "etc/haproxy/haproxy.cfg": "# Ansible managed\n",
            "etc/bash_completion.d/slipway-kubernetes": "",
        }.items():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_text(text)

    def _account(self, name: str) -> types.SimpleNamespace:
        if name != "root":
            raise KeyError(name)
        home = f"{self.root}/root"
        return types.SimpleNamespace(pw_name=name, pw_dir=home, pw_uid=os.getuid(), pw_gid=os.getgid())

    def _disable(self, _words: t.List[str]) -> str:
        self.kubelet = LOADED.format("inactive", "disabled")
        return ""

    def _delete_route(self, words: t.List[str]) -> str:
        assert words[3:] == ["10.244.1.0/24", "via", "192.0.2.12"]
        self.routes = ""
        return ""

    def _restore(self, _words: t.List[str]) -> str:
        self.rules = ""
        return ""

    def _remove_cgroup(self, path: str) -> None:
        if self.busy:
            raise OSError(16, "Device or resource busy")
        self.groups.remove(path)

    def _tables(self, shared: bool) -> t.List[t.Tuple[str, str]]:
        assert shared == os.path.exists(f"{self.root}/etc/cni/net.d/87-podman.conflist")
        return list(self.tables)

    def _delete_table(self, table: t.Tuple[str, str]) -> None:
        if self.busy:
            raise OSError(1, "Operation not permitted")
        self.tables.remove(table)

    def _destroy_set(self, name: str) -> None:
        if self.busy:
            raise OSError(16, "Device or resource busy")
        self.sets.remove(name)

    def _remove_filters(self, filters: t.Sequence[str]) -> None:
        # What they call is there as long as they are, or they drop all packets.
        assert not filters or (self.root / "run/flannel/subnet.env").exists()
        self.filters = [name for name in self.filters if name not in filters]

    def reset(self, check: bool = False, **options: t.Any) -> t.Dict[str, t.Any]:
        services = [
            {
                "name": "keepalived.service",
                "configuration": f"{self.root}/etc/keepalived/keepalived.conf",
                "files": [f"{self.root}/etc/keepalived/slipway.conf"],
            },
            {"name": "haproxy.service", "configuration": f"{self.root}/etc/haproxy/haproxy.cfg", "files": []},
        ]
        params = {
            "cri_socket": "unix:///run/containerd/containerd.sock",
            "users": ["root", "gone"],
            "services": services,
            "files": [f"{self.root}/etc/bash_completion.d/slipway-kubernetes"],
            "timeout": 5,
            **options,
            "leftovers": {**{kind: [] for kind in declared.KINDS}, **(options.get("leftovers") or {})},
        }
        with beside(declared.Declared(params["leftovers"])):
            return kubeadm_reset.KubeadmReset(params, self.runner, check, str(self.root)).run()

    def files(self) -> t.List[str]:
        return sorted(str(path.relative_to(self.root)) for path in self.root.rglob("*") if path.is_file())


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    return Machine(tmp_path, monkeypatch)


FOREIGN = [
    "etc/cni/net.d/87-podman.conflist",
    "etc/haproxy/haproxy.cfg",
    "opt/cni/bin/bridge",
    "var/lib/cni/networks/podman/10.88.0.2",
    "var/lib/slipway/archives/helm.json",
    "var/lib/slipway/etcd-backup/etcd-lab.tar.gz",
    "var/lib/slipway/run.json",
]


def test_everything_goes_and_the_rest_stays(machine: Machine) -> None:
    before = machine.files()
    predicted = machine.reset(check=True)
    assert machine.files() == before and machine.containers == ["a", "b"]
    assert not machine.runner.called("disable") and not machine.runner.called("reset")
    result = machine.reset()
    assert result == predicted
    assert result["changed"]
    assert sorted(result["removed"]) == [
        "cgroups",
        "containers",
        "files",
        "interfaces",
        "iptables",
        "mounts",
        "nftables",
        "processes",
        "routes",
        "services",
    ]
    assert result["removed"]["services"] == ["kubelet.service", "keepalived.service"]
    assert "iptables: iptables-nft nat KUBE-X" in result["msg"]
    assert machine.files() == FOREIGN
    assert (machine.root / "etc/kubernetes/manifests").is_dir() and not (machine.root / "etc/kubernetes/pki").exists()
    assert not (machine.root / "root/.kube").exists() and not (machine.root / "srv/etcd").exists()
    [reset] = machine.runner.called("reset")
    assert "--skip-phases=preflight,remove-etcd-member" in reset
    [disable] = machine.runner.called("disable")
    assert disable[-2:] == ["kubelet.service", "keepalived.service"]
    again = machine.reset()
    assert (again["changed"], again["msg"], again["removed"]) == (False, "nothing to remove", {})
    assert len(machine.runner.called("disable")) == 1


def test_programs_on_interfaces_go_before_files(machine: Machine) -> None:
    machine.filters = ["eth0 ingress net_in-eth0"]
    assert machine.reset(check=True)["removed"]["traffic filters"] == machine.filters != []
    assert machine.reset()["removed"]["traffic filters"] == ["eth0 ingress net_in-eth0"]
    assert machine.filters == [] and not machine.reset()["changed"]


def test_a_reset_that_was_killed_is_finished(machine: Machine) -> None:
    def die(*_arguments: t.Any) -> t.NoReturn:
        raise KeyboardInterrupt

    machine.runner.answers["kubeadm reset"] = die
    with pytest.raises(KeyboardInterrupt):
        machine.reset()
    record = json.loads((machine.root / "var/lib/slipway/kubeadm.json").read_text())
    assert record["operation"] == "reset" and record["etcd_data"].endswith("/srv/etcd")
    with pytest.raises(SlipwayError, match=r"An interrupted reset of 2.* Run the playbook that began it again"):
        kubeadm.unfinished("join")
    # What the record was read from has gone meanwhile.
    for name in ("etc/kubernetes/manifests/etcd.yaml", "etc/kubernetes/pki/ca.crt", "run/flannel/subnet.env"):
        (machine.root / name).unlink()
    machine.runner.answers["kubeadm reset"] = ""
    assert machine.reset()["changed"]
    assert machine.files() == FOREIGN
    assert machine.routes == ""


def test_an_etcd_of_somebody_else(machine: Machine) -> None:
    (machine.root / "etc/kubernetes/manifests/etcd.yaml").unlink()
    foreign = machine.root / "var/lib/etcd/default/member/snap/db"
    foreign.parent.mkdir(parents=True)
    foreign.touch()
    machine.reset()
    assert foreign.exists()


def test_only_the_record_is_left(machine: Machine) -> None:
    machine.reset()
    _records.KUBEADM.begin("reset")
    assert machine.reset(check=True)["changed"]
    assert machine.reset()["changed"]
    assert not machine.reset()["changed"]


def test_without_tools(machine: Machine) -> None:
    machine.runner.tools = {"systemctl", "umount", "iptables-save", "iptables-restore"}
    machine.links.clear()
    result = machine.reset()
    assert "containers" not in result["removed"] and "routes" not in result["removed"]
    assert not machine.runner.called("reset")
    assert result["removed"]["iptables"] == ["iptables nat KUBE-X"]


def test_rules_of_the_older_iptables(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    real = netfilter.read_text
    monkeypatch.setattr(netfilter, "read_text", lambda path: "nat\n" if path.endswith("_names") else real(path))
    machine.runner.tools = {*machine.runner.tools, "iptables-legacy-save", "ip6tables-legacy-save"}
    machine.reset()
    assert machine.runner.called("/usr/bin/iptables-legacy-save") and machine.runner.called(
        "/usr/bin/iptables-nft-save"
    )
    assert machine.runner.called("/usr/bin/ip6tables-legacy-save")


def test_what_kube_proxy_has_by_ipvs(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    services = [ipvs.Service("tcp", "10.96.0.1:443")]
    machine.runner.tools = {*machine.runner.tools, "ipvsadm"}
    machine.runner.answers.update({"ipvsadm": lambda _words: services.clear() or ""})
    monkeypatch.setattr(ipvs, "services", lambda _runner, _root: list(services))
    assert machine.reset()["removed"]["virtual services"] == ["tcp 10.96.0.1:443"]
    assert machine.runner.called("--delete-service", "--tcp-service", "10.96.0.1:443")
    assert not machine.reset()["changed"]


def test_what_cannot_be_removed_is_named(machine: Machine) -> None:
    machine.busy = True
    with pytest.raises(
        SlipwayError, match=r"The control group /sys/fs/cgroup/kubepods\.slice cannot be removed: .*busy"
    ):
        machine.reset()
    machine.groups.clear()
    with pytest.raises(SlipwayError, match=r"The table ip kube-proxy of nftables cannot be deleted: .*permitted"):
        machine.reset()
    machine.tables, machine.sets = [], ["cali40s"]
    with pytest.raises(SlipwayError, match=r"The set of addresses cali40s \(ipset\) cannot be removed: .*busy"):
        machine.reset()
    machine.busy, machine.links = False, ["veth1", "cni0"]
    machine.runner.answers["ip link delete"] = (2, "", "RTNETLINK answers: Operation not permitted")
    machine.runner.answers = {"ip link": machine.runner.answers["ip link delete"], **machine.runner.answers}
    with pytest.raises(
        SlipwayError, match="Something of the node is still there, or has come again: interfaces: veth1, cni0"
    ):
        machine.reset()


def test_network_namespaces(machine: Machine) -> None:
    path = machine.root / "run/netns/cni-1"
    path.parent.mkdir()
    path.touch()
    machine.namespaces = [str(path)]
    assert machine.reset()["removed"]["network namespaces"] == [str(path)]
    assert not path.exists()


def test_summary() -> None:
    assert kubeadm_reset.summary({"files": list("abcd"), "mounts": ["/a"]}) == "4 files; mounts: /a"


def test_main(run_module: ModuleRunner, monkeypatch: pytest.MonkeyPatch) -> None:
    class Fake:
        def __init__(self, params: t.Mapping[str, t.Any], *_more: t.Any) -> None:
            self.params = params

        def run(self) -> t.Dict[str, t.Any]:
            if self.params["timeout"] < 0:
                raise SlipwayError("no")
            return {"changed": False, "kept": self.params["files"], "services": self.params["services"]}

    monkeypatch.setattr(kubeadm_reset, "KubeadmReset", Fake)
    services = [{"name": "haproxy.service", "configuration": "/etc/haproxy/haproxy.cfg"}]
    assert run_module(kubeadm_reset.main, {"services": services})["services"][0]["files"] == []
    kept = "/etc/kubernetes/cloud.conf"
    assert kept in str(run_module(kubeadm_reset.main, {"files": [kept]})["warnings"])
    assert run_module(kubeadm_reset.main, {"timeout": -1})["failed"]


OTHERS = {
    "etc/kubernetes/cloud.conf": "secret",
    "etc/kubernetes/audit-webhook.conf": "apiVersion: v1",
    "etc/kubernetes/manifests/kube-vip.yaml": "kind: Pod",
    "etc/kubernetes/patches/etcd0.yaml": "{}",
    "etc/kubernetes/pki/users/ada.key": "a key",
    "etc/kubernetes/pki/sa.key": "the user's",
}


def test_what_others_have_put_beside_kubeadms_files_stays_and_is_named(
    machine: Machine,
) -> None:
    def empty(_argv: t.List[str]) -> str:
        for path in (machine.root / "etc/kubernetes/manifests").iterdir():
            path.unlink()
        (machine.root / "etc/kubernetes/kubelet.conf").unlink()
        return ""

    # A package's, by which the folder stays.
    (machine.root / "etc/kubernetes/manifests/.kubelet-keep").touch()

    for name, text in OTHERS.items():
        (machine.root / name).parent.mkdir(parents=True, exist_ok=True)
        (machine.root / name).write_text(text)
    ours = {
        "etc/kubernetes/pki/etcd/ca.key": "made before kubeadm init",
        "etc/kubernetes/audit/policy.yaml": "# Ansible managed (slipway.kubernetes)\n",
        "etc/kubernetes/slipway/patches/etcd0+merge.yaml": "from the inventory",
    }
    for name, text in ours.items():
        (machine.root / name).parent.mkdir(parents=True, exist_ok=True)
        (machine.root / name).write_text(text)
    key, authority = (str(machine.root / f"etc/kubernetes/pki/{name}") for name in ("sa.key", "etcd/ca.key"))
    record = {"given": {key: kubeadm_files.digest(key)}, "made": {authority: kubeadm_files.digest(authority)}}
    (machine.root / "var/lib/slipway/given.json").write_text(json.dumps(record))
    machine.runner.answers["kubeadm reset"] = empty
    expected = sorted(str(machine.root / name) for name in OTHERS)
    checked = machine.reset(check=True)
    done = machine.reset()
    assert done["kept"] == checked["kept"] == expected
    assert not set(expected) & set(done["removed"]["files"])
    assert not (machine.root / "etc/kubernetes/slipway").exists()
    assert machine.files() == sorted([*FOREIGN, *OTHERS, "var/lib/slipway/given.json"])
    assert (machine.root / "etc/kubernetes/manifests/kube-vip.yaml").read_text() == "kind: Pod"
    again = machine.reset()
    assert (again["changed"], again["removed"]) == (False, {})


def test_what_was_given_and_goes_leaves_no_record(machine: Machine) -> None:
    """Files of control planes are there before kubeadm, and so may be something in the kubelet's folder."""
    given = {}
    for name in ("etc/kubernetes/slipway/audit-policy.yaml", "var/lib/kubelet/cpu_manager_state"):
        path = machine.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("from the inventory")
        given[str(path)] = kubeadm_files.digest(str(path))
    record = machine.root / "var/lib/slipway/given.json"
    record.write_text(json.dumps({"given": given, "made": {}}))
    assert machine.reset()["kept"] == []
    assert machine.files() == FOREIGN
    assert not machine.reset()["changed"]


def test_what_a_killed_call_was_writing_is_nobody_elses(machine: Machine) -> None:
    for name in (".slipway-1a2b", "manifests/.slipway-3c4d/copy"):
        path = machine.root / "etc/kubernetes" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("half of admin.conf")
    assert machine.reset()["kept"] == []
    assert machine.files() == FOREIGN


def test_logins_of_registries_stay_and_are_named(machine: Machine) -> None:
    """kubeadm reset empties the folder: they are not there when it runs, and there afterwards."""
    path = machine.root / "var/lib/kubelet/config.json"
    path.write_text("logins")

    def empty(_argv: t.List[str]) -> str:
        for name in path.parent.iterdir():
            name.unlink()
        return ""

    machine.runner.answers["kubeadm reset"] = empty
    checked = machine.reset(check=True)
    done = machine.reset()
    assert done["kept"] == checked["kept"] == [str(path)]
    assert str(path) not in done["removed"]["files"] and path.read_text() == "logins"
    assert machine.files() == sorted([*FOREIGN, "var/lib/kubelet/config.json"])
    again = machine.reset()
    assert (again["changed"], again["kept"]) == (False, [str(path)])


def test_a_name_drawn_by_chance_is_no_program(machine: Machine) -> None:
    path = machine.root / "root/.kube/config"
    for prefix in (f"{tempfile.gettempdir()}/.slipway-", f"{tempfile.gettempdir()}/slipway-addons-"):
        drawn = f"{prefix}9ctr_ip0"
        line = ["kubectl", "config", "view", "--raw", "--output=json", f"--kubeconfig={path}", f"--cache-dir={drawn}"]
        assert json.loads(machine.runner.run(line).stdout)["current-context"] == "kubernetes-admin@lab"


def test_other_clusters_in_a_users_kubeconfig_stay(machine: Machine) -> None:
    ours, theirs = kubectl_config.admin(), kubectl_config.OTHERS
    path = machine.root / "root/.kube/config"
    path.write_text(theirs)
    kubeconfigs = kubeconfig.Kubeconfigs(machine.runner)
    before = kubeconfigs.read(theirs, "theirs")
    merged = kubeconfig.merged(before, kubeconfigs.read(ours, "ours"))
    path.write_text(kubeconfigs.text(merged, "merged"))
    checked = machine.reset(check=True)
    assert kubeconfigs.read(path.read_text(), "merged") == merged
    done = machine.reset()
    assert done["removed"]["kubeconfigs"] == checked["removed"]["kubeconfigs"] == [str(path)]
    assert kubeconfigs.read(path.read_text(), "left") == before
    assert not machine.reset()["changed"]


@pytest.mark.parametrize("link", [".kube", ".kube/config"])
def test_a_link_to_what_is_not_the_users_is_left_alone(
    machine: Machine, monkeypatch: pytest.MonkeyPatch, link: str
) -> None:
    place, victim = machine.root / "root" / link, machine.root / "victim"
    place.rename(victim)
    place.symlink_to(victim)
    monkeypatch.setattr(
        kubeadm_reset.pwd,
        "getpwnam",
        lambda name: types.SimpleNamespace(pw_name=name, pw_dir=f"{machine.root}/root", pw_uid=4321, pw_gid=4321),
    )
    result = machine.reset()
    assert not {"kubeconfigs"} & set(result["removed"]) and place.is_symlink()
    assert (machine.root / "root/.kube/config").read_text() == kubectl_config.admin()


def test_of_a_link_to_the_users_own_file_the_credentials_go(machine: Machine) -> None:
    place, own = machine.root / "root/.kube/config", machine.root / "root/own"
    place.rename(own)
    place.symlink_to(own)
    assert str(place) in machine.reset()["removed"]["files"]
    assert not own.exists()


def test_what_a_user_added_to_our_copy_goes_only_with_nothing_else_in_it(machine: Machine) -> None:
    path = machine.root / "root/.kube/config"
    path.write_text(kubectl_config.admin().replace("    cluster: lab\n", "    cluster: lab\n    namespace: shop\n"))
    machine.reset()
    assert not path.exists()


@pytest.mark.parametrize("text", ["not: [yaml", "", kubectl_config.admin("another")])
def test_a_kubeconfig_without_the_cluster_stays(machine: Machine, text: str) -> None:
    path = machine.root / "root/.kube/config"
    path.write_text(text)
    machine.reset()
    assert path.read_text() == text


def test_a_file_that_others_write_too_is_removed_only_when_it_is_ours(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = machine.root / "_kubectl"
    monkeypatch.setattr(_marks, "WRITTEN", (str(path),))
    path.write_text("#compdef kubectl\nof the package\n")
    assert str(path) not in machine.reset(files=[str(path)])["removed"]["files"]
    path.write_text("#compdef kubectl\n# Ansible managed (slipway.kubernetes)\n")
    assert machine.reset(files=[str(path)])["removed"]["files"] == [str(path)]


@pytest.mark.parametrize("check", [True, False])
def test_a_node_of_another_installer_is_left_alone(
    machine: Machine, monkeypatch: pytest.MonkeyPatch, check: bool
) -> None:
    monkeypatch.setattr(kubeadm_reset, "of_this_machine", lambda: RKE2)
    before = machine.files()
    with pytest.raises(SlipwayError, match=r"is a node of a cluster of RKE2 .*Nothing was changed"):
        machine.reset(check=check)
    assert machine.files() == before and machine.pids and not machine.runner.calls


def test_routes_of_two_families_go(machine: Machine) -> None:
    """`ip` shows no route of IPv6 unless it is told to."""
    lines = {"-6": "fd00:1:0:2::/64 via 2001:db8::12 dev eth0 metric 1024\nfd00:1:0:1::/64 dev cni0 proto kernel\n"}
    machine.routes = ""
    networks = "FLANNEL_NETWORK=10.244.0.0/16\nFLANNEL_IPV6_NETWORK=fd00:1::/56\n"
    (machine.root / "run/flannel/subnet.env").write_text(networks, encoding="utf-8")
    deleted: t.List[str] = []

    def delete(words: t.List[str]) -> str:
        deleted.append(" ".join(words[3:]))
        lines.clear()
        return ""

    machine.runner.answers["ip -6 route show root fd00:1::/56"] = lambda _words: lines.get("-6", "")
    machine.runner.answers["ip route delete"] = delete
    removed = machine.reset()["removed"]
    assert removed["routes"] == ["fd00:1:0:2::/64 via 2001:db8::12 dev eth0 metric 1024"]
    assert deleted == ["fd00:1:0:2::/64 via 2001:db8::12"]


def test_routes_and_sets_of_a_pod_network_go(machine: Machine) -> None:
    """Those that have no interface, with which they would go."""
    machine.routes, machine.sets = "blackhole 10.244.2.0/26 proto 80 \nblackhole 192.0.2.0/24\n", ["cali40s"]
    # As on a node with Calico, whose network is not known.
    (machine.root / "run/flannel/subnet.env").unlink()
    deleted: t.List[str] = []

    def delete(words: t.List[str]) -> str:
        deleted.append(" ".join(words[3:]))
        machine.routes = "blackhole 192.0.2.0/24\n"
        return ""

    machine.runner.answers["ip route delete"] = delete
    removed = machine.reset()["removed"]
    assert removed["routes"] == ["blackhole 10.244.2.0/26 proto 80"] and removed["ipsets"] == ["cali40s"]
    assert deleted == ["blackhole 10.244.2.0/26"] and machine.sets == []


def test_what_a_pod_network_of_others_has_left(machine: Machine) -> None:
    left = {
        "cni_files": ["10-weave.conflist"],
        "folders": ["/var/lib/weave"],
        "networks": ["10.32.0.0/12"],
        "programs": ["/opt/cni/bin/weave-net"],
    }
    for path in ("etc/cni/net.d/10-weave.conflist", "var/lib/weave/db/x", "opt/cni/bin/weave-net"):
        (machine.root / path).parent.mkdir(parents=True, exist_ok=True)
        (machine.root / path).write_text("{}")
    rules = ["32765: from 10.32.1.0/24 lookup 77\n"]
    machine.runner.answers = {
        "ip rule show": lambda _words: "".join(rules),
        "ip rule delete": lambda _words: rules.clear() or "",
        **machine.runner.answers,
    }
    # Where a pod had something mounted, an empty folder stays.
    (machine.root / "var/lib/weave/mounted").mkdir()
    result = machine.reset(leftovers=left)
    assert result["removed"]["routing rules"] == ["from 10.32.1.0/24 lookup 77"] and not rules
    assert machine.files() == FOREIGN and not (machine.root / "var/lib/weave").exists()
    assert "10.32.0.0/12" in [call[-1] for call in machine.runner.called("show") if "route" in call]
    removed = [path.replace(str(machine.root), "") for path in result["removed"]["files"]]
    assert {"/etc/cni/net.d/10-weave.conflist", "/opt/cni/bin/weave-net"} <= set(removed)


@pytest.mark.parametrize(
    ("left", "expected"),
    [
        ({"interfaces": ["eth0"]}, "interfaces: eth0 is how interfaces of machines"),
        ({"folders": ["/etc/kubernetes"]}, "folders: /etc/kubernetes is no folder in"),
        ({"folders": ["/var/lib/containerd"]}, "folders: /var/lib/containerd is a container runtime's"),
        ({"folders": ["/var/lib/linked"]}, "folders: /var/lib/linked is a link"),
        ({"folders": ["/var/lib/packaged"]}, "folders: /var/lib/packaged is of the package mesh"),
        ({"interfaces": ["veth1x", "mesh0"]}, "interfaces: mesh0 has the default route of this machine"),
    ],
)
@pytest.mark.parametrize("check", [True, False])
def test_what_is_not_a_pod_networks_is_refused_before_anything_is_changed(
    machine: Machine, monkeypatch: pytest.MonkeyPatch, left: t.Dict[str, t.List[str]], expected: str, check: bool
) -> None:
    machine.links.append("mesh0")
    monkeypatch.setattr(PackageManager, "owner", lambda _manager, path: "mesh" * path.endswith("packaged"))
    monkeypatch.setattr(own_interfaces, "with_default_route", lambda _root: {"mesh0"})
    (machine.root / "var/lib/linked").symlink_to("/")
    before = machine.files()
    with pytest.raises(SlipwayError, match=r"Nothing was changed: .* " + expected):
        machine.reset(leftovers=left, check=check)
    assert machine.files() == before and machine.pids and machine.links
