#!/usr/bin/python
# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: kubeadm_apiserver_cert
short_description: Keeps the names in the certificate of an API server
version_added: 0.1.0
description:
  - Compares the names and addresses in the certificate of this machine's API server with those that are wanted. These
    are O(sans), and what kubeadm always puts into it, that is the node's name and address, the endpoint, and the
    service C(kubernetes).
  - When they differ, kubeadm's configuration in the cluster is changed first, so that control planes that join later,
    and upgrades, know the names. Then kubeadm makes a new certificate beside the old one, which is replaced when the
    new one has the names. The API server takes it up while it runs; it is restarted only when it does not present it.
  - Run it on one control plane after the other.
author: slipway.kubernetes contributors (@slipway)
extends_documentation_fragment:
  - slipway.kubernetes.attributes
  - slipway.kubernetes.kubectl
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
  idempotent:
    support: full
options:
  sans:
    description:
      - Names and addresses besides those that kubeadm always puts into the certificate. Others that it has are taken
        out.
    type: list
    elements: str
    required: true
  timeout:
    description: Seconds that the API server may take to present the new certificate when it was restarted.
    type: int
    default: 300
requirements:
  - kubeadm and kubectl
"""

EXAMPLES = r"""
- name: Let the API server be known by another name, too
  slipway.kubernetes.kubeadm_apiserver_cert:
    sans:
      - api.example.org
      - 192.0.2.10
"""

RETURN = r"""
names:
  description: The names that are wanted.
  type: list
  elements: str
  returned: success
  sample: [10.96.0.1, 192.0.2.11, api.example.org, cp1, kubernetes, kubernetes.default]
added:
  description: Those that the certificate did not have.
  type: list
  elements: str
  returned: success
  sample: [api.example.org]
removed:
  description: Those that it had and should not have.
  type: list
  elements: str
  returned: success
  sample: []
restarted:
  description: Whether the API server had to be restarted.
  type: bool
  returned: success
  sample: false
