#!/usr/bin/python
# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: kubeadm_endpoint
short_description: Lets the clients of a cluster use another endpoint
version_added: 0.1.0
description:
  - Writes another address of the API servers into kubeconfig files of this machine and, with O(cluster=true), into what
    the cluster itself keeps. That is kubeadm's configuration, the ConfigMap C(cluster-info) by which machines join, and
    the kubeconfig of kube-proxy, whose pods are replaced one by one afterwards.
  - Before anything is changed, the endpoint has to answer on this machine with a certificate of the cluster's CA that
    bears its name. M(slipway.kubernetes.kubeadm_apiserver_cert) gives API servers such a certificate.
  - Change the administrator's kubeconfig last. It is what tells whether a cluster has been moved.
author: slipway.kubernetes contributors (@slipway)
extends_documentation_fragment:
  - slipway.kubernetes.attributes
  - slipway.kubernetes.kubectl
attributes:
  check_mode:
    support: full
    details: Does not ask the endpoint, which may not be there yet.
  diff_mode:
    support: full
  idempotent:
    support: full
options:
  endpoint:
    description: Where clients shall reach the API servers, as C(host) or C(host:port); the port is 6443 when not said.
    type: str
    required: true
  files:
    description: The kubeconfig files. Those that are not there are left out.
    type: list
    elements: path
    default: [/etc/kubernetes/kubelet.conf]
  unit:
    description:
      - A unit of systemd that reads the files once, when it starts, as V(kubelet.service). It is stopped while a file
        is replaced, so that it never runs with an old one.
    type: str
  cluster:
    description: Whether what the cluster keeps is changed, too, before the files. Run it on a control plane then.
    type: bool
    default: false
  timeout:
    description: Seconds that the endpoint may take to answer.
    type: int
    default: 60
requirements:
  - kubeadm, with O(cluster=true)
"""

EXAMPLES = r"""
- name: Let the kubelet of a worker use the endpoint
  slipway.kubernetes.kubeadm_endpoint:
    endpoint: "{{ example_endpoint }}"
    unit: kubelet.service

- name: Let the cluster and its administrator use it
  slipway.kubernetes.kubeadm_endpoint:
    endpoint: "{{ example_endpoint }}"
    cluster: true
    files:
      - /etc/kubernetes/super-admin.conf
      - /etc/kubernetes/admin.conf
"""

RETURN = r"""
moved:
  description: Files and objects of the cluster that got the endpoint.
  type: list
  elements: str
  returned: success
  sample: [configmap/kube-public/cluster-info, /etc/kubernetes/admin.conf]
restarted:
  description: What was restarted, so that it uses the endpoint. It may go on for a while.
  type: list
  elements: str
  returned: success
  sample: [daemonset/kube-system/kube-proxy]
