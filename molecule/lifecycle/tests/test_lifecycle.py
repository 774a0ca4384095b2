# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Nodes go and come back while a client asks the API. Each test goes on where the one before has ended."""

from __future__ import annotations

import csv
import json
import re
import subprocess
import sys
import time
import typing as t
from pathlib import Path

import pytest
import yaml
from conftest import ARTIFACTS, CONVERGE, PROJECT, changes, connect, names, play

VARIABLES = yaml.safe_load(CONVERGE.read_text(encoding="utf-8"))[0]["vars"]
ADMIN = "kubectl --kubeconfig=/etc/kubernetes/admin.conf"
FIRST, SECOND, THIRD = names("kube_control_plane")
WORKER = names("kube_node")[-1]

_TASK = re.compile(r"^TASK \[(?:.* : )?(.*)\] \**$")
_DONE = re.compile(r"^(ok|changed|failed|fatal): \[([^\] ]+)(?: -> ([^\](]+)[^\]]*)?\]")

#: All that a worker that joins asks of one control plane, however many nodes there are.
ASKED = [
    "Look for a control plane that answers",
    "Ask it who is in the cluster",
    "Let no other run change the cluster",
    "Mint a bootstrap token",
    "Revoke the bootstrap token",
    "Label and taint the nodes",
    "Approve the kubelets' serving certificates",
    "Wait until they are ready",
    "List the nodes",
    "Give the lock back",
]

#: Done by the controller alone, whoever is named.
KEPT = "Keep what was seen with the control plane that it is about"
#: And once more, when the nodes that have gone have left all of CoreDNS on one.
SPREAD = "Let CoreDNS not be on one node only"


def run(playbook: str | Path, *arguments: str, rc: int = 0) -> str:
    """Run a playbook with the variables that the cluster was built with; returns what it prints."""
    return play(playbook, *arguments, rc=rc, variables=VARIABLES)


#: Sets a variable on the controller; its line names each control plane.
_CONTROLLER = "Keep the control planes' addresses for delegated tasks"


def executions(output: str) -> t.List[t.Tuple[str, str, bool]]:
    """Machine, task, and whether it changed something, of each task that was executed."""
    found, task = [], ""
    for line in output.splitlines():
        if match := _TASK.match(line):
            task = match.group(1)
        elif task != _CONTROLLER and (match := _DONE.match(line)):
            found.append((match.group(3) or match.group(2), task, match.group(1) == "changed"))
    assert found, output
    return found


def nodes() -> t.Dict[str, str]:
    """The nodes, and whether they are ready."""
    items = json.loads(connect(SECOND).check_output(f"{ADMIN} get nodes --output=json"))["items"]
    return {
        item["metadata"]["name"]: next(
            entry["status"] for entry in item["status"]["conditions"] if entry["type"] == "Ready"
        )
        for item in items
    }


def members() -> t.Dict[str, bool]:
    """etcd's members, and whether they vote."""
    pki = "/etc/kubernetes/pki/etcd"
    listed = connect(SECOND).check_output(
        f"{ADMIN} exec --namespace=kube-system etcd-{SECOND} -- etcdctl --cacert={pki}/ca.crt"
        f" --cert={pki}/peer.crt --key={pki}/peer.key member list --write-out=json"
    )
    return {item["name"]: not item.get("isLearner", False) for item in json.loads(listed)["members"]}


@pytest.fixture(scope="module", autouse=True)
def client() -> t.Iterator[None]:
    """Somebody who reads and writes through the endpoint all the time; no write that was acknowledged may be lost.

    How long a gap may be is measured by tests/integration/ha, where nothing else runs on the machine; twice a second is
    enough here.
    """
    kubeconfig = ARTIFACTS / "lifecycle" / "asked.conf"
    kubeconfig.touch(mode=0o600)
    kubeconfig.write_text((ARTIFACTS / "lifecycle" / "admin.conf").read_text(encoding="utf-8"), encoding="utf-8")
    probe = [sys.executable, str(PROJECT / "tests/integration/probe.py"), "--kubeconfig", str(kubeconfig)]
    argv = [*probe, "--seconds", "3600", "--interval", "0.5"]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield
        finally:
            process.terminate()
            seen = process.communicate()[0]
            kubeconfig.unlink()
    print(seen)
    assert process.returncode == 0 and "LOST" not in seen, seen


def test_kube_proxy_programs_iptables() -> None:
    pods = connect(SECOND).check_output(
        f"{ADMIN} get pods --namespace=kube-system --selector=k8s-app=kube-proxy --output=name"
    )
    for pod in pods.split():
        rules = connect(SECOND).check_output(f"{ADMIN} exec --namespace=kube-system {pod} -- iptables-save --table=nat")
        assert "-A KUBE-SERVICES -d 10.96.0.1/32" in rules
        tables = connect(SECOND).check_output(f"{ADMIN} exec --namespace=kube-system {pod} -- nft list tables")
        assert "kube-proxy" not in tables


