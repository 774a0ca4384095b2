# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The manifests of this machine's static pods, as kubeadm would write them by now.

kubeadm writes them into a folder by `init phase ... --dry-run` (KUBEADM_INIT_DRYRUN_DIR); nothing else is touched, and
the cluster is not asked. Private to this collection.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import tempfile
import typing as t

from ansible_collections.slipway.kubernetes.plugins.module_utils._command import SlipwayError
from ansible_collections.slipway.kubernetes.plugins.module_utils._files import read_text
from ansible_collections.slipway.kubernetes.plugins.module_utils._kube import api_server
from ansible_collections.slipway.kubernetes.plugins.module_utils._kube.kubectl import Kubectl
from ansible_collections.slipway.kubernetes.plugins.module_utils._kubeadm import cluster_configuration
from ansible_collections.slipway.kubernetes.plugins.module_utils._kubeadm.kubeadm import Kubeadm
from ansible_collections.slipway.kubernetes.plugins.module_utils._layout import KUBEADM

#: In this order they are exchanged, as kubeadm itself does in an upgrade.
NAMES = ("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler")
#: Where kubeadm writes what it would write. Source: `kubeadm init --help` of 1.31 and later.
_FOLDER = "KUBEADM_INIT_DRYRUN_DIR"
#: With whom a member has begun, which it reads no more once it has data. kubeadm knows it while it joins only.
_MEMBERS = re.compile(r"^ *- --initial-cluster(?:-state)?=.*\n", re.MULTILINE)
_TAG = re.compile(r"^( *(?:- )?image: \S+:)(\S+)$", re.MULTILINE)
#: How long a container may take to start, which init and join were told for themselves and the cluster does not keep.
_PATIENCE = re.compile(r"^( *startupProbe:\n +failureThreshold: )(\d+)$", re.MULTILINE)
_VERSION = re.compile(r"^kubernetesVersion: [\"']?v?([^\s\"']+)", re.MULTILINE)
_ARGUMENT = re.compile(r"^( *- --[a-z0-9-]*(?:secret|passw|token|psk|credential)[a-z0-9-]*=).*$", re.MULTILINE)
_VALUE = re.compile(r"^( *)(value: ).*(?:\n\1 +.*)*$", re.MULTILINE)


def path(name: str) -> str:
    """Where the manifest of a static pod is."""
    return KUBEADM.manifest(name)


def present() -> t.Dict[str, str]:
    """The manifests that are there, by their names."""
    found = {name: read_text(path(name)) for name in NAMES}
    return {name: text for name, text in found.items() if text}


def rendered(kubeadm: Kubeadm, cluster: str, cri_socket: str, patches: str) -> t.Dict[str, str]:
    """The manifests that kubeadm would write on this control plane, by their names.

    :param cluster: the text of the ClusterConfiguration.
    :param patches: the folder of kubeadm's patches; none when empty.
    :raises SlipwayError: when kubeadm refuses it, or no API server that it has made is here.
    """
    there = present()
    place = api_server.advertised(there.get("kube-apiserver", ""))
    if place is None:
        raise SlipwayError(f"There is no API server on this host that kubeadm made ({path('kube-apiserver')}).")
    _expect_version(kubeadm, cluster)
    init = cluster_configuration.init_configuration(place)
    init["nodeRegistration"]["criSocket"] = cri_socket
    configuration = f"{json.dumps(init, sort_keys=True)}\n---\n{cluster}"
    options = ["--dry-run", *([f"--patches={patches}"] if patches else [])]
    phases = [("control-plane", "all"), *([("etcd", "local")] if "etcd" in there else [])]
    folder = tempfile.mkdtemp(prefix="slipway-")
    try:
        for phase in phases:
            _render(kubeadm, configuration, [*phase, *options], folder)
        found = {name: read_text(os.path.join(folder, f"{name}.yaml")) for name in there}
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    missing = [name for name, text in found.items() if not text]
    if missing:
        raise SlipwayError(f"kubeadm wrote no manifest of {', '.join(missing)} into {_FOLDER}; nothing was changed.")
    if "etcd" in found:
        found["etcd"] = with_members(found["etcd"], there["etcd"])
        # Another kubeadm may have left etcd at the version that it had.
        found["etcd"] = found["etcd"] if "imageTag" in cluster else _carried(_TAG, found["etcd"], there["etcd"])
    return {name: _carried(_PATIENCE, text, there[name]) for name, text in found.items()}


def _expect_version(kubeadm: Kubeadm, cluster: str) -> None:
    """:raises SlipwayError: when this kubeadm would write manifests of another version, or other ones for that."""
    match, installed = _VERSION.search(cluster), kubeadm.version().lstrip("v")
    if match is None or match.group(1) != installed:
        raise SlipwayError(
            f"kubeadm {installed} is installed on this host, and the cluster is of version"
            f" {match.group(1) if match else '(unknown)'}: it would write other manifests. Nothing was changed; install"
            " that version of kubeadm, or finish the upgrade."
        )


def _render(kubeadm: Kubeadm, configuration: str, words: t.Sequence[str], folder: str) -> None:
    try:
        kubeadm.run_text(configuration, "init", "phase", *words, environment={_FOLDER: folder})
    except SlipwayError as error:
        raise SlipwayError(
            f"kubeadm does not say what it would write on this control plane, and nothing was changed: {error.msg}",
            **error.details,
        ) from None


def _carried(pattern: t.Pattern[str], wanted: str, there: str) -> str:
    """A manifest with what the present one says in the second group of ``pattern``, where both say something."""
    match = pattern.search(there)
    return wanted if match is None else pattern.sub(lambda found: found.group(1) + match.group(2), wanted)


def with_members(wanted: str, there: str) -> str:
    """etcd's manifest with what the present one says of the members that it has begun with."""
    lines = _MEMBERS.findall(there)
    first = _MEMBERS.search(wanted)
    if first is None:
        return wanted
    return wanted[: first.start()] + "".join(lines) + _MEMBERS.sub("", wanted[first.start() :])


def differing(kubectl: Kubectl, wanted: t.Mapping[str, str], there: t.Mapping[str, str]) -> t.List[str]:
    """Those whose pod would be another one; how the text is laid out does not count."""
    return [
        name
        for name in NAMES
        if name in wanted and wanted[name] != there[name] and _pod(kubectl, wanted[name]) != _pod(kubectl, there[name])
    ]


def _pod(kubectl: Kubectl, manifest: str) -> t.Any:
    """What is in a manifest: nodes have no PyYAML, and kubectl reads it without asking anybody."""
    argv = ["patch", "--local", "--type=merge", "--patch={}", "--output=json", "--filename=-"]
    result = kubectl.run(*argv, stdin=manifest, check=False)
    if result.rc != 0:
        return manifest  # no pod at all, so another one
    pod = json.loads(result.stdout)
    pod.pop("status", None)
    (pod.get("metadata") or {}).pop("creationTimestamp", None)
    return pod


def shown(manifest: str) -> str:
    """A manifest without what may be secret in it."""
    return _VALUE.sub(r"\1\2(not shown)", _ARGUMENT.sub(r"\1(not shown)", manifest))
