# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What preflight knows about hosts, what it says about them, and how the report reads.

Private to this collection; runs on the controller. The checks themselves are in ``checks``:
functions that take all hosts and yield a Problem for each thing that is wrong.
"""

from __future__ import annotations

import dataclasses
import typing as t

from ansible_collections.slipway.kubernetes.plugins.module_utils._settings import Settings
from ansible_collections.slipway.kubernetes.plugins.module_utils._shown import shown, without_credentials

ERROR = "error"
WARNING = "warning"

#: Stands for the cluster as a whole where a problem is of no single host.
CLUSTER = ""


@dataclasses.dataclass(frozen=True)
class Problem:
    """One thing that is wrong with one host.

    :param host: inventory name, or :data:`CLUSTER`.
    :param subject: the variable or the fact that it is about.
    :param message: what is wrong, a sentence that goes on after the subject.
    :param remedy: how to mend it, a sentence or more.
    """

    host: str
    subject: str
    message: str
    remedy: str
    severity: str = ERROR


def first_of(names: t.Sequence[str], most: int = 6) -> str:
    """Names; of many the first ones, and how many more there are."""
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")


def conjoined(names: t.Iterable[str]) -> str:
    """Names in their order, with ``and`` between them."""
    return " and ".join(sorted(names))


@dataclasses.dataclass(frozen=True)
class Failure:
    """Why nothing could be learnt about a host."""

    subject: str
    message: str
    remedy: str


@dataclasses.dataclass(frozen=True)
class Host(Settings):
    """A host as preflight sees it.

    :param variables: effective values, defaults of all roles included.
    :param given: names of the variables that somebody set, that is whose value is not the role's default.
    :param broken: variables that could not be templated, with the reason.
    :param of_play: of those that others read in ``hostvars``, the ones that are not found there, since they stand on
        the play.
    :param facts: what node_facts returned; ``None`` when nothing is known.
    :param failure: why there are no facts; ``None`` also when the host was left out of this run.
    :param source_failure: why the package repository does not offer what is asked for; empty when it does.
    :param clock: how many seconds its clock is ahead of the controller's, at least and at most.
    :param sources: what source_probe cannot get, and from where.
    :param peers: what peer_probe found.
    """

    name: str
    control_plane: bool = False
    worker: bool = False
    variables: t.Mapping[str, t.Any] = dataclasses.field(default_factory=dict)
    given: t.FrozenSet[str] = frozenset()
    broken: t.Mapping[str, str] = dataclasses.field(default_factory=dict)
    of_play: t.FrozenSet[str] = frozenset()
    facts: t.Optional[t.Mapping[str, t.Any]] = None
    failure: t.Optional[Failure] = None
    source_failure: str = ""
    clock: t.Optional[t.Sequence[float]] = None
    sources: t.Sequence[t.Mapping[str, t.Any]] = ()
    peers: t.Mapping[str, t.Any] = dataclasses.field(default_factory=dict)

    @property
    def joined(self) -> bool:
        """Whether it already is a node of a cluster."""
        kubernetes = (self.facts or {}).get("kubernetes", {})
        return bool(kubernetes.get("joined") or kubernetes.get("control_plane"))

    def problem(self, subject: str, message: str, remedy: str, severity: str = ERROR) -> Problem:
        """A problem of this host."""
        return Problem(self.name, subject, message, remedy, severity)


Hosts = t.Sequence[Host]
Check = t.Callable[[Hosts], t.Iterable[Problem]]


@dataclasses.dataclass(frozen=True)
class Finding:
    """A problem together with all hosts that have it."""

    hosts: t.Tuple[str, ...]
    subject: str
    message: str
    remedy: str
    severity: str

    def where(self, everyone: t.Collection[str]) -> str:
        """Who has it, for people: a host, some hosts, all hosts, or the cluster."""
        if self.hosts == (CLUSTER,):
            return "cluster"
        if len(self.hosts) > 2 and set(self.hosts) == set(everyone):
            return "all hosts"
        return ", ".join(self.hosts)

    def line(self, everyone: t.Collection[str]) -> str:
        """The problem as one line of the report."""
        return f"{self.where(everyone)}: {self.subject}: {self.message} {self.remedy}".rstrip()

    def as_dict(self) -> t.Dict[str, t.Any]:
        """The problem as a return value."""
        return {
            "hosts": [host for host in self.hosts if host != CLUSTER],
            "subject": self.subject,
            "message": self.message,
            "remedy": self.remedy,
        }


#: What Python makes of facts that are of another form than ours.
_SENSELESS = (AttributeError, IndexError, KeyError, TypeError, ValueError)


def run_checks(checks: t.Iterable[Check], hosts: Hosts) -> t.List[Problem]:
    """All problems that ``checks`` find. A machine that says of itself what makes no sense is one of them."""
    return [problem for check in checks for problem in _found(check, hosts)]


def _found(check: Check, hosts: Hosts) -> t.List[Problem]:
    try:
        return list(check(hosts))
    except _SENSELESS:
        odd = [host for host in hosts if _is_senseless(check, host)]
        if not odd:
            raise
    said = "says of itself what makes no sense, so that it cannot be checked."
    remedy = "Look who has been on this machine, or leave it out with --limit."
    others = [host for host in hosts if host not in odd]
    return [*(host.problem("facts", said, remedy) for host in odd), *_found(check, others)]


def _is_senseless(check: Check, host: Host) -> bool:
    """Whether the check breaks on this host alone."""
    try:
        list(check([host]))
    except _SENSELESS:
        return True
    return False


def merge(problems: t.Iterable[Problem], order: t.Sequence[str]) -> t.List[Finding]:
    """Put the same problem of several hosts together and sort: the cluster's first, then by host in ``order``.

    This is where all that is reported comes by. Machines said a part of it, and people wrote passwords into variables:
    what a terminal would obey, and credentials in URLs, are taken out.
    """
    places = {name: place for place, name in enumerate([CLUSTER, *order])}
    found: t.Dict[t.Tuple[str, ...], t.Dict[str, None]] = {}
    for problem in problems:
        texts = (problem.subject, problem.message, problem.remedy)
        key = (*(shown(without_credentials(text)) for text in texts), problem.severity)
        found.setdefault(key, {})[problem.host] = None
    findings = [
        Finding(tuple(sorted(hosts, key=lambda host: places.get(host, len(places)))), *key)
        for key, hosts in found.items()
    ]
    return sorted(findings, key=lambda finding: places.get(finding.hosts[0], len(places)))


def counted(number: int, noun: str) -> str:
    """``1 host``, ``2 hosts``."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def render(findings: t.Sequence[Finding], everyone: t.Collection[str]) -> str:
    """The report that a person reads: a header and one line a problem."""
    affected = {host for finding in findings for host in finding.hosts if host != CLUSTER}
    on_hosts = f" on {counted(len(affected), 'host')}" if affected else ""
    header = f"Preflight found {counted(len(findings), 'problem')}{on_hosts}; nothing was changed."
    return "\n".join([header, *(f"- {finding.line(everyone)}" for finding in findings)])
