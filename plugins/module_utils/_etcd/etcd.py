# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""etcd as kubeadm runs it: its static pod, its tools out of its own image, its members.

etcdctl and etcdutl are in the image that etcd itself runs from. The container runtime starts them as a container that
is deleted when it ends, so that nothing has to be installed and client and server always have the same version.

Private to this collection.
"""

from __future__ import annotations

import dataclasses
import json
import os
import re
import typing as t
import urllib.parse

from ansible_collections.slipway.kubernetes.plugins.module_utils import _runtimes
from ansible_collections.slipway.kubernetes.plugins.module_utils._command import CommandResult, Runner, SlipwayError
from ansible_collections.slipway.kubernetes.plugins.module_utils._etcd.etcd_backup import CONTAINER_PREFIX, tool_argv
from ansible_collections.slipway.kubernetes.plugins.module_utils._files import read_text
from ansible_collections.slipway.kubernetes.plugins.module_utils._layout import KUBEADM

MANIFEST = KUBEADM.manifest("etcd")
PKI = f"{KUBEADM.pki}/etcd"
#: Options of all modules that talk to etcd.
ETCD_ARGUMENTS: t.Dict[str, t.Any] = {
    "manifest": {"type": "path", "default": MANIFEST},
    "cri_socket": _runtimes.CRI_SOCKET,
}
_FLAG = re.compile(r"^\s*- [\"']?--([a-z0-9-]+)=(.*?)[\"']?\s*$", re.MULTILINE)
_IMAGE = re.compile(r"^\s*image: [\"']?([^\s\"']+)", re.MULTILINE)
_ALARM = re.compile(r"alarm:(\w+)")


@dataclasses.dataclass(frozen=True)
class Pod:
    """etcd's static pod as kubeadm wrote it."""

    image: str
    flags: t.Mapping[str, str]

    @property
    def name(self) -> str:
        """The member's name."""
        return self.flags.get("name", "")

    @property
    def data(self) -> str:
        """The folder that the data is in."""
        return self.flags.get("data-dir", KUBEADM.etcd_data)

    @property
    def peer_url(self) -> str:
        """Where other members reach this one."""
        return self.flags.get("initial-advertise-peer-urls", "").partition(",")[0]

    @property
    def endpoint(self) -> str:
        """Where this machine reaches its own member."""
        urls = self.flags.get("listen-client-urls", "").split(",")
        return next((url for url in urls if "127.0.0.1" in url or "[::1]" in url), urls[0]) or "https://127.0.0.1:2379"


def parse_pod(manifest: str) -> Pod:
    """The static pod that ``manifest`` (YAML by kubeadm) describes.

    :raises SlipwayError: when it names no image.
    """
    image = _IMAGE.search(manifest)
    if image is None:
        raise SlipwayError("The manifest of etcd's static pod names no image.")
    return Pod(image.group(1), dict(_FLAG.findall(manifest)))


def read_pod(path: str = MANIFEST) -> Pod:
    """The static pod in the file ``path``.

    :raises SlipwayError: when it is absent or names no image.
    """
    if not os.path.exists(path):
        raise SlipwayError(
            f"There is no {path} on this host, so kubeadm runs no etcd here. Ask a control plane of the cluster; an"
            " etcd outside of the cluster has to be cared for by its own means."
        )
    return parse_pod(read_text(path))


class Tools:
    """etcdctl and etcdutl out of an image that the container runtime has."""

    def __init__(self, runner: Runner, image: str, cri_socket: str) -> None:
        """:raises SlipwayError: when ``cri_socket`` is not that of a runtime that is known."""
        self._runner = runner
        self._image = image
        self._socket = cri_socket
        self._runtime = _runtimes.chosen(cri_socket=cri_socket)
        if not self._runtime.tool:
            known = " or ".join(_runtimes.RUNTIMES)
            raise SlipwayError(f"etcd's tools can only be run by {known}, and {cri_socket} is not its socket.")
        program, *words = self._runtime.tool_at(cri_socket)
        self._tool = [runner.path(program), *words]

    def run(
        self, words: t.Sequence[str], mounts: t.Mapping[str, bool], check: bool = True, failure: str = ""
    ) -> CommandResult:
        """Run ``words`` in a container of its own.

        :param mounts: folders that it sees under their own names, and whether it may write there.
        :raises CommandError: when ``check`` is set and it fails.
        """
        what = failure or f"{' '.join(words[:1])} failed"
        return self._runner.run(tool_argv(self._tool, self._image, mounts, words), check=check, failure=what)

    def remove_leftovers(self) -> None:
        """Delete containers of ours whose process has ended: a call that was killed cannot do that itself."""
        self._runtime.remove_ended(self._runner, self._socket, CONTAINER_PREFIX)

    def has_image(self) -> bool:
        """Whether the container runtime has the image already."""
        return self._runtime.has_image(self._runner, self._socket, self._image)


