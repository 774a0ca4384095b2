# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a node tells about its configuration, and what it keeps to itself."""

from __future__ import annotations

import base64
import http.server
import json
import typing as t
from pathlib import Path

import pytest
from ansible_collections.slipway.kubernetes.plugins.module_utils._kube import api_server
from ansible_collections.slipway.kubernetes.plugins.module_utils._kubeadm import cluster_state
from ansible_collections.slipway.kubernetes.plugins.module_utils._pod_networks.flannel import Flannel
from ansible_collections.slipway.kubernetes.tests.unit.plugins.tls_fakes import certificate, serving

FLAGS = 'KUBELET_KUBEADM_ARGS="--container-runtime-endpoint=unix:///run/x.sock --node-ip=192.0.2.1 --v=2"\n'
MANIFEST = """\
metadata:
  annotations:
    kubeadm.kubernetes.io/kube-apiserver.advertise-address.endpoint: 192.0.2.1:6443
spec:
  containers:
  - command:
    - kube-apiserver
    - --advertise-address=192.0.2.1
    - --oidc-client-secret=s3cret
    - --service-cluster-ip-range=10.96.0.0/12
"""


def test_arguments_of_static_pods_that_are_asked_for() -> None:
    names = ("advertise-address", "service-cluster-ip-range", "cluster-cidr")
    found = cluster_state.static_pod_arguments(MANIFEST, names)
    assert found == {"advertise-address": "192.0.2.1", "service-cluster-ip-range": "10.96.0.0/12"}


def test_arguments_of_the_kubelet() -> None:
    found = cluster_state.kubelet_arguments(FLAGS)
    assert found == {"container-runtime-endpoint": "unix:///run/x.sock", "node-ip": "192.0.2.1", "v": "2"}
    assert cluster_state.kubelet_arguments('KUBELET_KUBEADM_ARGS="--a --b="') == {"a": "true", "b": ""}
    assert cluster_state.kubelet_arguments("") == {}
    assert cluster_state.kubelet_arguments("KUBELET_KUBEADM_ARGS=\"--a='b\n") == {}


@pytest.mark.parametrize(
    ("instance", "arguments", "kubelet", "expected"),
    [
        ("containerRuntimeEndpoint: unix:///run/a.sock\n", {}, 'containerRuntimeEndpoint: ""\n', "unix:///run/a.sock"),
        ("", {"container-runtime-endpoint": "unix:///run/b.sock"}, "a: b\n", "unix:///run/b.sock"),
        ("", {}, "kind: X\ncontainerRuntimeEndpoint: unix:///run/c.sock\n", "unix:///run/c.sock"),
        ("", {}, 'containerRuntimeEndpoint: ""\n', ""),
    ],
)
def test_the_socket_of_the_runtime(instance: str, arguments: t.Dict[str, str], kubelet: str, expected: str) -> None:
    assert cluster_state.cri_socket(instance, arguments, kubelet) == expected


def test_headers_with_credentials_stay_on_the_node() -> None:
    text = "port: 1\nstaticPodURLHeader:\n  Authorization:\n  - Bearer s3cret\nsyncFrequency: 0s\n"
    assert cluster_state.without_headers(text) == "port: 1\nsyncFrequency: 0s\n"


def test_flannels_key_stays_on_the_node() -> None:
    text = json.dumps({"Network": "10.244.0.0/16", "Backend": {"Type": "wireguard", "PSK": "s3cret"}})
    about = {"annotations": {"meta.helm.sh/release-name": "flannel"}}
    found = Flannel().state({"metadata": about, "data": {"net-conf.json": text}})
    expected = {"network": "10.244.0.0/16", "ipv6_network": "", "backend": "wireguard", "release": "flannel"}
    assert found == expected
    for text in ("no json", "[1]"):
        assert Flannel().state({"metadata": {}, "data": {"net-conf.json": text}}) == {}
    assert Flannel().state({"data": {"net-conf.json": "{}"}}) == {}


def test_a_machine_that_is_no_node_tells_nothing() -> None:
    assert cluster_state.look(joined=False, api_ready=False) == {}


