# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Members of etcd that have no vote yet, seen from a machine that is about to bring one more.

It has no etcd whose tools could be asked, but kubeadm has given it the certificates of an API server, and etcd's own
gateway answers in JSON.

Private to this collection.
"""

from __future__ import annotations

import http.client
import json
import typing as t
import urllib.parse

from ansible_collections.slipway.kubernetes.plugins.module_utils import _tls
from ansible_collections.slipway.kubernetes.plugins.module_utils._command import SlipwayError
from ansible_collections.slipway.kubernetes.plugins.module_utils._kube.kubectl import Kubectl
from ansible_collections.slipway.kubernetes.plugins.module_utils._layout import KUBEADM

AUTHORITY = KUBEADM.certificate("etcd/ca")
#: What API servers present to etcd.
CLIENT = f"{KUBEADM.pki}/apiserver-etcd-client"
#: kubeadm notes on etcd's static pods where their clients find them.
_CLIENT_URLS = "kubeadm.kubernetes.io/etcd.advertise-client-urls"


def client_urls(kubectl: Kubectl) -> t.List[str]:
    """Where the static pods of the cluster say that etcd is; nothing when it runs elsewhere."""
    pods = kubectl.get("pods", "--namespace=kube-system", "--selector=component=etcd,tier=control-plane")
    notes = [(pod["metadata"].get("annotations") or {}).get(_CLIENT_URLS, "") for pod in pods.get("items") or []]
    return [note.partition(",")[0] for note in notes if note]


def members(url: str, timeout: float = 5) -> t.List[t.Dict[str, t.Any]]:
    """The members that the one at ``url`` names.

    :param timeout: seconds for the connection, and for the answer.
    :raises OSError: when it cannot be asked.
    :raises ValueError: when its answer is another than etcd's.
    """
    context = _tls.verified_by(AUTHORITY)
    context.load_cert_chain(f"{CLIENT}.crt", f"{CLIENT}.key")
    place = urllib.parse.urlsplit(url)
    connection = http.client.HTTPSConnection(place.hostname or "", place.port, timeout=timeout, context=context)
    try:
        connection.request("POST", "/v3/cluster/member/list", "{}", {"Content-Type": "application/json"})
        return list(json.loads(connection.getresponse().read())["members"])
    except (http.client.HTTPException, KeyError, TypeError) as error:
        raise ValueError(f"{url} does not answer as etcd does: {error!r}") from error
    finally:
        connection.close()


def learners(kubectl: Kubectl) -> t.List[t.Dict[str, t.Any]]:
    """The members without a vote, by the first member that answers; nothing when none can be asked."""
    try:
        urls = client_urls(kubectl)
    except SlipwayError:
        return []
    for url in urls:
        try:
            return [member for member in members(url) if member.get("isLearner")]
        except (OSError, ValueError):
            continue
    return []
