#!/usr/bin/python
# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: kubeadm_certs_renew
short_description: Renews the certificates of a control plane
version_added: 0.1.0
description:
  - Renews by C(kubeadm certs renew) what expires soon, and restarts what does not take up a new certificate by itself.
  - Controller manager and scheduler read their kubeconfig once, so their processes are ended, one after the other, and
    the kubelet starts them again. API server and etcd read certificates anew while they run; they are restarted only
    when they do not present the new one, so that no request fails.
  - Whether a restart is needed is seen from the processes, so that a call that was killed is finished by the next one.
  - Also works when certificates have expired and the API server does not answer. A client certificate of the kubelet
    that has expired, so that it cannot renew it itself, is made anew, too.
  - Authorities are not renewed.
author: slipway.kubernetes contributors (@slipway)
extends_documentation_fragment:
  - slipway.kubernetes.attributes
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
  idempotent:
    support: partial
    details: With O(all=true) certificates are renewed each time.
options:
  below:
    description: Certificates that expire in less than this many days are renewed.
    type: int
    default: 30
  all:
    description: Whether all are renewed, whenever they expire.
    type: bool
    default: false
  names:
    description:
      - Only these are looked at; all when empty. The names are those of C(kubeadm certs renew), and V(kubelet-client).
    type: list
    elements: str
    choices:
      - apiserver
      - apiserver-kubelet-client
      - apiserver-etcd-client
      - front-proxy-client
      - etcd-server
      - etcd-peer
      - etcd-healthcheck-client
      - admin.conf
      - super-admin.conf
      - controller-manager.conf
      - scheduler.conf
      - kubelet-client
    default: []
  wait:
    description:
      - Whether to wait until the API server of this machine is ready, which includes etcd.
      - Without it, control planes whose certificates have all expired can be renewed one after the other; etcd does not
        answer before most of its members have valid ones. Call it once more with it at the end.
    type: bool
    default: true
  timeout:
    description: Seconds that each component may take until it is healthy again.
    type: int
    default: 300
requirements:
  - kubeadm and kubectl
"""

EXAMPLES = r"""
- name: Renew what expires in the next 30 days
  slipway.kubernetes.kubeadm_certs_renew:

- name: Renew the administrator's kubeconfig now
  slipway.kubernetes.kubeadm_certs_renew:
    all: true
    names: [admin.conf]
"""

RETURN = r"""
renewed:
  description: Names of the certificates that were renewed, or would be in check mode.
  type: list
  elements: str
  returned: success
  sample: [apiserver, scheduler.conf]
restarted:
  description: Names of the programs that were restarted, or would be in check mode as far as can be foreseen.
  type: list
  elements: str
  returned: success
  sample: [kube-scheduler]
refused:
  description: That nothing was changed, since not all that is due can be renewed on this machine.
  type: bool
  returned: when it fails for that
  sample: true
skipped_external:
  description: Names of certificates whose authority's key is not on this machine; with O(all), and not near their end.
  type: list
  elements: str
  returned: success
  sample: []