class ApiServer(http.server.BaseHTTPRequestHandler):
    """Answers with ConfigMaps, by their paths."""

    protocol_version = "HTTP/1.1"
    maps: t.ClassVar[t.Dict[str, t.Dict[str, str]]] = {}
    status: t.ClassVar[int] = 200
    connections: t.ClassVar[t.Set[t.Any]] = set()

    def do_GET(self) -> None:
        self.connections.add(self.client_address)
        data = self.maps.get(self.path)
        found = {"kind": "ConfigMap", "metadata": {}, "data": data}
        if "/nodes/" in self.path:
            spec = {"taints": [{"key": "a/b", "effect": "NoSchedule"}]}
            found = {"kind": "Node", "metadata": {"labels": data or {cluster_state.CONTROL_PLANE: ""}}, "spec": spec}
        if self.path == cluster_state.NODES and self.headers["Accept"] == cluster_state.AS_TABLE:
            found = {"kind": "Table", "rows": [{"cells": ["cp1", "Ready"]}, {"cells": ["worker1", "NotReady"]}]}
        body = json.dumps(found if data is not None else {"kind": "Status"}).encode()
        self.send_response(self.status if data is not None or self.status != 200 else 404)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_arguments: t.Any) -> None:
        """Say nothing."""


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> t.Iterator[t.Type[ApiServer]]:
    """An API server on this machine, with a certificate that is its own CA and the client's, too."""
    crt, key = certificate(tmp_path)
    manifest = tmp_path / "kube-apiserver.yaml"
    monkeypatch.setattr(api_server, "MANIFEST", str(manifest))
    monkeypatch.setattr(api_server, "AUTHORITY", str(crt))
    words = {name: base64.b64encode(path.read_bytes()).decode() for name, path in (("certificate", crt), ("key", key))}
    admin = tmp_path / "admin.conf"
    admin.write_text("users:\n- user:\n" + "".join(f"    client-{name}-data: {text}\n" for name, text in words.items()))
    monkeypatch.setattr(cluster_state, "ADMIN", str(admin))
    handler = type("Handler", (ApiServer,), {"maps": {}, "connections": set()})
    with serving(handler, crt, key, asks_clients=True) as port:
        manifest.write_text(MANIFEST.replace("192.0.2.1:6443", f"127.0.0.1:{port}"))
        yield handler


PLACE = "/api/v1/namespaces/{}/configmaps/{}"


def test_the_cluster_is_asked_by_one_connection(server: t.Type[ApiServer]) -> None:
    server.maps.update(
        {
            PLACE.format("kube-system", "kubeadm-config"): {"ClusterConfiguration": "clusterName: a\n"},
            PLACE.format("kube-system", "kubelet-config"): {"kubelet": "staticPodURLHeader:\n  X: [s3cret]\nport: 1\n"},
            PLACE.format("kube-flannel", "kube-flannel-cfg"): {"net-conf.json": '{"Network": "10.244.0.0/16"}'},
        }
    )
    server.maps["/api/v1/nodes/cp1"] = server.maps[cluster_state.NODES] = {}
    expected = {
        "config_maps": {"kubeadm-config": "clusterName: a\n", "kubelet-config": "port: 1\n"},
        "pod_networks": {
            "flannel": {"network": "10.244.0.0/16", "ipv6_network": "", "backend": "", "release": ""},
        },
        "addons": False,
        "coredns": False,
        "nodes": ["cp1", "worker1"],
        "taints": ["a/b:NoSchedule"],
    }
    assert cluster_state.cluster("cp1") == expected
    assert len(server.connections) == 1
    del expected["taints"]
    # A Node that has come back without its marks; one that was deleted, or whose name is not known.
    server.maps["/api/v1/nodes/cp1"] = {"some": "label"}
    assert cluster_state.cluster("cp1") == expected
    assert cluster_state.cluster("cp2") == cluster_state.cluster() == expected


def test_calicos_pool_of_ipv6_alone_is_seen(server: t.Type[ApiServer]) -> None:
    server.maps["/apis/crd.projectcalico.org/v1/ippools/default-ipv6-ippool"] = {}
    assert cluster_state.cluster()["pod_networks"]["calico"]["encapsulation"] == "none"


@pytest.mark.parametrize(("entries", "found"), [('{"name": "a"}\n', True), ("", False)])
def test_addons_that_were_made_are_seen(server: t.Type[ApiServer], entries: str, found: bool) -> None:
    """A list that has become empty removes them, and one that was never there asks for nothing."""
    server.maps[PLACE.format("kube-system", "slipway-addons")] = {"entries": entries}
    assert cluster_state.cluster()["addons"] is found


def test_what_was_given_to_coredns_is_seen(server: t.Type[ApiServer]) -> None:
    server.maps[PLACE.format("kube-system", "slipway-coredns")] = {"replicas": "3"}
    assert cluster_state.cluster()["coredns"] is True


def test_an_api_server_that_refuses_is_told(server: t.Type[ApiServer]) -> None:
    server.status = 403
    said = "OSError: the API server answers 403 when it is asked for " + PLACE.format("kube-system", "kubeadm-config")
    assert cluster_state.cluster() == {"problem": said}


def test_no_certificate_to_ask_with(server: t.Type[ApiServer], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster_state, "ADMIN", "/nowhere.conf")
    assert cluster_state.cluster()["problem"] == "ValueError: there is no client certificate in /nowhere.conf"


def test_a_manifest_of_somebody_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api_server, "MANIFEST", str(tmp_path / "none"))
    assert "does not say where" in cluster_state.cluster()["problem"]


def test_a_control_plane(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "config.yaml").write_text("maxPods: 50\n")
    (tmp_path / "kubeadm-flags.env").write_text(FLAGS)
    (tmp_path / "kube-apiserver.yaml").write_text(MANIFEST)
    monkeypatch.setattr(cluster_state, "KUBELET_FOLDER", str(tmp_path))
    monkeypatch.setattr(cluster_state, "MANIFESTS", str(tmp_path))
    found = cluster_state.look(joined=True, api_ready=False)
    assert found["kubelet"] == "maxPods: 50\n"
    assert found["cri_socket"] == "unix:///run/x.sock"
    assert found["static_pods"]["kube-apiserver"]["advertise-address"] == "192.0.2.1"
    assert "s3cret" not in json.dumps(found)
    assert "config_maps" not in found
