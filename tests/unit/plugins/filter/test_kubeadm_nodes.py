# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

import pytest
from ansible.errors import AnsibleFilterError
from ansible_collections.slipway.kubernetes.plugins.filter import kubeadm, nodes
from ansible_collections.slipway.kubernetes.tests.unit.plugins.plugin_utils.test_kubeadm_config import JOIN, SETTINGS
from ansible_collections.slipway.kubernetes.tests.unit.plugins.utils import as_seen


def test_kubeadm_filters() -> None:
    filters = kubeadm.FilterModule().filters()
    assert [item["kind"] for item in filters["kubeadm_init_config"](SETTINGS)] == [
        "InitConfiguration",
        "ClusterConfiguration",
        "KubeletConfiguration",
        "KubeProxyConfiguration",
    ]
    assert filters["kubeadm_init_config"](SETTINGS, {"kubelet": {"maxPods": 5}})[2]["maxPods"] == 5
    assert filters["kubeadm_join_config"](JOIN, {"caCertPath": "/ca"})["caCertPath"] == "/ca"


def test_the_names_of_an_api_server() -> None:
    documents = kubeadm.kubeadm_init_config({**SETTINGS, "node_ip": "192.0.2.1"})
    assert kubeadm.kubeadm_apiserver_names(documents)[:2] == ["10.96.0.1", "192.0.2.1"]
    with pytest.raises(AnsibleFilterError, match="kubeadm_apiserver_names: the documents lack 'localAPIEndpoint'"):
        kubeadm.kubeadm_apiserver_names(kubeadm.kubeadm_init_config(SETTINGS))
    documents[1]["apiServer"]["certSANs"] = ["API.example.org"]
    with pytest.raises(AnsibleFilterError, match="neither an address nor a DNS name in lower case"):
        kubeadm.kubeadm_apiserver_names(documents)


def test_mistakes_name_filter_and_setting() -> None:
    with pytest.raises(AnsibleFilterError, match="kubeadm_init_config: there is no document etcd"):
        kubeadm.kubeadm_init_config(SETTINGS, {"etcd": {}})
    with pytest.raises(AnsibleFilterError, match="kubeadm_init_config: the settings lack 'cri_socket'"):
        kubeadm.kubeadm_init_config({"name": "cp1"})
    with pytest.raises(AnsibleFilterError, match="kubeadm_join_config: the settings lack 'endpoint'"):
        kubeadm.kubeadm_join_config({"name": "w1"})


def test_node_objects() -> None:
    taints = [{"key": "a", "effect": "NoSchedule"}]
    hostvars = {
        "n1": {"cluster_node_labels": {"disk": "ssd"}, "cluster_node_taints": taints},
        "n2": {"cluster_node_annotations": {"note": "x"}, "cluster_node_labels": None},
        "n3": {"cluster_node_labels": {"not": "asked"}},
    }
    assert nodes.FilterModule().filters()["node_objects"](["n1", "n2"], hostvars) == [
        {"name": "n1", "labels": {"disk": "ssd"}, "annotations": {}, "taints": taints},
        {"name": "n2", "labels": {}, "annotations": {"note": "x"}, "taints": []},
    ]


def test_a_machine_does_not_label_itself() -> None:
    """A kubelet may not give its node such labels, and facts that a module returns go over the inventory's."""
    forged = {"cluster_node_labels": {"node-restriction.kubernetes.io/x": "y"}, "cluster_node_taints": [{"key": "a"}]}
    [found] = nodes.node_objects(["w"], {"w": forging({"cluster_node_annotations": {"a": "b"}}, **forged)})
    assert found == {"name": "w", "labels": {}, "annotations": {"a": "b"}, "taints": []}
    configuration = {"node_join_configuration": {"nodeRegistration": {"taints": []}}}
    [found] = nodes.node_objects(["n1"], {"n1": forging({}, **configuration)}, ["n1"])
    assert found["control_plane_taints"]


