# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where API servers are, and the names in their certificates as kubeadm computes them (pkiutil.GetAPIServerAltNames).

Private to this collection.
"""

from __future__ import annotations

import ipaddress
import re
import typing as t

from ansible_collections.slipway.kubernetes.plugins.module_utils._layout import KUBEADM

_LABEL = "[a-z0-9]([-a-z0-9]*[a-z0-9])?"
_DNS_NAME = re.compile(rf"(\*\.)?{_LABEL}(\.{_LABEL})*")
#: The label that kubeadm gives control planes, and the key of their taint.
CONTROL_PLANE = "node-role.kubernetes.io/control-plane"
DNS_DOMAIN = "cluster.local"
SERVICE_SUBNET = "10.96.0.0/12"


def canonical(name: str) -> str:
    """A name, or an address in its canonical form.

    :raises ValueError: when it is neither an address nor a DNS name; kubeadm would leave it out.
    """
    try:
        return str(ipaddress.ip_address(name))
    except ValueError:
        pass
    if len(name) > 253 or not _DNS_NAME.fullmatch(name):
        raise ValueError(f"{name!r} is neither an address nor a DNS name in lower case")
    return name


def in_url(host: str) -> str:
    """A host as URLs have it: an address of IPv6 between brackets."""
    return f"[{host}]" if ":" in host and not host.startswith("[") else host


def endpoint_host(endpoint: str) -> str:
    """The host of ``host``, ``host:port`` or ``[address]:port``."""
    match = re.fullmatch(r"(\[.*\]|[^:]*):[0-9]+", endpoint)
    return (match.group(1) if match else endpoint).strip("[]")


def endpoint_with_port(endpoint: str) -> str:
    """``host`` or ``host:port`` as ``host:port``, with 6443 for a port that was not said."""
    host, _colon, port = endpoint.rpartition(":")
    if host and port.isdigit() and (":" not in host or host.endswith("]")):
        return endpoint
    return f"{in_url(endpoint)}:{KUBEADM.api_port}"


def endpoint_place(endpoint: str) -> t.Tuple[str, int]:
    """Host and port of an endpoint."""
    return endpoint_host(endpoint), int(endpoint_with_port(endpoint).rpartition(":")[2])


def endpoint_of(kubeconfig: str) -> str:
    """``host:port`` of the API server in a kubeconfig; empty when there is none."""
    match = re.search(r"^\s*server: [\"']?https://([^/\s\"']+)", kubeconfig, re.MULTILINE)
    return match.group(1) if match else ""


def apiserver_names(cluster: t.Mapping[str, t.Any], node: str, address: str) -> t.List[str]:
    """The sorted names in the certificate of the API server on ``node``.

    :param cluster: a ClusterConfiguration.
    :param node: the name of the node.
    :param address: what the API server advertises.
    :raises ValueError: when something in it is no name or no network.
    """
    network = cluster.get("networking") or {}
    services = ipaddress.ip_network((network.get("serviceSubnet") or SERVICE_SUBNET).split(",")[0], strict=False)
    names = {
        node,
        address,
        "kubernetes",
        "kubernetes.default",
        "kubernetes.default.svc",
        f"kubernetes.default.svc.{network.get('dnsDomain') or DNS_DOMAIN}",
        str(services[1]),
        *((cluster.get("apiServer") or {}).get("certSANs") or []),
    }
    if cluster.get("controlPlaneEndpoint"):
        names.add(endpoint_host(cluster["controlPlaneEndpoint"]))
    return sorted({canonical(name) for name in names})
