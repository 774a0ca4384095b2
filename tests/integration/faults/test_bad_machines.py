# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Bad inputs that only a machine shows: site.yml refuses them before it changes anything.

tests/integration/bad_inputs has those that need no machine.
"""

from __future__ import annotations

import json
import pathlib
import re
import typing as t

import pytest
from lab_support import Site

CONTROL_PLANE, WORKER = "flt7", "flt8"
VIP = "172.30.0.229"
KEEPALIVED = {"api_endpoint_provider": "keepalived", "cluster_endpoint": f"{VIP}:8443"}

#: Says by multicast, again and again, that this machine is a VRRP master with the router id 77 and an address.
MASTER = """
import socket, time
s = socket.socket(socket.AF_INET, socket.SOCK_RAW, 112)
s.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton("%s"))
while True:
    s.sendto(bytes([0x21, 77, 100, 1, 0, 1, 0, 0]) + socket.inet_aton("192.0.2.7") + bytes(8), ("224.0.0.18", 0))
    time.sleep(0.5)
"""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> t.Iterator[Site]:
    """Two bare machines."""
    folder: pathlib.Path = tmp_path_factory.mktemp("bad")
    made = Site(folder, [CONTROL_PLANE], [WORKER], systems={WORKER: "debian13"})
    yield made
    made.close()


def refused(site: Site, *expected: str, **variables: t.Any) -> None:
    """Run site.yml with ``variables`` over the inventory's: one failure, which says ``expected``, and no change."""
    result = site.run("--extra-vars", json.dumps(variables))
    assert result.rc != 0, result.output
    said = re.sub(r"\s+", " ", result.output)
    for text in ("nothing was changed.", *expected):
        assert text in said, result.output
    assert said.count("fatal: ") == 1, result.output
    assert result.changed == set(), result.output
    assert all(counts["changed"] == 0 for counts in result.recap.values()), result.output


NOT_PROVIDED = "kube_packages_repository: does not provide Kubernetes"

CASES: dict[str, tuple[list[str], dict[str, t.Any]]] = {
    "a version that the repository has not": (
        [f"{NOT_PROVIDED} 1.37.999:", "no version 1.37.999"],
        {"cluster_version": "1.37.999"},
    ),
    "a repository that does not answer": ([NOT_PROVIDED], {"kube_packages_repository": "http://127.0.0.1:9"}),
    "a repository that another key signed": (
        [NOT_PROVIDED],
        {"kube_packages_repository_key_fingerprints": ["AB" * 20]},
    ),
    "several at once": (
        [
            "memory_mb: ",
            "cpu_count: ",
            "cluster_node_ip: 203.0.113.1 is on no interface of the host",
            "os: Debian GNU/Linux",
        ],
        {
            "preflight_minimum_memory_mb_control_plane": 10**8,
            "preflight_minimum_cpus_control_plane": 10**4,
            "preflight_supported_os": {"debian": ["7"]},
            "cluster_node_ip": "203.0.113.1",
        },
    ),
    "no Python": (
        ["python: no Python was found on the host."],
        {"ansible_python_interpreter": "/nonexistent/python3"},
    ),
    "no answer": (["connection: the host is unreachable:"], {"ansible_port": 9}),
}


@pytest.mark.parametrize("name", CASES)
def test_bad_machine(site: Site, name: str) -> None:
    expected, variables = CASES[name]
    refused(site, *expected, **variables)


def test_foreign_processes_on_ports(site: Site) -> None:
    ports = (6443, 10250)
    for port in ports:
        site.control_plane.shell(f"systemd-run --quiet --unit=foreign-{port} python3 -m http.server {port}")
    try:
        refused(site, *(f"{CONTROL_PLANE}: port {port}: is held by python3 (pid " for port in ports))
    finally:
        site.control_plane.shell(" ".join(["systemctl stop", *(f"foreign-{port}" for port in ports)]))


def test_a_firewall_between_the_machines(site: Site) -> None:
    rule = f"ip rule %s to {site.nodes[WORKER].address} ipproto tcp dport 10250 unreachable"
    site.control_plane.shell(rule % "add")
    try:
        refused(
            site,
            f"{CONTROL_PLANE}: connection: {WORKER} ({site.nodes[WORKER].address}) cannot be reached on port"
            " 10250/tcp, which is for the kubelet, for logs, exec and metrics: network is unreachable.",
        )
    finally:
        site.control_plane.shell(rule % "del")