@pytest.mark.parametrize(
    ("workers", "variables", "taints"),
    [
        ([], {}, [{"key": "node-role.kubernetes.io/control-plane", "effect": "NoSchedule"}]),
        (["n1"], {}, []),
        ([], {"control_plane_init_configuration": {"nodeRegistration": {"taints": []}}}, []),
        (["n1"], {"node_join_configuration": {"nodeRegistration": {"taints": [{"key": "a"}]}}}, [{"key": "a"}]),
        (["n1"], {"node_join_configuration": {"nodeRegistration": {"name": "x"}}}, []),
    ],
)
def test_what_kubeadm_gives_a_control_plane(
    workers: t.List[str], variables: t.Dict[str, t.Any], taints: t.List[t.Dict[str, str]]
) -> None:
    first, second = nodes.node_objects(["n1", "n2"], {"n1": variables, "n2": {}}, ["n1"], workers)
    assert first["control_plane_taints"] == taints and "control_plane_taints" not in second


def interface(*addresses: str, virtual: bool = False) -> t.Dict[str, t.Any]:
    return {"virtual": virtual, "addresses": [{"address": address} for address in addresses]}


NETWORKS = ["10.244.0.0/16", "10.96.0.0/12,fd00:96::/108"]


def machine(default: str, *others: str, **variables: t.Any) -> t.Dict[str, t.Any]:
    """A host's variables: its default address, what else its interfaces have, what the inventory says."""
    found = {"interfaces": [interface(default, *others)], "default_address": default}
    return as_seen({"slipway_node": found, **variables})


def forging(variables: t.Dict[str, t.Any], **facts: t.Any) -> t.Dict[str, t.Any]:
    """The variables of a host whose modules return facts of those names, too."""
    return {**variables, **facts, "ansible_facts": facts}


def identities(hostvars: t.Dict[str, t.Any], *endpoints: str) -> t.Dict[str, t.List[str]]:
    control_planes = [name for name in hostvars if name.startswith("cp")]
    found = nodes.FilterModule().filters()["node_identities"](
        [name for name in hostvars if name != "absent"], hostvars, endpoints, NETWORKS, control_planes, list(hostvars)
    )
    return {item["name"]: [*item["addresses"], *item.get("dns_names", [])] for item in found}


@pytest.mark.parametrize(
    ("own", "cluster", "wanted", "expected"),
    [
        ("", "", {}, False),
        ("", "", {"serverTLSBootstrap": False}, True),
        ("serverTLSBootstrap: true\n", "", {"serverTLSBootstrap": False}, False),
        ("kind: KubeletConfiguration\n", "serverTLSBootstrap: true\n", {}, True),
        ("", "a: b\nserverTLSBootstrap: true\n", {}, False),
        ("", "kind: KubeletConfiguration\n", {}, True),
    ],
)
def test_kubelets_that_make_their_certificates_themselves(
    own: str, cluster: str, wanted: t.Dict[str, t.Any], expected: bool
) -> None:
    """By their own configuration, else by that of the cluster, which they get when they join, else by the inventory."""
    facts = {"interfaces": [], "default_address": "192.0.2.1"}
    first = as_seen({"slipway_node": {**facts, "configuration": {"config_maps": {"kubelet-config": cluster}}}})
    node = {**facts, "default_address": "192.0.2.2", "configuration": {"kubelet": own} if own else {}}
    hostvars = {"cp1": first, "n1": {**as_seen({"slipway_node": node}), "control_plane_kubelet_configuration": wanted}}
    [found] = nodes.node_identities(["n1"], hostvars, control_planes=["cp1"])
    assert found.get("self_signed", False) is expected
    # As a variable of the play, which goes before the inventory's.
    hostvars["n1"]["control_plane_kubelet_configuration"] = {"failCgroupV1": False}
    [found] = nodes.node_identities(["n1"], hostvars, control_planes=["cp1"], kubelet_configuration=wanted)
    assert found.get("self_signed", False) is expected


DUAL = ["10.244.0.0/16,fd00:1::/56", "10.96.0.0/12,fd00:2::/112"]


