# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One control plane of three fails, the one that hurts most, and comes back: what clients notice of it.

The promise: the API answers through the endpoint again within 5 seconds, no acknowledged write is lost, workloads keep
running, and no two machines have the address for longer than it takes to move it.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import subprocess
import threading
import time
import typing as t

import pytest
import yaml
from lab_support import Node, Site
from probe import ApiRead, ApiWrite, Client, Name, Probe, Report, api_client, probes

CONTROL_PLANES = {"flh1": "debian12", "flh2": "debian13", "flh3": "debian12"}
WORKER = "flh4"
VIP = "172.30.0.232"

#: Seconds in which the API has to answer again, and the address to be on one machine only.
PROMISE = 5.0

#: Seconds that a fault lasts.
FAULT = 10.0

#: Seconds until a cluster that is not whole again is given up.
PATIENCE = 240.0


def pull_cable(node: Node, state: str) -> None:
    """Let the machine's network interface lose its carrier (``down``) or have it again (``up``)."""
    # The other end of the cable is an interface of the host; a container in the host's network may change that.
    index = node.shell("cat /sys/class/net/eth0/iflink").strip()
    find = f"basename $(dirname $(grep --line-regexp --files-with-matches {index} /sys/class/net/veth*/ifindex))"
    script = f"ip link set $({find}) {state}"
    image = subprocess.check_output(["docker", "inspect", "--format={{.Config.Image}}", node.container], text=True)
    argv = ["docker", "run", "--rm", "--privileged", "--network=host", "--entrypoint=sh", image.strip(), "-c", script]
    subprocess.run(argv, check=True)


def drop_packets(node: Node, action: str) -> None:
    """Let nothing in or out (``-I``), or everything again (``-D``), with the interface staying up."""
    for rule in ("INPUT -i eth0", "OUTPUT -o eth0", "FORWARD -i eth0", "FORWARD -o eth0"):
        node.shell(f"iptables -w {action} {rule} -j DROP")


def docker(node: Node, command: str) -> None:
    """Do something to the container of a machine."""
    subprocess.run(["docker", command, node.container], check=True, stdout=subprocess.DEVNULL)


def signal(node: Node, name: str, process: str) -> None:
    """Send a signal to all processes of a name."""
    node.shell(f"pkill --signal {name} --exact {process}")


@dataclasses.dataclass(frozen=True)
class Fault:
    """Something that happens to a control plane, and what a person does about it afterwards."""

    name: str
    strike: t.Callable[[Node], None]
    mend: t.Callable[[Node], None] = lambda _node: None
    #: The machine: the one that has the address, or etcd's leader.
    leader: bool = False
    #: It cannot know that the others do without it, so it keeps the address for itself.
    isolated: bool = False


FAULTS = [
    Fault("machine off", lambda node: docker(node, "kill"), lambda node: docker(node, "start")),
    Fault("cable pulled", lambda node: pull_cable(node, "down"), lambda node: pull_cable(node, "up")),
    Fault(
        "packets dropped",
        lambda node: drop_packets(node, "-I"),
        lambda node: drop_packets(node, "-D"),
        isolated=True,
    ),
    Fault("kubelet killed", lambda node: signal(node, "KILL", "kubelet")),
    Fault("keepalived killed", lambda node: signal(node, "KILL", "keepalived")),
    Fault("haproxy killed", lambda node: signal(node, "KILL", "haproxy")),
    Fault("API server killed", lambda node: signal(node, "KILL", "kube-apiserver")),
    Fault(
        "etcd frozen",
        lambda node: signal(node, "STOP", "etcd"),
        lambda node: signal(node, "CONT", "etcd"),
    ),
    Fault(
        "etcd's leader frozen",
        lambda node: signal(node, "STOP", "etcd"),
        lambda node: signal(node, "CONT", "etcd"),
        leader=True,
    ),
]