"""

import functools
import json
import os
import time
import typing as t

from ansible_collections.slipway.kubernetes.plugins.module_utils._command import SlipwayError
from ansible_collections.slipway.kubernetes.plugins.module_utils._files import read_text
from ansible_collections.slipway.kubernetes.plugins.module_utils._kube import api_server
from ansible_collections.slipway.kubernetes.plugins.module_utils._kube.kubectl import Kubectl
from ansible_collections.slipway.kubernetes.plugins.module_utils._kubeadm import kubeadm as _kubeadm
from ansible_collections.slipway.kubernetes.plugins.module_utils._kubeadm import static_pods
from ansible_collections.slipway.kubernetes.plugins.module_utils._kubeadm.kubeadm import Kubeadm
from ansible_collections.slipway.kubernetes.plugins.module_utils._kubeadm.static_pods import Component
from ansible_collections.slipway.kubernetes.plugins.module_utils._kubelet import kubelet_certificate
from ansible_collections.slipway.kubernetes.plugins.module_utils._layout import KUBEADM
from ansible_collections.slipway.kubernetes.plugins.module_utils._module import Context, expect_timeout, run_module
from ansible_collections.slipway.kubernetes.plugins.module_utils._pki import certificates

#: Kubeconfigs that may read kubeadm's configuration.
ADMINISTRATORS = (KUBEADM.admin, KUBEADM.super_admin)
_CONFIGURATION = "/api/v1/namespaces/kube-system/configmaps/kubeadm-config"
#: What reads its file once, and the port of its health unless it was given another.
READ_ONCE = ((static_pods.CONTROLLER_MANAGER, 10257), (static_pods.SCHEDULER, 10259))


def select(
    entries: t.Sequence[certificates.Entry], names: t.Container[str], everything: bool, below: int, now: float
) -> t.Tuple[t.List[certificates.Entry], t.List[str]]:
    """What is to be renewed, and the names of what cannot and need not be.

    :raises SlipwayError: when something that expires soon cannot be renewed here.
    """
    urgent = {entry.name for entry in entries if entry.urgency(now, below) != "valid"}
    candidates = [entry for entry in entries if entry.name in certificates.RENEWABLE_NAMES]
    chosen = [entry for entry in candidates if not names or entry.name in names]
    due = [entry for entry in chosen if everything or entry.name in urgent]
    external = [entry.name for entry in due if entry.external]
    helpless = [name for name in external if name in urgent]
    if helpless:
        raise SlipwayError(
            f"{', '.join(helpless)}: expiring in less than {below} days, and not to be renewed on this machine, because"
            " the key of the authority is kept elsewhere. Have new certificates signed there (`kubeadm certs"
            " generate-csr`), or choose others by `names`."
        )
    due = [entry for entry in due if not entry.external]
    unreadable = [f"{entry.path} ({entry.problem})" for entry in due if entry.problem]
    if unreadable:
        raise SlipwayError(
            f"These files hold no readable certificate, from which kubeadm could renew: {', '.join(unreadable)}."
            " Restore them from a backup, or remove them and let `kubeadm init phase certs` or `kubeadm init phase"
            " kubeconfig` make new ones."
        )
    needed = {entry.authority for entry in due}
    dead = [entry.path for entry in entries if entry.name in needed and entry.urgency(now, 0) != "valid"]
    if dead:
        raise SlipwayError(
            f"The authority has expired ({', '.join(dead)}): nobody accepts what it signs, so nothing was renewed."
        )
    return due, external


class KubeadmCertsRenew:
    """The certificates of this control plane, and the processes that have to take up a new one."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._params = context.params
        self._runner = context.runner
        self._restarted: t.List[str] = []

    def run(self) -> t.Dict[str, t.Any]:
        """Renew, restart what needs it, wait.

        :raises SlipwayError: when that is not possible, or something is not healthy afterwards.
        """
        expect_timeout(self._params["timeout"], refused=True)
        entries = certificates.collect()
        now = time.time()
        try:
            due, external = select(entries, self._params["names"], self._params["all"], self._params["below"], now)
        except SlipwayError as error:
            raise SlipwayError(error.msg, refused=True) from error
        kubelet = self._expired_kubelet(entries, now)
        before = {entry.name: self._expires(entry, now) for entry in [*due, *kubelet]}
        names = list(before)
        if self._context.check_mode:
            self._restarted = self._foreseen(names)
        else:
            ready = api_server.is_ready()
            if due:
                self._renew([entry.name for entry in due])
            if kubelet:
                kubelet_certificate.renew(self._runner, kubelet[0])
            self._take_up(ready, bool(kubelet))
        after = dict.fromkeys(names, "renewed")
        if not self._context.check_mode:
            after = {entry.name: self._expires(entry, now) for entry in certificates.collect() if entry.name in before}
        return {
            "changed": bool(names or self._restarted),
            "renewed": names,
            "restarted": self._restarted,
            "skipped_external": external,
            "diff": {"before_header": "certificates", "after_header": "certificates", "before": before, "after": after},
        }

    @staticmethod
    def _expires(entry: certificates.Entry, now: float) -> str:
        return f"expires {entry.as_dict(now, 0)['expires']}"

    def _expired_kubelet(self, entries: t.Sequence[certificates.Entry], now: float) -> t.List[certificates.Entry]:
        names = self._params["names"]
        return [
            entry
            for entry in entries
            if entry.name == certificates.KUBELET_CLIENT
            and (not names or entry.name in names)
            and entry.urgency(now, 0) == "expired"
        ]

    @staticmethod
    def _foreseen(names: t.Sequence[str]) -> t.List[str]:
        """The programs that will be restarted."""
        found = ["kubelet"] if certificates.KUBELET_CLIENT in names else []
        for component, _port in READ_ONCE:
            if os.path.basename(component.file) in names or component.is_older_than_its_file():
                found.append(component.program)
        return found

    def _renew(self, names: t.Sequence[str]) -> None:
        kubeadm = Kubeadm(self._runner)
        configuration = self._configuration()
        if not configuration:
            minimal = {"apiVersion": _kubeadm.API_VERSION, "kind": "ClusterConfiguration"}
            configuration = _kubeadm.documents_text([{**minimal, "kubernetesVersion": kubeadm.version()}])
            self._context.warn(
                "The cluster's configuration could not be read, because no API server answered: the certificates are"
                " renewed for a year, also when the cluster has another certificateValidityPeriod."
            )
        for name in names:
            kubeadm.run_text(configuration, "certs", "renew", name)

    def _configuration(self) -> str:
        """kubeadm's ClusterConfiguration as the cluster has it; empty when nobody answers."""
        for path in ADMINISTRATORS:
            if os.path.exists(path):
                kubectl = Kubectl(self._runner, path, request_timeout=5)
                result = kubectl.run("get", f"--raw={_CONFIGURATION}", check=False)
                if result.rc == 0:
                    return str(json.loads(result.stdout)["data"]["ClusterConfiguration"])
        return ""

    def _take_up(self, was_ready: bool, kubelet_renewed: bool) -> None:
        """Let everything that runs use the certificates in the files."""
        wait = self._params["wait"]
        # What has died again and again is started by the kubelet after minutes only; a new kubelet starts it at once.
        components = [component for component, _port in READ_ONCE] + [static_pods.API_SERVER, static_pods.ETCD]
        died = [item for item in components if os.path.exists(item.file) and not item.pid()]
        if kubelet_renewed or (died and not was_ready):
            self._runner.run([self._runner.path("systemctl"), "restart", "kubelet.service"])
            self._restarted.append("kubelet")
        etcd = static_pods.ETCD
        for argument, file in (("listen-client-urls", etcd.file), ("listen-peer-urls", static_pods.ETCD_PEER)):
            self._reload(etcd, file, static_pods.first_address(etcd.argument(argument)))
        advertised = api_server.advertised(read_text(api_server.MANIFEST))
        self._reload(static_pods.API_SERVER, static_pods.API_SERVER.file, advertised)
        if wait:
            static_pods.until("the API server", api_server.is_ready, self._params["timeout"])
        for component, port in READ_ONCE:
            if component.is_older_than_its_file():
                component.end()
                self._restarted.append(component.program)
                if wait:
                    is_well = functools.partial(_is_new_and_healthy, component, port)
                    static_pods.until(component.program, is_well, self._params["timeout"])

    def _reload(self, component: Component, file: str, place: t.Optional[t.Tuple[str, int]]) -> None:
        timeout = self._params["timeout"] if self._params["wait"] else 0
        if place is not None and static_pods.take_up(component, file, place, timeout):
            self._restarted.append(component.program)


def _is_new_and_healthy(component: Component, port: int) -> bool:
    if not component.pid() or component.is_older_than_its_file():
        return False
    host = component.argument("bind-address")
    return static_pods.is_healthy(
        "127.0.0.1" if host in ("", "0.0.0.0", "::") else host, int(component.argument("secure-port") or port)
    )


ARGUMENTS: t.Dict[str, t.Any] = {
    "below": {"type": "int", "default": 30},
    "all": {"type": "bool", "default": False},
    "names": {
        "type": "list",
        "elements": "str",
        "choices": [*certificates.RENEWABLE_NAMES, certificates.KUBELET_CLIENT],
        "default": [],
    },
    "wait": {"type": "bool", "default": True},
    "timeout": {"type": "int", "default": 300},
}


def main() -> None:
    run_module(ARGUMENTS, lambda context: KubeadmCertsRenew(context).run())


if __name__ == "__main__":
    main()