def looked(*addresses: str, made: str = "", **variables: t.Any) -> t.Dict[str, t.Any]:
    """A host's variables: the addresses of its one interface, and with what it was made a node."""
    entries = [{"address": text.strip("~"), "temporary": text.startswith("~")} for text in addresses]
    found = {"interfaces": [{"name": "eth0", "addresses": entries}], "default_address": addresses[0]}
    configuration = {"configuration": {"kubelet_arguments": {"node-ip": made}}} if made else {}
    return as_seen({"slipway_node": {**found, **configuration}, **variables})


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        (looked("192.0.2.1", "2001:db8::1"), ["192.0.2.1", "2001:db8::1"]),
        (looked("192.0.2.1", "2001:db8::1", "~2001:db8::9"), ["192.0.2.1", "2001:db8::1"]),
        # With several of them none is chosen, unless the node was made with one or the inventory says it.
        (looked("192.0.2.1", "2001:db8::1", "2001:db8::2"), ["192.0.2.1"]),
        (looked("192.0.2.1", "2001:db8::1", "2001:db8::2", made="192.0.2.1,2001:DB8::2"), ["192.0.2.1", "2001:db8::2"]),
        (looked("192.0.2.1", "2001:db8::1", made="192.0.2.1,2001:db8::7"), ["192.0.2.1", "2001:db8::1"]),
        (
            looked("192.0.2.1", "2001:db8::1", "2001:db8::2", cluster_node_ip6="2001:DB8::2"),
            ["192.0.2.1", "2001:db8::2"],
        ),
        (looked("192.0.2.1"), ["192.0.2.1"]),
        # It may have no address of pods or services.
        (looked("192.0.2.1", "fd00:1::7"), ["192.0.2.1"]),
    ],
)
def test_a_node_of_two_families_has_two_addresses(variables: t.Dict[str, t.Any], expected: t.List[str]) -> None:
    hostvars = {"cp1": looked("192.0.2.9", "2001:db8::99"), "n1": variables}
    names = ["n1"]
    [found] = nodes.node_identities(names, hostvars, networks=DUAL, control_planes=["cp1"], workers=names)
    assert found["addresses"] == expected
    [found] = nodes.node_identities(names, hostvars, networks=["10.244.0.0/16"], control_planes=["cp1"], workers=names)
    assert found["addresses"] == ["192.0.2.1"]


def test_a_worker_does_not_take_anothers_address_of_ipv6() -> None:
    thief = looked("192.0.2.1", "2001:db8::99")
    hostvars = {"cp1": looked("192.0.2.9", "2001:db8::99", cluster_node_ip6="2001:db8::99"), "n1": thief}
    found = nodes.node_identities(["cp1", "n1"], hostvars, networks=DUAL, control_planes=["cp1"], workers=["n1"])
    assert [item["addresses"] for item in found] == [["192.0.2.9"], ["192.0.2.1"]]


def test_the_address_of_ipv6_for_kubeadm() -> None:
    facts = looked("192.0.2.1", "2001:db8::1")["cluster_look"]["ansible_facts"]["slipway_node"]
    of = nodes.FilterModule().filters()["node_address6"]
    assert of(facts, DUAL[0]) == of(facts, DUAL[0], "192.0.2.1") == "2001:db8::1"
    assert of(facts, DUAL[0], "", "2001:DB8::2") == "2001:db8::2"
    assert of(facts, "10.244.0.0/16") == of({}, DUAL[0]) == of(facts, DUAL[0], "198.51.100.1") == ""
    assert of(facts, "fd00::/56", "2001:db8::1") == ""


def test_the_address_of_a_node() -> None:
    variables = looked("192.0.2.1", "2001:db8::1")
    facts = variables["cluster_look"]["ansible_facts"]["slipway_node"]
    facts["default_address6"] = "2001:db8::1"
    of = nodes.FilterModule().filters()["node_address"]
    assert of(facts, DUAL[0]) == of(facts, "10.244.0.0/16") == "192.0.2.1"
    assert of(facts, "fd00::/56") == of({}, "fd00::/56", "2001:DB8:0::1") == "2001:db8::1"
    networks = ["fd00::/56", "fd01::/112"]
    [found] = nodes.node_identities(["n1"], {"n1": variables}, networks=networks, workers=["n1"])
    assert found["addresses"] == ["2001:db8::1"]
    facts["default_address6"] = ""
    assert nodes.node_identities(["n1"], {"n1": variables}, networks=networks, workers=["n1"])[0]["addresses"] == []


