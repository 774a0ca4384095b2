# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the units of RKE2 and their journals say. Private to this collection."""

from __future__ import annotations

import dataclasses
import re
import typing as t

#: The units by what a machine is.
UNITS = {"server": "rke2-server.service", "agent": "rke2-agent.service"}
#: Asked for besides what is asked of any unit.
PROPERTIES = ("SubState", "NRestarts", "Result", "InvocationID")
#: Lines of a journal that are shown.
LAST = 10


@dataclasses.dataclass(frozen=True)
class Meaning:
    """What a line of the log means.

    :param is_final: whether waiting cannot help: RKE2 itself would go on trying for ever.
    """

    what: str
    remedy: str
    is_final: bool = True


_WRONG_TOKEN = Meaning(
    "the server refuses the token (401)",
    "Set rke2_token to the one that the cluster was built with, or to that of the file node-token on a server; for"
    " agents rke2_agent_token, where the servers have one.",
)
#: The first one that fits counts, so what is particular comes first.
_MEANINGS: t.Tuple[t.Tuple[str, Meaning], ...] = (
    (
        r"token CA hash does not match the Cluster CA certificate hash",
        Meaning(
            "the token is of another cluster: the hash in it (K10...) is not that of this cluster's CA",
            "Take the file node-token of a server of this cluster.",
        ),
    ),
    (
        r"Node password rejected",
        Meaning(
            "the cluster knows a node of this name with another password: the machine was installed anew, or two"
            " machines have one name",
            "Delete that Node (kubectl delete node NAME), or give the machine a name of its own.",
        ),
    ),
    (
        r"failed to get CA certs: \S*/cacerts: 401",
        Meaning(
            "the address of the cluster leads to an API server, and not to a supervisor",
            "Let it lead to port 9345.",
        ),
    ),
    (r"(?:server is not ready|failed to validate server configuration): .*401 Unauthorized", _WRONG_TOKEN),
    (
        r"critical configuration value mismatch between servers",
        Meaning(
            "an option that has to be the same on all servers is not",
            "The warning before it names the option; set it for all servers alike.",
        ),
    ),
    (
        r"failed to normalize server token",
        Meaning(
            "RKE2 cannot use the token, as of a server's token that looks like one of kubeadm",
            "Choose another rke2_token: letters and digits without a dot.",
        ),
    ),
    (
        r"bootstrap data already found and encrypted with different token",
        Meaning(
            "etcd on this machine has data of a cluster with another token",
            "Set rke2_token to the token of that cluster, or reset the machine.",
        ),
    ),
    (
        r"--token is required|RKE2_TOKEN is required to join a cluster",
        Meaning("no token was configured", "Set rke2_token."),
    ),
    (
        r"too many learner members",
        Meaning(
            "another server is joining etcd, which takes one at a time",
            "When no other server joins: look for one that has stopped half-way, and let it finish or delete its Node.",
            is_final=False,
        ),
    ),
    (
        r"unhealthy cluster",
        Meaning(
            "etcd takes no new member: a member is missing, or one with this machine's address was left in it",
            "Delete the Node of the server that is gone, by which its member goes, too.",
            is_final=False,
        ),
    ),
    (
        r"failed to get CA certs",
        Meaning(
            "no supervisor answers at the address of the cluster",
            "See that a server runs, and that port 9345 can be reached from here.",
            is_final=False,
        ),
    ),
    (
        r"server is not ready: .*50[03] ",
        Meaning("the server has not started yet", "See what that server is waiting for.", is_final=False),
    ),
)
_READ = tuple((re.compile(pattern), meaning) for pattern, meaning in _MEANINGS)
_MISMATCH = re.compile(r"level=warn\S* .*mismatch", re.IGNORECASE)


def meaning_of(lines: t.Sequence[str]) -> t.Optional[Meaning]:
    """What the log says in the end: the meaning of the last line that has one."""
    for line in reversed(lines):
        for pattern, meaning in _READ:
            if pattern.search(line):
                return meaning
    return None


def last_lines(lines: t.Sequence[str]) -> t.List[str]:
    """The lines that are shown: the last ones, with a warning about what differs before them."""
    shown = list(lines[-LAST:])
    return [line for line in lines[:-LAST] if _MISMATCH.search(line)][-1:] + shown


@dataclasses.dataclass(frozen=True)
class State:
    """What ``systemctl show`` says of a unit."""

    active: str
    sub: str
    restarts: int
    result: str
    invocation: str

    @property
    def is_active(self) -> bool:
        """Whether it has said that it is ready."""
        return self.active == "active"

    @property
    def is_refused(self) -> bool:
        """Whether systemd did not start it: the machine runs the other unit. The call that starts it succeeds."""
        return self.active == "inactive" and self.result == "exec-condition"

    def __str__(self) -> str:
        restarts = f", started again {self.restarts} times" if self.restarts else ""
        return f"{self.active} ({self.sub}{restarts})"


def state_of(properties: t.Mapping[str, str]) -> State:
    """The state in the properties of a unit."""
    return State(
        properties.get("ActiveState", ""),
        properties.get("SubState", ""),
        int(properties.get("NRestarts") or 0),
        properties.get("Result", ""),
        properties.get("InvocationID", ""),
    )


def other(kind: str) -> str:
    """The unit that must not run on a machine of this kind."""
    return UNITS["agent" if kind == "server" else "server"]
