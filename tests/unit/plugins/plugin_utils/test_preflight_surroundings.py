# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Checks on what is on a machine beside Kubernetes, and on how it finds others."""

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.slipway.kubernetes.plugins.plugin_utils._preflight.checks import network, surroundings
from ansible_collections.slipway.kubernetes.plugins.plugin_utils._preflight.report import Host

GOOD: t.Dict[str, t.Any] = {
    "cluster_pod_subnet": "10.244.0.0/16",
    "cluster_service_subnet": "10.96.0.0/12",
    "cluster_node_ip": "",
    "cluster_endpoint": "api.example.com:8443",
    "cluster_cni": "flannel",
    "cluster_kube_proxy_mode": "nftables",
    "container_runtime_provider": "containerd",
    "cni_flannel_backend": "vxlan",
    "node_prep_kernel_modules": ["overlay", "br_netfilter"],
    "node_prep_swap": "absent",
}
RESOLVER = {
    "path": "/etc/resolv.conf",
    "target": "",
    "exists": True,
    "nameservers": ["192.0.2.53"],
    "search": ["example.com"],
}
AROUND: t.Dict[str, t.Any] = {
    "cgroup_controllers": ["cpuset", "cpu", "io", "memory", "pids"],
    "modules_missing": ["wireguard"],
    "resolver": RESOLVER,
    "names": {"api.example.com": ["192.0.2.100"]},
    "proxies": [],
    "forwarding_off": [],
    "swap_at_boot": [],
    "interfaces_taken": [],
    "pod_networks": ["10-flannel.conflist"],
    "mounts": [{"path": "/var/lib", "point": "/", "type": "ext4", "options": []}],
    "mtus": {"eth0": 1500},
    "limits": {"max_user_instances": 128},
    "etcd_data": False,
    "authority": False,
}


def host(number: int = 1, joined: bool = False, given: t.Any = None, **around: t.Any) -> Host:
    facts = {
        "os": {"kernel": "6.1.0"},
        "default_address": f"192.0.2.{number}",
        "interfaces": [{"name": "eth0", "addresses": [{"address": f"192.0.2.{number}", "prefix": 24}]}],
        "kubernetes": {"joined": joined, "unfinished": None},
        "surroundings": {**AROUND, **around},
    }
    return Host(f"node{number}", number == 1, number > 1, {**GOOD, **(given or {})}, facts=facts)


def said(*hosts: Host) -> str:
    checks = [*surroundings.CHECKS, *network.CHECKS]
    problems = [problem for check in checks for problem in check(hosts)]
    return "\n".join(f"{p.severity} {p.host}: {p.subject}: {p.message} {p.remedy}" for p in problems)


def selinux(mode: str, at_boot: str = "", *unlabelled: str) -> t.Dict[str, t.Any]:
    return {"selinux": {"mode": mode, "at_boot": at_boot, "unlabelled": list(unlabelled)}}


def test_good_machines_have_no_problem() -> None:
    assert said(host(), host(2)) == ""
    assert said(Host("unknown", variables=GOOD), Host("old", variables=GOOD, facts={"kubernetes": {}})) == ""
    assert said(host(cgroup_controllers=[])) == ""
    assert said(host(**selinux("permissive")), host(2, **selinux("")), host(3, True, **selinux("enforcing"))) == ""


def mount(path: str, kind: str = "ext4", *options: str) -> t.Dict[str, t.Any]:
    return {"mounts": [{"path": path, "point": path, "type": kind, "options": list(options)}]}


def xfs(path: str, ftype: t.Optional[bool]) -> t.Dict[str, t.Any]:
    return {"mounts": [{"path": path, "point": "/var", "type": "xfs", "options": [], "ftype": ftype}]}


def taken(by: str, runs: bool = True) -> t.Dict[str, t.Any]:
    return {"interfaces_taken": [{"by": by, "path": "/etc/x", "takes": ["veth1"], "runs": runs}]}


def resolver(**more: t.Any) -> t.Dict[str, t.Any]:
    return {"resolver": {**RESOLVER, **more}}


FORWARDING = {"path": "/etc/sysctl.d/99-z.conf", "setting": "net.ipv4.conf.all.forwarding", "value": "0"}


