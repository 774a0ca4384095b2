#!/usr/bin/python
# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: kubeadm_reconfigure
short_description: Lets a node run with the configuration that its cluster keeps
version_added: 0.1.0
description:
  - On a control plane the static pods' manifests are compared with those that the installed kubeadm would write by now,
    which it says itself (C(kubeadm init phase control-plane all --dry-run)). Those whose pod would be another one are
    exchanged, one after the other, each when the one before is Ready. What was changed in them by hand goes.
  - The kubelet's C(config.yaml) is written anew by C(kubeadm upgrade node phase kubelet-config), and the kubelet is
    restarted when that has changed it. Pods go on meanwhile.
  - It is well when it goes on running, and has said itself since then that its node is Ready.
  - What does not come up, because the new configuration is wrong, gets the former one back. The error has its last
    words. A call that was killed in between is made good by the next one.
  - Neither certificates nor versions change, and the node is not drained.
author: slipway.kubernetes contributors (@slipway)
extends_documentation_fragment:
  - slipway.kubernetes.attributes
  - slipway.kubernetes.cri_socket
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
    details:
      - Values of environment variables, and of arguments whose names sound like a secret, are not shown.
  idempotent:
    support: full
options:
  operation:
    description:
      - V(apply) does all that.
      - V(recover) only makes good what a call has left that was killed. It does nothing on other machines.
    type: str
    choices: [apply, recover]
    default: apply
  cluster_configuration:
    description:
      - The ClusterConfiguration, as YAML, that the manifests of a control plane follow from. Its version has to be that
        of the installed kubeadm. Without it they are not looked at.
    type: str
    default: ""
  kubelet:
    description:
      - Whether the kubelet's configuration is written anew. V(compare) does so, too, and takes for granted in check
        mode that it would be the same.
    type: str
    choices: [leave, compare, write]
    default: leave
  drained:
    description:
      - Whether no pods are left that a policy of the kubelet's CPU or memory manager has given something to. Then what
        the kubelet keeps of that is removed before it starts again. Otherwise another policy is refused.
    type: bool
    default: false
  kube_proxy_mode:
    description:
      - The mode that kube-proxy runs in by now. When it is another one than V(ipvs), the virtual services and the
        interface C(kube-ipvs0) are removed that it has left from that mode. Kube-proxy itself removes what it has left
        of the others.
    type: str
    default: ""
  patches:
    description: Folder on the host with kubeadm's patches for static pods and the kubelet's configuration.
    type: path
    default: ""
  timeout:
    description: Seconds that a running kubeadm, each static pod and the kubelet may take.
    type: int
    default: 300
requirements:
  - kubeadm, and kubectl on control planes
  - systemd
"""

EXAMPLES = r"""
- name: Write the kubelet's configuration anew, as the cluster keeps it
  slipway.kubernetes.kubeadm_reconfigure:
    kubelet: compare
  when: example_kubelet_is_outdated is defined
"""

RETURN = r"""
action:
  description: What was done, or would be in check mode. With V(recovered) what a killed call has left was made good.
  type: str
  choices: [none, changed, recovered]
  returned: success
  sample: changed
components:
  description: What runs with another configuration now, and V(ipvs) when that was removed.
  type: list
  elements: str
  returned: success
  sample: [kube-apiserver, kubelet]
