# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
import re
import typing as t
from pathlib import Path

import pytest
from ansible_collections.slipway.kubernetes.plugins.module_utils._machine import leftovers
from ansible_collections.slipway.kubernetes.plugins.module_utils._network import netfilter
from ansible_collections.slipway.kubernetes.plugins.module_utils._pod_networks import POD_NETWORKS
from ansible_collections.slipway.kubernetes.plugins.module_utils._settings import Settings
from ansible_collections.slipway.kubernetes.tests.unit.plugins.package_fakes import FakeRunner

CALICO = POD_NETWORKS["calico"]
DIGITS = "sha256:" + 64 * "0"
DEFAULTS: t.Dict[str, t.Any] = {
    "cluster_pod_subnet": "10.244.0.0/16",
    "cni_calico_version": "3.28.5",
    "cni_calico_manifest_checksum": DIGITS,
    "cni_calico_image_repository": "docker.io/calico",
    "cni_calico_encapsulation": "vxlan",
    "cni_calico_cross_subnet": False,
    "cni_calico_mtu": 0,
    "cni_calico_block_size": 26,
    "cni_calico_block_size6": 122,
    "cni_calico_nat_outgoing": True,
    "cni_calico_calicoctl": True,
    "cni_calico_calicoctl_checksum": "sha256:https://example.com/SHA256SUMS",
}
NETWORK = "cluster_pod_subnet"
TWO = {"cluster_pod_subnet": "10.244.0.0/16,fd00:10:244::/56"}
SIX = {"cluster_pod_subnet": "fd00:10:244::/56"}
EXTRA_POOL = {"apiVersion": "crd.projectcalico.org/v1", "kind": "IPPool", "metadata": {"name": "more"}, "spec": {}}


def settings(**more: t.Any) -> Settings:
    return Settings({**DEFAULTS, **more})


def objects(**more: t.Any) -> t.Dict[str, t.Dict[str, t.Any]]:
    """The specs of the objects beside the manifest, by their kinds and names."""
    found = CALICO.objects(settings(**more))
    return {f"{item['kind']} {item['metadata']['name']}": item["spec"] for item in found}


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, {"ipipMode": "Never", "vxlanMode": "Always"}),
        ({"cni_calico_cross_subnet": "true"}, {"vxlanMode": "CrossSubnet"}),
        ({"cni_calico_encapsulation": "ipip"}, {"ipipMode": "Always", "vxlanMode": "Never"}),
        ({"cni_calico_encapsulation": "none"}, {"ipipMode": "Never", "vxlanMode": "Never"}),
        ({"cni_calico_block_size": "24"}, {"cidr": "10.244.0.0/16", "blockSize": 24, "natOutgoing": True}),
        ({"cni_calico_nat_outgoing": "false"}, {"natOutgoing": False}),
        ({"cni_calico_ip_pool": {"nodeSelector": "zone == 'a'"}}, {"nodeSelector": "zone == 'a'"}),
    ],
)
def test_the_pool(given: t.Dict[str, t.Any], expected: t.Dict[str, t.Any]) -> None:
    pool = objects(**given)["IPPool default-ipv4-ippool"]
    assert {key: pool[key] for key in expected} == expected


@pytest.mark.parametrize(
    ("given", "modes"),
    [
        ({}, ("Never", "Always")),
        ({"cni_calico_cross_subnet": True}, ("Never", "CrossSubnet")),
        # There is no such tunnel for IPv6.
        ({"cni_calico_encapsulation": "ipip"}, ("Never", "Never")),
    ],
)
def test_the_pool_of_ipv6(given: t.Dict[str, t.Any], modes: t.Tuple[str, str]) -> None:
    assert "IPPool default-ipv6-ippool" not in objects(**given)
    found = objects(**{**TWO, **given, "cni_calico_ip_pool": {"nodeSelector": "zone == 'a'"}})
    four, six = (found[f"IPPool default-ipv{version}-ippool"] for version in (4, 6))
    assert (four["cidr"], four["blockSize"]) == ("10.244.0.0/16", 26)
    assert (six["cidr"], six["blockSize"], six["natOutgoing"]) == ("fd00:10:244::/56", 122, True)
    assert (six["ipipMode"], six["vxlanMode"]) == modes
    assert four["nodeSelector"] == six["nodeSelector"] == "zone == 'a'"


