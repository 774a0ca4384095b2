# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Pods find what the inventory gives to CoreDNS, and go on to find it whatever is changed, by whom, and how badly."""

from __future__ import annotations

import contextlib
import json
import re
import typing as t

import pytest
import yaml
from conftest import CONVERGE, changes, connect, play

KUBECTL = "kubectl --kubeconfig=/etc/kubernetes/admin.conf"
CONTROL_PLANE = connect("dns-cp")
VARIABLES = yaml.safe_load(CONVERGE.read_text(encoding="utf-8"))[0]["vars"]
#: Nothing is asked for.
OFF = {
    "coredns_replicas": 0,
    "coredns_nodes_per_replica": 0,
    "coredns_upstreams": [],
    "coredns_zones": [],
    "coredns_hosts": [],
    "coredns_plugins": {},
}
#: Asks the cluster's DNS 20 times a second, until its file is gone; prints the failures and the longest time without.
CLIENT = """
import os, socket, struct, time
query = struct.pack(">6H", 7, 256, 1, 0, 0, 0)
query += b"".join(bytes([len(part)]) + part for part in b"kubernetes.default.svc.cluster.local".split(b"."))
query += struct.pack(">BHH", 0, 1, 1)
asked, failed, last, longest = 0, 0, time.monotonic(), 0
while os.path.exists("/run/dns-client"):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.settimeout(0.5)
        asked += 1
        try:
            client.connect(("10.96.0.10", 53))
            client.send(query)
            assert client.recv(512)[3] & 15 == 0
            longest, last = max(longest, time.monotonic() - last), time.monotonic()
        except (OSError, AssertionError):
            failed += 1
    time.sleep(0.05)
longest = max(longest, time.monotonic() - last)
print(asked, failed, round(longest, 2))
"""
POLICY = """
apiVersion: v1
kind: List
items:
  - apiVersion: admissionregistration.k8s.io/v1
    kind: ValidatingAdmissionPolicy
    metadata: {name: no-other-corefile}
    spec:
      matchConstraints:
        resourceRules:
          - {apiGroups: [""], apiVersions: [v1], operations: [CREATE], resources: [pods]}
      validations:
        - expression: "object.metadata.?annotations[?'slipway.io/corefile'].orValue('%(mark)s') == '%(mark)s'"
          message: no other Corefile here
  - apiVersion: admissionregistration.k8s.io/v1
    kind: ValidatingAdmissionPolicyBinding
    metadata: {name: no-other-corefile}
    spec: {policyName: no-other-corefile, validationActions: [Deny]}
"""
CLIENT_POD = """
apiVersion: v1
kind: Pod
metadata: {name: client}
spec:
  nodeName: dns-worker
  terminationGracePeriodSeconds: 1
  containers:
    - name: client
      image: docker.io/slipway/probe:1.0
      args: [netexec]
      readinessProbe:
        httpGet: {path: /hostname, port: 8080}
        periodSeconds: 1
"""


def kubectl(words: str) -> str:
    return CONTROL_PLANE.check_output(f"{KUBECTL} {words}")


def apply(manifest: str) -> None:
    CONTROL_PLANE.run_expect([0], f"{KUBECTL} apply --filename=- <<'END'\n{manifest}\nEND")


def get(what: str) -> t.Any:
    return json.loads(kubectl(f"get --namespace=kube-system {what} --output=json"))


def corefile() -> str:
    return str(get("configmap/coredns")["data"]["Corefile"])


def replicas() -> int:
    return int(get("deployment/coredns")["spec"]["replicas"])


def mark() -> str:
    metadata = get("deployment/coredns")["spec"]["template"]["metadata"]
    return str((metadata.get("annotations") or {}).get("slipway.io/corefile", ""))


def run(rc: int = 0, *arguments: str, **other: t.Any) -> str:
    """Run the playbook that has built the cluster, with other variables."""
    return " ".join(play(CONVERGE, *arguments, rc=rc, variables=other).split())


@contextlib.contextmanager
def asking(what: str, longest: float) -> t.Iterator[None]:
    """Ask all the time, and allow nothing to take longer than so many seconds."""
    CONTROL_PLANE.check_output("touch /run/dns-client")
    CONTROL_PLANE.check_output(f"cat > /root/client.py <<'END'\n{CLIENT}\nEND")
    CONTROL_PLANE.check_output("systemd-run --unit=dns-client python3 -u /root/client.py")
    try:
        yield
    finally:
        CONTROL_PLANE.check_output("rm /run/dns-client; sleep 2")
        said = CONTROL_PLANE.check_output("journalctl --unit=dns-client --output=cat")
        (numbers,) = re.findall(r"^(\d+) (\d+) ([\d.]+)$", said, re.MULTILINE)[-1:]
        print(f"{what}: {numbers[0]} requests, {numbers[1]} failed, {numbers[2]} s at most without an answer")
    assert float(numbers[2]) < longest


@pytest.fixture(scope="module", name="client")
def fixture_client() -> t.Callable[[str], str]:
    """Let a pod connect to a name, and say where that led to."""
    apply(CLIENT_POD)
    kubectl("wait pod/client --for=condition=Ready --timeout=120s")
    address = kubectl("get pod/client --output=jsonpath='{.status.podIP}'")

    def ask(name: str) -> str:
        url = f"http://{address}:8080/dial?host={name}&port=1&request=hostname&protocol=http&tries=1"
        return CONTROL_PLANE.check_output(f"curl --silent --max-time 20 '{url}'")

    return ask