@pytest.mark.parametrize(
    ("around", "expected"),
    [
        (
            {"cgroup_controllers": ["cpuset", "cpu", "pids"]},
            "error node1: cgroup_controllers: the kernel has no memory",
        ),
        ({"cgroup_controllers": ["cpuset", "cpu", "pids"]}, "Add cgroup_enable=memory to the kernel's command line"),
        ({"cgroup_controllers": ["cpu", "memory"]}, "has no cpuset and pids controller"),
        (
            {"modules_missing": ["vxlan", "nf_tables"]},
            "error node1: kernel_modules: the kernel 6.1.0 cannot load vxlan, nf",
        ),
        (
            mount("/var/lib", "ext4", "ro"),
            "error node1: mounts: /var/lib is on /var/lib (ext4), which is mounted read-only",
        ),
        (
            mount("/var/lib/etcd", "tmpfs"),
            "warning node1: mounts: /var/lib/etcd is on /var/lib/etcd (tmpfs), which is in",
        ),
        (mount("/opt/cni/bin", "ext4", "noexec"), "which is mounted noexec, and programs are run from there."),
        (mount("/var/lib/kubelet", "ext4", "noexec"), "warning node1: mounts: /var/lib/kubelet is on"),
        (
            mount("/var/lib/containerd", "nfs4"),
            "error node1: mounts: /var/lib/containerd is on /var/lib/containerd (nfs4)",
        ),
        (
            xfs("/var/lib/containerd", False),
            "error node1: mounts: /var/lib/containerd is on /var (xfs), which was made with ftype=0: the container",
        ),
        (xfs("/var/lib/containerd", False), "Make that file system anew, since ftype cannot be changed"),
        (
            {"pod_networks": ["05-calico.conflist"]},
            "error node1: pod network: /etc/cni/net.d/05-calico.conflist is the",
        ),
        ({"pod_networks": ["87-podman.conflist"]}, "would give to pods until Flannel's is there."),
        (taken("systemd-networkd"), "error node1: systemd-networkd: /etc/x matches the interfaces of pods (veth1): it"),
        (taken("systemd-networkd", False), "warning node1: systemd-networkd: /etc/x matches the interfaces of pods"),
        (taken("NetworkManager"), "warning node1: NetworkManager: /etc/x matches"),
        (taken("dhcpcd"), "Write denyinterfaces veth* cni* flannel*"),
        (
            {"route_setters": ["nm-cloud-setup.service", "nm-cloud-setup.timer"]},
            "warning node1: NetworkManager: nm-cloud-setup.service and nm-cloud-setup.timer would set routes as the",
        ),
        (
            {"route_setters": ["policy-routes@ens6.service"]},
            "warning node1: amazon-ec2-net-utils: policy-routes@ens6.service would set routes as the cloud says",
        ),
        (
            {"forwarding_off": [FORWARDING]},
            "/etc/sysctl.d/99-z.conf has net.ipv4.conf.all.forwarding = 0, which counts",
        ),
        ({"forwarding_off": [{**FORWARDING, "path": ""}]}, "forwarding = 0 in the running kernel"),
        (
            {"swap_at_boot": [{"path": "/etc/waagent.conf", "setting": "ResourceDisk.EnableSwap=y"}]},
            "error node1: node_prep_swap: is absent, but /etc/waagent.conf brings swap back at every boot",
        ),
        (selinux("enforcing"), "warning node1: selinux: is enforcing, with which this collection was not tried"),
        (selinux("permissive", "enforcing"), "warning node1: selinux: is enforcing after the next boot, with which"),
        ({"etcd_data": True}, "error node1: /var/lib/etcd: is not empty, and the host is no control plane"),
        ({"limits": {"max_user_instances": 64}}, "warning node1: fs.inotify.max_user_instances: is 64"),
        ({"mtus": {"eth0": 1280}}, "warning node1: mtu: 1280 on eth0 is too small for pods"),
        (resolver(exists=False), "error node1: /etc/resolv.conf: is not there, and the kubelet starts no pod"),
        (resolver(exists=False, target="../run/x"), "leads to ../run/x, which is not there"),
        (resolver(nameservers=[]), "error node1: /etc/resolv.conf: has no name server"),
        (resolver(nameservers=["127.0.0.1"]), "error node1: /etc/resolv.conf: has the name server 127.0.0.1"),
        (resolver(nameservers=["192.0.2.53", "::1"]), "has the name server ::1"),
        (
            resolver(nameservers=[f"192.0.2.{n}" for n in range(4)]),
            "warning node1: /etc/resolv.conf: has 4 name servers",
        ),
        (resolver(search=[f"d{n}.example.com" for n in range(31)]), "has 31 search domains"),
        ({"names": {"api.example.com": []}}, "error node1: cluster_endpoint: api.example.com cannot be resolved"),
        ({"names": {"api.example.com": ["127.0.1.1"]}}, "is 127.0.1.1 on the host, which is the host itself"),
    ],
)
def test_what_stands_in_the_way(around: t.Dict[str, t.Any], expected: str) -> None:
    assert expected in said(host(**around))
    assert "error" not in said(host(joined=True, **around))


