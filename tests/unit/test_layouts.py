# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which installer has made a node of a machine, and what its files say: kubeadm, RKE2, and one that does not exist.

Files of RKE2 are written as its sources and its documentation say; nothing of it was recorded from the real program.
"""

from __future__ import annotations

import dataclasses
import functools
import http.server
import os
import shutil
import typing as t
from pathlib import Path

import pytest
from ansible_collections.slipway.kubernetes.plugins.module_utils import _layout
from ansible_collections.slipway.kubernetes.plugins.module_utils._kube import api_server, run_lease
from ansible_collections.slipway.kubernetes.plugins.module_utils._kubelet import kubelet
from ansible_collections.slipway.kubernetes.plugins.module_utils._layout import KUBEADM, LAYOUTS, RKE2, Layout
from ansible_collections.slipway.kubernetes.plugins.module_utils._machine import mounts, surroundings
from ansible_collections.slipway.kubernetes.plugins.module_utils._network import firewalls
from ansible_collections.slipway.kubernetes.plugins.module_utils._node import installers, node_facts
from ansible_collections.slipway.kubernetes.plugins.modules import node_facts as module
from ansible_collections.slipway.kubernetes.tests.unit.plugins.tls_fakes import certificate, serving
from ansible_collections.slipway.kubernetes.tests.unit.plugins.utils import ModuleRunner

#: A kubelet's client certificate.
KUBELET = Path(__file__).parent / "plugins/fixtures/kubeadm/control-plane/kubelet/kubelet-client-current.pem"
KUBECONFIG = """\
apiVersion: v1
clusters:
- cluster:
    server: https://127.0.0.1:{}
    certificate-authority: {}
  name: default