def test_settings_are_passed_through() -> None:
    felix = {"logSeverityScreen": "Info", "reportingInterval": "0s"}
    assert objects()["FelixConfiguration default"] == felix and "BGPConfiguration default" not in objects()
    more = objects(
        cni_calico_felix={"logSeverityScreen": "Warning"},
        cni_calico_bgp={"asNumber": 64512},
        cni_calico_objects=[EXTRA_POOL],
    )
    assert more["FelixConfiguration default"] == {**felix, "logSeverityScreen": "Warning"}
    assert more["BGPConfiguration default"] == {"asNumber": 64512} and "IPPool more" in more


def patches(**more: t.Any) -> t.Dict[str, t.Any]:
    """The patches by their kinds; the first one of each."""
    found: t.Dict[str, t.Any] = {}
    for patch in CALICO.patches(settings(**more)):
        found.setdefault(patch["kind"], patch)
    return found


def test_the_manifest_without_bgp_and_with_it() -> None:
    for given, backend, probed in (("vxlan", "vxlan", False), ("ipip", "bird", True), ("none", "bird", True)):
        found = patches(cni_calico_encapsulation=given, cni_calico_mtu=1400)
        assert found["ConfigMap"]["data"] == {"calico_backend": backend, "veth_mtu": "1400"}
        (agent,) = found["DaemonSet"]["spec"]["template"]["spec"]["containers"]
        assert ("-bird-live" in agent["livenessProbe"]["exec"]["command"]) is probed
        assert {"name": "NO_DEFAULT_POOLS", "value": "true"} in agent["env"]


def test_the_manifest_with_two_families() -> None:
    one, two = patches(), patches(**TWO)
    assert "cni_network_config" not in one["ConfigMap"]["data"]
    text = two["ConfigMap"]["data"]["cni_network_config"]
    own, *others = json.loads(text.replace("__CNI_MTU__", "0"))["plugins"]
    assert own["mtu"] == 0 and own["ipam"] == {"type": "calico-ipam", "assign_ipv4": "true", "assign_ipv6": "true"}
    assert [item["type"] for item in others] == ["portmap", "bandwidth"]
    agents = [found["DaemonSet"]["spec"]["template"]["spec"]["containers"][0]["env"] for found in (one, two)]
    names = [{item["name"]: item["value"] for item in agent} for agent in agents]
    assert "IP6" not in names[0] and "FELIX_IPV6SUPPORT" not in names[0]
    assert (names[1]["IP6"], names[1]["FELIX_IPV6SUPPORT"]) == ("autodetect", "true")
    assert names[1]["IP6_AUTODETECTION_METHOD"] == names[1]["IP_AUTODETECTION_METHOD"] == "kubernetes-internal-ip"


def test_the_manifest_with_ipv6_alone() -> None:
    found = patches(**SIX)
    own, *_others = json.loads(found["ConfigMap"]["data"]["cni_network_config"].replace("__CNI_MTU__", "0"))["plugins"]
    assert own["ipam"] == {"type": "calico-ipam", "assign_ipv4": "false", "assign_ipv6": "true"}
    agent = found["DaemonSet"]["spec"]["template"]["spec"]["containers"][0]["env"]
    values = {item["name"]: item["value"] for item in agent}
    assert (values["IP"], values["IP6"], values["CALICO_ROUTER_ID"]) == ("none", "autodetect", "hash")
    assert "IP_AUTODETECTION_METHOD" not in values
    pools = objects(**SIX)
    assert "IPPool default-ipv4-ippool" not in pools
    assert (pools["IPPool default-ipv6-ippool"]["cidr"], CALICO.overhead_with(settings(**SIX))) == (SIX[NETWORK], 70)
    lasting = {item.key: (item.wanted, item.variable) for item in CALICO.lasting(settings(**SIX))}
    assert lasting["network"] == (SIX[NETWORK], NETWORK)
    assert lasting["block_size"] == ("122", "cni_calico_block_size6")
    said = [finding.subject for finding in CALICO.findings(settings(**SIX, cni_calico_encapsulation="ipip"))]
    assert said == ["cni_calico_encapsulation"] and not list(CALICO.findings(settings(**SIX)))


