# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Check mode tells the truth on bare machines and on a built cluster; a run mends just what was changed by hand."""

from __future__ import annotations

import json
import pathlib
import typing as t

import pytest
from lab_support import Node, Site

CONTROL_PLANE, WORKER = "flt3", "flt4"

#: All that a run could leave on a machine, but for what changes by itself. The user's own ~/.ansible is Ansible's.
FINGERPRINT = r"""
dpkg --list
find /etc /opt /root /srv /usr/local /var/lib/apt /var/lib/dpkg \( -type f -o -type l \) -print0 |
    sort --zero-terminated | xargs --null sha256sum
find /etc /home /opt /root /srv /tmp /usr/local /var/lib \( -name .ansible -o -name 'systemd*' \) -prune -o -print |
    sort
systemctl list-units --plain --no-legend --type=service,socket,swap --state=active | cut -d' ' -f1
cat /proc/swaps /proc/sys/net/ipv4/ip_forward
hostname
"""


def fingerprints(nodes: t.Iterable[Node]) -> dict[str, list[str]]:
    """What there is on machines, by name."""
    return {node.name: node.shell(FINGERPRINT).splitlines() for node in nodes}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> t.Iterator[Site]:
    """Two fresh machines."""
    folder: pathlib.Path = tmp_path_factory.mktemp("drift")
    pools = [{"name": "default", "addresses": ["172.30.0.215-172.30.0.219"]}]
    made = Site(
        folder, [CONTROL_PLANE], [WORKER], systems={WORKER: "debian13"}, variables={"metallb_address_pools": pools}
    )
    yield made
    made.close()


def test_check_mode_on_bare_machines_changes_nothing(site: Site) -> None:
    before = fingerprints(site.nodes.values())
    result = site.run("--check", "--diff").expect()
    assert all(result.recap[name]["changed"] > 0 for name in site.nodes), result.output
    for task in ("Set sysctls", "Install and hold the Kubernetes packages", "Run containerd with this configuration"):
        assert {(CONTROL_PLANE, task), (WORKER, task)} <= result.changed, result.output
    assert (CONTROL_PLANE, "Initialise the control plane") in result.changed, result.output
    assert (WORKER, "Join the cluster") in result.changed, result.output
    assert fingerprints(site.nodes.values()) == before
    assert not site.artifacts.exists()


@pytest.fixture(scope="module")
def built(site: Site) -> Site:
    """The cluster."""
    site.run().expect()
    return site


def test_check_mode_on_the_built_cluster_finds_nothing(built: Site) -> None:
    built.run("--check", "--diff").expect(changed=[])


def live_sysctl(site: Site) -> None:
    site.nodes[WORKER].execute("sysctl", "-w", "net.ipv4.ip_forward=0")


def sysctl_file(site: Site) -> None:
    site.control_plane.shell("sed -i 's/1/0/' $(grep -l ip_forward /etc/sysctl.d/*slipway*)")


def mirror_file(site: Site) -> None:
    site.nodes[WORKER].shell("echo '# by hand' >> /etc/containerd/certs.d/quay.io/hosts.toml")


def unheld_package(site: Site) -> None:
    site.control_plane.execute("apt-mark", "unhold", "kubelet")


def stopped_kubelet(site: Site) -> None:
    site.nodes[WORKER].execute("systemctl", "stop", "kubelet")


def deleted_pool(site: Site) -> None:
    site.control_plane.kubectl("delete", "ipaddresspool", "default", "--namespace=metallb-system")


#: What is changed by hand, and the tasks that have to see it.
DRIFTS: list[tuple[t.Callable[[Site], None], set[tuple[str, str]]]] = [
    (live_sysctl, {(WORKER, "Set sysctls")}),
    (sysctl_file, {(CONTROL_PLANE, "Set sysctls")}),
    # containerd is older than its configuration then.
    (mirror_file, {(WORKER, "Configure containerd"), (WORKER, "Run containerd with this configuration")}),
    (unheld_package, {(CONTROL_PLANE, "Install and hold the Kubernetes packages")}),
    (stopped_kubelet, {(WORKER, "Keep the kubelet running")}),
    (deleted_pool, {(CONTROL_PLANE, "Apply the address pools")}),
]


def test_what_was_changed_by_hand_is_named_and_mended_exactly(built: Site) -> None:
    expected: set[tuple[str, str]] = set()
    for drift, tasks in DRIFTS:
        drift(built)
        expected |= tasks
    built.run("--check", "--diff").expect(changed=expected)
    built.run("--diff").expect(changed=expected)
    built.run().expect(changed=[])
    assert built.nodes[WORKER].shell("cat /proc/sys/net/ipv4/ip_forward").strip() == "1"
    assert "kubelet" in built.control_plane.execute("apt-mark", "showhold").stdout.split()
    assert built.unready_nodes() == []


def test_a_worker_is_never_made_a_control_plane(built: Site) -> None:
    """The role alone, without the preflight that refuses it before; the second time it has no record to go by."""
    playbook = built.folder / "init.yml"
    role = {"ansible.builtin.import_role": {"name": "slipway.kubernetes.control_plane"}}
    play = {"hosts": "kube_node", "gather_facts": False, "become": True, "tasks": [role]}
    playbook.write_text(json.dumps([play]), encoding="utf-8")
    for _again in range(2):
        assert "This host is a node of a cluster already" in built.run(playbook=str(playbook)).expect(rc=2).output
    built.run().expect(changed=[])
    assert built.unready_nodes() == []