def test_a_worker_does_not_speak_for_the_cluster() -> None:
    def saying(address: str, asks: bool) -> t.Dict[str, t.Any]:
        maps = {"kubelet-config": f"serverTLSBootstrap: {str(asks).lower()}\n"}
        return as_seen({"slipway_node": {"default_address": address, "configuration": {"config_maps": maps}}})

    hostvars = {"w1": saying("192.0.2.9", False), "cp1": saying("192.0.2.1", True), "w2": machine("192.0.2.2")}
    found = nodes.node_identities(list(hostvars), hostvars, control_planes=["cp1"])
    assert [item.get("self_signed", False) for item in found] == [False, False, False]


@pytest.mark.parametrize(
    "said",
    [
        *({"interfaces": value} for value in (None, "x", [None], [{"addresses": None}])),
        *({"kubernetes": value} for value in (None, [])),
        *({"configuration": value} for value in ("x", {"config_maps": "x"}, {"kubelet_arguments": "zz"})),
        {"configuration": {"kubelet": {}, "kubelet_arguments": {}, "config_maps": {"kubelet-config": 5}}},
        {"surroundings": "x"},
    ],
    ids=str,
)
def test_a_machine_that_says_what_makes_no_sense_holds_up_nobody(said: t.Dict[str, t.Any]) -> None:
    worker = as_seen({"slipway_node": {"default_address": "192.0.2.9", "interfaces": [], **said}})
    hostvars = {"cp1": machine("192.0.2.1"), "w1": worker}
    assert identities(hostvars) == {"cp1": ["192.0.2.1"], "w1": []}
    both = nodes.node_identities(list(hostvars), hostvars, networks=DUAL, control_planes=["cp1"])
    assert [item["addresses"] for item in both] == [["192.0.2.1"], []]


@pytest.mark.parametrize(
    "entry",
    [{}, {"address": None}, {"address": ":::"}, {"address": ["fd00::1"]}, {"address": "2001:db8::1%eth0; x"}],
    ids=str,
)
def test_addresses_of_ipv6_that_are_none(entry: t.Dict[str, t.Any]) -> None:
    variables = looked("192.0.2.1")
    facts = variables["cluster_look"]["ansible_facts"]["slipway_node"]
    facts["interfaces"][0]["addresses"].append(entry)
    [found] = nodes.node_identities(["n1"], {"n1": variables}, networks=DUAL, workers=["n1"])
    assert found["addresses"] == ["192.0.2.1"]


def test_a_node_has_what_it_announces_and_what_the_inventory_adds() -> None:
    hostvars = {
        "n1": machine("192.0.2.1", "198.51.100.1", "fd00::1"),
        "n2": machine("192.0.2.2", "198.51.100.2", cluster_node_ip="198.51.100.2"),
        "n3": machine("192.0.2.3", cluster_node_cert_sans=["FD00:0::3", "203.0.113.3", "N3.example.org"]),
        "n4": as_seen({"slipway_node": {"interfaces": [], "default_address": "", "default_address6": "fd00::4"}}),
        "n5": {"cluster_node_ip": "::ffff:192.0.2.5"},
    }
    assert identities(hostvars) == {
        "n1": ["192.0.2.1"],
        "n2": ["198.51.100.2"],
        "n3": ["192.0.2.3", "fd00::3", "203.0.113.3", "n3.example.org"],
        "n4": ["fd00::4"],
        "n5": ["192.0.2.5"],
    }
    assert nodes.node_identities(["n1"], hostvars) == [{"name": "n1", "addresses": ["192.0.2.1"]}]