def test_name_servers_that_pods_cannot_ask() -> None:
    alone = {"cluster_pod_subnet": "fd00::/56"}
    text = "warning node1: /etc/resolv.conf: has name servers of IPv4 alone (192.0.2.53), which pods with IPv6 alone"
    assert text in said(host(given=alone, **resolver()))
    for given, servers in (
        (alone, ["192.0.2.53", "2001:db8::53"]),
        ({**alone, "coredns_upstreams": ["2001:db8::53"]}, ["192.0.2.53"]),
        ({"cluster_pod_subnet": "10.244.0.0/16"}, ["192.0.2.53"]),
    ):
        assert "name servers" not in said(host(given=given, **resolver(nameservers=servers)))


@pytest.mark.parametrize(
    ("found", "joined", "wanted", "expected"),
    [
        (
            selinux(""),
            False,
            "enforcing",
            "error node1: node_prep_selinux: is enforcing, and SELinux is off on this host",
        ),
        (selinux("", "enforcing"), True, "enforcing", "`touch /.autorelabel` and reboot; or leave the variable out."),
        (
            selinux("permissive", "permissive", "/etc/kubernetes", "/var/lib/etcd"),
            False,
            "enforcing",
            "is enforcing, and nobody has given a label to /etc/kubernetes, /var/lib/etcd. Run `restorecon -R`",
        ),
        (selinux("permissive"), False, "enforcing", "warning node1: selinux: is enforcing, with which this collection"),
        (selinux("permissive", "", "/etc/kubernetes"), True, "enforcing", ""),
        (selinux("enforcing", "enforcing", "/etc/kubernetes"), False, "permissive", ""),
        (selinux(""), False, "permissive", ""),
        # The policy of a kernel without SELinux does not matter.
        (selinux("", "enforcing"), False, "leave", ""),
    ],
)
def test_what_selinux_shall_do(found: t.Dict[str, t.Any], joined: bool, wanted: str, expected: str) -> None:
    text = said(host(joined=joined, given={"node_prep_selinux": wanted}, **found))
    assert expected in text and bool(expected) == bool(text)


@pytest.mark.parametrize(
    ("around", "given"),
    [
        ({"modules_missing": ["vxlan"]}, {"cni_flannel_backend": "host-gw"}),
        ({"modules_missing": ["nf_tables"]}, {"cluster_kube_proxy_mode": "iptables"}),
        ({"pod_networks": ["05-calico.conflist"]}, {"cluster_cni": "none"}),
        ({"swap_at_boot": [{"path": "x", "setting": "y"}]}, {"node_prep_swap": "keep"}),
        ({"route_setters": ["nm-cloud-setup.timer"]}, {"cluster_cni": "none"}),
        (resolver(nameservers=["127.0.0.1"]), {"control_plane_kubelet_configuration": {"resolvConf": "/etc/x"}}),
        ({"names": {"api.example.com": []}}, {"node_prep_hosts_entries": ["192.0.2.100 api.example.com api"]}),
        ({"names": {}}, {}),
        ({"names": {"192.0.2.100": []}}, {"cluster_endpoint": ""}),
        (mount("/var/lib/kubelet", "overlay"), {}),
        # Nothing of kubeadm is written there.
        (mount("/var/lib/rancher/rke2", "ext4", "ro"), {}),
        (xfs("/var/lib/containerd", True), {}),
        (xfs("/var/lib/containerd", None), {}),
        (xfs("/var/lib/kubelet", False), {}),
    ],
)
def test_what_is_all_right(around: t.Dict[str, t.Any], given: t.Dict[str, t.Any]) -> None:
    assert said(host(given=given, **around)) == ""


