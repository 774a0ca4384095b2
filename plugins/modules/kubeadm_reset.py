#!/usr/bin/python
# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: kubeadm_reset
short_description: Turns a node of Kubernetes back into a bare machine
version_added: 0.1.0
description:
  - Runs C(kubeadm reset), and removes what that leaves, by name. This is containers and sandboxes of pods, their
    processes, cgroups, mounts and network namespaces; the interfaces, routes and CNI configuration of the pod network;
    the chains and tables that kube-proxy, the kubelet, the pod network and the CNI plugins have put into iptables and
    nftables, the sets of addresses (ipset) of kube-proxy and the pod network, and kube-proxy's virtual services where
    C(ipvsadm) is there; the data of etcd and of the kubelet, certificates, kubeconfigs of that cluster, logs of pods,
    and our own records. In C(/etc/kubernetes) it removes what kubeadm and this collection have put there; all else
    stays and is named. Backups of M(slipway.kubernetes.etcd_snapshot) stay.
  - B(All data that etcd has on this machine is lost.) It does not ask the cluster anything. On a cluster that goes on
    living remove the etcd member first, and the Node object.
  - Packages, the container runtime and its images stay. So does whatever belongs to others, such as rules of
    iptables, and containers that the runtime has for others, such as Docker's.
  - A call that was killed is finished by the next one.
  - It refuses a node of another installer (RKE2), whose pods it would end.
author: slipway.kubernetes contributors (@slipway)
extends_documentation_fragment:
  - slipway.kubernetes.attributes
  - slipway.kubernetes.cri_socket
attributes:
  check_mode:
    support: full
    details:
      - Says what would be removed.
  diff_mode:
    support: full
  idempotent:
    support: full
options:
  users:
    description:
      - Users whose C(~/.kube/config) is removed when it is one of this cluster, and of no other. A link to what is
        not the user's is left alone.
      - Where it has something else in it as well, only what M(slipway.kubernetes.kubeconfig_copy) has put there goes.
    type: list
    elements: str
    default: [root]
  services:
    description:
      - Services besides the kubelet that this collection may have configured.
      - Each is stopped, disabled and its files are removed when the head of its configuration says that this collection
        has written it.
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description:
          - The systemd unit.
        type: str
        required: true
      configuration:
        description:
          - Its configuration file, which begins with Ansible's remark that it is managed.
        type: path
        required: true
      files:
        description:
          - Other files of it.
        type: list
        elements: path
        default: []
  files:
    description:
      - More files that are removed, but for those that others use to write, and that are not ours by their heads.
    type: list
    elements: path
    default: []
  leftovers:
    description:
      - What a pod network leaves that this collection does not know. All of it has to be the pod network's alone.
      - What is plainly somebody else's is refused, and nothing is changed then. So is an interface that is hardware or
        made of it, that has the default route, or an address of the node.
    type: dict
    default: {}
    suboptions:
      interfaces:
        description: Network interfaces, by name, or by how names begin (V(weave*)).
        type: list
        elements: str
        default: []
      cni_files:
        description: Names of files in C(/etc/cni/net.d).
        type: list
        elements: str
        default: []
      chains:
        description: How names of chains of iptables begin. Rules that lead there go with them.
        type: list
        elements: str
        default: []
      comments:
        description: Whole comments of rules of iptables in chains of the kernel.
        type: list
        elements: str
        default: []
      nft_tables:
        description: Tables of nftables by name, of whatever family.
        type: list
        elements: str
        default: []
      ip_sets:
        description: How names of sets of addresses (ipset) begin.
        type: list
        elements: str
        default: []
      networks:
        description: Networks whose routes by other machines, and rules of routing, are removed, as that of all pods.
        type: list
        elements: str
        default: []
      folders:
        description: Folders below C(/run), C(/var/run), C(/var/lib), C(/var/log) and C(/var/cache).
        type: list
        elements: str
        default: []
      programs:
        description: Files in C(/opt/cni/bin) that no package has brought.
        type: list
        elements: str
        default: []
  timeout:
    description:
      - Seconds that a kubeadm left running by an earlier call may take.
    type: int
    default: 300