WORKLOAD = {
    "apiVersion": "v1",
    "kind": "List",
    "items": [
        {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": "web", "namespace": "default"},
            "spec": {
                "replicas": 2,
                "selector": {"matchLabels": {"app": "web"}},
                "template": {
                    "metadata": {"labels": {"app": "web"}},
                    "spec": {
                        "containers": [
                            {
                                "name": "web",
                                "image": "docker.io/slipway/probe:1.0",
                                "args": ["netexec", "--http-port", "8080"],
                                "readinessProbe": {"httpGet": {"path": "/hostname", "port": 8080}},
                            }
                        ]
                    },
                },
            },
        },
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": "web", "namespace": "default"},
            "spec": {"type": "LoadBalancer", "selector": {"app": "web"}, "ports": [{"port": 80, "targetPort": 8080}]},
        },
        # Names as pods resolve them, but from outside.
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": "names", "namespace": "kube-system"},
            "spec": {
                "type": "LoadBalancer",
                "selector": {"k8s-app": "kube-dns"},
                "ports": [{"port": 53, "protocol": "UDP"}],
            },
        },
    ],
}


class Cluster:
    """Three control planes behind one address, a worker, and something that runs on it."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self.control_planes = [site.nodes[name] for name in CONTROL_PLANES]
        self.kubeconfig = site.control_plane.shell("cat /etc/kubernetes/admin.conf")
        site.control_plane.execute(*self._kubectl, "apply", "--filename=-", stdin=json.dumps(WORKLOAD))
        site.control_plane.kubectl("rollout", "status", "deployment/web", "--timeout=120s")
        self.service = "http://" + self._load_balancer("web", "default")
        self.names = self._load_balancer("names", "kube-system")

    _kubectl = ("kubectl", "--kubeconfig=/etc/kubernetes/admin.conf")

    def _load_balancer(self, name: str, namespace: str) -> str:
        """The address that a service is reached at."""
        address, place = "{.status.loadBalancer.ingress[0].ip}", f"--namespace={namespace}"
        kubectl = self.site.control_plane.kubectl
        kubectl("wait", f"service/{name}", place, f"--for=jsonpath={address}", "--timeout=120s")
        return kubectl("get", "service", name, place, f"--output=jsonpath={address}")

    def name_servers(self) -> set[str]:
        """The machines that pods of CoreDNS are on."""
        template = '{range .items[*]}{.spec.nodeName}{"\\n"}{end}'
        arguments = f"get pods --namespace=kube-system --selector=k8s-app=kube-dns --output=jsonpath='{template}'"
        return set(self._ask(arguments).split())

    def pods(self) -> list[tuple[str, str]]:
        """Names of the workload's pods and how often their containers were started again."""
        template = '{range .items[*]}{.metadata.name} {.status.containerStatuses[0].restartCount}{"\\n"}{end}'
        lines = self._ask(
            f"get pods --namespace=default --selector=app=web --output=jsonpath='{template}'"
        ).splitlines()
        return sorted((name, count) for name, _space, count in (line.partition(" ") for line in lines))

    def _ask(self, arguments: str) -> str:
        """Run kubectl on the first control plane that has something to say."""
        for node in self.control_planes:
            if answer := node.shell(f"{' '.join(self._kubectl)} --request-timeout=10s {arguments}", check=False):
                return answer
        return ""

    def holders(self) -> list[Node]:
        """Control planes that have the address."""
        script = "ip -4 -brief address show"
        return [node for node in self.control_planes if f" {VIP}/" in node.shell(script, check=False)]

    def leader(self) -> Node:
        """The control plane with etcd's leader."""
        pki = "/etc/kubernetes/pki/etcd"
        curl = f"curl -s --cacert {pki}/ca.crt --cert {pki}/server.crt --key {pki}/server.key"
        script = f"{curl} https://127.0.0.1:2379/metrics | grep -x 'etcd_server_is_leader 1'"
        return next(node for node in self.control_planes if node.shell(script, check=False))

    def lacks(self) -> list[str]:
        """What is not as it should be."""
        missing = []
        for node in self.control_planes:
            server = f"--server=https://{node.address}:6443"
            if (
                node.shell(f"{' '.join(self._kubectl)} {server} --request-timeout=5s get --raw=/readyz", check=False)
                != "ok"
            ):
                missing.append(f"API server of {node.name}")
            units = node.shell("systemctl is-active haproxy keepalived kubelet", check=False).split()
            if units != ["active"] * 3:
                missing.append(f"units of {node.name}: {units}")
        if len(self.holders()) != 1:
            missing.append(f"the address is on {self.holders()}")
        with contextlib.suppress(AssertionError):
            missing += [f"node {name}" for name in self.site.unready_nodes()]
            return missing
        return [*missing, "nodes are not known"]

    def wait_until_whole(self) -> float:
        """Wait until nothing is missing, and return how many seconds that took."""
        start = time.monotonic()
        while missing := self.lacks():
            assert time.monotonic() - start < PATIENCE, f"not whole again: {missing}"
            time.sleep(1)
        return time.monotonic() - start