def test_a_name_that_leads_past_the_virtual_address() -> None:
    given = {"api_endpoint_provider": "keepalived", "api_endpoint_vip": "192.0.2.101"}
    assert "api.example.com is 192.0.2.100 on the host, and not api_endpoint_vip 192.0.2.101." in said(
        host(given=given)
    )


def test_a_name_that_node_prep_writes_with_those_of_the_machines() -> None:
    given = {"api_endpoint_provider": "keepalived", "api_endpoint_vip": "192.0.2.101", "node_prep_hosts": True}
    unknown: t.Dict[str, t.List[str]] = {"api.example.com": []}
    assert said(host(given=given, names=unknown), host(2, given=given, names=unknown)) == ""
    # Without keepalived it is the name of none of the machines, and where an endpoint is moved nothing is written.
    external = {**given, "api_endpoint_provider": "external"}
    assert "api.example.com cannot be resolved" in said(host(given=external, names=unknown))
    moved = {**given, "preflight_moves_endpoint": True}
    assert "api.example.com cannot be resolved" in said(host(given=moved, names=unknown))


def test_the_only_control_plane_knows_its_own_name_by_the_installers_line() -> None:
    given, names = {"cluster_endpoint": "node1.example.com"}, {"node1.example.com": ["127.0.1.1"]}
    assert said(host(given=given, names=names)) == ""
    assert "error node2: cluster_endpoint: node1.example.com is 127.0.1.1" in said(
        host(given=given, names=names), host(2, given=given, names=names)
    )


def test_nodes_are_moved_to_a_name() -> None:
    given = {"preflight_moves_endpoint": True, "node_prep_hosts_entries": ["192.0.2.100 api.example.com"]}
    lost = said(host(joined=True, given=given, names={"api.example.com": []}))
    # The playbook does not write it, and site.yml would not begin with the new endpoint.
    assert "error node1: cluster_endpoint: api.example.com cannot be resolved" in lost
    assert "write it by site.yml, while cluster_endpoint is as before: node_prep_hosts_entries: ['ADDRESS api" in lost


def test_data_that_kubeadm_is_told_to_ignore() -> None:
    assert "error node1: /var/lib/etcd: is not empty" in said(host(etcd_data=True))
    for told in ("DirAvailable--var-lib-etcd", "all"):
        given = {"control_plane_ignore_preflight_errors": [told]}
        assert said(host(given=given, etcd_data=True)) == ""


def test_plugins_that_call_others_come_first_on_nodes() -> None:
    networks = ["00-multus.conf", "10-flannel.conflist", "87-podman.conflist"]
    assert said(host(joined=True, pod_networks=networks)) == ""
    assert "instead of Flannel's" in said(host(joined=True, pod_networks=["05-x.conf", *networks]))


def test_what_another_cluster_left_on_a_worker() -> None:
    assert "error node2: /etc/kubernetes/pki/ca.crt: is there" in said(host(), host(2, authority=True, etcd_data=True))
    assert "/var/lib/etcd" not in said(host(), host(2, etcd_data=True))
    assert said(host(authority=True)) == ""


def test_networks_of_different_width() -> None:
    text = said(host(mtus={"eth0": 9000}), host(2))
    assert "warning node2: mtu: 1500 on eth0, and 9000 on other hosts" in text and "node1" not in text


@pytest.mark.parametrize(
    ("mtu", "encapsulation", "expected"),
    [
        (1451, "vxlan", "error node1: cni_calico_mtu: is 1451, and eth0 has 1500, of which Calico takes 50 for itself"),
        (1450, "vxlan", ""),
        (1481, "ipip", "Leave it out, or set it to 1480 at most."),
        (1500, "none", ""),
        (0, "vxlan", ""),
    ],
)
def test_an_mtu_for_which_there_is_no_room(mtu: int, encapsulation: str, expected: str) -> None:
    given = {"cluster_cni": "calico", "cni_calico_mtu": mtu, "cni_calico_encapsulation": encapsulation}
    text = said(host(given=given, pod_networks=[]))
    assert expected in text if expected else text == ""