def test_images_are_of_one_repository() -> None:
    given = settings(cni_calico_image_repository="registry.example.com/calico", cni_calico_patches=[EXTRA_POOL])
    found = CALICO.patches(given)
    images = re.findall(r"registry\.example\.com/calico/([a-z-]+):v3\.28\.5", str(found))
    assert images == ["cni", "cni", "node", "node", "kube-controllers"] and found[-1] == EXTRA_POOL
    assert CALICO.manifest and CALICO.manifest.image(given) == "registry.example.com/calico/node:v3.28.5"


def test_a_typha_between_agents_and_api_servers() -> None:
    found = [item for item in CALICO.patches(settings(cni_calico_typha_replicas="2")) if "typha" in str(item)]
    assert [item["spec"].get("replicas") for item in found] == [2, None]
    assert "docker.io/calico/typha:v3.28.5" in str(found)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, ["tcp 9099 False", "udp 4789 True"]),
        ({"cni_calico_felix": {"vxlanPort": 4790, "healthPort": "9199"}}, ["tcp 9199 False", "udp 4790 True"]),
        ({"cni_calico_typha_replicas": 1}, ["tcp 9099 False", "tcp 5473 True", "udp 4789 True"]),
        ({"cni_calico_felix": {"vxlanPort": "x"}}, ["tcp 9099 False", "udp 4789 True"]),
        (
            {"cni_calico_felix": {"wireguardEnabled": True, "wireguardEnabledV6": "true"}},
            ["tcp 9099 False", "udp 51820 False", "udp 51821 False", "udp 4789 True"],
        ),
        ({"cni_calico_encapsulation": "ipip"}, ["tcp 9099 False", "tcp 179 True"]),
        (
            {"cni_calico_encapsulation": "none", "cni_calico_bgp": {"listenPort": 1790}},
            ["tcp 9099 False", "tcp 1790 True"],
        ),
    ],
)
def test_ports(given: t.Dict[str, t.Any], expected: t.List[str]) -> None:
    assert [f"{port.protocol} {port.number} {port.is_tried}" for port in CALICO.ports(settings(**given))] == expected


@pytest.mark.parametrize(("encapsulation", "overhead"), [("vxlan", 50), ("ipip", 20), ("none", 0)])
def test_what_the_encapsulation_needs(encapsulation: str, overhead: int) -> None:
    given = settings(cni_calico_encapsulation=encapsulation, cni_calico_mtu="1400")
    assert CALICO.modules(given) == {encapsulation} - {"none"}
    assert (CALICO.overhead_with(given), CALICO.mtu(given)) == (overhead, 1400)


@pytest.mark.parametrize(("encapsulation", "overhead"), [("vxlan", 70), ("ipip", 20), ("none", 0)])
def test_what_the_encapsulation_of_two_families_needs(encapsulation: str, overhead: int) -> None:
    assert CALICO.overhead_with(settings(**TWO, cni_calico_encapsulation=encapsulation)) == overhead


@pytest.mark.parametrize(
    ("spec", "encapsulation"),
    [
        ({"vxlanMode": "CrossSubnet", "ipipMode": "Never"}, "vxlan"),
        ({"ipipMode": "Always"}, "ipip"),
        ({"ipipMode": "Never", "vxlanMode": ""}, "none"),
    ],
)
def test_what_lasts(spec: t.Dict[str, t.Any], encapsulation: str) -> None:
    kept = {
        "metadata": {"labels": {"slipway.io/set": "calico"}},
        "spec": {"cidr": "10.0.0.0/8", "blockSize": 26, **spec},
    }
    state = CALICO.state(kept)
    assert state == {
        "network": "10.0.0.0/8",
        "encapsulation": encapsulation,
        "block_size": "26",
        "release": CALICO.release,
    }
    assert {item.key for item in CALICO.lasting(settings())} | {"release"} == set(state)
    assert CALICO.state({})["release"] == "" and CALICO.lasting(Settings({})) == []


