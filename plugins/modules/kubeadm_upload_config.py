#!/usr/bin/python
# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: kubeadm_upload_config
short_description: Changes the configuration that a cluster of kubeadm keeps
version_added: 0.1.0
description:
  - Writes the ClusterConfiguration, the KubeletConfiguration and the KubeProxyConfiguration into their ConfigMaps in
    C(kube-system) (C(kubeadm-config), C(kubelet-config), C(kube-proxy)), all or none.
  - The installed kubeadm reads them first, and nothing is written that it refuses. Nothing is written, either, when
    somebody has changed one of them since it was looked at.
  - Static pods and kubelets do not follow by themselves, see M(slipway.kubernetes.kubeadm_reconfigure). The pods of
    kube-proxy are started anew, one node after the other, as long as some are older than their configuration.
author: slipway.kubernetes contributors (@slipway)
extends_documentation_fragment:
  - slipway.kubernetes.attributes
  - slipway.kubernetes.kubectl
attributes:
  check_mode:
    support: full
    details:
      - kubeadm reads the documents in check mode, too.
  diff_mode:
    support: full
    details:
      - Shows the fields that O(documents) names.
  idempotent:
    support: full
options:
  cluster_configuration:
    description: The ClusterConfiguration, as YAML, with which kubeadm reads the other documents.
    type: str
    default: ""
  documents:
    description:
      - What is to be kept. M(slipway.kubernetes.preflight_report) makes it of the inventory, as
        C(reconfiguration.documents).
    type: list
    elements: dict
    required: true
    suboptions:
      kind:
        description: Which of the documents it is.
        type: str
        choices: [ClusterConfiguration, KubeletConfiguration, KubeProxyConfiguration]
        required: true
      text:
        description: The document, as YAML.
        type: str
        required: true
      seen:
        description: SHA-256 of the text that the cluster had when somebody looked at it, in hexadecimal.
        type: str
        required: true
      fields:
        description: What differs, for the difference that is shown, as C(path), C(before) and C(after).
        type: list
        elements: dict
        default: []
requirements:
  - kubeadm of the cluster's version
"""

EXAMPLES = r"""
- name: Start kube-proxy anew where it has not read its configuration yet
  slipway.kubernetes.kubeadm_upload_config:
    documents: []
"""

RETURN = r"""
written:
  description: The ConfigMaps that were written, or would be in check mode.
  type: list
  elements: str
  returned: success
  sample: [kubelet-config]
proxies_pending:
  description:
    - Whether pods of kube-proxy are older than their configuration, or would be. They are started anew one after the
      other, which goes on afterwards.
  type: bool
  returned: success
