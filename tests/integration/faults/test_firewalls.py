# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Firewalls that are closed on new machines: ufw, firewalld and a file of nftables, each on a machine of its own."""

from __future__ import annotations

import typing as t

import pytest
from lab_support import ROOT, Node, Site

PLANE, SECOND, THIRD = NAMES = ["fire1", "fire2", "fire3"]
#: One without a firewall, which is added later.
FOURTH = "fire4"

#: What a site has that has closed its machines.
UFW = """
apt-get update --quiet=2 && apt-get install --yes --quiet=2 ufw >/dev/null
ufw allow 22/tcp && ufw --force enable
"""
FIREWALLD = """
apt-get update --quiet=2 && apt-get install --yes --quiet=2 --no-install-recommends firewalld >/dev/null
firewall-cmd --state
"""
NFTABLES = (ROOT / "molecule" / "machines" / "files" / "closed.sh").read_text(encoding="utf-8")
#: What of ours is in each.
OURS = {
    PLANE: "ufw show added | grep slipway",
    SECOND: "ls /etc/firewalld/*/slipway-*.xml",
    THIRD: "nft list ruleset | grep slipway; ls /usr/local/lib/slipway/firewall /etc/systemd/system/slipway-firewall.*",
}


#: How their rules are seen.
RULES = {
    PLANE: "ufw show added",
    SECOND: "firewall-cmd --policy=slipway-input --list-rich-rules",
    THIRD: "nft list chain inet filter slipway-input",
}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> t.Iterator[Site]:
    """Three closed machines."""
    made = Site(
        tmp_path_factory.mktemp("firewalls"),
        [PLANE],
        [SECOND, THIRD],
        systems={SECOND: "debian13"},
        variables={
            "node_prep_firewall": "open",
            "node_prep_firewall_ports": [{"port": "9101"}],
            "metallb_address_pools": [{"name": "default", "addresses": ["172.30.0.205-172.30.0.209"]}],
        },
    )
    try:
        for name, script in zip(NAMES, (UFW, FIREWALLD, NFTABLES)):
            made.nodes[name].shell(script)
        yield made
    finally:
        made.close()


def reaches(node: Node, target: Node, port: int) -> bool:
    """Whether a machine gets a connection to another one, which has to listen there."""
    words = ("timeout", "3", "bash", "-c", f"exec 3<>/dev/tcp/{target.address}/{port}")
    return node.execute(*words, check=False).returncode == 0


def test_left_alone_they_are_named(site: Site) -> None:
    result = site.run("-e", "node_prep_firewall=leave")
    assert result.rc == 2, result.output
    for name, by in zip(NAMES, ("ufw", "firewalld", "nftables (inet filter input)")):
        assert f"{name}: firewall: {by} does not admit pods" in result.output, result.output
    assert "changed=1" not in result.output


def test_a_cluster_is_built(site: Site) -> None:
    site.run("--check").expect()
    assert not site.nodes[PLANE].shell(OURS[PLANE], check=False)
    site.run().expect()
    site.run().expect(changed=[])
    site.run("--check").expect(changed=[])
    site.run(playbook="playbooks/verify.yml").expect()


def test_what_is_not_needed_is_closed(site: Site) -> None:
    plane, others = site.nodes[PLANE], [site.nodes[SECOND], site.nodes[THIRD]]
    assert all(reaches(node, plane, 6443) and not reaches(node, plane, 2379) for node in others)
    for target in site.nodes.values():
        for port in (9101, 9102):
            target.shell(f"systemd-run --quiet --unit=listen-{port} python3 -m http.server {port}")
        node = next(node for node in site.nodes.values() if node is not target)
        for port in (9101, 9102):
            target.execute("bash", "-c", f"until exec 3<>/dev/tcp/127.0.0.1/{port}; do sleep 0.2; done 2>/dev/null")
        assert reaches(node, target, 10250), target.name
        assert reaches(node, target, 9101) and not reaches(node, target, 9102), target.name
        # By the machine itself it can be reached: it was closed, and not absent.
        assert reaches(target, target, 9102), target.name


def test_they_are_open_after_a_boot(site: Site) -> None:
    site.nodes[THIRD].shell("systemctl restart nftables.service")
    site.nodes[THIRD].shell("until nft list chain inet filter input | grep -q slipway-input; do sleep 0.2; done")
    for node in site.nodes.values():
        node.restart()
    site.run().expect()
    site.run("--check").expect(changed=[])
    site.run(playbook="playbooks/verify.yml").expect()


def test_the_others_are_opened_for_a_node_that_is_added(site: Site) -> None:
    site.groups["kube_node"].append(FOURTH)
    site.renew(FOURTH)
    addresses = [node.address for node in site.nodes.values()]
    site.configure({"node_prep_firewall_sources": [f"{address}/32" for address in addresses]})
    site.run(playbook="playbooks/add_nodes.yml").expect()
    added = site.nodes[FOURTH].address
    for name, script in RULES.items():
        assert added in site.nodes[name].shell(script), name
    # The network that was named before goes when all machines are looked at.
    site.run().expect(changed=[(name, "Let through the firewall what a node needs") for name in NAMES])
    site.run("--check").expect(changed=[])
    site.run(playbook="playbooks/verify.yml").expect()


def test_a_reset_closes_them(site: Site) -> None:
    site.run("-e", "reset_confirm=true", playbook="playbooks/reset.yml").expect()
    for name, script in OURS.items():
        assert not site.nodes[name].shell(script, check=False), name
    assert "Status: active" in site.nodes[PLANE].shell("ufw status")
    assert site.nodes[SECOND].shell("firewall-cmd --state 2>&1").strip() == "running"
    assert "policy drop" in site.nodes[THIRD].shell("nft list chain inet filter input")
