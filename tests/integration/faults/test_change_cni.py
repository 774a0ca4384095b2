# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A built cluster goes from Flannel to Calico and back, while a client asks a service with two replicas.

The first change is told twice before: refused without a yes, and looked at by check mode. The way back is killed in the
middle, and finished by the next run. What clients noticed is printed.
"""

from __future__ import annotations

import json
import re
import time
import typing as t

import pytest
from lab_support import Node, Result, Site
from probe import Client, Probe, Report, probes

CONTROL_PLANE, WORKERS = "chg1", ["chg2", "chg3"]
NAMES = [CONTROL_PLANE, *WORKERS]
POOL = "172.30.0.239-172.30.0.239"
PLAYBOOK = "playbooks/change_cni.yml"
YES = "--extra-vars=change_cni_confirm=true"
KUBECTL = "kubectl --kubeconfig=/etc/kubernetes/admin.conf"
TIMEOUT = 1500.0

#: Each prints what a pod network has on a machine; nothing is right when it has gone.
TRACES = {
    "flannel": {
        "interfaces": "ls /sys/class/net | grep -E '^(cni0|flannel)'",
        "routes": "ip route | grep -E 'cni0|flannel'",
        "rules": "{ iptables-save; ip6tables-save; } | grep -iE 'flannel|cbr0'",
        "processes": "pgrep -a flanneld",
        "files": "ls -d /etc/cni/net.d/*flannel* /opt/cni/bin/flannel /run/flannel /var/lib/cni/flannel"
        " /var/lib/cni/networks/cbr0 /var/lib/cni/results/cbr0-* 2>/dev/null",
    },
    "calico": {
        "interfaces": "ls /sys/class/net | grep -E '^(cali|vxlan[.]calico)'",
        "routes": "ip route | grep -E 'cali|proto (80|bird)'",
        "rules": "{ iptables-save; ip6tables-save; } | grep -E 'cali|k8s-pod-network'",
        "mounts": "grep -E '/(run|lib)/calico' /proc/self/mounts",
        "processes": "pgrep -a 'calico|felix|bird|runsv'",
        "files": "ls -d /etc/cni/net.d/*calico* /opt/cni/bin/calico* /run/calico /run/nodeagent /var/lib/calico"
        " /var/log/calico /var/lib/slipway/calico.yaml /var/lib/cni/results/k8s-pod-network-* 2>/dev/null",
    },
}
#: In the cluster: objects, custom resources, and what Nodes were told.
OBJECTS = {
    "flannel": "get namespaces --output=name | grep flannel; kubectl get nodes --output=json | grep flannel",
    "calico": "api-resources --output=name | grep calico; kubectl get all --all-namespaces --output=name | grep calico;"
    " kubectl get nodes --output=json | grep projectcalico; kubectl get clusterroles --output=name | grep calico",
}

#: A pod on each node beside those of the service, and one that is in the machine's own network.
PODS = """
apiVersion: v1
kind: List
items:
- apiVersion: apps/v1
  kind: DaemonSet
  metadata: {name: everywhere, namespace: default}
  spec:
    selector: {matchLabels: {app: everywhere}}
    template:
      metadata: {labels: {app: everywhere}}
      spec:
        tolerations: [{operator: Exists}]
        containers:
        - name: probe
          image: docker.io/slipway/probe:1.0
          args: [netexec]
          ports: [{containerPort: 8080, hostPort: 18080}]
- apiVersion: apps/v1
  kind: DaemonSet
  metadata: {name: outside, namespace: default}
  spec:
    selector: {matchLabels: {app: outside}}
    template:
      metadata: {labels: {app: outside}}
      spec:
        hostNetwork: true
        tolerations: [{operator: Exists}]
        containers:
        - name: probe
          image: docker.io/slipway/probe:1.0
          args: [netexec, --http-port=18090]