@pytest.mark.parametrize(
    ("text", "release"),
    [
        ('{"labels": {"slipway.io/set": "calico"}, "creationTimestamp": null}', "calico"),
        ('{"labels": null}', ""),
        ("[]", ""),
        ("{", ""),
    ],
)
def test_whose_it_is_when_calicoctl_has_written_it(text: str, release: str) -> None:
    """It keeps labels in an annotation."""
    kept = {"metadata": {"annotations": {"projectcalico.org/metadata": text}}, "spec": {}}
    assert CALICO.state(kept)["release"] == release


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"cni_calico_version": "v3.28.5"}, "v3.28.5 is not the version of a release."),
        ({"cni_calico_version": ""}, "(empty) is not the version of a release."),
        ({"cni_calico_manifest_checksum": ""}, "is empty: no checksum of this file of 3.28.5 is known here."),
        ({"cni_calico_calicoctl_checksum": "md5:1"}, "is neither a SHA-256 nor the address of a file with one."),
        ({"cni_calico_typha_replicas": -1}, "is -1, and has to be between 0 and the number of nodes (0)"),
        ({"cni_calico_typha_replicas": 3, "cluster_worker_hosts": ["a", "b"]}, "is 3, and has to be between 0"),
        ({"cluster_worker_hosts": list(range(51))}, "is 0 with 51 nodes, whose agents all ask the API servers"),
        ({"cni_calico_block_size": 19}, "is 19, and Calico has blocks of /20 to /32."),
        ({"cni_calico_block_size": 33}, "is 33, and Calico"),
        ({**TWO, "cni_calico_block_size6": 64}, "is 64, and Calico has blocks of /116 to /128."),
        (
            {"cluster_pod_subnet": "10.244.0.0/16,fd00::/124"},
            "is 122, and a block of that size is larger than cluster_pod_subnet fd00::/124.",
        ),
        ({"cluster_pod_subnet": "10.244.0.0/27"}, "is 26, and a block of that size is larger than"),
        ({"cni_calico_mtu": 900}, "is 900, and has to be 0 or between 1280 and 65535."),
        ({"cni_calico_mtu": 70000}, "is 70000, and has to be 0"),
        (
            {"cni_calico_cross_subnet": True, "cni_calico_encapsulation": "none"},
            "there is nothing that it could leave out.",
        ),
        ({"cni_calico_ip_pool": {"cidr": "10.0.0.0/8"}}, "has cidr, which has a variable of its own."),
        ({"cni_calico_felix": {"bpfEnabled": True}}, "has bpfEnabled, which takes kube-proxy's place"),
        ({"cni_calico_objects": ["x"]}, "entry 1 is no object of crd.projectcalico.org/v1"),
        ({"cni_calico_objects": [{**EXTRA_POOL, "apiVersion": "projectcalico.org/v3"}]}, "entry 1 is no object of"),
        ({"cni_calico_objects": [EXTRA_POOL, {**EXTRA_POOL, "metadata": {}}]}, "entry 2 is no object of"),
        (
            {"cni_calico_objects": [{**EXTRA_POOL, "metadata": {"name": "default-ipv4-ippool"}}]},
            "entry 1 is IPPool default-ipv4-ippool, which has variables of its own.",
        ),
    ],
)
def test_what_is_wrong(given: t.Dict[str, t.Any], expected: str) -> None:
    messages = [finding.message for finding in CALICO.findings(settings(**given))]
    assert len(messages) == 1 and expected in messages[0]


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"cni_calico_block_size": 20},
        {"cni_calico_block_size": 32},
        {"cluster_pod_subnet": "10.244.0.0/26"},
        {"cni_calico_mtu": 1280},
        {"cluster_worker_hosts": list(range(50))},
        {"cluster_worker_hosts": list(range(51)), "cni_calico_typha_replicas": 3},
        {"cni_calico_calicoctl": "false", "cni_calico_calicoctl_checksum": ""},
        {"cni_calico_cross_subnet": True},
        {"cni_calico_objects": [EXTRA_POOL], "cni_calico_ip_pool": {"disabled": True}},
    ],
)
def test_what_is_all_right(given: t.Dict[str, t.Any]) -> None:
    assert list(CALICO.findings(settings(**given))) == []