@pytest.mark.parametrize(
    ("name", "address"),
    [
        ("www.corp.test", "127.0.0.80"),
        ("outside.test", "127.0.0.81"),
        ("registry.corp.test", "127.0.0.82"),
        ("alias.test", "127.0.0.82"),
    ],
)
def test_a_pod_finds_a_name(client: t.Callable[[str], str], name: str, address: str) -> None:
    assert f"{address}:1" in client(name)


def test_a_pod_does_not_find_what_nobody_knows(client: t.Callable[[str], str]) -> None:
    assert "no such host" in client("nowhere.corp.test")


def test_the_cluster_is_verified() -> None:
    output = play("verify.yml", variables={**VARIABLES, "verify_dns_names": ["www.corp.test", "outside.test"]})
    assert re.search(r"ok +CoreDNS knows its names +5 names in 3 pods", output)
    output = play(
        "verify.yml", rc=2, variables={**VARIABLES, "verify_dns_names": ["nowhere.corp.test"], "verify_timeout": 5}
    )
    assert "nowhere.corp.test: NXDOMAIN" in output


def test_replicas_follow_the_nodes() -> None:
    assert replicas() == 3
    assert changes(run(coredns_replicas=1, coredns_nodes_per_replica=1)) == 1
    assert replicas() == 2
    assert changes(run()) == 1 and replicas() == 3


@pytest.mark.last
def test_another_corefile_is_rolled_out_and_everybody_is_answered() -> None:
    hosts = ["127.0.0.83 printer.test"]
    before = corefile()
    checked = run(0, "--check", "--diff", coredns_hosts=hosts)
    assert changes(checked) == 1 and "127.0.0.83 printer.test" in checked and corefile() == before
    with asking("another Corefile", 3):
        assert changes(run(coredns_hosts=hosts)) == 1
    assert "127.0.0.83 printer.test" in corefile()
    assert changes(run()) == 1 and corefile() == before


@pytest.mark.last
def test_one_that_coredns_does_not_take_changes_nothing() -> None:
    before, pods = corefile(), kubectl("get pods --namespace=kube-system --selector=k8s-app=kube-dns --output=name")
    with asking("a Corefile with an error", 1):
        said = run(2, coredns_plugins={"oops": "oops"})
    assert "Unknown directive 'oops'" in said and "nothing was changed" in said
    assert corefile() == before
    assert kubectl("get pods --namespace=kube-system --selector=k8s-app=kube-dns --output=name") == pods
    assert "trial" not in kubectl("get pods,configmaps --namespace=kube-system --output=name")
    assert changes(run()) == 0


@pytest.mark.last
def test_one_that_cannot_be_rolled_out_is_put_back() -> None:
    """Somebody's policy lets the trial pass, and no pod of the Deployment."""
    before = corefile()
    apply(POLICY % {"mark": mark()})
    try:
        with asking("a roll-out that fails", 3):
            said = run(2, coredns_hosts=["127.0.0.83 printer.test"], coredns_timeout=20)
    finally:
        kubectl("delete validatingadmissionpolicy,validatingadmissionpolicybinding no-other-corefile")
    assert "The one before was put back, and serves." in said
    assert corefile() == before
    assert changes(run()) == 0


@pytest.mark.last
def test_a_change_by_hand_is_named_and_stays_until_somebody_says_so() -> None:
    ours = corefile()
    theirs = ours.replace("127.0.0.82", "127.0.0.84")
    patch = json.dumps({"data": {"Corefile": theirs}})
    kubectl(f"patch --namespace=kube-system configmap/coredns --type=merge --patch='{patch}'")
    for arguments in (["--check"], []):
        said = run(0, *arguments)
        assert changes(said) == 0 and "was changed by somebody else" in said
    assert corefile() == theirs
    said = run(coredns_replace=True)
    assert changes(said) == 1 and "slipway-coredns-kept" in said and corefile() == ours
    assert get("configmap/slipway-coredns-kept")["data"] == {"Corefile": theirs}
    assert changes(run(coredns_replace=True)) == 0


@pytest.mark.last
def test_kubeadm_leaves_it_as_it_is() -> None:
    """What it does to CoreDNS in an upgrade. A Corefile with one other server alone is no default of its own."""
    phase = "kubeadm init phase addon coredns --kubeconfig=/etc/kubernetes/admin.conf --config=/root/kubeadm.yaml"
    text = get("configmap/kubeadm-config")["data"]["ClusterConfiguration"]
    CONTROL_PLANE.check_output(f"cat > /root/kubeadm.yaml <<'END'\n{text}\nEND")
    for other in ({}, {**OFF, "coredns_upstreams": ["192.0.2.1"]}):
        run(**other)
        before = corefile()
        CONTROL_PLANE.check_output(phase)
        assert corefile() == before and changes(run(**other)) == 0
    assert changes(run()) == 1


@pytest.mark.last
def test_kubeadms_own_comes_back_when_nothing_is_asked_for() -> None:
    given = CONTROL_PLANE.check_output("kubeadm init phase addon coredns --print-manifest --config=/root/kubeadm.yaml")
    (expected,) = [item for item in yaml.safe_load_all(given) if item and item["kind"] == "ConfigMap"]
    assert changes(run(0, "--check", **OFF)) == 1
    assert changes(run(**OFF)) == 1
    assert corefile() == expected["data"]["Corefile"] and replicas() == 2 and not mark()
    assert "configmap/slipway-coredns\n" not in kubectl("get configmaps --namespace=kube-system --output=name")
    said = run(**OFF)
    assert changes(said) == 0 and "Set up CoreDNS" not in re.sub(r"TASK [^*]*\*+ skipping", "", said)