"""

import dataclasses
import functools
import json
import os
import re
import stat
import typing as t

from ansible_collections.slipway.kubernetes.plugins.module_utils import _api_endpoints, _waiting
from ansible_collections.slipway.kubernetes.plugins.module_utils._command import SlipwayError
from ansible_collections.slipway.kubernetes.plugins.module_utils._files import TextFile, read_exactly, read_text
from ansible_collections.slipway.kubernetes.plugins.module_utils._kube import api_server, proxies
from ansible_collections.slipway.kubernetes.plugins.module_utils._kube.kubectl import KUBECTL_ARGUMENTS, Kubectl
from ansible_collections.slipway.kubernetes.plugins.module_utils._kubeadm import cluster_configuration
from ansible_collections.slipway.kubernetes.plugins.module_utils._layout import KUBEADM
from ansible_collections.slipway.kubernetes.plugins.module_utils._module import Context, run_module

_SERVER = re.compile(r"^([ \t]*server:[ \t]+)(\S+)[ \t]*$", re.MULTILINE)
#: ConfigMaps that have a kubeconfig, and the key of it.
_CLUSTER_INFO = ("kube-public", "cluster-info", "kubeconfig")
_PROXY = (proxies.NAMESPACE, proxies.NAME, "kubeconfig.conf")


@dataclasses.dataclass(frozen=True)
class Client:
    """Something that knows where the API servers are.

    :param name: the path of a file, or kind, namespace and name of an object.
    :param server: where it looks for them now.
    :param move: lets it use the endpoint.
    """

    name: str
    server: str
    move: t.Callable[[], None]


def server_of(kubeconfig: str, name: str) -> str:
    """The server in a kubeconfig.

    :param name: what it is called in the error.
    :raises SlipwayError: when there is none, or several.
    """
    found = _SERVER.findall(kubeconfig)
    if len(found) != 1:
        raise SlipwayError(
            f"{name} has {len(found)} servers and not one, so it is not what kubeadm made: look into it."
        )
    return str(found[0][1]).strip("\"'")


def with_server(kubeconfig: str, server: str) -> str:
    """The kubeconfig with another server; all else is as it was."""
    return _SERVER.sub(lambda match: match.group(1) + server, kubeconfig)


class KubeadmEndpoint:
    """The endpoint that clients of a cluster shall use, and all places that name one."""

    def __init__(self, context: Context) -> None:
        self._check_mode = context.check_mode
        self._params = context.params
        self._runner = context.runner
        self._kubectl = Kubectl.of(context)
        self._endpoint = _api_endpoints.endpoint_with_port(context.params["endpoint"])
        self._server = f"https://{self._endpoint}"

    def run(self) -> t.Dict[str, t.Any]:
        """Look who uses something else, ask the endpoint, and move them.

        :raises SlipwayError: when the endpoint does not answer as the cluster, or something is not as kubeadm made it.
        """
        is_stale = False
        clients = []
        if self._params["cluster"]:
            if self._check_mode and self._kubectl.missing():
                return self._result([], [], changed=True)
            maps = {place: self._config_map(place) for place in (_CLUSTER_INFO, _PROXY)}
            clients = [self._map_client(place, found) for place, found in maps.items() if found]
            clients.append(self._configuration())
            is_stale = proxies.are_older(self._kubectl, maps[_PROXY])
        clients += [self._file(path) for path in self._params["files"] if os.path.exists(path)]
        moved = [client for client in clients if client.server != self._server]
        is_stale = is_stale or _name(_PROXY) in [client.name for client in moved]
        if not self._check_mode and (moved or is_stale):
            self._ask()
            for client in moved:
                client.move()
            if is_stale:
                proxies.restart(self._kubectl)
        return self._result(moved, [proxies.DAEMON_SET] if is_stale else [])

    def _ask(self) -> None:
        """Wait until the endpoint answers.

        :raises SlipwayError: when it does not, or with a certificate that is not right.
        """
        host, port = _api_endpoints.endpoint_place(self._endpoint)
        answers = functools.partial(api_server.answers_ready, host, port, api_server.AUTHORITY)
        if not _waiting.until(answers, self._params["timeout"]):
            raise SlipwayError(
                f"After {self._params['timeout']} seconds {self._server}/readyz does not say on this host that an API"
                f" server is ready, with a certificate of the cluster's CA for {host}. Nothing was changed here: see"
                f" `curl --cacert {api_server.AUTHORITY} {self._server}/readyz`, and run again."
            )

    # The cluster

    def _config_map(self, place: t.Tuple[str, str, str]) -> t.Dict[str, t.Any]:
        """A ConfigMap; empty when there is none, as without kube-proxy."""
        words = (f"--namespace={place[0]}", "configmap", place[1], "--ignore-not-found", "--show-managed-fields")
        text = self._kubectl.run("get", *words, "--output=json").stdout
        return json.loads(text) if text.strip() else {}

    def _map_client(self, place: t.Tuple[str, str, str], found: t.Mapping[str, t.Any]) -> Client:
        namespace, name, key = place
        text = found["data"][key]
        patch = json.dumps({"data": {key: with_server(text, self._server)}})

        def move() -> None:
            words = (f"--namespace={namespace}", "configmap", name, "--type=merge", f"--patch={patch}")
            self._kubectl.run("patch", *words)

        return Client(_name(place), server_of(text, _name(place)), move)

    def _configuration(self) -> Client:
        """kubeadm's configuration.

        :raises SlipwayError: when there is no API server on this machine.
        """
        place = api_server.advertised(read_text(api_server.MANIFEST))
        if place is None:
            raise SlipwayError(f"There is no API server on this host that kubeadm made ({api_server.MANIFEST}).")
        cluster = cluster_configuration.read(self._kubectl)
        wanted = {**cluster, "controlPlaneEndpoint": self._endpoint}
        present = cluster.get("controlPlaneEndpoint") or ""
        return Client(
            "configmap/kube-system/kubeadm-config",
            f"https://{_api_endpoints.endpoint_with_port(present)}" if present else "",
            functools.partial(cluster_configuration.write, self._runner, wanted, place),
        )

    # Files

    def _file(self, path: str) -> Client:
        text = read_exactly(path)
        status = os.stat(path)
        new = TextFile(
            path, with_server(text, self._server), stat.S_IMODE(status.st_mode), str(status.st_uid), str(status.st_gid)
        )

        def move() -> None:
            if not self._params["unit"]:
                new.write()
                return
            systemctl = self._runner.path("systemctl")
            self._runner.run([systemctl, "stop", self._params["unit"]])
            try:
                new.write()
            finally:
                self._runner.run([systemctl, "start", self._params["unit"]])

        return Client(path, server_of(text, path), move)

    def _result(
        self, moved: t.Sequence[Client], restarted: t.Sequence[str], changed: bool = False
    ) -> t.Dict[str, t.Any]:
        return {
            "changed": bool(moved or restarted) or changed,
            "moved": [client.name for client in moved],
            "restarted": list(restarted),
            "diff": [
                {
                    "before_header": client.name,
                    "after_header": client.name,
                    "before": f"{client.server}\n",
                    "after": f"{self._server}\n",
                }
                for client in moved
            ],
        }


def _name(place: t.Tuple[str, str, str]) -> str:
    return f"configmap/{place[0]}/{place[1]}"


ARGUMENTS: t.Dict[str, t.Any] = {
    **KUBECTL_ARGUMENTS,
    "endpoint": {"type": "str", "required": True},
    "files": {"type": "list", "elements": "path", "default": [KUBEADM.kubelet]},
    "unit": {"type": "str"},
    "cluster": {"type": "bool", "default": False},
    "timeout": {"type": "int", "default": 60},
}


def main() -> None:
    run_module(ARGUMENTS, lambda context: KubeadmEndpoint(context).run())


if __name__ == "__main__":
    main()
