# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Answers of etcdctl 3.7.0 for tests; what one member said was recorded, more members are made from it."""

from __future__ import annotations

import copy
import hashlib
import json
import typing as t
from pathlib import Path

from ansible_collections.slipway.kubernetes.plugins.module_utils._etcd import etcd_backup

FIXTURES = Path(__file__).parent / "fixtures" / "etcd"
FIRST = 17815618384001441648


def fixture(name: str) -> str:
    """The recorded output ``name``."""
    return (FIXTURES / name).read_text(encoding="utf-8")


def answers(
    *names: str, down: t.Container[str] = (), learners: t.Container[str] = (), leader: str = "cp1"
) -> t.Dict[str, str]:
    """What etcdctl prints about a cluster of these members, by the words that it is asked with.

    An empty name is a member that was added and has never started.
    """
    members, health, status = (json.loads(fixture(f"{kind}.json")) for kind in ("members", "health", "status"))
    example = members["members"][0]
    numbers = {name: FIRST - (ord(name[-1:] or "3") - ord("1")) for name in names}
    members["members"] = []
    asked, told = [], []
    for index, name in enumerate(names):
        url = f"https://172.30.0.{11 + index}:2379"
        member = {**example, "ID": numbers[name], "name": name, "peerURLs": [url.replace("2379", "2380")]}
        member["clientURLs"] = [url] if name else []
        if name in learners:
            member["isLearner"] = True
        members["members"].append(member)
        if not name:
            continue
        failure = {"endpoint": url, "health": False, "took": "5.18901044s", "error": "context deadline exceeded"}
        asked.append(failure if name in down or name in learners else {**health[0], "endpoint": url})
        if name not in down:
            entry = copy.deepcopy(status[0])
            entry["Endpoint"] = url
            entry["Status"].update(leader=numbers.get(leader, FIRST))
            entry["Status"]["header"]["member_id"] = numbers[name]
            told.append(entry)
    return {
        "member list": json.dumps(members),
        "endpoint health": json.dumps(asked),
        "endpoint status": json.dumps(told) if told else "",
    }


#: What kubectl says about the ConfigMap in an archive.
CONFIGURATION = """\
apiVersion: kubeadm.k8s.io/v1beta4
controlPlaneEndpoint: api.example.com:6443
kind: ClusterConfiguration
kubernetesVersion: v1.37.1
networking: {dnsDomain: cluster.local, podSubnet: 10.244.0.0/16, serviceSubnet: 10.96.0.0/12}
"""


def make_archive(
    path: Path,
    more: t.Optional[t.Mapping[str, bytes]] = None,
    about: t.Optional[t.Mapping[str, t.Any]] = None,
    configuration: str = CONFIGURATION,
) -> Path:
    """An archive of the cluster ``lab`` as etcd_snapshot makes it."""
    config = {"metadata": {"name": "kubeadm-config"}, "data": {"ClusterConfiguration": configuration}}
    contents = {
        "snapshot.db": b"the snapshot",
        "kubeadm.json": json.dumps({"items": [config]}).encode(),
        **{f"pki/{name}": f"{name} of lab\n".encode() for name in ("ca.crt", "ca.key", "sa.key", "etcd/ca.crt")},
        **(more or {}),
    }
    told = {
        "format": etcd_backup.FORMAT,
        "created": "2026-11-21T12:00:00Z",
        "cluster_name": "lab",
        "member": "cp1",
        "image": "registry.k8s.io/etcd:3.7.0-0",
        "snapshot": {"revision": 3429, "size": 12},
        "files": {name: hashlib.sha256(content).hexdigest() for name, content in contents.items()},
        **(about or {}),
    }
    with path.open("wb") as stream:
        etcd_backup.add_all(stream, {"about.json": json.dumps(told).encode(), **contents})
    return path