def proxy(no_proxy: str, source: str = "/etc/environment", *variables: str) -> t.Dict[str, t.Any]:
    return {"source": source, "variables": list(variables or ("https_proxy",)), "no_proxy": no_proxy}


def test_a_proxy_without_exceptions() -> None:
    text = said(host(proxies=[proxy("localhost"), proxy("localhost", "environment")]), host(2))
    assert (
        "error node1: no_proxy: https_proxy in /etc/environment without exceptions for"
        " 192.0.2.0/24,api.example.com,10.244.0.0/16,10.96.0.0/12,.svc: " in text
    )
    assert text.count("\n") == 0
    assert "warning" in said(host(proxies=[proxy("", "x", "http_proxy")]))
    assert "in the environment that kubeadm gets" in said(host(proxies=[proxy("", "environment")]))


@pytest.mark.parametrize(
    ("no_proxy", "missing"),
    [
        ("*", ""),
        ("192.0.2.1,192.0.2.2,.example.com,10.0.0.0/8,.svc", ""),
        (" 192.0.0.0/16 , API.example.com, 10.244.0.0/16, 10.96.0.0/12, svc", ""),
        ("192.0.2.0/24,api.example.com:8443,10.0.0.0/8,.svc", ""),
        ("192.0.2.0/24,*.example.com,10.0.0.0/8,*.svc", ""),
        ("192.0.2.0/24,api.example.com:443,10.0.0.0/8,.svc", "exceptions for api.example.com:"),
        ("192.0.2.0/24,.example.com,10.0.0.0/255.0.0.0,.svc", "exceptions for 10.244.0.0/16,10.96.0.0/12:"),
        ("192.0.2.1,.example.com,10.0.0.0/8,.svc", "exceptions for 192.0.2.0/24:"),
        ("192.0.2.0/24,other.com,10.0.0.0/8,.svc", "exceptions for api.example.com:"),
        ("192.0.2.0/24,example.com,10.244.0.0/24,10.96.0.0/12,.svc", "exceptions for 10.244.0.0/16:"),
        ("192.0.2.0/24,example.com,10.0.0.0/8", "exceptions for .svc:"),
    ],
)
def test_exceptions_of_a_proxy(no_proxy: str, missing: str) -> None:
    text = said(host(proxies=[proxy(no_proxy)]), host(2))
    assert missing in text and bool(text) == bool(missing)


# Firewalls


def firewall(*admitted: t.Tuple[str, str, str]) -> t.Dict[str, t.Any]:
    admits = [{"source": source, "interface": interface, "ports": ports} for source, interface, ports in admitted]
    return {"firewalls": [{"by": "ufw", "admits": admits}]}


@pytest.mark.parametrize(
    ("admitted", "closed"),
    [
        ([], "6443 and 10250"),
        ([("192.0.2.0/24", "", "")], "6443 and 10250"),
        ([("10.244.0.0/24", "", "")], "6443 and 10250"),
        ([("", "lo", ""), ("", "eth0", "")], "6443 and 10250"),
        ([("", "", "22,6443")], "10250"),
        ([("", "", "10250")], "6443"),
        ([("10.0.0.0/8", "", "")], ""),
        ([("", "cni0", "")], ""),
        ([("", "veth+", "6000-20000")], ""),
        ([("", "", "6443"), ("10.244.0.0/16", "cni*", "10250")], ""),
        ([("not understood", "", "")], ""),
        ([("", "", "https")], ""),
    ],
)
def test_firewalls(admitted: t.List[t.Tuple[str, str, str]], closed: str) -> None:
    text = said(host(**firewall(*admitted)))
    if not closed:
        assert text == ""
        return
    severity = "warning" if closed == "10250" else "error"
    assert text.startswith(
        f"{severity} node1: firewall: ufw does not admit pods (10.244.0.0/16) to port {closed} of the"
    )
    assert "ufw allow from 10.244.0.0/16" in text


