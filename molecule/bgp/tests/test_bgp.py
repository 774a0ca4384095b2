# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A router learns from MetalLB where a service is, and whoever it forwards for reaches it."""

from __future__ import annotations

import json
import time
import typing as t

import pytest
from conftest import CONVERGE, changes, connect, play

KUBECTL = "kubectl --kubeconfig=/etc/kubernetes/admin.conf"
CONTROL_PLANE, ROUTER = connect("bgp-cp"), connect("bgp-router")
#: Seconds until a route has come, or gone.
PATIENCE = 60

MANIFEST = """
apiVersion: v1
kind: List
items:
  - apiVersion: v1
    kind: Pod
    metadata: {name: web, labels: {app: web}}
    spec:
      terminationGracePeriodSeconds: 1
      containers:
        - name: web
          image: docker.io/slipway/probe:1.0
          args: [netexec]
          readinessProbe:
            httpGet: {path: /hostname, port: 8080}
            periodSeconds: 1
  - apiVersion: v1
    kind: Service
    metadata:
      name: web
      annotations: {metallb.io/address-pool: routed}
    spec: {type: LoadBalancer, selector: {app: web}, ports: [{port: 80, targetPort: 8080}]}
  - apiVersion: v1
    kind: Service
    metadata: {name: near}
    spec: {type: LoadBalancer, selector: {app: web}, ports: [{port: 80, targetPort: 8080}]}
"""


def kubectl(words: str) -> str:
    return CONTROL_PLANE.check_output(f"{KUBECTL} {words}")


def address(service: str) -> str:
    """The address that a service has got."""
    path = "{.status.loadBalancer.ingress[0].ip}"
    kubectl(f"wait service/{service} --for=jsonpath='{path}' --timeout=120s")
    return kubectl(f"get service/{service} --output=jsonpath='{path}'")


def routes(network: str) -> t.List[str]:
    """The routes that the router has to a network, as BIRD knows them."""
    # It says that there is none with a return code of its own.
    return ROUTER.run_expect([0, 1], f"birdc show route all for {network}").stdout.splitlines()


def wait_for(condition: t.Callable[[], bool], what: str) -> None:
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end, what
        time.sleep(0.5)


@pytest.fixture(scope="module", name="web")
def fixture_web() -> t.Iterator[t.Dict[str, str]]:
    """The addresses of two services in front of one pod."""
    CONTROL_PLANE.run_expect([0], f"{KUBECTL} apply --filename=- <<'END'\n{MANIFEST}\nEND")
    kubectl("wait pod/web --for=condition=Ready --timeout=120s")
    yield {name: address(name) for name in ("web", "near")}


def test_a_router_learns_where_a_service_is(web: t.Dict[str, str]) -> None:
    assert web["web"].startswith("198.51.100.")
    wait_for(lambda: "(64512,100)" in " ".join(routes(web["web"])), "no route to the service has come")
    # Not from the control plane, which kubeadm takes out of load balancers.
    nodes = {item["metadata"]["name"]: item for item in json.loads(kubectl("get nodes --output=json"))["items"]}
    worker = nodes["bgp-worker"]["status"]["addresses"][0]["address"]
    hops = [line.split()[1] for line in routes(web["web"]) if line.strip().startswith("via ")]
    assert hops == [worker]
    assert ROUTER.check_output(f"curl --silent --max-time 10 http://{web['web']}/hostname") == "web"


def test_services_that_name_no_pool_get_no_routed_address(web: t.Dict[str, str]) -> None:
    assert web["near"].startswith("172.30.0.22")
    assert ROUTER.check_output(f"curl --silent --max-time 10 http://{web['near']}/hostname") == "web"
    assert web["near"] not in ROUTER.check_output("birdc show route")


def test_the_password_is_a_secret() -> None:
    assert "of the lab" not in kubectl("get bgppeers.metallb.io --all-namespaces --output=yaml")
    assert "of the lab" not in play(CONVERGE, "--check", "--diff", "-vvv")


def test_the_cluster_is_verified(web: t.Dict[str, str]) -> None:
    play("verify.yml", variables={"metrics_server_enabled": False})


@pytest.mark.last
def test_a_peer_that_is_taken_out(web: t.Dict[str, str]) -> None:
    """Its routes go with it, though the service is still there."""
    pools = [{"name": "default", "addresses": ["172.30.0.220-172.30.0.221"]}]
    pools.append({"name": "routed", "addresses": ["198.51.100.0/28"], "auto_assign": False})
    variables = {"metallb_bgp_peers": [], "metallb_bgp_communities": [], "metallb_address_pools": pools}
    assert "via" in " ".join(routes(web["web"]))
    assert changes(play(CONVERGE, variables=variables)) == 1
    assert changes(play(CONVERGE, variables=variables)) == 0
    left = "bgppeers,bgpadvertisements,communities,secrets"
    assert "rack" not in kubectl(f"get {left} --namespace=metallb-system --output=name")
    wait_for(lambda: "via" not in " ".join(routes(web["web"])), "the route is still there")
    assert "nodes" in ROUTER.check_output("birdc show protocols")
    assert address("web") == web["web"]