"""
IMAGE = "spec:\n  containers:\n  - image: index.docker.io/rancher/hardened-{}\n"
#: Of a machine that is no node.
BARE = {"installer": "", "joined": False, "control_plane": False, "completed": False, "api_ready": False}


def below(layout: Layout, root: Path) -> Layout:
    """A row with all its paths in another folder."""
    moved: t.Dict[str, t.Any] = {}
    for name, value in dataclasses.asdict(layout).items():
        paths = value if isinstance(value, tuple) else (value,)
        if any(str(path).startswith("/") for path in paths):
            moved[name] = tuple(f"{root}{path}" for path in paths) if paths is value else f"{root}{value}"
    return dataclasses.replace(layout, **moved)


def write(files: t.Mapping[str, str]) -> None:
    for path, text in files.items():
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        Path(path).write_text(text, encoding="utf-8")


class Machine:
    """A machine whose files lie in a folder, and an API server that wants a certificate of its clients."""

    def __init__(self, root: Path, crt: Path, key: Path, port: int) -> None:
        self.root, self.port = root, port
        self.layouts = tuple(below(layout, root) for layout in LAYOUTS)
        self.kubeadm, self.rke2 = self.layouts
        self._crt, self._key = crt, key

    def agent(self) -> None:
        """What an RKE2 agent has when it has joined, and a server, too."""
        rke2 = self.rke2
        write(
            {
                rke2.kubelet: KUBECONFIG.format(6443, rke2.authority),
                rke2.settings: "token: x\nnode-name: Old\n# node-name: no\n",
                f"{rke2.settings}.d/50-name.yaml": 'node-name: "certs-cp1"\nnode-name-suffix: no\n',
                rke2.manifest("kube-proxy"): IMAGE.format("kubernetes:v1.36.3-rke2r1-build20261014"),
                f"{rke2.data}/bin/kubectl": "#!/bin/sh\n",
                f"{rke2.data}/bin/containerd": "#!/bin/sh\n",
            }
        )
        shutil.copy(KUBELET, rke2.kubelet_certificate)
        shutil.copy(self._crt, rke2.authority)

    def server(self) -> None:
        """What an RKE2 server has when it is ready, with a static pod of somebody else."""
        self.agent()
        rke2 = self.rke2
        kubernetes = IMAGE.format("kubernetes:v1.36.3-rke2r1-build20261014")
        write(
            {
                rke2.admin: KUBECONFIG.format(self.port, "no file"),
                **{rke2.manifest(name): kubernetes for name in rke2.pods},
                rke2.manifest("etcd"): IMAGE.format("etcd:v3.6.7-k3s1-build20261014"),
                rke2.manifest("kube-vip"): "",
                f"{rke2.etcd_data}/member/snap/db": "",
                rke2.api_certificate: self._crt.read_text(),
            }
        )
        for path, made in zip(rke2.api_client, (self._crt, self._key)):
            shutil.copy(made, path)

    def state(self) -> t.Dict[str, t.Any]:
        """The facts about Kubernetes, as ``node_facts`` finds them."""
        return node_facts.kubernetes_state(_layout.of_this_machine(self.layouts))


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> t.Tuple[Path, Path]:
    return certificate(tmp_path_factory.mktemp("pki"))


@pytest.fixture(scope="module")
def port(pair: t.Tuple[Path, Path]) -> t.Iterator[int]:
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200 if self.path == "/readyz" else 404)
            self.end_headers()

        def log_message(self, *_args: t.Any) -> None:
            """Say nothing."""

    with serving(Handler, *pair, asks_clients=True) as number:
        yield number


@pytest.fixture
def machine(tmp_path: Path, pair: t.Tuple[Path, Path], port: int) -> Machine:
    return Machine(tmp_path, *pair, port)


def test_rows_have_places_of_their_own() -> None:
    """No file and no name stands for two installers, so a row is known by any of its paths."""
    assert len({layout.name for layout in LAYOUTS}) == len(LAYOUTS)
    shared = {"kubelet_folder", "api_port", "api_client", "settings", "backups", "local", "super_admin", "bootstrap"}
    for field in dataclasses.fields(Layout):
        values = [getattr(layout, field.name) for layout in LAYOUTS]
        assert field.name in shared or len(set(values)) == len(values), field.name
    for layout in LAYOUTS:
        paths = [value for value in dataclasses.asdict(layout).values() if isinstance(value, str) and "/" in value]
        assert all(path == os.path.normpath(path) and path.startswith("/") for path in paths)


def test_a_bare_machine(machine: Machine) -> None:
    state = machine.state()
    assert {name: state[name] for name in BARE} == BARE
    assert (state["endpoint"], state["static_pods"], state["ca_cert_hashes"]) == ("", {}, [])


def test_an_agent(machine: Machine) -> None:
    machine.agent()
    state = machine.state()
    assert (state["installer"], state["joined"], state["completed"]) == ("RKE2", True, True)
    assert (state["control_plane"], state["admin_kubeconfig"], state["api_ready"]) == (False, False, False)
    assert (state["node_name"], state["told_name"]) == ("certs-cp1", "certs-cp1")
    assert (state["endpoint"], state["endpoint_ready"]) == ("127.0.0.1:6443", False)
    assert len(state["ca_cert_hashes"]) == 1
    assert state["apiserver_names"] == []


def test_a_server(machine: Machine) -> None:
    machine.server()
    state = machine.state()
    assert (state["installer"], state["joined"], state["completed"]) == ("RKE2", True, True)
    assert (state["control_plane"], state["admin_kubeconfig"], state["api_ready"]) == (True, True, True)
    assert (state["endpoint"], state["endpoint_ready"]) == (f"127.0.0.1:{machine.port}", True)
    assert state["apiserver_names"] == ["127.0.0.1"]
    version = "1.36.3-rke2r1-build20261014"
    assert state["static_pods"] == {
        **dict.fromkeys(("kube-apiserver", "kube-controller-manager", "kube-scheduler"), version),
        "etcd": "3.6.7-k3s1-build20261014",
    }
    assert run_lease.own_server(machine.rke2) == [f"--server=https://127.0.0.1:{machine.port}"]


@pytest.mark.parametrize("lacking", ["manifest", "authority", "admin", "client"])
def test_a_server_that_is_not_ready(machine: Machine, lacking: str) -> None:
    machine.server()
    paths = {
        "manifest": machine.rke2.manifest("kube-apiserver"),
        "authority": machine.rke2.authority,
        "admin": machine.rke2.admin,
        "client": machine.rke2.api_client[1],
    }
    os.unlink(paths[lacking])
    state = machine.state()
    assert (state["installer"], state["joined"], state["api_ready"]) == ("RKE2", True, False)
    assert state["control_plane"] is (lacking != "manifest")
    assert run_lease.own_server(machine.rke2) == []


def test_an_api_server_that_answers_nobody_without_a_certificate(machine: Machine) -> None:
    machine.server()
    assert api_server.is_ready(machine.rke2)
    assert not api_server.is_ready(dataclasses.replace(machine.rke2, api_client=()))


@pytest.mark.parametrize("path", [KUBEADM.kubelet, KUBEADM.manifest("kube-apiserver")])
def test_a_machine_of_kubeadm_with_something_left_is_one_of_kubeadm(machine: Machine, path: str) -> None:
    machine.server()
    write({f"{machine.root}{path}": ""})
    state = machine.state()
    assert (state["installer"], state["api_ready"], state["node_name"]) == ("kubeadm", False, "")
    assert state["joined"] is (path == KUBEADM.kubelet)
    assert installers.found(str(machine.root))["name"] == "RKE2"


def test_an_installer_that_does_not_exist(machine: Machine) -> None:
    other = below(dataclasses.replace(RKE2, name="Other", kubelet="/etc/other/kubelet"), machine.root)
    assert _layout.of_this_machine((*machine.layouts, other)).name == "kubeadm"
    write({other.kubelet: KUBECONFIG.format(6443, "")})
    assert _layout.of_this_machine((*machine.layouts, other)) == other
    assert node_facts.kubernetes_state(other)["installer"] == "Other"


def test_all_facts_of_a_server(machine: Machine, run_module: ModuleRunner, monkeypatch: pytest.MonkeyPatch) -> None:
    machine.server()
    monkeypatch.setattr(node_facts, "of_this_machine", lambda: machine.rke2)
    monkeypatch.setattr(installers, "found", functools.partial(installers.found, str(machine.root)))
    facts = run_module(module.main, {}, check=True)["ansible_facts"]["slipway_node"]
    assert facts["installer"] == {"name": "RKE2", "trace": os.path.dirname(RKE2.pki)}
    assert (facts["kubernetes"]["installer"], facts["kubernetes"]["api_ready"]) == ("RKE2", True)
    around = facts["surroundings"]
    assert (around["static_pods"], around["etcd_data"], around["authority"]) == (["kube-vip.yaml"], True, True)
    # What kubeadm has configured.
    assert facts["configuration"] == {}


def test_static_pods_that_are_not_the_installers(machine: Machine) -> None:
    machine.server()
    root = str(machine.root)
    assert surroundings.static_pods(root) == []
    assert surroundings.static_pods(root, RKE2) == ["kube-vip.yaml"]


def test_the_name_that_rke2_is_told(machine: Machine) -> None:
    rke2 = machine.rke2
    assert kubelet.told_name(rke2) == ""
    write({rke2.settings: "node-name: 'Worker1'\nnode-label: [a=b]\n"})
    assert kubelet.told_name(rke2) == "worker1"
    write({rke2.settings: "# node-name: worker1\nx-node-name: worker1\n"})
    assert kubelet.told_name(rke2) == ""


def test_programs_that_only_the_installer_finds(machine: Machine) -> None:
    assert _layout.program("kubectl", machine.layouts) == ""
    machine.agent()
    assert _layout.program("kubectl", machine.layouts) == f"{machine.root}{RKE2.data}/bin/kubectl"
    # Its container runtime is none that we know the packages and the socket of.
    assert _layout.program("containerd", machine.layouts) == ""


def test_a_node_of_any_installer_works_as_it_is(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    """The kernel is not asked for its rules there."""
    monkeypatch.setattr(firewalls, "LAYOUTS", machine.layouts)
    monkeypatch.setattr(firewalls, "ufw", lambda _root: None)
    monkeypatch.setattr(firewalls, "firewalld", lambda _root: None)
    monkeypatch.setattr(firewalls, "nftables", lambda: [("ip filter INPUT", [])])
    assert firewalls.look() == [{"by": "nftables (ip filter INPUT)", "admits": []}]
    machine.agent()
    assert firewalls.look() == []


def test_file_systems_of_all_installers_are_looked_at() -> None:
    assert {folder for layout in LAYOUTS for folder in layout.folders} <= set(mounts.FOLDERS)
    assert len(set(mounts.FOLDERS)) == len(mounts.FOLDERS)
