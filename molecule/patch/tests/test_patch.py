# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What patch_nodes.yml has updated, what it has left alone, and what it says and does the next times."""

from __future__ import annotations

import json
import typing as t

import pytest
from conftest import changes, connect, names, play
from testinfra.host import Host

ADMIN = "kubectl --kubeconfig=/etc/kubernetes/admin.conf"
VARIABLES = {"cluster_name": "patch", "patch_exclude": ["slipway-demo-exc*"], "patch_reboot": "never"}
PATCH = "patch_nodes.yml"


WITH_DNF = names("with_dnf")
QUERY_DNF = "dnf-3 --quiet --cacheonly repoquery --installed --queryformat '%{name} %{reason}' 'slipway-demo*'"


def has_dnf(host: Host) -> bool:
    """Whether it is one of the RHEL family."""
    return host.check_output("hostname") in WITH_DNF


def version(host: Host, name: str) -> str:
    """The installed version of a package."""
    if has_dnf(host):
        return host.check_output(f"rpm --query --queryformat '%{{VERSION}}' {name}")
    return host.check_output(f"dpkg-query --show --showformat='${{Version}}' {name}")


def automatic(host: Host) -> t.List[str]:
    """Our packages that are there for others only."""
    if has_dnf(host):
        words = map(str.split, host.check_output(QUERY_DNF).splitlines())
        return sorted(name for name, reason in words if reason == "dependency")
    return sorted(host.check_output("apt-mark showauto 'slipway-demo*'").split())


def held(host: Host) -> t.Set[str]:
    """Packages that are kept at their version: by dnf ours are excluded, the one of prepare-dnf.sh is locked."""
    if has_dnf(host):
        locks = host.check_output("dnf-3 --quiet versionlock list").split()
        excluded = host.check_output("sed --quiet s/^excludepkgs=//p /etc/dnf/dnf.conf").split(", ")
        return {*excluded, *(lock.rsplit("-", 2)[0] for lock in locks)}
    return set(host.check_output("apt-mark showhold").split())


def said(output: str) -> str:
    """What a playbook has printed, however its lines are broken."""
    return " ".join(output.split())


def nodes() -> t.Dict[str, t.Any]:
    """The Node objects by their names."""
    said = connect("patch-cp").check_output(f"{ADMIN} get nodes --output=json")
    return {item["metadata"]["name"]: item for item in json.loads(said)["items"]}


def assert_all_take_pods() -> None:
    for node in nodes().values():
        assert not node["spec"].get("unschedulable")
        assert "slipway.io/cordoned" not in node["metadata"]["annotations"]


def test_what_is_updated(node: Host) -> None:
    assert version(node, "slipway-demo") == "2"
    assert version(node, "slipway-demo-new") == "1"
    # It was there for others, and still is.
    assert automatic(node) == ["slipway-demo", "slipway-demo-new"]


def test_what_is_left_alone(node: Host) -> None:
    assert version(node, "slipway-demo-held") == "1"
    assert version(node, "slipway-demo-excluded") == "1"
    assert {"kubeadm", "kubectl", "kubelet", "slipway-demo-held"} <= held(node)


def test_nodes_take_pods() -> None:
    assert set(nodes()) == set(names())
    assert_all_take_pods()


@pytest.mark.last
def test_the_next_updates() -> None:
    machines = [connect(name) for name in names()]
    for machine in machines:
        machine.check_output("publish slipway-demo 3 slipway-demo-new")
        machine.check_output("dnf-3 makecache" if has_dnf(machine) else "apt-get update")
    looked = said(play(PATCH, "--check", variables=VARIABLES))
    for name in names():
        kept = "(kept: slipway-demo-excluded, slipway-demo-held)"
        new = "3-1" if name in WITH_DNF else "3"
        assert f"{name} 1 package would be updated: slipway-demo {new} {kept}" in looked
    assert {version(machine, "slipway-demo") for machine in machines} == {"2"}
    assert_all_take_pods()

    # A package that asks for a reboot: it is said, not done.
    machines[0].check_output("echo slipway-demo >/run/reboot-required.pkgs; touch /run/reboot-required")
    boots = {name: node["status"]["nodeInfo"]["bootID"] for name, node in nodes().items()}
    done = said(play(PATCH, variables=VARIABLES))
    assert "Warning: patch-cp has to be started anew for slipway-demo." in done
    assert "patch-cp 1 package updated: slipway-demo 3; has to be started anew for slipway-demo" in done
    assert {version(machine, "slipway-demo") for machine in machines} == {"3"}
    assert boots == {name: node["status"]["nodeInfo"]["bootID"] for name, node in nodes().items()}
    assert_all_take_pods()
    assert changes(play(PATCH, variables=VARIABLES)) == 0


@pytest.mark.last
def test_a_run_that_was_killed_after_it_had_drained_a_node() -> None:
    control_plane = connect("patch-cp")
    control_plane.check_output(f"{ADMIN} cordon patch-worker")
    control_plane.check_output(f"{ADMIN} annotate node patch-worker slipway.io/cordoned=2026-01-01T00:00:00Z")
    assert changes(play(PATCH, variables=VARIABLES)) == 1
    assert_all_take_pods()
    # One that somebody else has cordoned stays so.
    control_plane.check_output(f"{ADMIN} cordon patch-worker")
    assert changes(play(PATCH, variables=VARIABLES)) == 0
    assert nodes()["patch-worker"]["spec"]["unschedulable"] is True
    control_plane.check_output(f"{ADMIN} uncordon patch-worker")


@pytest.mark.last
def test_a_source_that_does_not_answer_ends_the_run_before_anything_is_changed() -> None:
    workers = [connect(name) for name in names("kube_node")]
    dead = "printf '%s\\n' '[dead]' name=dead baseurl=http://127.0.0.1:9/ gpgcheck=0 >/etc/yum.repos.d/dead.repo"
    for worker in workers:
        worker.check_output("publish slipway-demo 4 slipway-demo-new")
        of_apt = "echo 'deb [trusted=yes] http://127.0.0.1:9/ ./' >/etc/apt/sources.list.d/dead.list"
        worker.check_output(dead if has_dnf(worker) else of_apt)
    refusal = said(play(PATCH, rc=2, variables=VARIABLES))
    assert refusal.count("The package index could not be fetched, so nothing was updated") >= len(workers)
    assert {version(worker, "slipway-demo") for worker in workers} == {"3"}
    assert_all_take_pods()
