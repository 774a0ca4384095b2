# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documents of Kubernetes as nodes and clusters have them, and what is read in those of kubelets.

Private to this collection; runs on the controller.
"""

from __future__ import annotations

import functools
import re

import yaml
from ansible_collections.slipway.kubernetes.plugins.plugin_utils._configuration_differences import Document

try:
    from yaml import CSafeLoader as _Loader
except ImportError:  # PyYAML without libyaml
    from yaml import SafeLoader as _Loader  # type: ignore[assignment]

#: Characters of a document that is read.
TEXT_MAX = 100_000
#: kubeadm writes no references within a document; they can make a small one endless.
_ANCHOR = re.compile(r"(?:^|[\s\[{,:-])[&*][\w-]")


@functools.lru_cache(maxsize=64)
def parse(text: str) -> Document:
    """A document of Kubernetes; empty when it is none. Nodes of one cluster have the same texts.

    It may come from a node that somebody else holds, so it has to be of the size and kind that kubeadm writes.
    """
    if len(text) > TEXT_MAX or _ANCHOR.search(text):
        return {}
    try:
        # As bytes: the parser in C does not take the strings that Ansible has marked.
        document = yaml.load(text.encode("utf-8", "replace"), Loader=_Loader)
    except (yaml.YAMLError, RecursionError, ValueError):
        return {}
    return document if isinstance(document, dict) else {}


def signs_itself(kubelet: Document, arguments: Document) -> bool:
    """Whether a kubelet neither asks for a serving certificate nor was given one, perhaps by the cluster's CA.

    :param kubelet: its KubeletConfiguration.
    :param arguments: those that kubeadm gave to it.
    """
    asks = kubelet.get("serverTLSBootstrap") or arguments.get("rotate-server-certificates")
    return not asks and not kubelet.get("tlsCertFile") and not arguments.get("tls-cert-file")
