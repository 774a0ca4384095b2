# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Several control planes and their endpoint, seen from outside. What happens when one fails: tests/integration/ha."""

from __future__ import annotations

import base64
import json
import os
import ssl
import typing as t
import urllib.request
from pathlib import Path

import yaml
from conftest import connect, names
from testinfra.host import Host

VIP = "172.30.0.235"
PORT = 8443
ADMIN = "kubectl --kubeconfig=/etc/kubernetes/admin.conf"
ARTIFACTS = Path(os.environ["MOLECULE_EPHEMERAL_DIRECTORY"]) / "artifacts" / "ha"
CONTROL_PLANES = names("kube_control_plane")


def get(what: str) -> t.Any:
    """Objects of the API, asked on the first control plane."""
    return json.loads(connect(CONTROL_PLANES[0]).check_output(f"{ADMIN} get {what} --output=json"))


def test_all_are_ready(machines: set[str]) -> None:
    nodes = {item["metadata"]["name"]: item for item in get("nodes")["items"]}
    assert set(nodes) == machines
    for item in nodes.values():
        ready = next(entry for entry in item["status"]["conditions"] if entry["type"] == "Ready")
        assert ready["status"] == "True"


def test_who_runs_workloads(machines: set[str]) -> None:
    tainted = {item["metadata"]["name"] for item in get("nodes")["items"] if item["spec"].get("taints")}
    assert tainted == machines - set(names("kube_node"))


def test_coredns_is_not_on_one_machine_only() -> None:
    pods = get("pods --namespace=kube-system --selector=k8s-app=kube-dns")["items"]
    assert len(pods) == 2 and len({pod["spec"]["nodeName"] for pod in pods}) == 2


def test_etcd_has_a_member_on_each_control_plane() -> None:
    etcd = [pod["metadata"]["name"] for pod in get("pods --namespace=kube-system --selector=component=etcd")["items"]]
    assert sorted(etcd) == sorted(f"etcd-{name}" for name in CONTROL_PLANES)
    pki = "/etc/kubernetes/pki/etcd"
    members = connect(CONTROL_PLANES[0]).check_output(
        f"{ADMIN} exec --namespace=kube-system etcd-{CONTROL_PLANES[0]} -- etcdctl --cacert={pki}/ca.crt"
        f" --cert={pki}/peer.crt --key={pki}/peer.key member list --write-out=json"
    )
    assert {(item["name"], item.get("isLearner", False)) for item in json.loads(members)["members"]} == {
        (name, False) for name in CONTROL_PLANES
    }


def test_the_address_is_on_one_machine() -> None:
    holders = [name for name in CONTROL_PLANES if f"inet {VIP}/" in connect(name).check_output("ip -4 address")]
    assert len(holders) == 1


def test_every_api_server_has_a_certificate_for_the_endpoint(control_plane: Host) -> None:
    shown = control_plane.check_output("openssl x509 -noout -ext subjectAltName -in /etc/kubernetes/pki/apiserver.crt")
    assert f"IP Address:{VIP}" in shown


def test_clients_use_the_endpoint() -> None:
    config = yaml.safe_load((ARTIFACTS / "admin.conf").read_text(encoding="utf-8"))
    cluster = config["clusters"][0]["cluster"]
    assert cluster["server"] == f"https://{VIP}:{PORT}"
    kubelet = yaml.safe_load(connect(names("kube_node")[-1]).file("/etc/kubernetes/kubelet.conf").content_string)
    assert kubelet["clusters"][0]["cluster"]["server"] == f"https://{VIP}:{PORT}"


def test_the_endpoint_answers_with_the_clusters_certificate() -> None:
    authority = connect(CONTROL_PLANES[0]).file("/etc/kubernetes/pki/ca.crt").content_string
    context = ssl.create_default_context(cadata=authority)
    with urllib.request.urlopen(f"https://{VIP}:{PORT}/readyz", timeout=10, context=context) as answer:
        assert answer.read() == b"ok"


def test_secrets_of_the_endpoint_are_private(control_plane: Host) -> None:
    assert control_plane.file("/etc/keepalived/keepalived.conf").mode == 0o600
    assert "auth_pass" in control_plane.file("/etc/keepalived/keepalived.conf").content_string


def test_all_have_the_same_password() -> None:
    passwords = {
        line.split()[1]
        for name in CONTROL_PLANES
        for line in connect(name).file("/etc/keepalived/keepalived.conf").content_string.splitlines()
        if "auth_pass" in line
    }
    assert len(passwords) == 1 and len(passwords.pop()) == 8


def test_nothing_secret_is_left() -> None:
    assert not get("secrets --namespace=kube-system --field-selector=type=bootstrap.kubernetes.io/token")["items"]
    secrets = [item["metadata"]["name"] for item in get("secrets --namespace=kube-system")["items"]]
    assert "kubeadm-certs" not in secrets


def test_nothing_is_unfinished(node: Host) -> None:
    assert not node.file("/var/lib/slipway/kubeadm.json").exists


def test_secrets_are_encrypted_in_etcd() -> None:
    first = connect(CONTROL_PLANES[0])
    first.check_output(f"{ADMIN} create secret generic at-rest --from-literal=word=in-clear")
    pki = "/etc/kubernetes/pki/etcd"
    try:
        # Each of the API servers can read what another one has written.
        for name in CONTROL_PLANES:
            seen = connect(name).check_output(f"{ADMIN} get secret at-rest --output=jsonpath={{.data.word}}")
            assert seen == "aW4tY2xlYXI="
        kept = first.check_output(
            f"{ADMIN} exec --namespace=kube-system etcd-{CONTROL_PLANES[0]} -- etcdctl --cacert={pki}/ca.crt"
            f" --cert={pki}/peer.crt --key={pki}/peer.key get /registry/secrets/default/at-rest --write-out=json"
        )
    finally:
        first.check_output(f"{ADMIN} delete secret at-rest")
    value = base64.b64decode(json.loads(kept)["kvs"][0]["value"])
    assert value.startswith(b"k8s:enc:secretbox:v1:1:") and b"in-clear" not in value


def test_requests_are_audited_on_every_control_plane(control_plane: Host) -> None:
    control_plane.check_output(f"{ADMIN} --server=https://127.0.0.1:6443 --tls-server-name=kubernetes get secrets")
    lines = control_plane.check_output("tail --lines=100 /var/log/kubernetes/audit.log").splitlines()
    asked = [json.loads(line) for line in lines]
    assert asked and {event["kind"] for event in asked} == {"Event"}
    assert {event["objectRef"]["resource"] for event in asked} == {"secrets"}


def test_keys_are_private(control_plane: Host) -> None:
    assert control_plane.file("/etc/kubernetes/slipway/encryption.yaml").mode == 0o600
    # The volume of the user stays beside that of the files.
    manifest = yaml.safe_load(control_plane.file("/etc/kubernetes/manifests/kube-apiserver.yaml").content_string)
    volumes = {volume["name"] for volume in manifest["spec"]["volumes"]}
    assert {"audit-log", "slipway-files", "k8s-certs"} <= volumes