"""

import functools
import glob
import json
import os
import re
import time
import typing as t

from ansible_collections.slipway.kubernetes.plugins.module_utils import _netlink, _records, _runtimes, _waiting
from ansible_collections.slipway.kubernetes.plugins.module_utils import _predicates as predicates
from ansible_collections.slipway.kubernetes.plugins.module_utils._command import SlipwayError
from ansible_collections.slipway.kubernetes.plugins.module_utils._files import TextFile, digest, read_text
from ansible_collections.slipway.kubernetes.plugins.module_utils._kube import api_server
from ansible_collections.slipway.kubernetes.plugins.module_utils._kube.kubectl import Kubectl
from ansible_collections.slipway.kubernetes.plugins.module_utils._kubeadm import cluster_configuration, manifests
from ansible_collections.slipway.kubernetes.plugins.module_utils._kubeadm import kubeadm as _kubeadm
from ansible_collections.slipway.kubernetes.plugins.module_utils._kubelet import kubelet
from ansible_collections.slipway.kubernetes.plugins.module_utils._layout import KUBEADM
from ansible_collections.slipway.kubernetes.plugins.module_utils._module import Context, expect_timeout, run_module
from ansible_collections.slipway.kubernetes.plugins.module_utils._network import ipvs
from ansible_collections.slipway.kubernetes.plugins.module_utils._shown import lines_shown
from ansible_collections.slipway.kubernetes.plugins.module_utils._systemd import Unit

KUBELET_CONFIG = f"{KUBEADM.kubelet_folder}/config.yaml"
LOGS = "/var/log/pods"
#: What the kubelet keeps of what it has given to pods. It refuses to run with another policy, or with other numbers,
#: beside that.
STATE = (f"{KUBEADM.kubelet_folder}/cpu_manager_state", f"{KUBEADM.kubelet_folder}/memory_manager_state")
POLICIES = ("cpuManagerPolicy", "memoryManagerPolicy")
_HASH = "kubernetes.io/config.hash"
#: So often a static pod, or the kubelet, has ended when it is not waited for any longer.
_RESTARTS = 3
#: Seconds that a kubelet has to run: what it does not like of its configuration ends it at once.
_SETTLING = 10
#: Seconds that the kubelet pauses at most before it starts a container again that has ended often.
_BACK_OFF = 300
#: Seconds that a static pod may take to be Ready after a call that was killed, before its former manifest comes back.
_PATIENCE = 60
_SAID = 5


def policy(text: str, field: str) -> str:
    """The value of a field at the top of a KubeletConfiguration; empty without it."""
    match = re.search(rf"^{field}: *[\"']?([\w-]+)", text, re.MULTILINE)
    return match.group(1) if match else ""


def last_words(text: str) -> str:
    """The end of a log, in one line; those of containers have a time and a stream before each line."""
    lines = [re.sub(r"^\S+ std(?:out|err) [FP] ", "", line).strip() for line in text.splitlines()]
    said = " / ".join([line for line in lines if line][-_SAID:])
    return lines_shown(_kubeadm.masked(said)) or "it has said nothing"


class KubeadmReconfigure:
    """What kubeadm has configured on this machine, and what it shall be."""

    def __init__(self, context: Context) -> None:
        self._params = context.params
        self._check_mode = context.check_mode
        self._runner = context.runner
        self._timeout: int = context.params["timeout"]
        self._kubectl = Kubectl(context.runner, KUBEADM.admin, request_timeout=10)
        self._unit = Unit(context.runner, kubelet.UNIT)
        self._name = cluster_configuration.node_name()

    def run(self) -> t.Dict[str, t.Any]:
        """Make good what was left, then bring static pods and kubelet to what is asked for.

        :raises SlipwayError: when kubeadm refuses, or something does not come up, which has its former configuration
            then.
        """
        expect_timeout(self._timeout)
        patches = self._params["patches"]
        if patches and not os.path.isdir(patches):
            raise SlipwayError(
                f"patches: there is no folder {patches} on this host, and nothing was changed. Put kubeadm's patches"
                " there, or leave the option out when this host has none."
            )
        if not self._check_mode:
            _kubeadm.wait_for_running(self._timeout)
        recovered = self._recover()
        if self._params["operation"] == "recover":
            return self._result(recovered, [])
        there = manifests.present() if self._params["cluster_configuration"] else {}
        wanted = self._wanted() if there else {}
        changed = manifests.differing(self._kubectl, wanted, there)
        diff = [_diff(name, there[name], wanted[name]) for name in changed]
        left = ["ipvs"] if self._has_ipvs() else []
        if self._check_mode:
            changed += ["kubelet"] if self._params["kubelet"] == "write" else []
            return self._result(recovered, changed + left, diff)
        for name in changed:
            self._exchange(name, there[name], wanted[name])
        if self._params["kubelet"] != "leave" and self._write_kubelet():
            changed.append("kubelet")
        if left:
            ipvs.remove_services(self._runner)
            self._runner.run([self._runner.path("ip"), "link", "delete", ipvs.INTERFACE])
        return self._result(recovered, changed + left, diff)

    @staticmethod
    def _result(
        recovered: bool, components: t.List[str], diff: t.Sequence[t.Mapping[str, str]] = ()
    ) -> t.Dict[str, t.Any]:
        return {
            "changed": recovered or bool(components),
            "action": "changed" if components else "recovered" if recovered else "none",
            "components": components,
            "diff": list(diff),
        }

    def _wanted(self) -> t.Dict[str, str]:
        kubeadm = _kubeadm.Kubeadm(self._runner)
        cluster, patches = self._params["cluster_configuration"], self._params["patches"]
        return manifests.rendered(kubeadm, cluster, self._params["cri_socket"], patches)

    def _has_ipvs(self) -> bool:
        """Whether kube-proxy has left something of its mode ipvs, in which it is no more."""
        is_other = self._params["kube_proxy_mode"] not in ("", "ipvs")
        return is_other and ipvs.INTERFACE in [interface["name"] for interface in _netlink.interfaces()]

    # What a call that was killed has left

    def _recover(self) -> bool:
        """Make good what a call of this module has left that was killed; whether there was something."""
        record = _records.RECONFIGURATION.read()
        if record is None or self._check_mode:
            return record is not None
        path, text, name = (str(record.get(key, "")) for key in ("path", "text", "name"))
        present = read_text(path) if path else ""
        # Somebody has written it since: what was before is history.
        is_ours = digest(present) == record.get("written", digest(present))
        if text and is_ours and present != text:
            if path == KUBELET_CONFIG:
                # Another policy is only ever given to a node that is drained.
                drained = any(policy(present, field) != policy(text, field) for field in POLICIES)
                self._restart_kubelet(drained)
                if not self._kubelet_is_well():
                    self._put_kubelet_back(text, drained)
            elif not _waiting.until(
                functools.partial(self._is_up, name, str(record.get("hash", ""))), _PATIENCE, pause=1
            ):
                TextFile(path, text, 0o600).write()
                if not _waiting.until(functools.partial(self._is_up, name), max(self._timeout, _BACK_OFF), pause=1):
                    raise SlipwayError(
                        f"A call that was killed has exchanged {path}. It was put back, and {name} of this control"
                        f" plane is not Ready for all that. See {LOGS}/kube-system_* there."
                    )
        _records.RECONFIGURATION.end()
        return True

    # Static pods

    def _exchange(self, name: str, before: str, after: str) -> None:
        """Put a manifest in the place of another one, and wait until its pod is Ready.

        :raises SlipwayError: when it does not get so; the manifest of before is in its place again then.
        """
        path = manifests.path(name)
        old, logs = self._hash(self._pod(name)), set(self._logs(name))
        _records.RECONFIGURATION.begin("exchange", name=name, path=path, text=before, written=digest(after), hash=old)
        TextFile(path, after, 0o600).write()
        if not self._comes_up(name, old, logs):
            said = self._said(name, logs)
            TextFile(path, before, 0o600).write()
            again = _waiting.until(functools.partial(self._is_up, name), max(self._timeout, _BACK_OFF), pause=1)
            _records.RECONFIGURATION.end()
            raise SlipwayError(
                f"{name} of this control plane does not run with what the ClusterConfiguration says of it, and has"
                f" its former manifest again{', with which it is Ready' if again else ''}. Its last words: {said}."
                " Correct control_plane_cluster_configuration, and run again."
            )
        _records.RECONFIGURATION.end()

    def _pod(self, name: str) -> t.Dict[str, t.Any]:
        """The Pod object of a static pod; empty when nobody gives it."""
        words = ("--namespace=kube-system", "--ignore-not-found", "--output=json")
        result = self._kubectl.run("get", f"pod/{name}-{self._name}", *words, check=False)
        return json.loads(result.stdout) if result.rc == 0 and result.stdout.strip() else {}

    @staticmethod
    def _hash(pod: t.Mapping[str, t.Any]) -> str:
        return str(((pod.get("metadata") or {}).get("annotations") or {}).get(_HASH, ""))

    def _is_up(self, name: str, old: str = "") -> bool:
        """Whether a static pod is Ready, and no longer the one with the hash ``old``."""
        if not api_server.is_ready():
            return False
        pod = self._pod(name)
        return bool(pod) and self._hash(pod) != old and not predicates.pod_problem(pod)

    def _comes_up(self, name: str, old: str, logs: t.Collection[str]) -> bool:
        wait = _waiting.Wait(self._timeout, pause=1)
        while not self._is_up(name, old):
            if wait.is_over or self._restarts(name, logs) >= _RESTARTS:
                return False
            wait.sleep()
        return True

    def _logs(self, name: str) -> t.List[str]:
        """Where the kubelet keeps what a static pod says: a folder for each of its manifests."""
        return glob.glob(f"{LOGS}/kube-system_{glob.escape(f'{name}-{self._name}')}_*/{name}")

    def _restarts(self, name: str, known: t.Collection[str]) -> int:
        """How often the container of a new manifest was started again."""
        files = [file for folder in self._logs(name) if folder not in known for file in os.listdir(folder)]
        return max((int(file.partition(".")[0]) for file in files if re.fullmatch(r"\d+\.log", file)), default=0)

    def _said(self, name: str, known: t.Collection[str]) -> str:
        """The last words of a container that does not run."""
        files = [file for folder in self._logs(name) if folder not in known for file in glob.glob(f"{folder}/*.log")]
        written = [file for file in files if os.path.getsize(file)]
        return last_words(read_text(max(written, key=os.path.getmtime)) if written else "")

    # The kubelet

    def _write_kubelet(self) -> bool:
        """Let kubeadm write the kubelet's configuration, and the kubelet run with it; whether that was another one.

        :raises SlipwayError: when it does not run with it; it has the one of before again then.
        """
        before, drained = read_text(KUBELET_CONFIG), self._params["drained"]
        kubeadm = _kubeadm.Kubeadm(self._runner)
        patches = [f"--patches={self._params['patches']}"] if self._params["patches"] else []
        _records.RECONFIGURATION.begin("exchange", path=KUBELET_CONFIG, text=before)
        self._runner.run([kubeadm.path, "upgrade", "node", "phase", "kubelet-config", *patches])
        after = read_text(KUBELET_CONFIG)
        if after != before:
            _records.RECONFIGURATION.begin("exchange", path=KUBELET_CONFIG, text=before, written=digest(after))
            self._expect_no_other_policy(before, after)
            self._restart_kubelet(drained)
            if not self._kubelet_is_well():
                said = self._kubelet_said()
                self._put_kubelet_back(before, drained)
                raise SlipwayError(
                    "The kubelet of this host does not run with its new configuration, or its node is not Ready with"
                    f" it, and it has the former one again. Its last words: {said}. Correct"
                    " control_plane_kubelet_configuration, and run again."
                )
            kubelet.record_running(self._runner)
        _records.RECONFIGURATION.end()
        return after != before

    def _expect_no_other_policy(self, before: str, after: str) -> None:
        """:raises SlipwayError: when pods have what another policy would give to others; the file is as before then."""
        fields = [field for field in POLICIES if policy(before, field) != policy(after, field)]
        if not fields or self._params["drained"]:
            return
        self._write_kubelet_config(before)
        _records.RECONFIGURATION.end()
        raise SlipwayError(
            f"{' and '.join(fields)} of this host's kubelet would be another one by kubeadm's patches, and its pods"
            " have what the present one has given to them. Its configuration is as it was: run again with"
            " reconfigure_drain: true for this host."
        )

    @staticmethod
    def _write_kubelet_config(text: str) -> None:
        TextFile(KUBELET_CONFIG, text, os.stat(KUBELET_CONFIG).st_mode & 0o7777).write()

    def _restart_kubelet(self, drained: bool) -> None:
        """:param drained: whether no pod has anything of what the kubelet keeps in its state."""
        self._unit.systemctl("stop", self._unit.name)
        for path in STATE if drained else ():
            if os.path.exists(path):
                os.unlink(path)
        self._unit.systemctl("start", self._unit.name)

    def _put_kubelet_back(self, text: str, drained: bool) -> None:
        """:raises SlipwayError: when the kubelet does not run with that, either."""
        self._write_kubelet_config(text)
        self._restart_kubelet(drained)
        if not self._kubelet_is_well():
            raise SlipwayError(
                "The kubelet of this host has its former configuration again, and does not run with it, either:"
                f" {self._kubelet_said()}."
            )
        _records.RECONFIGURATION.end()

    def _kubelet_is_well(self) -> bool:
        """Whether the kubelet that was started just now goes on running, its node is Ready, and its control plane."""
        begin, is_control_plane = time.time(), bool(manifests.present())
        wait = _waiting.Wait(self._timeout, pause=1)
        process, since = "", 0.0
        while not wait.is_over:
            found = self._unit.properties("NRestarts")
            if found.get("ActiveState") != "active":
                process = ""
            elif found.get("MainPID") != process:
                process, since = found.get("MainPID", ""), wait.elapsed
            elif wait.elapsed - since >= _SETTLING and self._is_ready_since(begin):
                # It may start static pods anew, or has them no more.
                if not is_control_plane:
                    return True
                return _waiting.until(api_server.is_ready, wait.left)
            if int(found.get("NRestarts") or 0) >= _RESTARTS:
                return False
            wait.sleep()
        return False

    def _is_ready_since(self, begin: float) -> bool:
        """Whether the kubelet has said so itself, by this machine's clock."""
        node = kubelet.ask_for_node(self._name) or {}
        conditions = (node.get("status") or {}).get("conditions") or []
        ready: t.Mapping[str, t.Any] = next((one for one in conditions if one.get("type") == "Ready"), {})
        heard = str(ready.get("lastHeartbeatTime") or "")
        return ready.get("status") == "True" and heard >= time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(begin))

    def _kubelet_said(self) -> str:
        argv = ["--unit=kubelet.service", "--lines=50", "--output=cat", "--no-pager"]
        text = self._runner.run([self._runner.path("journalctl"), *argv], check=False).stdout
        complaints = [line for line in text.splitlines() if re.match(r"E\d{4} |Error:|.*\bfailed to\b", line)]
        return last_words("\n".join(complaints[-1:]) or text)


def _diff(name: str, before: str, after: str) -> t.Dict[str, str]:
    path = manifests.path(name)
    return {
        "before_header": path,
        "after_header": path,
        "before": manifests.shown(before),
        "after": manifests.shown(after),
    }


ARGUMENTS: t.Dict[str, t.Any] = {
    "operation": {"type": "str", "choices": ["apply", "recover"], "default": "apply"},
    "cluster_configuration": {"type": "str", "default": ""},
    "kubelet": {"type": "str", "choices": ["leave", "compare", "write"], "default": "leave"},
    "cri_socket": _runtimes.CRI_SOCKET,
    "drained": {"type": "bool", "default": False},
    "kube_proxy_mode": {"type": "str", "default": ""},
    "patches": {"type": "path", "default": ""},
    "timeout": {"type": "int", "default": 300},
}


def main() -> None:
    run_module(ARGUMENTS, lambda context: KubeadmReconfigure(context).run(), quiet=True)


if __name__ == "__main__":
    main()
