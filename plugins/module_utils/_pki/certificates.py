# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The certificates of a control plane that kubeadm made, and those of its kubelet.

Names are those of ``kubeadm certs renew``; places and authorities are those of kubeadm's certsphase package.

Private to this collection.
"""

from __future__ import annotations

import base64
import binascii
import dataclasses
import math
import os
import re
import time
import typing as t

from ansible_collections.slipway.kubernetes.plugins.module_utils._files import read_text
from ansible_collections.slipway.kubernetes.plugins.module_utils._layout import KUBEADM, Layout
from ansible_collections.slipway.kubernetes.plugins.module_utils._pki import der, x509

FOLDER = KUBEADM.folder
KUBELET_FOLDER = f"{KUBEADM.kubelet_folder}/pki"

AUTHORITIES = {"ca": "pki/ca.crt", "etcd-ca": "pki/etcd/ca.crt", "front-proxy-ca": "pki/front-proxy-ca.crt"}
#: Name, path and authority of what `kubeadm certs renew` knows.
RENEWABLE = (
    ("apiserver", "pki/apiserver.crt", "ca"),
    ("apiserver-kubelet-client", "pki/apiserver-kubelet-client.crt", "ca"),
    ("apiserver-etcd-client", "pki/apiserver-etcd-client.crt", "etcd-ca"),
    ("front-proxy-client", "pki/front-proxy-client.crt", "front-proxy-ca"),
    ("etcd-server", "pki/etcd/server.crt", "etcd-ca"),
    ("etcd-peer", "pki/etcd/peer.crt", "etcd-ca"),
    ("etcd-healthcheck-client", "pki/etcd/healthcheck-client.crt", "etcd-ca"),
    ("admin.conf", "admin.conf", "ca"),
    ("super-admin.conf", "super-admin.conf", "ca"),
    ("controller-manager.conf", "controller-manager.conf", "ca"),
    ("scheduler.conf", "scheduler.conf", "ca"),
)
RENEWABLE_NAMES = tuple(name for name, _path, _authority in RENEWABLE)
#: The kubelet's own; it renews them itself, but for the last one, which it signed itself.
KUBELET_CLIENT = "kubelet-client"
_KUBELET = (
    (KUBELET_CLIENT, "kubelet-client-current.pem"),
    ("kubelet-server", "kubelet-server-current.pem"),
    ("kubelet-server", "kubelet.crt"),
)
_CLIENT_CERTIFICATE = re.compile(r"^\s*\"?client-certificate-data\"?:\s*\"?([A-Za-z0-9+/=]+)", re.MULTILINE)
_DAY = 86400
_NODE_USER = "system:node:"


def kubeconfig_certificate(text: str) -> str:
    """The client certificate in a kubeconfig, as PEM; empty when it has none in itself.

    :raises der.DerError: when it is not base64, or there are several and only clients know which is meant.
    """
    found = _CLIENT_CERTIFICATE.findall(text)
    if len(found) > 1:
        raise der.DerError("there are several client-certificate-data")
    try:
        return base64.b64decode(found[0], validate=True).decode("ascii") if found else ""
    except (binascii.Error, UnicodeDecodeError) as error:
        raise der.DerError("client-certificate-data is not the base64 of a certificate") from error


def read(path: str) -> x509.Certificate:
    """The certificate in a PEM file, or that of the client in a kubeconfig.

    :raises der.DerError: when there is none that can be read.
    """
    text = read_text(path)
    return x509.parse_pem(kubeconfig_certificate(text) if path.endswith(".conf") else text)


@dataclasses.dataclass(frozen=True)
class Entry:
    """One certificate of this machine."""

    name: str
    path: str
    #: certificate, kubeconfig, kubelet or authority
    kind: str
    #: Name of the authority that signs it; empty when it is signed by itself or by somebody unknown.
    authority: str
    #: Whether somebody else has to renew it, because the authority's key is not on this machine.
    external: bool
    certificate: t.Optional[x509.Certificate]
    #: Why it cannot be read; empty when it can.
    problem: str = ""

    def seconds_left(self, now: float) -> float:
        """Seconds until it expires; none are left when it cannot be read."""
        return self.certificate.not_after - now if self.certificate else -math.inf

    def days_left(self, now: float) -> int:
        """Whole days until it expires, negative when it has."""
        return math.floor(self.seconds_left(now) / _DAY) if self.certificate else -1

    def urgency(self, now: float, soon: int) -> str:
        """``expired``, ``soon`` (in less than that many days) or ``valid``."""
        left = self.seconds_left(now)
        if left <= 0:
            return "expired"
        return "soon" if left < soon * _DAY else "valid"

    def as_dict(self, now: float, soon: int) -> t.Dict[str, t.Any]:
        """The entry as modules return it."""
        found = self.certificate
        return {
            "name": self.name,
            "path": self.path,
            "kind": self.kind,
            "authority": self.authority or (found.issuer if found else ""),
            "externally_managed": self.external,
            "subject": found.common_name if found else "",
            "dns_names": found.names.dns_names if found else [],
            "addresses": found.names.addresses if found else [],
            "expires": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(found.not_after)) if found else "",
            "days_left": self.days_left(now),
            "urgency": self.urgency(now, soon),
            "problem": self.problem,
        }


def node_name(layout: Layout = KUBEADM) -> str:
    """The node that this machine is, by its kubelet's certificate; empty when it has none that can be read."""
    path = layout.kubelet_certificate
    try:
        user = read(path).common_name if os.path.exists(path) else ""
    except der.DerError:
        return ""
    return user[len(_NODE_USER) :] if user.startswith(_NODE_USER) else ""


