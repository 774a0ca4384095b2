# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether this machine's kubelet runs with what is true now: its configuration, its name, its Node object.

Private to this collection.
"""

from __future__ import annotations

import contextlib
import glob
import hashlib
import http.client
import json
import os
import re
import typing as t

from ansible_collections.slipway.kubernetes.plugins.module_utils import _api_endpoints, _processes, _tls
from ansible_collections.slipway.kubernetes.plugins.module_utils._command import Runner
from ansible_collections.slipway.kubernetes.plugins.module_utils._files import TextFile, read_text
from ansible_collections.slipway.kubernetes.plugins.module_utils._kube import api_server
from ansible_collections.slipway.kubernetes.plugins.module_utils._kubeadm import cluster_state
from ansible_collections.slipway.kubernetes.plugins.module_utils._layout import KUBEADM, Layout
from ansible_collections.slipway.kubernetes.plugins.module_utils._systemd import Unit

KUBECONFIG = KUBEADM.kubelet
CERTIFICATE = KUBEADM.kubelet_certificate
FLAGS = f"{cluster_state.KUBELET_FOLDER}/kubeadm-flags.env"
#: Arguments that people add; the name depends on the distribution.
EXTRA = ("/etc/default/kubelet", "/etc/sysconfig/kubelet")
#: What the kubelet that runs now was started with. It goes when the machine boots, as the process does.
RECORD = "/run/slipway/kubelet.json"
#: Where units lie; what is not of a package first.
UNITS = ("/etc/systemd/system", "/run/systemd/system", "/usr/local/lib/systemd/system", "/usr/lib/systemd/system")
UNIT = "kubelet.service"

Node = t.Dict[str, t.Any]


def argument(words: t.Sequence[str], name: str) -> str:
    """The value of ``--name=value`` or ``--name value`` that counts, which is the last; empty without one."""
    found = ""
    for index, word in enumerate(words):
        if word.startswith(f"--{name}="):
            found = word.partition("=")[2]
        elif word == f"--{name}" and index + 1 < len(words):
            found = words[index + 1]
    return found


def configuration(words: t.Sequence[str]) -> t.List[str]:
    """The files that a kubelet with this command line is configured by, whether they are there or not."""
    paths = [argument(words, "config") or f"{cluster_state.KUBELET_FOLDER}/config.yaml"]
    more = argument(words, "config-dir")
    if more:
        paths += glob.glob(f"{glob.escape(more)}/**/*.conf", recursive=True)
    paths += [f"{cluster_state.KUBELET_FOLDER}/instance-config.yaml", FLAGS, *EXTRA]
    for folder in UNITS:
        paths += [f"{folder}/{UNIT}", *glob.glob(f"{folder}/{UNIT}.d/*.conf")]
    return sorted(paths)


def digest(paths: t.Iterable[str]) -> str:
    """What the files have in them, as one hash."""
    summed = hashlib.sha256()
    for path in paths:
        try:
            with open(path, "rb") as stream:
                content = hashlib.sha256(stream.read()).hexdigest()
        except OSError:
            continue
        summed.update(f"{path}\0{content}\0".encode("utf-8", "surrogateescape"))
    return summed.hexdigest()


def changed_since(started: float, now: float, paths: t.Iterable[str]) -> t.List[str]:
    """Those of the files that were written after ``started``, and folders of drop-ins where one came or went.

    A file from the future (a clock that was set back) does not count, as it would ask for a restart each time.
    """
    found = []
    for path in [*paths, f"{UNITS[0]}/{UNIT}.d"]:
        with contextlib.suppress(OSError):
            if started < os.stat(path).st_mtime <= now:
                found.append(path)
    return found


def outdated(process: str, started: float, now: float, words: t.Sequence[str]) -> str:
    """Why the kubelet was started with another configuration than there is now; empty when it was not.

    What it was started with is on record from the first look at it. When there is none, the times of files say it,
    which a file that was only touched answers wrongly: that restart is without need, but it stops no pod, and one
    that is left out would leave the kubelet as it is for ever.

    :param process: what no other process of this boot has.
    """
    paths = configuration(words)
    known = read_record()
    if known.get("process") == process:
        return "" if known.get("digest") == digest(paths) else "its configuration was changed after it had started"
    newer = changed_since(started, now, paths)
    return f"it was started before {newer[0]} was changed" if newer else ""


def read_record() -> t.Dict[str, t.Any]:
    """What the kubelet that ran when it was written was started with; empty without a record."""
    try:
        found = json.loads(read_text(RECORD) or "{}")
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def record(properties: t.Mapping[str, str]) -> None:
    """Keep what the kubelet that runs was started with: what there is now.

    :param properties: of its unit.
    """
    words = command_line(properties.get("MainPID", ""))
    known = {"process": process_of(properties), "digest": digest(configuration(words))}
    if words and known != read_record():
        TextFile(RECORD, json.dumps(known)).write()


def record_running(runner: Runner) -> None:
    """Keep what the kubelet that runs was started with, as :func:`record`."""
    record(Unit(runner, UNIT).properties())


def process_of(properties: t.Mapping[str, str]) -> str:
    """What no other process of this boot has.

    :param properties: of the kubelet's unit.
    """
    return f"{properties.get('MainPID')} {properties.get('ExecMainStartTimestampMonotonic')}"


def other_name(words: t.Sequence[str], node: str) -> str:
    """The name that a kubelet was told to go by, when its certificate is that of another node; empty otherwise."""
    name = argument(words, "hostname-override").strip().lower()
    return name if node and name not in ("", node) else ""


def told_name(layout: Layout = KUBEADM) -> str:
    """The name that files tell the kubelet to go by when it starts; empty when it goes by the hostname."""
    units = [path for path in configuration([]) if path.startswith(UNITS)]
    paths = [*units, FLAGS, *EXTRA]
    if layout.settings:
        # An installer that runs the kubelet by itself is told in its own words.
        paths = [layout.settings, *sorted(glob.glob(f"{layout.settings}.d/*.yaml"))]
    lines = "\n".join(map(read_text, paths)).splitlines()
    found = [
        name
        for line in lines
        if not line.lstrip().startswith(("#", ";"))
        for name in re.findall(r"(?:--hostname-override(?:=|\s+)|^node-name:\s*)[\"']?([\w.-]+)", line)
    ]
    return found[-1].lower() if found else ""


def untold_name() -> str:
    """The name of a kubelet that is told none: the machine's, as kubeadm and kubelets write it."""
    return os.uname().nodename.strip().lower()