"""

import json
import typing as t

from ansible_collections.slipway.kubernetes.plugins.module_utils._command import SlipwayError
from ansible_collections.slipway.kubernetes.plugins.module_utils._files import digest
from ansible_collections.slipway.kubernetes.plugins.module_utils._kube import proxies
from ansible_collections.slipway.kubernetes.plugins.module_utils._kube.kubectl import KUBECTL_ARGUMENTS, Kubectl
from ansible_collections.slipway.kubernetes.plugins.module_utils._kubeadm import cluster_state, kubeadm
from ansible_collections.slipway.kubernetes.plugins.module_utils._kubeadm.cluster_state import CONFIG_MAPS
from ansible_collections.slipway.kubernetes.plugins.module_utils._module import Context, run_module

_NAMESPACE = f"--namespace={cluster_state.NAMESPACE}"


class KubeadmUploadConfig:
    """The documents that a cluster keeps, and shall keep."""

    def __init__(self, context: Context) -> None:
        self._check_mode = context.check_mode
        self._runner = context.runner
        self._cluster: str = context.params["cluster_configuration"]
        self._documents: t.List[t.Dict[str, t.Any]] = context.params["documents"]
        self._kubectl = Kubectl.of(context)

    def run(self) -> t.Dict[str, t.Any]:
        """Write what differs.

        :raises SlipwayError: when kubeadm refuses it, or the cluster has something else than was seen; nothing is
            written then.
        """
        found = {document["kind"]: self._config_map(CONFIG_MAPS[document["kind"]][0]) for document in self._documents}
        pending = [document for document in self._documents if document["text"] != self._text(document, found)]
        for document in pending:
            self._expect_seen(document["kind"], document["seen"], self._text(document, found))
        if pending:
            self._validate(pending)
        if not self._check_mode:
            for document in pending:
                self._write(document, found[document["kind"]])
        is_new = "KubeProxyConfiguration" in [document["kind"] for document in pending]
        waits = is_new or proxies.are_older(self._kubectl)
        restart = is_new or (waits and not proxies.are_restarting(self._kubectl))
        if restart and not self._check_mode:
            proxies.restart(self._kubectl)
        return {
            "changed": bool(pending) or restart,
            "written": [CONFIG_MAPS[document["kind"]][0] for document in pending],
            "proxies_pending": waits,
            "diff": [_diff(document) for document in pending],
        }

    def _config_map(self, name: str) -> t.Dict[str, t.Any]:
        return self._kubectl.get(f"configmap/{name}", _NAMESPACE)

    @staticmethod
    def _text(document: t.Mapping[str, t.Any], found: t.Mapping[str, t.Mapping[str, t.Any]]) -> str:
        """The text that the cluster has of it."""
        kind = document["kind"]
        return str((found[kind].get("data") or {}).get(CONFIG_MAPS[kind][1], ""))

    @staticmethod
    def _expect_seen(kind: str, seen: str, text: str) -> None:
        """:raises SlipwayError: when the text is not the one that was seen."""
        if digest(text) == seen:
            return
        name = CONFIG_MAPS[kind][0]
        if digest(cluster_state.without_headers(text)) == seen:
            raise SlipwayError(
                f"The ConfigMap {name} has staticPodURLHeader, which may be secret and so is not read by this"
                " collection: it would be lost. Nothing was changed. Change that ConfigMap by kubectl edit, or take the"
                " field out."
            )
        raise SlipwayError(
            f"The ConfigMap {name} was changed after this run had looked at it. Nothing was changed; run again."
        )

    def _validate(self, documents: t.Sequence[t.Mapping[str, t.Any]]) -> None:
        """:raises SlipwayError: with kubeadm's words when it refuses one of the documents."""
        # Without a ClusterConfiguration it would not look into the others.
        texts = {"ClusterConfiguration": self._cluster, **{item["kind"]: str(item["text"]) for item in documents}}
        kubeadm.Kubeadm(self._runner).validate_text("\n---\n".join(texts.values()), strict=True)

    def _write(self, document: t.Mapping[str, t.Any], found: t.Mapping[str, t.Any]) -> None:
        """Replace one text of a ConfigMap that is as it was read."""
        name, key = CONFIG_MAPS[document["kind"]]
        patch = {
            "metadata": {"resourceVersion": found["metadata"]["resourceVersion"]},
            "data": {key: document["text"]},
        }
        argv = ("patch", f"configmap/{name}", _NAMESPACE, "--type=merge", "--patch-file=/dev/stdin")
        self._kubectl.run(*argv, stdin=json.dumps(patch))


def _diff(document: t.Mapping[str, t.Any]) -> t.Dict[str, str]:
    place = f"configmap/kube-system/{CONFIG_MAPS[document['kind']][0]}"
    before, after = (
        "".join(f"{field.get('path')}: {field.get(side)}\n" for field in document["fields"])
        for side in ("before", "after")
    )
    return {"before_header": place, "after_header": place, "before": before, "after": after}


ARGUMENTS: t.Dict[str, t.Any] = {
    **KUBECTL_ARGUMENTS,
    "cluster_configuration": {"type": "str", "default": ""},
    "documents": {
        "type": "list",
        "elements": "dict",
        "required": True,
        "options": {
            "kind": {"type": "str", "choices": list(CONFIG_MAPS), "required": True},
            "text": {"type": "str", "required": True},
            "seen": {"type": "str", "required": True},
            "fields": {"type": "list", "elements": "dict", "default": []},
        },
    },
}


def main() -> None:
    run_module(ARGUMENTS, lambda context: KubeadmUploadConfig(context).run(), quiet=True)


if __name__ == "__main__":
    main()