@pytest.mark.parametrize(
    ("worker", "expected"),
    [
        # Root has given it the control plane's address, or says so.
        (machine("192.0.2.9", "192.0.2.1"), ["192.0.2.9"]),
        (machine("192.0.2.1"), []),
        # One of the absent host, which only the inventory knows.
        (machine("192.0.2.7"), []),
        (
            machine("192.0.2.9", cluster_node_cert_sans=["192.0.2.7", "absent", "cp1", "w.example.org"]),
            ["192.0.2.9", "w.example.org"],
        ),
        # Another network interface of somebody else.
        (machine("198.51.100.2"), []),
        (machine("198.51.100.2", ansible_host="198.51.100.2"), ["198.51.100.2"]),
        # Those of all: the endpoint, API servers, services, pods, every machine.
        (machine("192.0.2.200"), []),
        (machine("203.0.113.80"), []),
        (machine("10.96.0.1"), []),
        (machine("10.244.3.1"), []),
        (machine("fd00:96::1"), []),
        (machine("127.0.0.1", cluster_node_cert_sans=["::1", "0.0.0.0", "169.254.1.1", "224.0.0.1"]), []),
        (
            machine("192.0.2.9", cluster_node_cert_sans=["kubernetes.default.svc", "localhost", "api.example.org"]),
            ["192.0.2.9"],
        ),
        (machine("192.0.2.9", cluster_node_cert_sans=["lb.example.org", "10.96.0.1", "192.0.2.200"]), ["192.0.2.9"]),
        # Facts would go over the inventory's variables.
        (machine("192.0.2.9", cluster_node_ip="192.0.2.66"), ["192.0.2.66"]),
        (forging(machine("192.0.2.9", cluster_node_ip="192.0.2.66"), cluster_node_ip="192.0.2.66"), ["192.0.2.9"]),
        (forging(machine("192.0.2.9"), cluster_node_cert_sans=["192.0.2.66"]), ["192.0.2.9"]),
        # What the control planes resolve the endpoint's name to.
        (machine("192.0.2.100"), []),
        (machine("192.0.2.100", ansible_host="192.0.2.100"), ["192.0.2.100"]),
        # Names of all.
        (machine("192.0.2.9", cluster_node_cert_sans=["kubernetes.default", "ip6-localhost", "cp1."]), ["192.0.2.9"]),
        (machine("192.0.2.9", cluster_node_cert_sans=["localhost4.x", "a.b.svc", "Shared.example.org"]), ["192.0.2.9"]),
    ],
)
def test_what_a_worker_may_not_have(worker: t.Dict[str, t.Any], expected: t.List[str]) -> None:
    sans = ["203.0.113.80", "lb.example.org", "192.0.2.1"]
    hostvars = {
        "cp1": machine("192.0.2.1", ansible_host="192.0.2.1", control_plane_cert_sans=sans),
        "cp2": machine("192.0.2.2", "198.51.100.2", "192.0.2.200"),
        "absent": {"ansible_host": "192.0.2.7", "cluster_node_cert_sans": ["shared.example.org"]},
        "w": worker,
    }
    resolved = {"Api.example.org": ["192.0.2.100"], "other.example.org": ["192.0.2.9"]}
    hostvars["cp1"]["cluster_look"]["ansible_facts"]["slipway_node"]["surroundings"] = {"names": resolved}
    found = identities(hostvars, "api.example.org:6443", "192.0.2.200")
    assert found["w"] == expected
    # Nobody takes from the control planes what the inventory says that they have, unless he announces it himself.
    assert found["cp1"] == ([] if "192.0.2.1" in expected or worker == machine("192.0.2.1") else ["192.0.2.1"])


def test_two_hosts_that_claim_one_address_have_it_both_not() -> None:
    assert identities({"n1": machine("192.0.2.1"), "n2": machine("192.0.2.1"), "n3": machine("192.0.2.3")}) == {
        "n1": [],
        "n2": [],
        "n3": ["192.0.2.3"],
    }
    # Only machines speak for themselves here: neither is believed.
    assert identities({"n1": machine("192.0.2.1"), "n2": machine("192.0.2.2", "192.0.2.1")})["n1"] == []


def test_the_address_of_a_gateway_is_no_hosts_own() -> None:
    through = {"ansible_host": "203.0.113.1"}
    hostvars = {"n1": machine("192.0.2.1", **through), "n2": machine("203.0.113.1", "192.0.2.2", **through)}
    assert identities(hostvars) == {"n1": ["192.0.2.1"], "n2": ["203.0.113.1"]}
    hostvars["n1"]["cluster_look"]["ansible_facts"]["slipway_node"]["interfaces"].append(interface("203.0.113.1"))
    assert identities(hostvars)["n2"] == []