"""

import glob
import os
import shutil
import tempfile
import typing as t

from ansible_collections.slipway.kubernetes.plugins.module_utils import _api_endpoints
from ansible_collections.slipway.kubernetes.plugins.module_utils._command import SlipwayError
from ansible_collections.slipway.kubernetes.plugins.module_utils._files import read_text
from ansible_collections.slipway.kubernetes.plugins.module_utils._kube import api_server
from ansible_collections.slipway.kubernetes.plugins.module_utils._kube.kubectl import KUBECTL_ARGUMENTS, Kubectl
from ansible_collections.slipway.kubernetes.plugins.module_utils._kubeadm import cluster_configuration, static_pods
from ansible_collections.slipway.kubernetes.plugins.module_utils._kubeadm.kubeadm import Kubeadm
from ansible_collections.slipway.kubernetes.plugins.module_utils._module import Context, run_module
from ansible_collections.slipway.kubernetes.plugins.module_utils._pki import certificates

#: Of the folder for a new certificate; a call that was killed leaves one behind.
_PREFIX = ".slipway-"


class KubeadmApiserverCert:
    """The certificate of this machine's API server, and the names that it shall have."""

    def __init__(self, context: Context) -> None:
        self._check_mode = context.check_mode
        self._timeout: int = context.params["timeout"]
        self._runner = context.runner
        self._kubectl = Kubectl.of(context)
        self._folder = os.path.join(certificates.FOLDER, "pki")
        try:
            self._sans = sorted({_api_endpoints.canonical(name) for name in context.params["sans"]})
        except ValueError as error:
            raise SlipwayError(f"sans: {error}.") from error

    def run(self) -> t.Dict[str, t.Any]:
        """Compare, and make another certificate when the names differ.

        :raises SlipwayError: when there is no control plane, it does not answer, or the CA's key is not here.
        """
        path = os.path.join(self._folder, "apiserver.crt")
        place = api_server.advertised(read_text(api_server.MANIFEST))
        if place is None or not os.path.exists(path):
            if self._check_mode:
                return _result([], self._sans, changed=True)
            raise SlipwayError(f"There is no API server on this host that kubeadm made ({path}).")
        cluster = cluster_configuration.read(self._kubectl)
        server = cluster.setdefault("apiServer", {})
        is_configured = sorted(server.get("certSANs") or []) == self._sans
        server["certSANs"] = self._sans
        try:
            present = sorted(_names(path))
            wanted = _api_endpoints.apiserver_names(cluster, cluster_configuration.node_name(), place[0])
        except ValueError as error:
            raise SlipwayError(f"The names for {path} cannot be computed: {error}.") from error
        restarted = False
        if present != wanted and not os.path.exists(os.path.join(self._folder, "ca.key")):
            raise SlipwayError(
                f"The API server's certificate has {', '.join(present)} and shall have {', '.join(wanted)}, but the"
                f" CA's key is not on this host: have such a certificate signed where it is, put it into {path}, and"
                " run again."
            )
        if not self._check_mode:
            if not is_configured:
                cluster_configuration.write(self._runner, cluster, place)
            if present != wanted:
                self._make([cluster_configuration.init_configuration(place), cluster], wanted)
            restarted = static_pods.take_up(static_pods.API_SERVER, path, place, self._timeout)
            if present != wanted:
                static_pods.until("the API server", api_server.is_ready, self._timeout)
        changed = present != wanted or not is_configured or restarted
        return {**_result(present, wanted, changed), "restarted": restarted}

    def _make(self, documents: t.Sequence[t.Mapping[str, t.Any]], wanted: t.Sequence[str]) -> None:
        """Let kubeadm make a certificate in a folder of its own, and take it over when it is right.

        :raises SlipwayError: when it has other names.
        """
        for left in glob.glob(os.path.join(self._folder, _PREFIX + "*")):
            shutil.rmtree(left)
        folder = tempfile.mkdtemp(prefix=_PREFIX, dir=self._folder)
        try:
            for name in ("ca.crt", "ca.key"):
                os.symlink(os.path.join(self._folder, name), os.path.join(folder, name))
            init, cluster = documents
            Kubeadm(self._runner).run(
                [init, {**cluster, "certificatesDir": folder}], "init", "phase", "certs", "apiserver"
            )
            made = sorted(_names(os.path.join(folder, "apiserver.crt")))
            if made != list(wanted):
                raise SlipwayError(
                    f"kubeadm made a certificate with {', '.join(made)} instead of {', '.join(wanted)}; the old one is"
                    " left in its place."
                )
            # The API server goes on with the old pair as long as the two do not fit together.
            for name in ("apiserver.key", "apiserver.crt"):
                os.replace(os.path.join(folder, name), os.path.join(self._folder, name))
        finally:
            shutil.rmtree(folder)


def _names(path: str) -> t.List[str]:
    """The names in a certificate.

    :raises der.DerError: when it cannot be read.
    """
    names = certificates.read(path).names
    return [name.lower() for name in names.dns_names] + names.addresses


def _result(present: t.Sequence[str], wanted: t.Sequence[str], changed: bool) -> t.Dict[str, t.Any]:
    header = "names in the API server's certificate"
    return {
        "changed": changed,
        "names": list(wanted),
        "added": sorted(set(wanted) - set(present)),
        "removed": sorted(set(present) - set(wanted)),
        "restarted": False,
        "diff": {
            "before_header": header,
            "after_header": header,
            "before": "".join(f"{name}\n" for name in present),
            "after": "".join(f"{name}\n" for name in wanted),
        },
    }


ARGUMENTS: t.Dict[str, t.Any] = {
    **KUBECTL_ARGUMENTS,
    "sans": {"type": "list", "elements": "str", "required": True},
    "timeout": {"type": "int", "default": 300},
}


def main() -> None:
    run_module(ARGUMENTS, lambda context: KubeadmApiserverCert(context).run())


if __name__ == "__main__":
    main()
