# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Upgrades that are refused, and one that dies again and again: it is finished by the run that is left alone.

All tests share one cluster and come in the order of this file.
"""

from __future__ import annotations

import json
import typing as t

import pytest
from lab_support import Node, Result, Run, Site

CONTROL_PLANE, WORKER, OTHER = "upgrade1", "upgrade2", "upgrade3"
OLD, NEW = "1.36.4", "1.37.1"
PLAYBOOK = "playbooks/upgrade.yml"

#: All that runs for a task of ours on a machine.
OURS = "python3.*|kubeadm|kubectl|apt-get|dpkg"
MIRROR_RULE = "OUTPUT --destination 172.30.0.1 --protocol tcp --match multiport --dports 5000,8080 --jump REJECT"
CORDONED = "kubectl --kubeconfig=/etc/kubernetes/admin.conf get node {} --output=yaml | grep -q unschedulable"
BUDGET = {
    "apiVersion": "policy/v1",
    "kind": "PodDisruptionBudget",
    "metadata": {"name": "never", "namespace": "kube-system"},
    "spec": {"maxUnavailable": 0, "selector": {"matchLabels": {"k8s-app": "kube-dns"}}},
}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> t.Iterator[Site]:
    """A cluster of the old version."""
    made = Site(
        tmp_path_factory.mktemp("upgrade"),
        [CONTROL_PLANE],
        [WORKER, OTHER],
        systems={WORKER: "debian13"},
        variables={"cluster_version": OLD, "metallb_address_pools": []},
        kubernetes=[OLD, NEW],
    )
    made.run().expect()
    yield made
    made.close()


def upgrade(site: Site, *arguments: str, version: str = NEW) -> Result:
    """Upgrade to the end."""
    return site.run("-e", f"cluster_version={version}", *arguments, playbook=PLAYBOOK)


def refused(result: Result, *texts: str) -> None:
    """Assert that the report has these texts, and that nothing was done."""
    result.expect(rc=2)
    for text in texts:
        assert text in result.output, result.output
    assert "Preflight found" in result.output
    assert result.changed == set(), result.output


def wait_for_worker(site: Site, condition: str) -> None:
    """Wait until the worker is Ready (True) or not (Unknown)."""
    site.control_plane.kubectl("wait", f"node/{WORKER}", f"--for=condition=Ready={condition}", "--timeout=180s")


def test_two_minors_and_a_version_that_nobody_has(site: Site) -> None:
    refused(upgrade(site, version="1.38.0"), "more than one minor after", "kube_packages_repository")


def test_downgrade(site: Site) -> None:
    refused(upgrade(site, version="1.36.3"), f"1.36.3 is older than the cluster's {OLD}")


def test_an_order_that_is_none(site: Site) -> None:
    for text, message in (("upgrade_serial=0", "neither a number"), ('{"upgrade_pools": ["odd"]}', "no group odd")):
        result = upgrade(site, "-e", text).expect(rc=2)
        assert message in result.output
        assert result.changed == set()


def test_a_budget_that_never_lets_a_pod_go(site: Site) -> None:
    site.control_plane.execute(
        "kubectl", "--kubeconfig=/etc/kubernetes/admin.conf", "apply", "--filename=-", stdin=json.dumps(BUDGET)
    )
    site.control_plane.shell(
        "until kubectl --kubeconfig=/etc/kubernetes/admin.conf get poddisruptionbudget never --namespace=kube-system"
        " --output=jsonpath={.status.expectedPods} | grep -q 2; do sleep 1; done"
    )
    refused(upgrade(site), "kube-system/never allows no eviction: 2 of 2 pods must stay healthy")
    site.control_plane.kubectl("delete", "poddisruptionbudget", "never", "--namespace=kube-system")


def test_a_pod_without_a_controller(site: Site) -> None:
    image = "--image=registry.k8s.io/pause:3.10.2"
    node = json.dumps({"spec": {"nodeName": WORKER}})
    site.control_plane.kubectl("run", "bare", image, f"--overrides={node}", "--restart=Never")
    site.control_plane.kubectl("wait", "pod/bare", "--for=condition=Ready", "--timeout=60s")
    refused(upgrade(site), "default/bare has no controller")
    site.control_plane.kubectl("delete", "pod", "bare", "--wait=false")


def test_a_node_that_is_not_ready(site: Site) -> None:
    site.nodes[WORKER].execute("systemctl", "stop", "kubelet")
    wait_for_worker(site, "Unknown")
    refused(upgrade(site), f"{WORKER}: node: is NotReady")
    site.nodes[WORKER].execute("systemctl", "start", "kubelet")
    wait_for_worker(site, "True")


def test_check_mode_tells_what_would_be_done(site: Site) -> None:
    result = upgrade(site, "--check").expect()
    for name in (CONTROL_PLANE, WORKER):
        tasks = {task for host, task in result.changed if host == name}
        assert {
            "Add the Kubernetes package repository",
            "Install and hold the Kubernetes packages",
            "Upgrade what kubeadm manages",
            "Drain the node",
        } <= tasks, result.output
    assert set(site.versions().values()) == {OLD}


def start(site: Site, *arguments: str) -> Run:
    """Begin to upgrade."""
    return site.start("-e", f"cluster_version={NEW}", *arguments, playbook=PLAYBOOK)


def kill(run: Run, node: Node) -> None:
    """End Ansible and all that it has started on a machine."""
    run.kill()
    node.shell(f"pkill -KILL -x '{OURS}'", check=False)


def test_interruptions(site: Site) -> None:
    first, worker = site.control_plane, site.nodes[WORKER]
    identity = site.identity()

    print("--- the package mirror is gone in the middle", flush=True)
    run = start(site)
    assert run.reaches("Report every problem"), run.output
    first.shell(f"iptables --insert {MIRROR_RULE}")
    failed = run.wait().expect(rc=2)
    first.shell(f"iptables --delete {MIRROR_RULE}")
    assert "172.30.0.1" in failed.output
    assert set(site.versions().values()) == {OLD}

    print("--- a full disk on the control plane", flush=True)
    first.shell("mkdir -p /etc/kubernetes/tmp && mount -t tmpfs -o size=64k tmpfs /etc/kubernetes/tmp")
    failed = upgrade(site).expect(rc=2)
    assert "no space left on device" in failed.output.lower(), failed.output
    first.shell("umount /etc/kubernetes/tmp")
    assert site.versions()[CONTROL_PLANE] == OLD

    print("--- the control plane loses its power while the API server is exchanged", flush=True)
    run = start(site)
    assert run.reaches("Upgrade what kubeadm manages"), run.output
    exchanged = f"pgrep -x kubeadm && grep -q v{NEW} /etc/kubernetes/manifests/kube-apiserver.yaml"
    assert run.sees(first, exchanged), run.output
    kill(run, first)

    print("--- only Ansible is killed, kubeadm goes on", flush=True)
    run = start(site)
    assert run.reaches("Upgrade what kubeadm manages"), run.output
    assert run.sees(first, "pgrep -x kubeadm"), run.output
    run.kill()

    print("--- killed while a node is drained", flush=True)
    run = start(site)
    assert run.sees(first, CORDONED.format(WORKER)), run.output
    kill(run, first)

    print("--- one worker of the last batch cannot be upgraded", flush=True)
    run = start(site, "-e", "upgrade_serial=2")
    assert run.sees(first, CORDONED.format(OTHER)), run.output
    worker.shell(f"iptables --insert {MIRROR_RULE}")
    failed = run.wait().expect(rc=2)
    worker.shell(f"iptables --delete {MIRROR_RULE}")
    assert f"{WORKER} could not be upgraded, and the others have been." in " ".join(failed.output.split())
    assert "Wait until all nodes are ready" not in failed.output
    assert site.versions() == {CONTROL_PLANE: NEW, WORKER: OLD, OTHER: NEW}

    print("--- the worker is restarted in the middle", flush=True)
    run = start(site)
    assert run.sees(worker, f"dpkg-query --show kubelet | grep -q '{NEW}'"), run.output
    worker.restart()
    run.wait()

    print("--- left alone", flush=True)
    upgrade(site).expect()
    assert set(site.versions().values()) == {NEW}
    assert site.identity() == identity
    assert "SchedulingDisabled" not in site.control_plane.kubectl("get", "nodes")
    upgrade(site).expect(changed=[])
    upgrade(site, "--check").expect(changed=[])
    site.run("-e", f"cluster_version={NEW}").expect(changed=[])


def test_an_upgraded_cluster_is_not_brought_back(site: Site) -> None:
    result = site.run().expect(rc=2)
    assert "Kubernetes cannot be downgraded" in result.output


def test_nothing_is_left_behind(site: Site) -> None:
    for node in site.nodes.values():
        assert node.shell("test -e /var/lib/slipway/upgrade.json && echo there || true") == ""
        held = node.shell("apt-mark showhold").split()
        assert {"kubeadm", "kubelet", "kubectl"} <= set(held)
        assert "/v1.37/" in node.shell("cat /etc/apt/sources.list.d/slipway-kubernetes.sources")