@dataclasses.dataclass
class Member:
    """A member of the cluster. ``identifier`` is in hexadecimal digits, as etcd's own messages have it."""

    identifier: str
    name: str
    peer_urls: t.List[str]
    client_urls: t.List[str]
    learner: bool
    healthy: bool = False
    leader: bool = False
    version: str = ""
    size: int = 0
    alarms: t.List[str] = dataclasses.field(default_factory=list)
    problem: str = ""

    @property
    def started(self) -> bool:
        """Whether it has ever joined: before that it has no name."""
        return bool(self.name)

    @property
    def hosts(self) -> t.List[str]:
        """The hosts in its peer URLs."""
        return [urllib.parse.urlsplit(url).hostname or "" for url in self.peer_urls]

    def as_dict(self) -> t.Dict[str, t.Any]:
        """The member as a module returns it."""
        return {
            "id": self.identifier,
            "name": self.name,
            "peer_urls": self.peer_urls,
            "client_urls": self.client_urls,
            "learner": self.learner,
            "started": self.started,
            "healthy": self.healthy,
            "leader": self.leader,
            "version": self.version,
            "db_size": self.size,
            "alarms": self.alarms,
            "problem": self.problem,
        }


def parse_members(text: str) -> t.List[Member]:
    """The members in what ``etcdctl member list --write-out=json`` prints, by name."""
    found = [
        Member(
            identifier=f"{member['ID']:x}",
            name=member.get("name", ""),
            peer_urls=member.get("peerURLs") or [],
            client_urls=member.get("clientURLs") or [],
            learner=bool(member.get("isLearner")),
        )
        for member in json.loads(text)["members"]
    ]
    return sorted(found, key=lambda member: (member.name, member.identifier))


def add_health(members: t.Iterable[Member], health: str, status: str) -> None:
    """Complete ``members`` by what ``etcdctl endpoint health`` and ``endpoint status`` print as JSON."""
    healthy = {entry["endpoint"]: entry for entry in _entries(health)}
    statuses = {entry["Endpoint"]: entry["Status"] for entry in _entries(status)}
    for member in members:
        answer = next((healthy[url] for url in member.client_urls if url in healthy), None)
        state = next((statuses[url] for url in member.client_urls if url in statuses), None)
        # Learners answer no linearizable reads, so that etcdctl finds none of them healthy: theirs is to follow.
        member.healthy = bool(answer and answer.get("health")) or bool(member.learner and state)
        if not member.started:
            member.problem = "it was added, but has never started"
        elif not member.healthy:
            member.problem = str((answer or {}).get("error") or "it does not answer")
        if state is not None:
            member.version = state.get("version", "")
            member.size = int(state.get("dbSize", 0))
            member.leader = state.get("leader") == state["header"]["member_id"]
            member.alarms = sorted(set(_ALARM.findall(" ".join(state.get("errors") or []))))


def _entries(text: str) -> t.List[t.Dict[str, t.Any]]:
    """The list in the first line of JSON; etcdctl ends without one when nobody has answered."""
    line = next((line for line in text.splitlines() if line.startswith("[")), "[]")
    return list(json.loads(line))


def voters(members: t.Iterable[Member]) -> t.List[Member]:
    """The members that decide: all but learners."""
    return [member for member in members if not member.learner]


def quorum(members: t.Sequence[Member]) -> t.Dict[str, t.Any]:
    """How many have to be healthy, how many are, and how many more may fail."""
    deciding = voters(members)
    required = len(deciding) // 2 + 1
    healthy = sum(member.healthy for member in deciding)
    return {
        "members": len(deciding),
        "required": required,
        "healthy": healthy,
        "holds": bool(deciding) and healthy >= required,
        "may_fail": max(healthy - required, 0) if deciding else 0,
    }