def test_the_network_of_all_pods(tmp_path: Path) -> None:
    """By kube-proxy's configuration, on a machine that Calico was on."""
    folder = "var/lib/kubelet/pods/1/volumes/kubernetes.io~configmap/kube-proxy"
    for path, text in (
        ("var/lib/calico/nodename", ""),
        (f"{folder}/config.conf", "kind: KubeProxyConfiguration\n"),
        (
            f"{folder.replace('/1/', '/2/')}/config.conf",
            "bindAddress: 0.0.0.0\nclusterCIDR: 10.244.0.0/16\nmode: nftables\n",
        ),
    ):
        assert CALICO.network(str(tmp_path)) == ""
        (tmp_path / path).parent.mkdir(parents=True)
        (tmp_path / path).write_text(text, "utf-8")
    assert CALICO.network(str(tmp_path)) == "10.244.0.0/16"
    for path in tmp_path.rglob("config.conf"):
        path.write_text("clusterCIDR: 10.244.0.0/16,fd00:10:244::/56\n", "utf-8")
    assert CALICO.network(str(tmp_path)) == TWO["cluster_pod_subnet"]


STATUS = """\
Calico process is running.

IPv4 BGP status
+--------------+-------------------+-------+----------+-------------+
| PEER ADDRESS |     PEER TYPE     | STATE |  SINCE   |    INFO     |
+--------------+-------------------+-------+----------+-------------+
| 172.30.0.12  | node-to-node mesh | up    | 09:30:04 | Established |
| 192.0.2.1    | global            | start | 09:30:01 | Active      |
+--------------+-------------------+-------+----------+-------------+

IPv6 BGP status
+--------------+-------------------+-------+----------+--------------------------------+
| PEER ADDRESS |     PEER TYPE     | STATE |  SINCE   |              INFO              |
+--------------+-------------------+-------+----------+--------------------------------+
| fd30::12     | node-to-node mesh | start | 09:30:01 | Active Socket: Connection      |
|              |                   |       |          | refused                        |
+--------------+-------------------+-------+----------+--------------------------------+
"""


def test_sessions_of_bgp() -> None:
    runner = FakeRunner({"node status": STATUS}, tools={"calicoctl"})
    assert CALICO.sessions(runner) == {
        "172.30.0.12": "",
        "192.0.2.1": "global: Active",
        "fd30::12": "node-to-node mesh: Active Socket: Connection",
    }
    none = "Calico process is running.\n\nNone of the BGP backend processes (BIRD or GoBGP) are running.\n"
    assert CALICO.sessions(FakeRunner({"node status": none}, tools={"calicoctl"})) == {}
    assert CALICO.sessions(FakeRunner({}, tools=())) == POD_NETWORKS["flannel"].sessions(FakeRunner({})) == {}


def test_nothing_of_it_is_left() -> None:
    shown = (
        "default via 172.30.0.1 dev eth0 \n10.244.88.0/26 via 10.244.88.0 dev vxlan.calico onlink \n"
        "blackhole 10.244.184.128/26 proto 80 \n10.244.184.129 dev cali79bc5610b72 scope link \n"
        "blackhole 192.0.2.0/24 \nblackhole 10.9.0.0/26 proto bird \n"
    )
    assert leftovers.routes(shown) == ["blackhole 10.244.184.128/26 proto 80"]
    assert leftovers.mounts("22 1 0:3 / /run/calico/cgroup rw - cgroup2 none rw\n") == ["/run/calico/cgroup"]
    saved = (
        "*filter\n:FORWARD ACCEPT [0:0]\n:cali-FORWARD - [0:0]\n"
        '-A FORWARD -m comment --comment "cali:wUHhoiAYhphO9Mso" -j cali-FORWARD\n'
        '-A FORWARD -m comment --comment "cali:S93hcgKJrXEqnTfs" -m comment --comment "Policy explicitly accepted'
        ' packet." -m mark --mark 0x10000/0x10000 -j ACCEPT\n'
        '-A FORWARD -m comment --comment "cali:mp77cMpurHhyjLrM" -j MARK --set-xmark 0x10000/0x10000\n'
        "-A FORWARD -s 192.0.2.0/24 -j ACCEPT\nCOMMIT\n"
    )
    plan = netfilter.plan(saved, [])
    assert plan.names == ["filter cali-FORWARD"]
    assert plan.text.count("-D FORWARD") == 3 and "192.0.2.0" not in plan.text