requirements:
  - kubeadm, where there are containers of pods
  - C(ip); C(iptables), where there are rules of iptables
"""

EXAMPLES = r"""
- name: Turn the node back into a bare machine
  slipway.kubernetes.kubeadm_reset:

- name: Remove what a pod network of another kind has left, too
  slipway.kubernetes.kubeadm_reset:
    leftovers:
      interfaces: [example0, "vethexample*"]
      cni_files: [10-example.conflist]
      chains: [EXAMPLE-]
      folders: [/var/lib/example]
  when: example_leftovers is defined
"""

RETURN = r"""
removed:
  description: What was removed, or would be in check mode, by its kind. Kinds without anything are left out.
  type: dict
  returned: success
  sample:
    containers: ["3 containers of pods"]
    interfaces: [cni0, kube-ipvs0]
    nftables: [ip kube-proxy]
kept:
  description:
    - Files in C(/etc/kubernetes) that stay, since neither kubeadm nor this collection has put them there.
    - Among them is a PKI that was there before the machine became a node.
    - Logins of registries in C(/var/lib/kubelet) (C(config.json), C(.dockercfg)).
  type: list
  elements: str
  returned: success
  sample: [/etc/kubernetes/cloud.conf]
msg:
  description: What was removed, in one sentence.
  type: str
  returned: success