def removal_problem(members: t.Sequence[Member], leaving: t.Sequence[Member]) -> str:
    """Why ``leaving`` must not be removed from ``members``; empty when nothing speaks against it."""
    gone = [member.identifier for member in leaving]
    deciding = [member for member in leaving if not member.learner]
    state = quorum(members)
    remaining = [member for member in members if member.identifier not in gone]
    if not voters(remaining):
        return "it is the last member: the cluster and all its objects would be gone."
    if not state["holds"]:
        return (
            f"only {state['healthy']} of {state['members']} members are healthy, and {state['required']} have to be"
            " before anything can be changed. Bring members back; when they are lost for good, restore from a backup."
        )
    # One at a time: etcd refuses to lose two by one step.
    if len(deciding) > 1:
        return f"{len(deciding)} members match; remove them one by one."
    after = quorum(remaining)
    if not after["holds"]:
        sick = ", ".join(member.name or member.identifier for member in voters(remaining) if not member.healthy)
        return (
            f"of the {after['members']} that remain {after['required']} have to be healthy, and {after['healthy']} are"
            f" ({sick} not), so etcd would lose its quorum and the API server stop. Bring those back first."
        )
    return ""


class Etcd:
    """The etcd that has a member on this machine."""

    def __init__(self, runner: Runner, pod: Pod, cri_socket: str) -> None:
        self.pod = pod
        self.tools = Tools(runner, pod.image, cri_socket)

    def options(self, endpoints: t.Sequence[str]) -> t.List[str]:
        """etcdctl's options for a connection with the certificates of this machine."""
        client = f"{PKI}/healthcheck-client"
        pair = (f"{client}.crt", f"{client}.key")
        if not all(os.path.exists(path) for path in pair):
            pair = (self.pod.flags.get("cert-file", ""), self.pod.flags.get("key-file", ""))
        return [
            f"--endpoints={','.join(endpoints)}",
            f"--cacert={self.pod.flags.get('trusted-ca-file', PKI + '/ca.crt')}",
            f"--cert={pair[0]}",
            f"--key={pair[1]}",
            "--dial-timeout=3s",
        ]

    def ctl(
        self,
        *words: str,
        endpoints: t.Sequence[str] = (),
        check: bool = True,
        writable: t.Sequence[str] = (),
        timeout: int = 10,
    ) -> CommandResult:
        """Run etcdctl, on this machine's own member when no ``endpoints`` are given.

        :param writable: folders that it may write to.
        :param timeout: seconds that one request may take.
        :raises CommandError: when ``check`` is set and it fails.
        """
        argv = ["etcdctl", *self.options(endpoints or [self.pod.endpoint]), f"--command-timeout={timeout}s", *words]
        mounts = {PKI: False, **dict.fromkeys(writable, True)}
        return self.tools.run(argv, mounts, check, f"etcdctl {' '.join(words[:2])} failed")

    def members(self) -> t.List[Member]:
        """The members and how they are.

        :raises SlipwayError: when the member on this machine does not answer.
        """
        listing = ["member", "list", "--write-out=json"]
        found = self.ctl(*listing, check=False)
        if found.rc != 0:
            # Without a quorum there is still what this member knows.
            found = self.ctl(*listing, "--consistency=s", check=False)
        if found.rc != 0:
            raise SlipwayError(
                f"The member of etcd on this host ({self.pod.endpoint}) does not answer: {found.stderr.strip()[-400:]}."
                " See what its static pod says (/var/log/pods/kube-system_etcd-*).",
                **found.as_return_values(),
            )
        members = parse_members(found.stdout)
        endpoints = [url for member in members for url in member.client_urls[:1]]
        if endpoints:
            answers = [
                self.ctl("endpoint", what, "--write-out=json", endpoints=endpoints, check=False).stdout
                for what in ("health", "status")
            ]
            add_health(members, *answers)
        return members


def describe(members: t.Sequence[Member]) -> str:
    """One line about the quorum."""
    state = quorum(members)
    sick = ", ".join(member.name or member.identifier for member in voters(members) if not member.healthy)
    if not state["holds"]:
        return f"no quorum: {state['healthy']} of {state['members']} members are healthy (not {sick})"
    told = f" (not {sick})" if sick else ""
    return f"{state['healthy']} of {state['members']} members are healthy{told}; {state['may_fail']} more may fail"
