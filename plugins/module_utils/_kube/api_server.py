# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The API server of this machine, asked directly and not through the cluster's endpoint.

Private to this collection.
"""

from __future__ import annotations

import http.client
import os
import re
import typing as t

from ansible_collections.slipway.kubernetes.plugins.module_utils import _tls
from ansible_collections.slipway.kubernetes.plugins.module_utils._api_endpoints import endpoint_of, endpoint_place
from ansible_collections.slipway.kubernetes.plugins.module_utils._files import read_text
from ansible_collections.slipway.kubernetes.plugins.module_utils._layout import KUBEADM, Layout

MANIFEST = KUBEADM.manifest("kube-apiserver")
AUTHORITY = KUBEADM.authority
_ADVERTISED = re.compile(
    r"^\s*kubeadm\.kubernetes\.io/kube-apiserver\.advertise-address\.endpoint: (\S+)$", re.MULTILINE
)


def advertised(manifest: str) -> t.Optional[t.Tuple[str, int]]:
    """Address and port that kubeadm wrote into the static pod; ``None`` when there are none."""
    match = _ADVERTISED.search(manifest)
    if match is None:
        return None
    host, _colon, port = match.group(1).strip("\"'").rpartition(":")
    return (host.strip("[]"), int(port)) if port.isdigit() else None


def own_place(layout: Layout = KUBEADM) -> t.Optional[t.Tuple[str, int]]:
    """Address and port of this machine's API server; ``None`` when nothing says them."""
    endpoint = endpoint_of(read_text(layout.local)) if layout.local else ""
    return endpoint_place(endpoint) if endpoint else advertised(read_text(layout.manifest("kube-apiserver")))


def answers_ready(host: str, port: int, authority: str, client: t.Sequence[str] = (), timeout: float = 2) -> bool:
    """Whether ``/readyz`` there says so, with a certificate of the CA in the file ``authority``.

    :param client: files of the certificate and the key that are presented to it, if any.
    :param timeout: seconds for the connection, and for the answer.
    """
    try:
        context = _tls.verified_by(authority)
        if client:
            context.load_cert_chain(*client)
        connection = http.client.HTTPSConnection(host, port, timeout=timeout, context=context)
        try:
            connection.request("GET", "/readyz")
            return connection.getresponse().status == 200
        finally:
            connection.close()
    except (OSError, http.client.HTTPException, ValueError):
        return False


def is_ready(layout: Layout = KUBEADM) -> bool:
    """Whether there is an API server on this machine that is ready."""
    if not layout.control_plane or not os.path.exists(layout.authority):
        return False
    place = own_place(layout)
    return place is not None and answers_ready(*place, layout.authority, layout.api_client)
