# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where a kubelet looks for its container runtime: the files that say it, and the same files for another runtime.

kubeadm writes it into ``instance-config.yaml``, which it lays over the configuration of all kubelets whenever it writes
``config.yaml`` anew. Before that was so it was an argument in ``kubeadm-flags.env``, and an annotation of the Node,
which a node that was made then still has. Some runtimes want feature gates turned off, which are such an argument, too.

Sources: phases/kubelet/config.go and flags.go, phases/upgrade/postupgrade.go of kubeadm 1.36.4. Private to this
collection.
"""

from __future__ import annotations

import json
import os
import re
import typing as t

from ansible_collections.slipway.kubernetes.plugins.module_utils import _runtimes
from ansible_collections.slipway.kubernetes.plugins.module_utils._command import SlipwayError
from ansible_collections.slipway.kubernetes.plugins.module_utils._files import read_text
from ansible_collections.slipway.kubernetes.plugins.module_utils._kubeadm import cluster_state
from ansible_collections.slipway.kubernetes.plugins.module_utils._kubelet.kubelet import FLAGS

CONFIG = f"{cluster_state.KUBELET_FOLDER}/config.yaml"
INSTANCE = f"{cluster_state.KUBELET_FOLDER}/instance-config.yaml"
#: In the order in which they are written: the last one is what says where the kubelet is by now.
FILES = (FLAGS, CONFIG, INSTANCE)
ANNOTATION = "kubeadm.alpha.kubernetes.io/cri-socket"
_LINE = re.compile(r"^(containerRuntimeEndpoint: *)([\"']?)([^\s\"']+)[\"']? *$", re.MULTILINE)
_ARGUMENTS = re.compile(r"^KUBELET_KUBEADM_ARGS=.*$", re.MULTILINE)
_SOCKET, _GATES = "container-runtime-endpoint", "feature-gates"


def present() -> t.Dict[str, str]:
    """The files that are there, with what is in them."""
    return {path: read_text(path) for path in FILES if os.path.exists(path)}


def socket_of(texts: t.Mapping[str, str]) -> str:
    """The socket that the kubelet uses.

    :raises SlipwayError: when no file says it.
    """
    arguments = cluster_state.kubelet_arguments(texts.get(FLAGS, ""))
    found = cluster_state.cri_socket(texts.get(INSTANCE, ""), arguments, texts.get(CONFIG, ""))
    if not found:
        raise SlipwayError(
            f"Neither {' nor '.join(FILES)} says where the kubelet of this host finds its container runtime, so kubeadm"
            " has not made this node, or somebody has changed these files. Nothing was changed."
        )
    return found


def is_same(socket: str, other: str) -> bool:
    """Whether two sockets are the same, as a path or as a URL."""
    return os.path.realpath(_runtimes.path_of(socket)) == os.path.realpath(_runtimes.path_of(other))


def moved(texts: t.Mapping[str, str], socket: str, version: str) -> t.Dict[str, str]:
    """The files that differ for another socket, with what is in them then, in the order of :data:`FILES`.

    :param version: the kubelet's.
    """
    known = {name for runtime in _runtimes.RUNTIMES.values() for name, _since, _before in runtime.gates}
    gates = _runtimes.chosen(cri_socket=socket).gates_off(version)

    def line(found: t.Match[str]) -> str:
        return found[0] if is_same(found[3], socket) else f"{found[1]}{found[2]}{socket}{found[2]}"

    wished = {
        path: _flags(text, socket, known, gates) if path == FLAGS else _LINE.sub(line, text)
        for path, text in texts.items()
    }
    return {path: wished[path] for path in FILES if path in wished and wished[path] != texts[path]}


def _flags(text: str, socket: str, known: t.Container[str], gates: t.Sequence[str]) -> str:
    """kubeadm-flags.env with this socket, where it has one, and with these gates turned off.

    :param known: gates that are told for some runtime; those of others stay.
    """
    before = cluster_state.kubelet_arguments(text)
    after = dict(before)
    if _SOCKET in before and not is_same(before[_SOCKET], socket):
        after[_SOCKET] = socket
    said = [word for word in before.get(_GATES, "").split(",") if word]
    kept = [word for word in said if word.partition("=")[0] not in known or word.partition("=")[0] in gates]
    named = {word.partition("=")[0] for word in kept}
    after[_GATES] = ",".join([*kept, *(f"{gate}=false" for gate in gates if gate not in named)])
    if not after[_GATES]:
        del after[_GATES]
    if after == before:
        return text
    words = " ".join(f"--{name}={value}" for name, value in after.items())
    line = f"KUBELET_KUBEADM_ARGS={json.dumps(words)}"
    return _ARGUMENTS.sub(lambda _found: line, text) if _ARGUMENTS.search(text) else f"{line}\n{text}"