"""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> t.Iterator[Site]:
    """A cluster of three machines with Flannel, and pods on each of them."""
    made = Site(
        tmp_path_factory.mktemp("change"),
        [CONTROL_PLANE],
        WORKERS,
        systems={WORKERS[0]: "debian13"},
        variables={
            "metrics_server_enabled": False,
            "metallb_address_pools": [{"name": "default", "addresses": [POOL]}],
        },
        more=["calico"],
    )
    try:
        made.run().expect()
        made.control_plane.execute(*KUBECTL.split(), "apply", "--filename=-", stdin=PODS)
        for name in ("everywhere", "outside"):
            made.control_plane.kubectl("rollout", "status", f"daemonset/{name}", "--timeout=180s")
        yield made
    finally:
        made.close()


def said(result: Result) -> str:
    """What a run printed, as one line: warnings are wrapped."""
    return re.sub(r"\s+", " ", result.output)


def left(node: Node, network: str) -> dict[str, str]:
    """What of a pod network is on a machine."""
    found = {kind: node.shell(script, check=False).strip() for kind, script in TRACES[network].items()}
    return {kind: text for kind, text in found.items() if text}


def in_cluster(site: Site, network: str) -> str:
    """What of a pod network is in the cluster."""
    script = f"export KUBECONFIG=/etc/kubernetes/admin.conf; kubectl {OBJECTS[network]}"
    return site.control_plane.shell(script, check=False).strip()


def pods(site: Site, label: str) -> dict[str, t.Any]:
    """The pods of an application, by their nodes."""
    items = json.loads(site.control_plane.kubectl("get", "pods", f"--selector=app={label}", "--output=json"))["items"]
    return {item["spec"]["nodeName"]: item for item in items}


def started(found: dict[str, t.Any]) -> dict[str, str]:
    """When the container of each pod was started."""
    return {
        name: str(pod["status"]["containerStatuses"][0]["state"]["running"]["startedAt"]) for name, pod in found.items()
    }


def expect_reachable(site: Site) -> None:
    """Each pod is reached from each machine, by its address and by the port of its node."""
    found = pods(site, "everywhere")
    assert sorted(found) == NAMES
    for asking in site.nodes.values():
        for name, pod in found.items():
            for place in (f"{pod['status']['podIP']}:8080", f"{site.nodes[name].address}:18080"):
                asking.shell(f"curl --silent --fail --max-time 5 --retry 5 --retry-all-errors http://{place}/hostname")


def expect_gone(site: Site, network: str) -> None:
    """Nothing of a pod network is left anywhere."""
    assert {name: left(node, network) for name, node in site.nodes.items() if left(node, network)} == {}
    assert in_cluster(site, network) == ""
    maps = site.control_plane.kubectl("get", "configmaps", "--namespace=kube-system", "--output=name")
    assert "slipway-pod-network-change" not in maps


def measure(site: Site, kill: bool = False) -> tuple[list[Result], Report, float]:
    """Change the pod network while a client asks.

    :param kill: kills the first run while the first worker is drained; another playbook is refused then.
    """
    service = Probe("service", Client(f"{site.serve_web(timeout=300)}/hostname"), 0.2)
    begin = time.monotonic()
    results = []
    with probes(service) as reports:
        if kill:
            run = site.start(YES, playbook=PLAYBOOK)
            assert run.reaches("Leave the rest alone after a failure"), run.output
            cordoned = f"{KUBECTL} get node {WORKERS[0]} --output=jsonpath={{.spec.unschedulable}} | grep -q true"
            assert run.sees(site.control_plane, cordoned), run.output
            run.kill()
            results.append(site.run())
        results.append(site.start(YES, playbook=PLAYBOOK).wait(TIMEOUT))
        seconds = time.monotonic() - begin
        time.sleep(5)
    # They are there when nobody asks any more.
    return results, reports[0], seconds


def test_it_is_not_changed_without_a_yes(site: Site) -> None:
    site.configure({"cluster_cni": "calico"})
    text = said(site.run().expect(rc=2, changed=[]))
    assert "cluster_cni: is calico in the inventory, and the Flannel that this collection has installed is in" in text
    assert "playbooks/change_cni.yml" in text and "docs/networks.md#change-it" in text
    text = said(site.run(playbook=PLAYBOOK).expect(rc=2, changed=[]))
    assert "Nothing was changed: the name of the cluster was not typed." in text
    for wrong, message in (
        ("cluster_cni=none", "is none, and this playbook puts a pod network of this collection"),
        ("cluster_pod_subnet=10.1.0.0/16", "cluster_pod_subnet: is 10.1.0.0/16 in the inventory"),
    ):
        assert message in said(site.run(YES, f"--extra-vars={wrong}", playbook=PLAYBOOK).expect(rc=2, changed=[]))
    assert {name for name, node in site.nodes.items() if left(node, "calico")} == set()


def test_check_mode_says_what_would_be_done(site: Site) -> None:
    before = started(pods(site, "everywhere"))
    result = site.run("--check", playbook=PLAYBOOK).expect()
    for host, task in (
        (CONTROL_PLANE, "Record that the pod network is changed"),
        (CONTROL_PLANE, "Install Calico"),
        (CONTROL_PLANE, "Remove the old pod network"),
        *((name, task) for name in NAMES for task in ("Drain the node", "Remove what is left")),
        *((name, "Let its pods go over to the other pod network") for name in NAMES),
    ):
        assert (host, task) in result.changed, result.output
    assert started(pods(site, "everywhere")) == before and in_cluster(site, "calico") == ""


def test_flannel_to_calico(site: Site, measured: list[str]) -> None:
    outside = started(pods(site, "outside"))
    everywhere = started(pods(site, "everywhere"))
    [result], report, seconds = measure(site)
    measured.append(f"Flannel to Calico on 3 nodes: {seconds:.0f} s; {report}")
    result.expect()
    expect_gone(site, "flannel")
    expect_reachable(site)
    again = started(pods(site, "everywhere"))
    assert all(again[name] != everywhere[name] for name in NAMES)
    # What is in the machine's own network is left alone.
    assert started(pods(site, "outside")) == outside
    assert report.failed == 0, report


def test_a_second_run_changes_nothing(site: Site) -> None:
    begin = time.monotonic()
    result = site.run(YES, playbook=PLAYBOOK).expect(changed=[])
    assert "Calico is the pod network: nothing had to be changed." in said(result)
    assert time.monotonic() - begin < 120
    site.run("--check", playbook=PLAYBOOK).expect(changed=[])
    site.expect_settled()


def test_back_to_flannel_by_a_run_that_is_killed(site: Site, measured: list[str]) -> None:
    site.configure({"cluster_cni": "flannel"})
    # The control plane has gone over, and the first worker is drained.
    (refused, result), report, seconds = measure(site, kill=True)
    measured.append(f"Calico to Flannel on 3 nodes, killed once: {seconds:.0f} s; {report}")
    refused.expect(rc=2, changed=[])
    assert "the change from Calico to Flannel has begun" in said(refused)
    result.expect()
    expect_gone(site, "calico")
    expect_reachable(site)
    site.run(YES, playbook=PLAYBOOK).expect(changed=[])
    site.expect_settled()
    assert report.failed == 0, report
