# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Machines with two networks: everything of the cluster is on the second, and the traffic of pods goes there."""

from __future__ import annotations

import json
import os
import re
import typing as t
from pathlib import Path

import pytest
import yaml
from conftest import connect, names
from testinfra.host import Host

ADMIN = "kubectl --kubeconfig=/etc/kubernetes/admin.conf"
CONTROL_PLANE = connect(names("kube_control_plane")[0])
WORKER = connect(names("kube_node")[0])
ARTIFACTS = Path(os.environ["MOLECULE_EPHEMERAL_DIRECTORY"]) / "artifacts" / "two-nics"
PODS = Path(os.environ["MOLECULE_SCENARIO_DIRECTORY"]) / "files" / "pods.yml"
# The lab's networks.
FIRST, SECOND = "172.30.0.", "172.31.0."
# What is sent from a pod to another: a request of this many bytes, so many times.
SIZE, TIMES = 500_000, 40


def get(what: str) -> t.Any:
    """Objects of the API."""
    return json.loads(CONTROL_PLANE.check_output(f"{ADMIN} get {what} --output=json"))


def interface(host: Host, network: str) -> t.Tuple[str, str]:
    """The interface in a network, and its address."""
    for item in json.loads(host.check_output("ip -json -4 address")):
        for address in item["addr_info"]:
            if address["local"].startswith(network):
                return item["ifname"], address["local"]
    raise AssertionError(f"no address in {network}0/24")


def sent_and_received(host: Host) -> t.List[int]:
    """Bytes that have gone through the interfaces of the first and of the second network."""
    folders = [f"/sys/class/net/{interface(host, network)[0]}/statistics" for network in (FIRST, SECOND)]
    return [
        sum(int(host.check_output(f"cat {folder}/{name}")) for name in ("tx_bytes", "rx_bytes")) for folder in folders
    ]


def test_the_default_route_is_on_the_first_network(node: Host) -> None:
    assert f"default via {FIRST}1 " in node.check_output("ip -4 route")


def test_kubelets_announce_the_second_network(machines: t.Set[str]) -> None:
    nodes = {item["metadata"]["name"]: item for item in get("nodes")["items"]}
    assert set(nodes) == machines
    for name, item in nodes.items():
        _interface, address = interface(connect(name), SECOND)
        internal = [entry["address"] for entry in item["status"]["addresses"] if entry["type"] == "InternalIP"]
        assert internal == [address]
        assert item["metadata"]["annotations"]["flannel.alpha.coreos.com/public-ip"] == address


def test_kubelets_sign_themselves(node: Host) -> None:
    assert node.file("/var/lib/kubelet/pki/kubelet.crt").exists
    assert not node.file("/var/lib/kubelet/pki/kubelet-server-current.pem").exists
    requests = get("certificatesigningrequests")["items"]
    assert "kubernetes.io/kubelet-serving" not in {item["spec"]["signerName"] for item in requests}


@pytest.mark.parametrize(
    ("component", "arguments"),
    [
        ("kube-apiserver", ["advertise-address"]),
        ("etcd", ["advertise-client-urls", "initial-advertise-peer-urls", "listen-peer-urls"]),
    ],
)
def test_the_control_plane_is_on_the_second_network(component: str, arguments: t.List[str]) -> None:
    _interface, address = interface(CONTROL_PLANE, SECOND)
    manifest = CONTROL_PLANE.file(f"/etc/kubernetes/manifests/{component}.yaml").content_string
    for argument in arguments:
        (value,) = re.findall(rf"- --{argument}=(\S+)", manifest)
        assert re.fullmatch(rf"(https://)?{re.escape(address)}(:\d+)?", value)
    assert FIRST not in manifest


def test_clients_use_the_second_network() -> None:
    _interface, address = interface(CONTROL_PLANE, SECOND)
    for text in (
        (ARTIFACTS / "admin.conf").read_text(encoding="utf-8"),
        WORKER.file("/etc/kubernetes/kubelet.conf").content_string,
    ):
        assert yaml.safe_load(text)["clusters"][0]["cluster"]["server"] == f"https://{address}:6443"


@pytest.mark.parametrize("certificate", ["apiserver", "etcd/server", "etcd/peer"])
def test_certificates_name_the_second_network(certificate: str) -> None:
    _interface, address = interface(CONTROL_PLANE, SECOND)
    path = f"/etc/kubernetes/pki/{certificate}.crt"
    shown = CONTROL_PLANE.check_output(f"openssl x509 -noout -ext subjectAltName -in {path}")
    assert f"IP Address:{address}" in shown and FIRST not in shown


def test_flannels_packets_leave_by_the_second_network(node: Host) -> None:
    name, address = interface(node, SECOND)
    shown = node.check_output("ip -details link show flannel.1")
    assert f" local {address} dev {name} " in shown


@pytest.fixture
def pods() -> t.Iterator[t.Dict[str, str]]:
    """Addresses of pods by the machine that they run on."""
    CONTROL_PLANE.run_expect([0], f"{ADMIN} apply --filename=- <<'EOF'\n{PODS.read_text(encoding='utf-8')}\nEOF")
    CONTROL_PLANE.run_expect([0], f"{ADMIN} rollout status daemonset/probe --timeout=120s")
    found = get("pods --selector=app=probe")["items"]
    yield {item["spec"]["nodeName"]: item["status"]["podIP"] for item in found}
    CONTROL_PLANE.run_expect([0], f"{ADMIN} delete daemonset/probe")


def test_traffic_of_pods_goes_through_the_second_network(pods: t.Dict[str, str]) -> None:
    here, there = pods[names("kube_node")[0]], pods[names("kube_control_plane")[0]]
    before = [sent_and_received(host) for host in (WORKER, CONTROL_PLANE)]
    # The pod on the worker sends a long request to the other pod, again and again.
    answer = WORKER.check_output(
        f"head --bytes={SIZE} /dev/zero | tr '\\0' x | sed 's/^/hostname?/' > /tmp/request &&"
        f" curl --silent --show-error --fail --get --data port=8080 --data tries={TIMES} --data host={there}"
        f" --data-urlencode request@/tmp/request http://{here}:8080/dial"
    )
    after = [sent_and_received(host) for host in (WORKER, CONTROL_PLANE)]
    assert len(json.loads(answer).get("responses", [])) == TIMES, answer[:1000]
    for was, now in zip(before, after):
        by_first, by_second = (new - old for old, new in zip(was, now))
        print(f"{by_first} bytes by the first network, {by_second} by the second")
        assert by_second > SIZE * TIMES
        assert by_first < SIZE
