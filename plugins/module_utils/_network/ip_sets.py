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
from ansible_collections.slipway.kubernetes.plugins.module_utils._pod_networks import POD_NETWORKS

#: Where it shows that the kernel has sets; to ask for them would load the module.
MODULE = "/sys/module/ip_set"
_NETFILTER = 12
_SETS = 6
_DESTROY, _LIST = _SETS << 8 | 3, _SETS << 8 | 7
_REQUEST, _ACKNOWLEDGE, _DUMP = 0x1, 0x4, 0x300
#: Attributes, the version of the protocol, and the flag by which names are listed without what is in the sets.
_PROTOCOL, _NAME, _FLAGS = 1, 2, 6
_VERSION, _NAMES_ONLY = 6, 2
_NET_ORDER = 0x4000
_NO_SUCH_SET = 2
#: How kube-proxy's begin, in its mode ipvs.
_PROXY = "KUBE-"
#: Some kernels let go of a set a moment after the rule has gone: seconds until that is an error.
_PATIENCE = 3


def _attribute(kind: int, value: bytes) -> bytes:
    data = struct.pack("=HH", 4 + len(value), kind) + value
    return data + b"\0" * (-len(data) % 4)


def _ask(kind: int, flags: int, *attributes: bytes) -> t.Iterator[_netlink.Message]:
    """What the kernel answers, up to the end of its list or its acknowledgement.

    :raises OSError: when it gives no answer.
    """
    payload = (
        struct.pack("=BBH", socket.AF_INET, 0, 0) + _attribute(_PROTOCOL, bytes([_VERSION])) + b"".join(attributes)
    )
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, _NETFILTER) as connection:
        connection.settimeout(5)
        connection.bind((0, 0))
        connection.send(struct.pack("=IHHII", 16 + len(payload), kind, _REQUEST | flags, 1, 0) + payload)
        while True:
            for answer in _netlink.messages(connection.recv(1 << 18)):
                yield answer
                if answer[0] in (_netlink.DONE, _netlink.ERROR):
                    return


def parse(messages: t.Iterable[_netlink.Message]) -> t.List[str]:
    """The names of the sets in the kernel's answer."""
    payloads = (payload for kind, payload in messages if kind == _LIST)
    names = (_netlink.attributes(payload[4:]).get(_NAME, b"") for payload in payloads)
    return sorted({name.rstrip(b"\0").decode("utf-8", "replace") for name in names} - {""})


def names() -> t.List[str]:
    """The names of the sets of kube-proxy and of pod networks; none where the kernel has no sets."""
    if not os.path.exists(MODULE):
        return []
    flags = _attribute(_FLAGS | _NET_ORDER, struct.pack("!I", _NAMES_ONLY))
    try:
        found = parse(list(_ask(_LIST, _DUMP, flags)))
    except OSError:
        return []
    prefixes = [prefix for network in POD_NETWORKS.values() for prefix in network.ip_sets]
    return [name for name in found if name.startswith((_PROXY, *prefixes))]


def destroy(name: str) -> None:
    """Remove a set; one that has gone meanwhile is no error.

    :raises OSError: when the kernel refuses, such as while a rule has it.
    """
    wait = _waiting.Wait(_PATIENCE, 0.1)
    code = _refusal(name)
    while code and not wait.is_over:
        wait.sleep()
        code = _refusal(name)
    if code:
        raise OSError(code, os.strerror(code))


def _refusal(name: str) -> int:
    """Ask the kernel to remove a set, and return why it does not; 0 when it is gone."""
    answers = list(_ask(_DESTROY, _ACKNOWLEDGE, _attribute(_NAME, name.encode() + b"\0")))
    codes = [-struct.unpack_from("=i", payload)[0] for kind, payload in answers if kind == _netlink.ERROR]
    return next((code for code in codes if code not in (0, _NO_SUCH_SET)), 0)