def test_firewalls_of_workers_and_of_nodes() -> None:
    text = said(host(), host(2, **firewall(("192.0.2.0/24", "", ""))))
    assert text.startswith("warning node2: firewall: ufw does not admit pods (10.244.0.0/16) to port 10250 of")
    assert said(host(joined=True, **firewall())) == ""


def test_firewalls_before_a_pod_network_that_is_not_known() -> None:
    """Which addresses it gives to pods is not known, so nothing is certain; its interfaces admit."""
    none = {"cluster_cni": "none", "cni_provider": "none"}
    assert said(host(**firewall(("192.0.2.0/24", "", "")), given=none)).startswith("warning node1: firewall: ufw")
    for name in ("cali+", "lxc+", "cilium_host"):
        assert said(host(**firewall(("", name, "")), given=none)) == ""
    assert said(host(**firewall(("", "cali+", "")))).startswith("error node1: firewall: ufw")


def zfs(version: str, kind: str = "zfs") -> t.Dict[str, t.Any]:
    return {"mounts": [{"path": "/var/lib/containerd", "point": "/", "type": kind, "options": [], "version": version}]}


@pytest.mark.parametrize("version", ["2.1.11-1", "2.1.5-1ubuntu6~22.04.4", "0.8.3-1"])
def test_a_zfs_that_holds_no_overlays(version: str) -> None:
    expected = (
        f"error node1: mounts: /var/lib/containerd is on / (zfs), whose version {version} cannot hold the overlays"
    )
    assert said(host(**zfs(version))).startswith(expected)
    # Containers that live on something else.
    plugin = {"io.containerd.grpc.v1.cri": {"containerd": {"snapshotter": "zfs"}}}
    assert said(host(**zfs(version), given={"container_runtime_config": {"plugins": plugin}})) == ""
    assert said(host(joined=True, **zfs(version))).startswith("warning")


@pytest.mark.parametrize(
    ("version", "kind"), [("2.2.2-0ubuntu9", "zfs"), ("2.3.1-1", "zfs"), ("", "zfs"), ("", "btrfs")]
)
def test_file_systems_that_hold_overlays(version: str, kind: str) -> None:
    assert said(host(**zfs(version, kind))) == ""


ENTRY = {"node_prep_hosts_entries": ["192.0.2.9 api.example.com"]}
BY_NAME = {**ENTRY, "cluster_endpoint": "api.example.com:6443", "api_endpoint_provider": "external"}


@pytest.mark.parametrize(
    ("given", "names", "joined", "expected"),
    [
        (
            ENTRY,
            {},
            False,
            "warning node1: node_prep_hosts_entries: writes /etc/hosts, and cloud-init writes it anew at",
        ),
        ({"node_prep_hosts": True}, {}, False, "warning node1: node_prep_hosts: writes /etc/hosts"),
        (BY_NAME, {"api.example.com": []}, False, "error node1: node_prep_hosts_entries: writes /etc/hosts"),
        (BY_NAME, {"api.example.com": ["192.0.2.9"]}, False, "warning node1: node_prep_hosts_entries: writes"),
        (BY_NAME, {"api.example.com": []}, True, "warning node1: node_prep_hosts_entries: writes /etc/hosts"),
        ({}, {}, False, ""),
        ({**ENTRY, "preflight_moves_endpoint": True}, {}, False, ""),
    ],
)
def test_cloud_init_that_takes_names_away(
    given: t.Dict[str, t.Any], names: t.Dict[str, t.List[str]], joined: bool, expected: str
) -> None:
    around = {"hosts_at_boot": "/var/lib/cloud/instance/cloud-config.txt", "names": names}
    text = said(host(joined=joined, given=given, **around))
    assert text.startswith(expected) and bool(text) == bool(expected)
    assert said(host(joined=joined, given=given, **{**around, "hosts_at_boot": ""})) == ""


def test_options_of_a_hardened_machine_that_harm_nothing() -> None:
    """Overlays over a file system with these options, and devices that are bound into it, have not got them."""
    assert said(host(**mount("/var/lib/containerd", "ext4", "noexec", "nosuid", "nodev"))) == ""
    assert said(host(**mount("/var/lib/kubelet", "ext4", "nosuid", "nodev"))) == ""