def ask_for_node(name: str, timeout: float = 5) -> t.Optional[Node]:
    """This machine's Node object, asked with the kubelet's own certificate.

    Empty when the API server says that there is none, and ``None`` when it does not say.

    :param timeout: seconds for the connection, and for the answer.
    """
    return _request(name, "GET", timeout)


def annotate_node(name: str, annotations: t.Mapping[str, str], timeout: float = 5) -> bool:
    """Give this machine's Node object annotations, as its kubelet may; whether the API server has done it."""
    return bool(_request(name, "PATCH", timeout, {"metadata": {"annotations": annotations}}))


def _request(
    name: str, method: str, timeout: float, body: t.Optional[t.Mapping[str, t.Any]] = None
) -> t.Optional[Node]:
    endpoint = _api_endpoints.endpoint_of(read_text(KUBECONFIG))
    if not endpoint or not name:
        return None
    try:
        context = _tls.verified_by(api_server.AUTHORITY)
        context.load_cert_chain(CERTIFICATE)
        place = _api_endpoints.endpoint_place(endpoint)
        connection = http.client.HTTPSConnection(*place, timeout=timeout, context=context)
        with contextlib.closing(connection):
            patch = {"Content-Type": "application/merge-patch+json"} if body else {}
            connection.request(method, f"/api/v1/nodes/{name}", json.dumps(body) if body else None, patch)
            answer = connection.getresponse()
            return node_of(answer.status, json.loads(answer.read()))
    except (OSError, http.client.HTTPException, ValueError):
        return None


def node_of(status: int, answer: t.Any) -> t.Optional[Node]:
    """What an answer says about a Node: empty when there is certainly none, ``None`` when it says nothing.

    A proxy or a load balancer between may answer 404 for something else.
    """
    if not isinstance(answer, dict):
        return None
    if status == http.client.OK and answer.get("kind") == "Node":
        return answer
    absent = answer.get("reason") == "NotFound" and (answer.get("details") or {}).get("kind") == "nodes"
    return {} if status == http.client.NOT_FOUND and absent else None


def is_silent(node: Node) -> bool:
    """Whether the control plane has not heard of the node's kubelet for a while."""
    conditions = (node.get("status") or {}).get("conditions") or []
    return any(item.get("type") == "Ready" and item.get("status") == "Unknown" for item in conditions)


def command_line(pid: str) -> t.List[str]:
    """The words that the kubelet runs with."""
    return _processes.words(pid) if pid not in ("", "0") else []