def test_somebody_has_the_virtual_address(site: Site) -> None:
    worker = site.nodes[WORKER]
    worker.shell(f"ip address add {VIP}/24 dev eth0")
    try:
        mac = worker.shell("cat /sys/class/net/eth0/address").strip()
        refused(site, f"api_endpoint_vip: {VIP} is in use by a machine with the MAC address {mac}", **KEEPALIVED)
    finally:
        worker.shell(f"ip address del {VIP}/24 dev eth0")


def test_somebody_uses_the_router_id(site: Site) -> None:
    worker = site.nodes[WORKER]
    worker.execute("sh", "-c", "cat > /run/master.py", stdin=MASTER % worker.address)
    worker.shell("systemd-run --quiet --unit=foreign-vrrp python3 /run/master.py")
    try:
        refused(
            site,
            f"api_endpoint_router_id: 77 is used by {worker.address} in this network, for 192.0.2.7.",
            api_endpoint_router_id=77,
            **KEEPALIVED,
        )
    finally:
        worker.shell("systemctl stop foreign-vrrp; rm /run/master.py")


def test_an_external_endpoint_that_nobody_reaches(site: Site) -> None:
    refused(
        site,
        f"cluster_endpoint: {VIP} cannot be reached on port 6443/tcp: no route to host.",
        api_endpoint_provider="external",
        cluster_endpoint=f"{VIP}:6443",
    )


#: What makes later steps fail, by the file that it stands in.
PLANTED = {
    "/etc/resolv.conf": "nameserver 127.0.0.53\n",
    "/etc/environment": "https_proxy=http://bob:s3cret@192.0.2.3:3128\nno_proxy=localhost\n",
    "/etc/cni/net.d/05-other.conflist": "{}\n",
    "/etc/sysctl.d/99-zz.conf": "net.ipv4.conf.all.forwarding = 0\n",
    "/etc/systemd/network/20-all.network": "[Match]\nType=ether\n[Network]\nDHCP=yes\n",
    "/etc/waagent.conf": "ResourceDisk.EnableSwap=y\n",
    "/etc/kubernetes/pki/ca.crt": "of another cluster\n",
}


def test_what_is_beside_kubernetes_and_sources_that_lack_something(site: Site) -> None:
    """All at once, as one report says all."""
    worker = site.nodes[WORKER]
    # Some of them are mounts of the container: they are written to, and not replaced.
    kept = {path: worker.shell(f"cat {path} 2>/dev/null", check=False) for path in PLANTED}
    for path, text in PLANTED.items():
        worker.execute("sh", "-c", f"mkdir -p $(dirname {path}); cat > {path}", stdin=text)
    nothing = "ghcr.io/flannel-io/nothing"
    try:
        refused(
            site,
            f"{WORKER}: /etc/resolv.conf: has the name server 127.0.0.53, which in a pod is the pod itself",
            f"{WORKER}: no_proxy: https_proxy in /etc/environment without exceptions for 172.30.0.0/24,10.244.0.0/16",
            f"{WORKER}: pod network: /etc/cni/net.d/05-other.conflist is the configuration of another pod network",
            f"{WORKER}: sysctl: /etc/sysctl.d/99-zz.conf has net.ipv4.conf.all.forwarding = 0, which counts after a",
            f"{WORKER}: systemd-networkd: /etc/systemd/network/20-all.network matches the interfaces of pods",
            f"{WORKER}: node_prep_swap: is absent, but /etc/waagent.conf brings swap back at every boot",
            f"{WORKER}: /etc/kubernetes/pki/ca.crt: is there, and the host is no node",
            f"cni_flannel_values: {nothing}:",
            f"{CONTROL_PLANE}: metallb_chart: oci://172.30.0.1:5000/charts/metallb 9.9.9 cannot be had: it is not",
            f"{CONTROL_PLANE}: helm_download_url: http://172.30.0.1:8080/helm/helm-v9.9.9-linux-amd64.tar.gz cannot be",
            cni_flannel_values={"flannel": {"image": {"repository": nothing}}},
            metallb_chart_version="9.9.9",
            helm_version="9.9.9",
        )
    finally:
        for path, text in kept.items():
            worker.execute("sh", "-c", f"cat > {path}" if text else f"rm -f {path}", stdin=text)
        worker.shell("rmdir /etc/kubernetes/pki /etc/kubernetes /etc/cni/net.d /etc/cni", check=False)


def test_a_stranger_in_the_group(site: Site) -> None:
    """One machine by two names."""
    hosts = site.inventory / "hosts.yml"
    good = hosts.read_text(encoding="utf-8")
    hosts.write_text(good.replace(site.nodes[WORKER].address, site.control_plane.address), encoding="utf-8")
    try:
        refused(site, "machine_id: ", f"is the same on {CONTROL_PLANE} and {WORKER}.")
    finally:
        hosts.write_text(good, encoding="utf-8")
