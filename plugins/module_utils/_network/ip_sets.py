# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sets of addresses in the kernel (ipset) of kube-proxy and pod networks: found by name, by nfnetlink, without `ipset`.

Source: kube-proxy's pkg/proxy/ipvs/ipset.go.

Private to this collection.
"""

from __future__ import annotations

import os
import socket
import struct
import typing as t

from ansible_collections.slipway.kubernetes.plugins.module_utils import _netlink, _waiting
from ansible_collections.slipway.kubernetes.plugins.module_utils._command import SlipwayError
from ansible_collections.slipway.kubernetes.plugins.module_utils._network import nfnetlink
from ansible_collections.slipway.kubernetes.plugins.module_utils._pod_networks import POD_NETWORKS, PodNetwork

#: Where it shows that the kernel has sets; to ask for them would load the module.
MODULE = "/sys/module/ip_set"
_SETS = 6
_DESTROY, _LIST = _SETS << 8 | 3, _SETS << 8 | 7
#: Attributes, the version of the protocol, and the flag by which names are listed without what is in the sets.
_PROTOCOL, _NAME, _FLAGS = 1, 2, 6
_VERSION, _NAMES_ONLY = 6, 2
_NET_ORDER = 0x4000
_NO_SUCH_SET = 2
#: How kube-proxy's begin, in its mode ipvs.
_PROXY = "KUBE-"
#: Some kernels let go of a set a moment after the rule has gone: seconds until that is an error.
_PATIENCE = 3


def _message(kind: int, flags: int, *attributes: bytes) -> bytes:
    payload = nfnetlink.attribute(_PROTOCOL, bytes([_VERSION])) + b"".join(attributes)
    return nfnetlink.message(kind, nfnetlink.REQUEST | flags, family=socket.AF_INET, payload=payload)


def parse(messages: t.Iterable[_netlink.Message]) -> t.List[str]:
    """The names of the sets in the kernel's answer."""
    payloads = (payload for kind, payload in messages if kind == _LIST)
    names = (_netlink.attributes(payload[4:]).get(_NAME, b"") for payload in payloads)
    return sorted({name.rstrip(b"\0").decode("utf-8", "replace") for name in names} - {""})


def names(rows: t.Optional[t.Sequence[PodNetwork]] = None) -> t.List[str]:
    """The names of the sets of kube-proxy and of pod networks; none where the kernel has no sets.

    :param rows: pod networks whose sets it is about alone.
    """
    if not os.path.exists(MODULE):
        return []
    flags = nfnetlink.attribute(_FLAGS | _NET_ORDER, struct.pack("!I", _NAMES_ONLY))
    try:
        found = parse(nfnetlink.ask(_message(_LIST, nfnetlink.DUMP, flags)))
    except OSError:
        return []
    prefixes = [] if rows is not None else [_PROXY]
    prefixes += [prefix for network in (POD_NETWORKS.values() if rows is None else rows) for prefix in network.ip_sets]
    return [name for name in found if name.startswith(tuple(prefixes))]


def destroy_all(names: t.Iterable[str]) -> None:
    """Remove sets.

    :raises SlipwayError: when the kernel refuses.
    """
    for name in names:
        try:
            destroy(name)
        except OSError as error:
            raise SlipwayError(f"The set of addresses {name} (ipset) cannot be removed: {error}.") from error


def destroy(name: str) -> None:
    """Remove a set; one that has gone meanwhile is no error.

    :raises OSError: when the kernel refuses, such as while a rule has it.
    """
    request = _message(_DESTROY, nfnetlink.ACKNOWLEDGE, nfnetlink.attribute(_NAME, name.encode() + b"\0"))
    wait = _waiting.Wait(_PATIENCE, 0.1)
    code = nfnetlink.refusal(request, _NO_SUCH_SET)
    while code and not wait.is_over:
        wait.sleep()
        code = nfnetlink.refusal(request, _NO_SUCH_SET)
    if code:
        raise OSError(code, os.strerror(code))