"""

import base64
import contextlib
import os
import pwd
import typing as t

from ansible_collections.slipway.kubernetes.plugins.module_utils import _marks, _records, _runtimes
from ansible_collections.slipway.kubernetes.plugins.module_utils._command import Runner, SlipwayError
from ansible_collections.slipway.kubernetes.plugins.module_utils._files import read_text
from ansible_collections.slipway.kubernetes.plugins.module_utils._kube import kubeconfig
from ansible_collections.slipway.kubernetes.plugins.module_utils._kube.users_file import UsersFile
from ansible_collections.slipway.kubernetes.plugins.module_utils._kubeadm import control_plane_files, kubeadm
from ansible_collections.slipway.kubernetes.plugins.module_utils._kubeadm.cluster_state import kubelet_arguments
from ansible_collections.slipway.kubernetes.plugins.module_utils._kubeadm.kubeadm_files import (
    RECORD,
    KubeadmFiles,
    etcd_data,
    has_content,
    is_ours,
)
from ansible_collections.slipway.kubernetes.plugins.module_utils._layout import KUBEADM, of_this_machine
from ansible_collections.slipway.kubernetes.plugins.module_utils._machine import leftovers, own_interfaces
from ansible_collections.slipway.kubernetes.plugins.module_utils._machine.surroundings import pod_networks
from ansible_collections.slipway.kubernetes.plugins.module_utils._module import Context, run_module
from ansible_collections.slipway.kubernetes.plugins.module_utils._network import (
    ip_sets,
    ipvs,
    netfilter,
    traffic_filters,
)
from ansible_collections.slipway.kubernetes.plugins.module_utils._node import run_record
from ansible_collections.slipway.kubernetes.plugins.module_utils._packages import package_manager
from ansible_collections.slipway.kubernetes.plugins.module_utils._pod_networks import POD_NETWORKS, beside, declared

_AUTHORITY = KUBEADM.certificate("ca")
_STATE = _records.FOLDER
#: Records of tools that stay on the machine, and of what goes on; and backups, which outlive the node.
_KEPT_RECORDS = ("archives", "etcd-backup", os.path.basename(_records.KUBEADM.path), os.path.basename(run_record.PATH))
_KUBELET = "kubelet.service"
_KUBELET_FOLDER = KUBEADM.kubelet_folder
#: Logins of registries, which the kubelet reads there and which only people write.
_LOGINS = ("config.json", ".dockercfg")

Found = t.Dict[str, t.List[str]]


def summary(found: Found) -> str:
    """How much of what, in one line."""
    parts = [
        f"{len(items)} {kind}" if len(items) > 3 else f"{kind}: {', '.join(items)}" for kind, items in found.items()
    ]
    return "; ".join(parts) or "nothing to remove"


def _decoded(data: str) -> str:
    """The text that stands in base64; empty when it is none."""
    try:
        return base64.b64decode(data).decode("utf-8", "replace")
    except ValueError:
        return ""


class KubeadmReset:
    """This machine as a node that is taken down, and all that a node leaves on it."""

    def __init__(self, params: t.Mapping[str, t.Any], runner: Runner, check_mode: bool = False, root: str = "") -> None:
        """:param root: the folder that stands for ``/``, for tests."""
        layout = of_this_machine()
        if layout is not KUBEADM:
            raise SlipwayError(
                f"This host is a node of a cluster of {layout.name} ({layout.kubelet}), which kubeadm has not made."
                " Nothing was changed; take the host down by that installer's own means."
            )
        self._root = root
        self._params = params
        self._runtime = _runtimes.chosen(cri_socket=params["cri_socket"])
        self._runner = runner
        self._packages = package_manager(runner)
        self._refuse_what_is_not_left()
        self._check_mode = check_mode
        self._kubectl = kubeconfig.Kubeconfigs(runner)
        marker = _records.KUBEADM.read() or {}
        self._begun = marker.get("operation") == "reset"
        self._marker = os.path.exists(_records.KUBEADM.path)
        # A call that was killed may have removed already what these are read from.
        record = marker if self._begun else {}
        self._networks: t.List[str] = record.get("networks") or leftovers.cni_networks(self._cni_files())
        self._pod_networks: t.List[str] = record.get("pod_networks") or leftovers.pod_networks(root)
        data = etcd_data(self._at(KUBEADM.folder))
        self._etcd_data: str = record.get("etcd_data") or (self._at(data) if data else "")
        self._authority: str = record.get("authority") or self._own_authority()
        self._kubeadm_files = KubeadmFiles(root)
        if not check_mode:
            # An earlier call that was killed may have left a kubeadm that still empties folders, and something aside.
            kubeadm.wait_for_running(params["timeout"])
            self._kubeadm_files.put_back()
        # What had been here before the first kubeadm command, such as a PKI of the user; and what we had made for it.
        self._given: t.Set[str] = set(record.get("given") or self._kubeadm_files.given())
        self._made: t.Set[str] = set(record.get("made") or self._kubeadm_files.made())
        self._iptables = netfilter.programs(runner)

    def run(self) -> t.Dict[str, t.Any]:
        """Remove everything, or in check mode say what would be removed.

        :raises SlipwayError: when something cannot be removed.
        """
        found, kept = self._survey(), self._kept()
        changed = bool(found) or self._marker
        if changed and not self._check_mode:
            self._remove(found)
            left = self._survey()
            if left:
                raise SlipwayError(
                    f"Something of the node is still there, or has come again: {summary(left)}.", left=left
                )
            self._kubeadm_files.record_left(self._given)
            _records.KUBEADM.end()
            leftovers.remove_if_empty(self._at(_STATE))
        before = "".join(f"{kind}: {item}\n" for kind, items in found.items() for item in items)
        return {
            "changed": changed,
            "msg": summary(found),
            "removed": found,
            "kept": kept,
            "diff": [{"before_header": "this machine", "after_header": "this machine", "before": before, "after": ""}],
        }

    def _at(self, path: str) -> str:
        return self._root + path

    def _refuse_what_is_not_left(self) -> None:
        """Names that a pod network alone can have, and no interface by which this machine is reached.

        :raises SlipwayError: when there is another one among them.
        """
        given = self._params["leftovers"]
        wrong = [f"{kind}: {message}" for kind in declared.KINDS for message in declared.wrong(kind, given[kind])]
        told = kubelet_arguments(read_text(self._at(f"{_KUBELET_FOLDER}/kubeadm-flags.env"))).get("node-ip", "")
        for name in (name for name in leftovers.interfaces() if declared.matches(name, given["interfaces"])):
            reason = own_interfaces.reason(name, told.split(","), self._root)
            wrong += [f"interfaces: {name} {reason}"] if reason else []
        wrong += [
            f"folders: {path} {reason}" for path in given["folders"] for reason in [self._not_left(path)] if reason
        ]
        if wrong:
            raise SlipwayError(
                "Nothing was changed: what is to be removed as left by a pod network is not its alone."
                f" {'; '.join(wrong)}."
            )

    def _not_left(self, path: str) -> str:
        """Why a folder is not a pod network's; empty when nothing says so."""
        if not _runtimes.RUNTIMES.keys().isdisjoint(path.split("/")):
            return "is a container runtime's"
        if os.path.islink(self._at(path)):
            return "is a link, and nobody knows what is there"
        owner = self._packages.owner(path)
        return f"is of the package {owner}" if owner else ""

    # --- looking

    def _survey(self) -> Found:
        """What there is to remove, by kind, in the order in which it is removed."""
        groups = leftovers.cgroups()
        containers = self._containers()
        found = {
            "services": self._services(),
            "containers": [f"{len(containers)} containers of pods"] if containers else [],
            "processes": [f"{pid} {read_text(f'/proc/{pid}/comm').strip()}" for pid in self._processes(groups)],
            "cgroups": groups,
            "mounts": leftovers.mounts(),
            "network namespaces": leftovers.network_namespaces(),
            "virtual services": [" ".join(service) for service in ipvs.services(self._runner, self._root)],
            "traffic filters": [str(item) for item in traffic_filters.found()],
            "interfaces": leftovers.interfaces(),
            "routes": self._routes(),
            "routing rules": self._routing_rules(),
            "iptables": [f"{tool} {name}" for tool, plan in self._plans() for name in plan.names],
            "nftables": [" ".join(table) for table in netfilter.nft_tables(self._has_other_networks())],
            "ipsets": self._sets(),
            "files": self._files(),
            "kubeconfigs": sorted(self._merged()),
        }
        return {kind: items for kind, items in found.items() if items}

    def _services(self) -> t.List[str]:
        """Units that run or start at boot."""
        names = [_KUBELET, *(entry["name"] for entry in self._managed_services())]
        systemctl = self._runner.path("systemctl")
        found = []
        for name in names:
            argv = [systemctl, "show", "--property=LoadState,ActiveState,UnitFileState", name]
            shown = dict(line.partition("=")[::2] for line in self._runner.run(argv).stdout.splitlines())
            loaded = shown.get("LoadState") == "loaded"
            if loaded and (
                shown.get("ActiveState") not in ("inactive", "failed") or shown["UnitFileState"] == "enabled"
            ):
                found.append(name)
        return found

    def _managed_services(self) -> t.List[t.Mapping[str, t.Any]]:
        return [entry for entry in self._params["services"] if _marks.is_managed(entry["configuration"])]

    def _processes(self, groups: t.Iterable[str]) -> t.List[int]:
        return leftovers.processes(groups, self._params["cri_socket"])

    def _containers(self) -> t.List[str]:
        socket = self._params["cri_socket"]
        return self._runtime.containers(self._runner, socket) if self._runtime.is_active(socket) else []

    def _routes(self) -> t.List[str]:
        """Routes to pods, of this machine and of others, that are on no interface of the pod network."""
        ip = self._runner.which("ip", required=False)
        if ip is None:
            return []
        # Without being told it shows those of IPv4 alone.
        shown = [
            self._runner.run([ip, *(["-6"] if ":" in network else []), "route", "show", "root", network]).stdout
            for network in self._pod_networks
        ]
        lines = [line for text in shown for line in text.splitlines()]
        own = set(leftovers.interfaces())
        lines = [line.strip() for line in lines if " via " in line or line.startswith("blackhole ")]
        found = [line for line in lines if not own & set(line.split())]
        return list(dict.fromkeys([*found, *leftovers.routes(self._runner.run([ip, "route", "show"]).stdout)]))

    def _routing_rules(self) -> t.List[str]:
        ip = self._runner.which("ip", required=False)
        asked = ip is not None and any(self._params["leftovers"]["networks"])
        return leftovers.routing_rules(self._runner.run([str(ip), "rule", "show"]).stdout) if asked else []

    def _has_other_networks(self) -> bool:
        """Whether there are CNI networks of others on this machine, such as podman's or nerdctl's."""
        ours = {os.path.basename(path) for path in self._cni_files()}
        return bool(set(pod_networks(self._root)) - ours)

    def _sets(self) -> t.List[str]:
        """Sets of addresses; where nothing can take out the rules that name them, they stay with those."""
        return ip_sets.names() if self._iptables else []

    def _plans(self) -> t.Iterator[t.Tuple[str, netfilter.Plan]]:
        return netfilter.plans(self._runner, self._iptables, self._networks)

    def _files(self) -> t.List[str]:
        services = self._managed_services()
        foreign = _marks.foreign(self._packages.is_pristine)
        paths = [
            *self._kubernetes_files(),
            *self._contents(_KUBELET_FOLDER, _LOGINS),
            *leftovers.contents(self._etcd_data),
            *self._contents("/var/log/pods"),
            *self._contents("/var/log/containers"),
            *(path for folder in self._network_folders() for path in self._contents(folder)),
            *self._contents("/run/kubernetes"),
            # What was given has to be known as long as it is there, or the next call would take it for kubeadm's.
            *self._contents(_STATE, (*_KEPT_RECORDS, *([os.path.basename(RECORD)] if self._given else []))),
            *self._cni_files(),
            *leftovers.cni_state(self._networks, self._at("/var/lib/cni")),
            *self._copied_programs(),
            *leftovers.own_files(root=self._root),
            *self._kubeconfigs(),
            *(path for path in self._params["files"] if path not in foreign),
            *(path for entry in services for path in entry["files"]),
            # The last, since it says that the service is ours.
            *(entry["configuration"] for entry in services),
        ]
        return [path for path in paths if os.path.lexists(path)]

    def _kubernetes_files(self) -> t.List[str]:
        """What kubeadm and we have put into the folder of Kubernetes."""
        own = self._kubeadm_files.own()
        ours = [path for path in self._foreign(own) if is_ours(path, self._made)]
        return [path for path in own if path not in self._given or path in self._made] + ours

    def _foreign(self, own: t.Container[str]) -> t.List[str]:
        return [path for path in self._kubeadm_files.remains() if path not in own]

    def _kept(self) -> t.List[str]:
        """What stays in the folders of Kubernetes since others have put it there."""
        ours = set(self._kubernetes_files())
        found = [path for path in self._kubeadm_files.remains() if path not in ours] + self._logins()
        return [path for path in found if os.path.islink(path) or has_content(path)]

    def _logins(self) -> t.List[str]:
        paths = (self._at(f"{_KUBELET_FOLDER}/{name}") for name in _LOGINS)
        return [path for path in paths if os.path.lexists(path)]

    def _contents(self, folder: str, kept: t.Container[str] = ()) -> t.List[str]:
        return leftovers.contents(self._at(folder), kept)

    def _cni_files(self) -> t.List[str]:
        return leftovers.cni_files(self._at("/etc/cni/net.d"))

    @staticmethod
    def _network_folders() -> t.List[str]:
        return [folder for network in POD_NETWORKS.values() for folder in network.folders]

    def _copied_programs(self) -> t.List[str]:
        """What pod networks have copied among the CNI plugins, which are a package's."""
        found = leftovers.copied_programs(POD_NETWORKS.values(), self._packages.owner, self._root)
        return [self._at(path) for path in found]

    def _own_authority(self) -> str:
        """The CA of this machine's cluster, as kubeconfigs carry it."""
        return base64.b64encode(read_text(self._at(_AUTHORITY)).encode()).decode()

    def _kubeconfigs(self) -> t.Dict[str, UsersFile]:
        """Users' copies of the administrator's kubeconfig, in which is nothing else, by their paths."""
        authority = kubeconfig.bodies(_decoded(self._authority))
        return {
            file.path: file
            for file, text in self._users_files()
            if authority & kubeconfig.bodies(_decoded(kubeconfig.plain(text).get("authority", "")))
        }

    def _users_files(self) -> t.List[t.Tuple[UsersFile, str]]:
        """The users' files and what is in them. One that is not the user's, by a link, stays as it is."""
        found = []
        for user in self._params["users"]:
            with contextlib.suppress(KeyError, SlipwayError):
                file = UsersFile(pwd.getpwnam(user))
                found.append((file, file.read()))
        return found

    def _merged(self) -> t.Dict[str, t.Tuple[UsersFile, kubeconfig.Config]]:
        """Users' files that our cluster is in beside others, without it."""
        authority = kubeconfig.bodies(_decoded(self._authority))
        copies = self._kubeconfigs()
        found = {}
        for file, text in self._users_files():
            if not (authority and text) or file.path in copies or not self._runner.which("kubectl", False):
                continue
            # Somebody's file that cannot be read has nothing of ours in it.
            with contextlib.suppress(SlipwayError):
                before = self._kubectl.read(text, file.path)
                after = kubeconfig.without_cluster(before, authority, _decoded)
                if after != before:
                    found[file.path] = file, after
        return found

    def _remove_from_kubeconfigs(self) -> None:
        for file in self._kubeconfigs().values():
            file.remove()
        for path, (file, config) in self._merged().items():
            if kubeconfig.is_empty(config):
                file.remove()
            else:
                file.write(self._kubectl.text(config, path))

    # --- removing

    def _remove(self, found: Found) -> None:
        # From here on only a reset that has come to its end makes this machine one that can be a node.
        _records.KUBEADM.begin(
            "reset",
            networks=self._networks,
            pod_networks=self._pod_networks,
            etcd_data=self._etcd_data,
            authority=self._authority,
            given=sorted(self._given),
            made=sorted(self._made),
        )
        if found.get("services"):
            systemctl = self._runner.path("systemctl")
            # With keepalived goes the endpoint's address, to another machine, before the API server here ends.
            self._runner.run([systemctl, "disable", "--now", "--quiet", *found["services"]])
        self._reset()
        self._remove_containers()
        leftovers.kill(self._processes(leftovers.cgroups()))
        self._remove_cgroups()
        leftovers.unmount(self._runner)
        for path in leftovers.network_namespaces():
            leftovers.remove(path)
        self._remove_network()
        self._remove_from_kubeconfigs()
        for path in self._files():
            leftovers.remove(path)
        self._tidy()

    def _reset(self) -> None:
        """kubeadm stops the pods through the runtime, which lets the pod network clean up after each of them."""
        if not (self._containers() or os.path.exists(self._at(KUBEADM.kubelet))):
            return
        if self._runner.which("kubeadm", required=False):
            # The etcd member is the caller's business; preflight would only ask whether one is sure.
            skipped = "--skip-phases=preflight,remove-etcd-member"
            aside = sorted({*self._kubeadm_files.in_the_way(), *self._logins()}.intersection(self._kept()))
            kubeadm.Kubeadm(self._runner).run_reset(self._params["cri_socket"], self._kubeadm_files, aside, skipped)

    def _remove_containers(self) -> None:
        """Remove the containers that kubeadm has left or that it did not run for."""
        for name in self._containers():
            self._runtime.remove(self._runner, self._params["cri_socket"], name)

    def _remove_cgroups(self) -> None:
        groups = leftovers.cgroups()
        if any(path.endswith(".slice") for path in groups):
            self._runner.run([self._runner.path("systemctl"), "stop", "kubepods.slice"], check=False)
        for path in leftovers.cgroups():
            try:
                leftovers.remove_cgroup(path)
            except OSError as error:
                raise SlipwayError(f"The control group {path} cannot be removed: {error}.") from error

    def _remove_network(self) -> None:
        for line in self._routing_rules():
            self._runner.run([self._runner.path("ip"), "rule", "delete", *line.split()], check=False)
        ipvs.remove_services(self._runner, self._root)
        # What these call is among the files, which go later.
        traffic_filters.remove(traffic_filters.found())
        leftovers.delete_links(self._runner, self._routes(), leftovers.interfaces())
        for tool, plan in self._plans():
            netfilter.take_out(self._runner, tool, plan)
        netfilter.delete_nft_tables(netfilter.nft_tables(self._has_other_networks()))
        ip_sets.destroy_all(self._sets())

    def _tidy(self) -> None:
        """Folders that nothing is in any more; those of packages (and mount points) stay."""
        # The folder of the manifests is the kubelet package's.
        leftovers.remove_if_empty(*(self._at(f"{KUBEADM.folder}/{name}") for name in ("pki/etcd", "pki", "tmp")))
        files = self._at(control_plane_files.DIRECTORY)
        leftovers.remove_if_empty(*(folder for folder, _folders, _names in os.walk(files, topdown=False)))
        leftovers.remove_if_empty(*(os.path.dirname(file.path) for file, _text in self._users_files()))
        cni = self._at("/var/lib/cni")
        folders = [f"{cni}/networks", f"{cni}/results", f"{cni}/cache/results", f"{cni}/cache", cni]
        # Folders in them may be empty, too: what somebody has mounted there has gone.
        folders += [
            inner
            for folder in self._network_folders()
            for inner, _folders, _names in os.walk(self._at(folder), topdown=False)
        ]
        folders += map(self._at, ("/run/kubernetes", "/var/log/pods", "/var/log/containers"))
        folders += [self._etcd_data] if self._etcd_data else []
        folders += [os.path.dirname(path) for entry in self._params["services"] for path in entry["files"]]
        leftovers.remove_if_empty(*folders)
        if self._params["services"]:
            self._runner.run([self._runner.path("systemctl"), "daemon-reload"])


ARGUMENTS: t.Dict[str, t.Any] = {
    "cri_socket": _runtimes.CRI_SOCKET,
    "users": {"type": "list", "elements": "str", "default": ["root"]},
    "services": {
        "type": "list",
        "elements": "dict",
        "default": [],
        "options": {
            "name": {"type": "str", "required": True},
            "configuration": {"type": "path", "required": True},
            "files": {"type": "list", "elements": "path", "default": []},
        },
    },
    "files": {"type": "list", "elements": "path", "default": []},
    "leftovers": {
        "type": "dict",
        "default": {},
        "options": {kind: {"type": "list", "elements": "str", "default": []} for kind in declared.KINDS},
    },
    "timeout": {"type": "int", "default": 300},
}


def run(context: Context) -> t.Dict[str, t.Any]:
    """What the module returns."""
    with beside(declared.Declared(context.params["leftovers"])):
        result = KubeadmReset(context.params, context.runner, context.check_mode).run()
    if result["kept"]:
        context.warn(f"Somebody else has put here what stays: {', '.join(result['kept'])}.")
    return result


def main() -> None:
    run_module(ARGUMENTS, run)


if __name__ == "__main__":
    main()
