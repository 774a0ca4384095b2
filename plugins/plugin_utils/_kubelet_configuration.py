# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documents of Kubernetes as nodes and clusters have them, and what is read in those of kubelets.

Private to this collection; runs on the controller.
"""

from __future__ import annotations

import functools
import typing as t

import yaml
from ansible_collections.slipway.kubernetes.plugins.plugin_utils._configuration_differences import Document

try:
    from yaml import CSafeLoader as _Loader
except ImportError:  # PyYAML without libyaml
    from yaml import SafeLoader as _Loader  # type: ignore[assignment]

#: What Go takes for true.
_TRUE = ("1", "t", "T", "true", "TRUE", "True")
#: Characters of a document that is read.
TEXT_MAX = 100_000


@functools.lru_cache(maxsize=64)
def read(text: str) -> t.Optional[Document]:
    """A document of Kubernetes; ``None`` when a text is none. Nodes of one cluster have the same texts.

    It may come from a node that somebody else holds, so it has to be of the size and kind that kubeadm writes, which
    has no references: they can make a small document endless.
    """
    if len(text) > TEXT_MAX:
        return None
    # As bytes: the parser in C does not take the strings that Ansible has marked.
    stream = text.encode("utf-8", "replace")
    try:
        if any(isinstance(event, yaml.AliasEvent) for event in yaml.parse(stream, Loader=_Loader)):
            return None
        document = yaml.load(stream, Loader=_Loader)
    except (yaml.YAMLError, RecursionError, ValueError):
        return None
    if document is None:
        return {}
    return document if isinstance(document, dict) else None


def parse(text: str) -> Document:
    """A document of Kubernetes; empty when it is none."""
    return read(text) or {}


def signs_itself(kubelet: Document, arguments: Document) -> bool:
    """Whether a kubelet neither asks for a serving certificate nor was given one, perhaps by the cluster's CA.

    :param kubelet: its KubeletConfiguration.
    :param arguments: those that kubeadm gave to it.
    """
    argument = arguments.get("rotate-server-certificates")
    asks = kubelet.get("serverTLSBootstrap") if argument is None else argument in _TRUE
    return not asks and not kubelet.get("tlsCertFile") and not arguments.get("tls-cert-file")