def _entry(name: str, path: str, kind: str, authority: str, external: bool) -> Entry:
    try:
        return Entry(name, path, kind, authority, external, read(path))
    except der.DerError as error:
        return Entry(name, path, kind, authority, external, None, str(error))


def collect(folder: str = "", kubelet_folder: str = "") -> t.List[Entry]:
    """All certificates that there are on this machine, authorities last."""
    folder, kubelet_folder = folder or FOLDER, kubelet_folder or KUBELET_FOLDER
    external = {
        name: not os.path.exists(os.path.join(folder, path[: -len("crt")] + "key"))
        for name, path in AUTHORITIES.items()
    }
    found = []
    for name, relative, authority in RENEWABLE:
        path = os.path.join(folder, relative)
        if os.path.exists(path):
            kind = "kubeconfig" if path.endswith(".conf") else "certificate"
            found.append(_entry(name, path, kind, authority, external[authority]))
    taken = set()
    for name, relative in _KUBELET:
        path = os.path.join(kubelet_folder, relative)
        if os.path.exists(path) and name not in taken:
            taken.add(name)
            found.append(_entry(name, path, "kubelet", "" if path.endswith(".crt") else "ca", False))
    for name, relative in AUTHORITIES.items():
        path = os.path.join(folder, relative)
        if os.path.exists(path):
            found.append(_entry(name, path, "authority", "", external[name]))
    return found


def table(certificates: t.Sequence[t.Mapping[str, t.Any]]) -> t.List[str]:
    """Aligned lines about certificates as :meth:`Entry.as_dict` has them, with a header; none without certificates."""
    if not certificates:
        return []
    rows = [("CERTIFICATE", "EXPIRES", "DAYS LEFT", "AUTHORITY", "")]
    for item in certificates:
        remark = {"expired": "EXPIRED", "soon": "expires soon", "valid": ""}[item["urgency"]]
        if item["problem"]:
            remark = f"UNREADABLE: {item['problem']}"
        elif item["externally_managed"]:
            remark = ", ".join(filter(None, [remark, "externally managed"]))
        days = "-" if item["problem"] else str(item["days_left"])
        rows.append((item["name"], item["expires"][:16].replace("T", " ") or "-", days, item["authority"], remark))
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() for row in rows]


def names_of(certificates: t.Iterable[t.Mapping[str, t.Any]], urgency: str) -> t.List[str]:
    """The names of the certificates with that urgency."""
    return [str(item["name"]) for item in certificates if item["urgency"] == urgency]
