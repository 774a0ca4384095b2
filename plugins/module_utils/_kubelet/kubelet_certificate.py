# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A kubelet's client certificate, which it renews itself as long as the one that it has is valid.

Private to this collection.
"""

from __future__ import annotations

import base64
import os
import re
import time

from ansible_collections.slipway.kubernetes.plugins.module_utils._command import Runner, SlipwayError
from ansible_collections.slipway.kubernetes.plugins.module_utils._files import TextFile
from ansible_collections.slipway.kubernetes.plugins.module_utils._kubeadm import kubeadm as _kubeadm
from ansible_collections.slipway.kubernetes.plugins.module_utils._kubeadm.kubeadm import Kubeadm
from ansible_collections.slipway.kubernetes.plugins.module_utils._pki import certificates, der

_GROUP = "system:nodes"
_KEY = re.compile(r"^\s*client-key-data:\s*(\S+)", re.MULTILINE)


def pair_of(kubeconfig: str) -> str:
    """The client's certificate and key in a kubeconfig as one PEM text, as the kubelet keeps its own.

    :raises SlipwayError: when one is missing.
    """
    key = _KEY.search(kubeconfig)
    try:
        certificate = certificates.kubeconfig_certificate(kubeconfig)
        text = base64.b64decode(key.group(1)).decode("ascii") if key else ""
    except (der.DerError, ValueError) as error:
        raise SlipwayError("kubeadm printed no kubeconfig with a client's certificate and key.") from error
    if not certificate or not text:
        raise SlipwayError("kubeadm printed no kubeconfig with a client's certificate and key.")
    return certificate.rstrip("\n") + "\n" + text.rstrip("\n") + "\n"


def renew(runner: Runner, entry: certificates.Entry) -> None:
    """Sign a new one with the authority's key on this machine and put it where the kubelet looks for its own.

    :raises SlipwayError: when the old one does not say whose it is, or the key is not here.
    """
    user = entry.certificate.common_name if entry.certificate else ""
    if not user.startswith("system:node:"):
        raise SlipwayError(f"{entry.path} cannot be renewed: it does not say which node it is of ({entry.problem}).")
    kubeadm = Kubeadm(runner)
    minimal = {"apiVersion": _kubeadm.API_VERSION, "kind": "ClusterConfiguration"}
    document = {**minimal, "kubernetesVersion": kubeadm.version()}
    printed = kubeadm.run([document], "kubeconfig", "user", f"--client-name={user}", f"--org={_GROUP}")
    folder = os.path.dirname(entry.path)
    path = os.path.join(folder, time.strftime("kubelet-client-%Y-%m-%d-%H-%M-%S.pem"))
    TextFile(path, pair_of(printed), 0o600).write()
    link = entry.path + ".new"
    if os.path.lexists(link):
        os.unlink(link)
    os.symlink(path, link)
    os.replace(link, entry.path)
