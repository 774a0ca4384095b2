# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the inventory sets in the scenario, by what machines and cluster do."""

from __future__ import annotations

import json
import re
import time
import typing as t

import pytest
import yaml
from conftest import ARTIFACTS, CONVERGE, changes, connect, names, play

VARIABLES = yaml.safe_load(CONVERGE.read_text(encoding="utf-8"))[0]["vars"]
CONFIG = "--kubeconfig=/etc/kubernetes/admin.conf"
ADMIN = f"kubectl {CONFIG}"
NAME, PORT = "api.options.test", 6443
ENDPOINT = f"https://{NAME}:{PORT}"
(PLANE,) = names("kube_control_plane")
(WORKER,) = names("kube_node")
(SITE,) = names("site_services")
NODES = [PLANE, WORKER]


def run(playbook: t.Any, *arguments: str, rc: int = 0, **other: t.Any) -> str:
    """Run a playbook with the variables that the cluster was built with, and others."""
    return play(playbook, *arguments, rc=rc, variables={**VARIABLES, **other})


def kubectl(arguments: str) -> str:
    """What kubectl prints on the control plane."""
    return connect(PLANE).check_output(f"{ADMIN} {arguments}")


def get(what: str) -> t.Any:
    """Objects of the API."""
    return json.loads(kubectl(f"get {what} --output=json"))


def address(name: str) -> str:
    """A machine's own address, which is not that of its pod network."""
    (interface,) = json.loads(connect(name).check_output("ip -json -4 address show dev eth0"))
    return interface["addr_info"][0]["local"]


def answer(path: str) -> str:
    """The status that somebody gets from the API server who does not say who it is."""
    return connect(PLANE).check_output(f"curl -sk -o /dev/null -w %{{http_code}} https://127.0.0.1:6443{path}")


# The endpoint, and names


@pytest.mark.parametrize("name", NODES)
def test_machines_know_each_other_and_the_endpoint_by_name(name: str) -> None:
    for other, expected in [(PLANE, PLANE), (WORKER, WORKER), (NAME, SITE)]:
        assert connect(name).check_output(f"getent ahostsv4 {other}").split()[0] == address(expected)


def test_clients_ask_the_load_balancer_of_the_site() -> None:
    assert f"server: {ENDPOINT}" in (ARTIFACTS / "options" / "admin.conf").read_text(encoding="utf-8")
    assert f"server: {ENDPOINT}" in connect(WORKER).file("/etc/kubernetes/kubelet.conf").content_string
    kubelet = connect(WORKER).check_output("pgrep -x kubelet")
    seen = connect(WORKER).check_output("ss --no-header --tcp --numeric --processes state established")
    used = [line for line in seen.splitlines() if f"pid={kubelet}," in line]
    assert any(f" {address(SITE)}:{PORT} " in line for line in used), seen
    assert kubectl("get nodes --output=name").split() == [f"node/{name}" for name in NODES]


# The machines


@pytest.mark.parametrize("name", NODES)
def test_the_clock_is_kept_by_a_service(name: str) -> None:
    service = connect(name).service("systemd-timesyncd")
    assert service.is_running and service.is_enabled
    assert "NTP service: active" in connect(name).check_output("timedatectl")


def test_pods_may_use_swap_where_the_machine_can() -> None:
    unified = connect(PLANE).check_output("stat --file-system --format=%T /sys/fs/cgroup") == "cgroup2fs"
    for name in NODES:
        kubelet = json.loads(kubectl(f"get --raw /api/v1/nodes/{name}/proxy/configz"))["kubeletconfig"]
        assert kubelet["failSwapOn"] is False
        assert kubelet.get("memorySwap", {}).get("swapBehavior", "") == ("LimitedSwap" if unified else "")
    if not unified:
        refused = run(CONVERGE, rc=2, node_prep_swap="limited")
        who = f"{PLANE}, {WORKER}: node_prep_swap"
        assert f"{who}: is limited, which the kubelet can do with cgroup v2 only." in refused
        assert changes(refused) == 0


def test_services_are_programmed_by_iptables_and_pods_routed() -> None:
    for pod in kubectl("get pods --namespace=kube-system --selector=k8s-app=kube-proxy --output=name").split():
        assert "-A KUBE-SERVICES" in kubectl(f"exec --namespace=kube-system {pod} -- iptables-save --table=nat")
    for name, other in [(PLANE, WORKER), (WORKER, PLANE)]:
        assert re.search(rf"^10\.244\.\d+\.0/24 via {address(other)} ", connect(name).check_output("ip route"), re.M)


# The files of the control plane


def pod_is_admitted(security: str) -> bool:
    """Whether the API server takes a pod with this security context for its container."""
    overrides = json.dumps(
        {"spec": {"containers": [{"name": "a", "image": "example.com/a", "securityContext": json.loads(security)}]}}
    )
    done = connect(PLANE).run(f"{ADMIN} run a --image=example.com/a --dry-run=server --overrides=%s", overrides)
    assert done.rc == 0 or "violates PodSecurity" in done.stderr, done.stderr
    return done.rc == 0