def test_packets_are_routed_to_the_other_nodes() -> None:
    for name in (FIRST, SECOND, THIRD, WORKER):
        routes = connect(name).check_output("ip -4 route show")
        assert len(re.findall(r"^10\.244\.\d+\.0/24 via 172\.30\.0\.\d+ dev eth0", routes, re.MULTILINE)) == 3
        assert "flannel" not in connect(name).check_output("ip -brief link")


def test_images_of_the_control_plane_have_the_names_of_the_site() -> None:
    pods = json.loads(connect(SECOND).check_output(f"{ADMIN} get pods --namespace=kube-system --output=json"))["items"]
    images = {container["image"] for pod in pods for container in pod["spec"]["containers"]}
    assert len(images) > 5 and {image.partition("/")[0] for image in images} == {"site.example"}
    sandbox = connect(SECOND).check_output("containerd config dump")
    assert "site.example/pause:" in sandbox


def test_a_worker_dies() -> None:
    subprocess.run(["docker", "stop", "--time=0", f"slipway-{WORKER}"], check=True, stdout=subprocess.DEVNULL)
    # As long as the cluster does not know, nobody can: it may be the network only.
    assert "is Ready" in run("remove_node.yml", "--extra-vars", f"node={WORKER}", rc=2)


def test_the_first_control_plane_is_removed() -> None:
    run("remove_node.yml", "--extra-vars", f"node={FIRST}")
    assert set(nodes()) == {SECOND, THIRD, WORKER}
    assert members() == {SECOND: True, THIRD: True}
    assert not connect(FIRST).file("/etc/kubernetes/admin.conf").exists
    assert changes(run("remove_node.yml", "--extra-vars", f"node={FIRST}")) == 0


def test_the_dead_worker_is_removed() -> None:
    deadline = time.monotonic() + 120
    while nodes()[WORKER] == "True":
        assert time.monotonic() < deadline, "the cluster does not notice that a node is dead"
        time.sleep(1)
    assert f"Not reset, since not reached: {WORKER}" in run("remove_node.yml", "--extra-vars", f"node={WORKER}")
    assert nodes() == {SECOND: "True", THIRD: "True"}


def test_a_new_worker_asks_little_of_the_others() -> None:
    subprocess.run([sys.executable, "-m", "lab", "nodes", "--fresh", f"{WORKER}:debian13"], cwd=PROJECT, check=True)
    output = run("add_nodes.yml", "--limit", WORKER)
    assert nodes() == {SECOND: "True", THIRD: "True", WORKER: "True"}
    elsewhere = [
        (host, task)
        for host, task, _changed in executions(output)
        if host not in (WORKER, "localhost") and task not in (SPREAD, KEPT)
    ]
    assert {host for host, _task in elsewhere} <= {FIRST, SECOND}
    assert [task for host, task in elsewhere if host == SECOND] == ASKED
    # The machine that is none yet was looked at first, as it is the first of the inventory.
    assert [task for host, task in elsewhere if host == FIRST] == ASKED[:1]


def test_the_first_control_plane_comes_back() -> None:
    output = run("add_nodes.yml")
    assert nodes() == dict.fromkeys((FIRST, SECOND, THIRD, WORKER), "True")
    assert members() == dict.fromkeys((FIRST, SECOND, THIRD), True)
    done = executions(output)
    assert [task for host, task, _changed in done if host == WORKER] == []
    # Its place in the load balancers of the others had been kept. The controller's kubeconfig comes from the first one.
    asked = [*ASKED, "Make the cluster's CA", SPREAD]
    others = [(host, task) for host, task, changed in done if changed and host not in (FIRST, "localhost")]
    assert [entry for entry in others if entry[1] not in asked] == []
    for host in (FIRST, SECOND, THIRD):
        assert not connect(host).file("/var/lib/slipway/run.json").exists, f"{host}: another controller would wait"


def test_load_balancers_send_requests_to_it_again() -> None:
    """That it takes no new ones was said to haproxy when it was removed; its name is the same now."""
    script = (
        "import socket; s = socket.socket(socket.AF_UNIX); s.connect('/run/haproxy/admin.sock');"
        " s.sendall(b'show stat -1 4 -1\\n'); print(s.makefile().read())"
    )
    deadline = time.monotonic() + 30
    for host in (FIRST, SECOND, THIRD):
        while True:
            table = connect(host).check_output("python3 -c %s", script).lstrip("# ").splitlines()
            servers = [row for row in csv.DictReader(filter(None, table)) if row["pxname"] == "ready"]
            states = {row["svname"]: row["status"] for row in servers}
            if states == dict.fromkeys((FIRST, SECOND, THIRD), "UP"):
                break
            assert time.monotonic() < deadline, f"{host}: {states}"
            time.sleep(1)


def test_all_is_as_it_was() -> None:
    assert changes(run(CONVERGE)) == 0
    assert changes(run(CONVERGE, "--check")) == 0
    run("verify.yml")
