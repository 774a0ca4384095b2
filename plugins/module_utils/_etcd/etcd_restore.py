# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Make the data of a member of etcd out of a snapshot, and let a cluster forget nodes that are gone.

Private to this collection.
"""

from __future__ import annotations

import json
import os
import shutil
import time
import typing as t

from ansible_collections.slipway.kubernetes.plugins.module_utils import _records
from ansible_collections.slipway.kubernetes.plugins.module_utils._command import SlipwayError
from ansible_collections.slipway.kubernetes.plugins.module_utils._etcd import etcd, etcd_backup
from ansible_collections.slipway.kubernetes.plugins.module_utils._files import make_folder
from ansible_collections.slipway.kubernetes.plugins.module_utils._kube.kubectl import Kubectl
from ansible_collections.slipway.kubernetes.plugins.module_utils._layout import KUBEADM

#: All that a restore keeps on a machine while it goes on.
STATE = f"{_records.FOLDER}/etcd-restore"
#: The snapshot that is handed over to a machine.
SNAPSHOT = os.path.join(STATE, "snapshot.db")
#: The snapshot that ``kubeadm init`` on a bare machine begins with.
PENDING = os.path.join(STATE, "pending.db")
#: Files of a node; a machine without any of them is bare.
TRACES = (KUBEADM.kubelet, KUBEADM.admin, KUBEADM.manifest("kube-apiserver"))
#: The data of before, beside the new.
KEPT = "member.before-restore"
_WORK = ".slipway-restore"
#: Revisions that are left out when the clock has gone back since the last restore: more than were written since then.
_BLIND_BUMP = 1_000_000_000


def revision_now() -> int:
    """The revision that a restore of now gives etcd: microseconds since 1970.

    What clients have seen before the restore must not come again as something else, nor lie in the future, where they
    would wait for it and miss every change until then. A revision is one write, of which etcd has less than one in a
    microsecond: no cluster has come as far as that, whatever it was restored from before, and how often.
    """
    return time.time_ns() // 1000


def restore_argv(
    pod: etcd.Pod, snapshot: str, data: str, cluster: t.Mapping[str, str], token: str, bump: int
) -> t.List[str]:
    """The command line of ``etcdutl snapshot restore``, which checks the hash that the snapshot ends with.

    :param data: the folder that it makes.
    :param cluster: peer URLs of all members by their names.
    :param token: the same for all members, and another one for another restore.
    :param bump: what is added to the snapshot's revision.
    """
    members = ",".join(f"{name}={url}" for name, url in sorted(cluster.items()))
    return [
        "etcdutl",
        "snapshot",
        "restore",
        snapshot,
        f"--data-dir={data}",
        f"--name={pod.name}",
        f"--initial-cluster={members}",
        f"--initial-cluster-token=slipway-{token}",
        f"--initial-advertise-peer-urls={pod.peer_url}",
        f"--bump-revision={bump}",
        "--mark-compacted",
    ]


def shares_disk(data: str) -> bool:
    """Whether the snapshot is handed over to the disk that etcd's data is on."""
    folder = os.path.dirname(SNAPSHOT)
    while not os.path.isdir(folder):
        folder = os.path.dirname(folder)
    return os.stat(folder).st_dev == os.stat(data).st_dev


def expect_room(data: str, needed: int) -> None:
    """:raises SlipwayError: when ``needed`` bytes are more than the folder has room for."""
    free = shutil.disk_usage(data).free
    if free < needed:
        raise SlipwayError(f"{data} has {free >> 20} MB free, and the restore needs {needed >> 20} MB there.")


def restore(
    tools: etcd.Tools,
    pod: etcd.Pod,
    snapshot: str,
    cluster: t.Mapping[str, str],
    revision: int,
    again: bool = False,
    kept: t.Callable[[], None] = lambda: None,
) -> None:
    """Put data made from ``snapshot`` into the place of a member's data. etcd must not run.

    What was there is kept as :data:`KEPT`. The new data comes into its place by a rename, complete or not at all.

    :param revision: the one that etcd has then, from :func:`revision_now`; the same for all members.
    :param again: whether what is there is that of a restore which has not ended: it is not kept.
    :param kept: called when what was there has been kept, before the new data comes.
    :raises SlipwayError: when there is no room, or ``etcdutl`` refuses.
    """
    make_folder(os.path.dirname(pod.data))
    make_folder(pod.data, 0o700)
    # A copy of it, and what is made of that.
    expect_room(pod.data, 2 * os.path.getsize(snapshot))
    member, before, work = (os.path.join(pod.data, name) for name in ("member", KEPT, _WORK))
    shutil.rmtree(work, ignore_errors=True)
    os.mkdir(work, 0o700)
    try:
        copy, made = os.path.join(work, "snapshot.db"), os.path.join(work, "data")
        shutil.copyfile(snapshot, copy)
        tools.remove_leftovers()
        failure = "etcdutl refuses the snapshot"
        status = tools.run(etcd_backup.status_words(copy), {work: False}, failure=failure).stdout
        had = int(json.loads(status)["revision"])
        bump = revision - had if revision > had else _BLIND_BUMP
        token = f"{etcd_backup.sha256_of_file(snapshot)[:16]}-{revision}"
        tools.run(restore_argv(pod, copy, made, cluster, token, bump), {work: True}, failure=failure)
        if again:
            shutil.rmtree(member, ignore_errors=True)
        elif os.path.isdir(member):
            shutil.rmtree(before, ignore_errors=True)
            os.rename(member, before)
        kept()
        os.rename(os.path.join(made, "member"), member)
    finally:
        shutil.rmtree(work, ignore_errors=True)


def forget_nodes(kubectl: Kubectl, names: t.Iterable[str]) -> None:
    """Delete Nodes whose machines are gone, and their pods at once, so that others take their place.

    :raises CommandError: when the API server refuses.
    """
    for name in names:
        chosen = f"--field-selector=spec.nodeName={name}"
        at_once = ("--force", "--grace-period=0", "--wait=false")
        kubectl.run("delete", "pods", "--all-namespaces", chosen, *at_once)
        kubectl.run("delete", "node", "--ignore-not-found", "--", name)


def restart_agents(kubectl: Kubectl) -> None:
    """Delete the pods of DaemonSets in the network of their hosts; others are started at once.

    Such agents write into the API what their machine has, and do so when they start: pod networks the address of their
    tunnel. After a restore the API may have what an earlier machine of that name had.
    """
    for item in kubectl.get("pods", "--all-namespaces")["items"]:
        owners = [owner["kind"] for owner in item["metadata"].get("ownerReferences") or []]
        if "DaemonSet" in owners and item["spec"].get("hostNetwork"):
            place = f"--namespace={item['metadata']['namespace']}"
            kubectl.run("delete", "pod", place, "--ignore-not-found", "--wait=false", "--", item["metadata"]["name"])


def heartbeats(kubectl: Kubectl) -> t.Dict[str, str]:
    """When each node's kubelet was last seen, in words of its own clock; empty while the API server is starting."""
    answer = kubectl.run("get", "leases", "--namespace=kube-node-lease", "--output=json", check=False)
    items = json.loads(answer.stdout)["items"] if answer.rc == 0 else []
    return {item["metadata"]["name"]: str(item["spec"].get("renewTime")) for item in items}


def node_names(kubectl: Kubectl) -> t.List[str]:
    """The names of all Nodes."""
    return [item["metadata"]["name"] for item in kubectl.get("nodes")["items"]]