def test_admission_is_configured() -> None:
    assert not pod_is_admitted('{"privileged": true}')
    assert pod_is_admitted("{}")


def test_authentication_is_configured() -> None:
    assert answer("/readyz") == "200"
    # Without the file anybody may ask for the version.
    assert answer("/version") == "401"


def test_patches_are_applied() -> None:
    (scheduler,) = get("pods --namespace=kube-system --selector=component=kube-scheduler")["items"]
    assert scheduler["spec"]["containers"][0]["resources"]["requests"]["cpu"] == "77m"
    # The worker has no patches.
    assert [get(f"node {name}")["status"]["allocatable"]["pods"] for name in NODES] == ["77", "110"]


# The addons


@pytest.mark.parametrize("source", ["repository", "address", "archive"])
def test_charts_from_everywhere_run(source: str) -> None:
    name = f"from-{source}"
    releases = json.loads(connect(PLANE).check_output(f"helm list --namespace=greetings --output=json {CONFIG}"))
    assert [item["chart"] for item in releases if item["name"] == name] == ["greeting-1.2.0"]
    deployment = get(f"deployment {name} --namespace=greetings")
    assert deployment["metadata"]["annotations"]["example.com/said"] == f"by the {source}"
    service = get(f"service {name} --namespace=greetings")["spec"]["clusterIP"]
    for machine in NODES:
        assert connect(machine).check_output(f"curl -sf http://{service}/hostname").startswith(f"{name}-")


def test_a_chart_from_a_registry_runs() -> None:
    deadline = time.monotonic() + 60
    while (top := connect(PLANE).run(f"{ADMIN} top nodes --no-headers")).rc or "unknown" in top.stdout:
        assert time.monotonic() < deadline, top.stderr
        time.sleep(1)
    assert sorted(line.split()[0] for line in top.stdout.splitlines()) == NODES


def test_manifests_from_everywhere_are_there() -> None:
    found = {item["metadata"]["name"]: item["data"] for item in get("configmaps --namespace=greetings")["items"]}
    assert found["downloaded"] == {"from": "an address"}
    assert found["site-colours"] == {"sky": "grey", "grass": "green"}
    assert found["inline"] == {"from": "the inventory"}
    # The limits were there before the pods.
    (pod,) = get("pods --namespace=greetings --selector=app=from-repository")["items"]
    assert pod["spec"]["containers"][0]["resources"]["limits"] == {"memory": "64Mi"}
    assert int(get("resourcequota pods --namespace=greetings")["status"]["used"]["count/secrets"]) > 0


def test_the_cluster_works() -> None:
    output = run("verify.yml", verify_metrics=True)
    assert "metrics of all nodes are there" in output


# What is changed later


@pytest.mark.last
def test_addons_that_leave_the_list_are_removed() -> None:
    gone = ("from-repository", "downloaded", "colours")
    left = [entry for entry in VARIABLES["addons_list"] if entry["name"] not in gone]
    for arguments in (["--check"], []):
        assert get("deployment from-repository --namespace=greetings")
        assert changes(run(CONVERGE, *arguments, addons_list=left)) == 1
    deployments = {item["metadata"]["name"] for item in get("deployments --namespace=greetings")["items"]}
    assert deployments == {"from-address", "from-archive"}
    found = {item["metadata"]["name"] for item in get("configmaps --namespace=greetings")["items"]}
    assert found == {"kube-root-ca.crt", "inline"}
    assert changes(run(CONVERGE, addons_list=left)) == 0
    assert changes(run(CONVERGE)) == 1


@pytest.mark.last
def test_a_changed_file_of_the_control_plane_is_taken_up() -> None:
    admission = (CONVERGE.parent / "files/admission.yaml").read_text(encoding="utf-8")
    files = [
        {"name": "admission.yaml", "content": admission.replace("enforce: baseline", "enforce: restricted")},
        *VARIABLES["control_plane_files"][1:],
    ]
    assert changes(run(CONVERGE, "--check", control_plane_files=files)) == 1
    assert pod_is_admitted("{}")
    assert changes(run(CONVERGE, control_plane_files=files)) == 1
    assert not pod_is_admitted("{}")
    assert changes(run(CONVERGE, control_plane_files=files)) == 0


@pytest.mark.last
def test_a_load_balancer_that_leads_nowhere_is_named() -> None:
    site = connect(SITE)
    site.check_output("systemctl stop haproxy")
    try:
        output = run(CONVERGE, "--check", rc=2)
    finally:
        site.check_output("systemctl start haproxy")
    assert f"cluster_endpoint: {NAME}:{PORT} does not lead from here to an API server" in output