@pytest.mark.parametrize(
    "name",
    [
        *("kubernetes", "localhost", "api.example.org", "ip6-allnodes"),
        *("kubernetes.default.svc.cluster.local", "metrics-server.kube-system.svc", "a.b.svc.corp.example"),
    ],
)
def test_a_worker_with_the_name_of_something_else_has_no_identity(name: str) -> None:
    said = {"cluster_dns_domain": "corp.example"}
    assert identities({"cp1": machine("192.0.2.1", **said), name: machine("192.0.2.2")}, "api.example.org:6443") == {
        "cp1": ["192.0.2.1"]
    }
    said = {"control_plane_cluster_configuration": {"networking": {"dnsDomain": "corp.example"}}}
    assert identities({"cp1": machine("192.0.2.1", **said), name: machine("192.0.2.2")}, "api.example.org:6443") == {
        "cp1": ["192.0.2.1"]
    }
    assert nodes.node_identities([name], {name: machine("192.0.2.2")}, [name], control_planes=[name])


@pytest.mark.parametrize("name", ["n1.svc.corp.example", "n1.rack2.svc.corp.example", "n1.svc", "ip6-edge", "svc"])
def test_a_worker_whose_name_is_that_of_no_service(name: str) -> None:
    hostvars = {"cp1": machine("192.0.2.1"), name: machine("192.0.2.2")}
    assert identities(hostvars) == {"cp1": ["192.0.2.1"], name: ["192.0.2.2"]}


def test_the_endpoint_is_what_control_planes_say_too() -> None:
    """add_nodes asks with the variables of a worker, over which its facts go."""
    said = {"cluster_endpoint": "192.0.2.5:6443", "cluster_pod_subnet": "198.51.100.0/24"}
    hostvars = {"cp1": machine("192.0.2.1", **said), "w1": machine("192.0.2.5"), "w2": machine("198.51.100.2")}
    assert identities(hostvars) == {"cp1": ["192.0.2.1"], "w1": [], "w2": []}


def test_a_single_control_plane_may_be_its_own_endpoint() -> None:
    assert identities({"cp1": machine("192.0.2.4", cluster_node_ip="192.0.2.4")}, "192.0.2.4:6443", "") == {
        "cp1": ["192.0.2.4"]
    }
    assert identities({"cp1": machine("fd00::4", ansible_host="fd00::4")}, "[fd00::4]:6443") == {"cp1": ["fd00::4"]}
    sans = {"control_plane_cert_sans": ["192.0.2.4"]}
    assert identities({"cp1": machine("192.0.2.4", **sans)}) == {"cp1": ["192.0.2.4"]}


def test_members_are_those_that_have_joined_and_not_failed() -> None:
    looked: t.Dict[str, t.Any] = {"cluster_look": {"ansible_facts": {"slipway_node": {"kubernetes": {}}}}}
    skipped, well = {"skipped": True, "failed": False}, {"failed": False, "changed": True}
    hostvars = {
        "cp1": looked,
        "old": {**looked, "__node_join_running": well, "__node_join_joined": skipped},
        "new": {**looked, "__node_join_running": skipped, "__node_join_joined": well},
        "refused": {**looked, "__node_join_running": skipped, "__node_join_joined": {"failed": True}},
        "lost": {**looked, "__node_join_running": {"unreachable": True, "changed": False}},
        # Failed while it was prepared.
        "unprepared": looked,
        "forged": {**looked, **forging({}, __node_join_joined=well)},
        "elsewhere": {"cluster_look": {**looked["cluster_look"], "failed": True}},
        "text": as_seen({"slipway_node": "x"}),
        "unknown": {},
    }
    names = [*hostvars, "in no inventory"]
    assert nodes.node_members(names, hostvars, "cp1", True) == ["cp1", "old", "new"]
    # Without joining in the run those that are nodes: one that is new has no Node object to be labelled or waited for.
    node = as_seen({"slipway_node": {"kubernetes": {"joined": True}}})
    hostvars.update(old=node, lost=node, forged=as_seen({"slipway_node": {"kubernetes": "x"}}))
    assert nodes.node_members(names, hostvars, "cp1", False) == ["cp1", "old", "lost"]