class Watch(threading.Thread):
    """Looks where the address is; a machine that is cut off is left out."""

    def __init__(self, nodes: t.Sequence[Node]) -> None:
        super().__init__(daemon=True)
        self._nodes = nodes
        self._over = threading.Event()
        #: Seconds that the address was on several machines in one go, at most.
        self.shared = 0.0

    def run(self) -> None:
        since = None
        while not self._over.wait(0.3):
            now = time.monotonic()
            found = [node for node in self._nodes if f" {VIP}/" in node.shell("ip -4 -brief address show", check=False)]
            since = (since or now) if len(found) > 1 else None
            self.shared = max(self.shared, now - since if since else 0)

    def end(self) -> float:
        """End, and return the seconds."""
        self._over.set()
        self.join()
        return self.shared


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> t.Iterator[Cluster]:
    """The cluster, built by site.yml."""
    site = Site(
        tmp_path_factory.mktemp("ha"),
        list(CONTROL_PLANES),
        [WORKER],
        systems=CONTROL_PLANES,
        variables={
            "api_endpoint_provider": "keepalived",
            "cluster_endpoint": f"{VIP}:8443",
            "metrics_server_enabled": False,
            "metallb_address_pools": [{"name": "default", "addresses": ["172.30.0.210-172.30.0.214"]}],
        },
    )
    try:
        site.run().expect()
        yield Cluster(site)
    finally:
        site.close()


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name.replace(" ", "-"))
def test_failure_of_one_control_plane(cluster: Cluster, fault: Fault, measured: list[str]) -> None:
    cluster.wait_until_whole()
    node = cluster.leader() if fault.leader else cluster.holders()[0]
    pods = cluster.pods()
    assert len(pods) == 2
    client = api_client(cluster.kubeconfig)
    service = Probe("service", Client(f"{cluster.service}/hostname"))
    watch = Watch([other for other in cluster.control_planes if not (fault.isolated and other is node)])
    watch.start()
    # The one that fails may be one of those that have it, and a name is resolved by the other.
    assert len(cluster.name_servers()) == 2
    names = Name("name", cluster.names)
    with probes(ApiRead("read", client), ApiWrite("write", client), service, names) as reports:
        time.sleep(1)
        fault.strike(node)
        time.sleep(FAULT)
        fault.mend(node)
        whole = cluster.wait_until_whole()
    shared = watch.end()
    measured.append(_line(fault, reports, shared, whole))
    for report in reports:
        assert report.longest_gap < PROMISE, report
        assert report.lost == [], report
    assert shared < PROMISE
    assert cluster.pods() == pods


def _line(fault: Fault, reports: t.Sequence[Report], shared: float, whole: float) -> str:
    numbers = "; ".join(
        f"{report.name} {report.failed} of {report.requests} failed, longest gap {report.longest_gap:.1f} s"
        for report in reports
    )
    return (
        f"{fault.name}: {numbers}; address on several machines {shared:.1f} s; whole again {whole:.0f} s after the end"
    )


def test_cluster_is_as_it_was(cluster: Cluster) -> None:
    assert yaml.safe_load(cluster.kubeconfig)["clusters"][0]["cluster"]["server"] == f"https://{VIP}:8443"
    cluster.wait_until_whole()
    cluster.site.expect_settled()
