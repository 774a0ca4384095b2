# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Checks on lists of addons: what an entry lacks, what it names on the controller, what stands there twice.

A pod network may come from a list of its own, whose entries are the same. The charts of roles have their versions
checked, too.

Where an entry comes from besides the controller is computed by :func:`_addons.downloads`.

Private to this collection; runs on the controller.
"""

from __future__ import annotations

import re
import typing as t

import yaml
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible_collections.slipway.kubernetes.plugins.module_utils._command import SlipwayError
from ansible_collections.slipway.kubernetes.plugins.module_utils._kube import kube_objects as kube
from ansible_collections.slipway.kubernetes.plugins.module_utils._kube.addons import (
    ENTRY_OPTIONS,
    KEPT_KINDS,
    NAME,
    OF_CHARTS,
    SOURCES,
    kind_of,
)
from ansible_collections.slipway.kubernetes.plugins.module_utils._shown import url_shown
from ansible_collections.slipway.kubernetes.plugins.module_utils._urls import is_web
from ansible_collections.slipway.kubernetes.plugins.plugin_utils import _addons, _controller_files
from ansible_collections.slipway.kubernetes.plugins.plugin_utils._preflight.inventory import (
    DNS_LABEL,
    bad_key,
    bad_value,
)
from ansible_collections.slipway.kubernetes.plugins.plugin_utils._preflight.report import CLUSTER, Host, Hosts, Problem
from ansible_collections.slipway.kubernetes.plugins.plugin_utils._preflight.sources import DESCRIBED, charts, lists

CHECKSUM = re.compile(r"sha256:([0-9a-fA-F]{64}|https?://\S+)")
VERSION = re.compile(r"v?[0-9]+\.[0-9]+\.[0-9]+([-+][-+.0-9A-Za-z]+)?")
#: What each condition needs besides its type.
CONDITION_NEEDS = {
    "apiservice": ("names",),
    "crd": ("names",),
    "load_balancer": ("namespace", "names"),
    "pods_ready": ("namespace", "selector"),
    "rollout": ("kind", "namespace", "names"),
}

#: What is wrong with an entry, and how to mend it.
Complaint = t.Tuple[str, str]


def variables(hosts: Hosts) -> t.List[str]:
    """The variables that have such a list."""
    return list(dict.fromkeys(name for host in hosts for name in lists(host)))


def entries(host: Host, variable: str) -> t.List[t.Mapping[str, t.Any]]:
    """The entries of a host's list; those of a wrong type are reported elsewhere."""
    return [entry for entry in host.sequence(variable) if isinstance(entry, dict) and entry.get("name")]


def with_addons(hosts: Hosts, variable: str) -> t.Iterator[t.Tuple[str, Host]]:
    """The control planes whose lists differ, with the name that stands in the report: any of them may apply it."""
    seen: t.List[t.Any] = []
    control_planes = [host for host in hosts if host.control_plane and variable not in host.broken]
    for host in control_planes:
        if entries(host, variable) and host.sequence(variable) not in seen:
            seen.append(host.sequence(variable))
            same = all(other.sequence(variable) == host.sequence(variable) for other in control_planes)
            yield (CLUSTER if same else host.name), host


def check_same_addons(hosts: Hosts) -> t.Iterable[Problem]:
    """One list for the cluster: the next run may be served by another control plane, and would remove the others."""
    for variable in variables(hosts):
        listed = [host.sequence(variable) for host in hosts if host.control_plane and variable not in host.broken]
        if any(other != listed[0] for other in listed[1:]):
            yield Problem(
                CLUSTER,
                variable,
                "differs between control planes, each of which may be the one that applies it.",
                "Set it once, for the group of all hosts of the cluster.",
            )


def check_addons(hosts: Hosts) -> t.Iterable[Problem]:
    """The entries of the lists."""
    for variable in variables(hosts):
        for where, host in with_addons(hosts, variable):
            for message, remedy in _of_the_list(host, variable):
                yield Problem(where, variable, message, remedy)


def check_options(hosts: Hosts) -> t.Iterable[Problem]:
    """Keys and types of entries of those lists whose role leaves them to the one that has described them."""
    for host in (host for host in hosts if host.control_plane):
        for variable in (name for name in lists(host) if name != DESCRIBED):
            for number, entry in enumerate(host.sequence(variable), start=1):
                given = _addons.plain(entry) if isinstance(entry, dict) else {}
                errors = ArgumentSpecValidator(ENTRY_OPTIONS).validate(given).error_messages
                if errors:
                    message = f"{given.get('name') or f'entry {number}'}: {'; '.join(errors).rstrip('.')}."
                    yield host.problem(variable, message, f"Entries have the keys of {DESCRIBED}.")


def _of_the_list(host: Host, variable: str) -> t.Iterator[Complaint]:
    listed = entries(host, variable)
    names = [str(entry["name"]) for entry in listed]
    for name in sorted({name for name in names if names.count(name) > 1}):
        yield f"{name} stands in the list twice.", "Rename one of them, or remove it."
    yield from (*_of_namespaces(listed), *_of_objects(listed), *_of_releases(host, listed))
    for entry in listed:
        for message, remedy in _complaints(entry, host.text("inventory_dir")):
            yield f"{entry['name']}: {message}", remedy


def check_chart_versions(hosts: Hosts) -> t.Iterable[Problem]:
    """The versions of the charts of roles."""
    for host in (host for host in hosts if host.control_plane):
        for chart in charts(host):
            variable = f"{chart.prefix}_chart_version"
            known = variable in host.variables and variable not in host.broken
            if known and not VERSION.fullmatch(host.text(variable)):
                yield host.problem(variable, *_inexact(host.text(variable) or "(empty)"))


def _inexact(version: t.Any) -> Complaint:
    """Helm would take it for any of several versions, or YAML has read a number."""
    return f"{version} is no exact version of a chart.", 'Write it in full and in quotes, such as "1.2.3".'


def _labels(entry: t.Mapping[str, t.Any]) -> t.Mapping[str, str]:
    """The labels of the namespace as they are written.

    :raises SlipwayError: when one cannot be.
    """
    labels = entry.get("namespace_labels")
    texts = kube.as_values(_addons.plain(labels) if isinstance(labels, dict) else {}, "namespace_labels") or {}
    return {key: text or "" for key, text in texts.items()}


def _of_namespaces(listed: t.Sequence[t.Mapping[str, t.Any]]) -> t.Iterator[Complaint]:
    """Labels of a namespace that entries want otherwise: each run would change them, and change them back."""
    first: t.Dict[t.Tuple[str, str], t.Tuple[str, str]] = {}
    for entry in listed:
        try:
            labels = _labels(entry)
        except SlipwayError:
            continue  # reported with the entry
        for key, value in labels.items():
            place = (str(entry.get("namespace") or "default"), key)
            other, wanted = first.setdefault(place, (str(entry["name"]), value))
            if wanted != value:
                yield (
                    f"{entry['name']} and {other} give the namespace {place[0]} the label {key} with other values,"
                    f" {value} and {wanted}.",
                    "Give it in one of them.",
                )


def _of_objects(listed: t.Sequence[t.Mapping[str, t.Any]]) -> t.Iterator[Complaint]:
    """Objects that two entries define: each run would take them from one, and give them to the other."""
    first: t.Dict[kube.Reference, str] = {}
    for entry in listed:
        given = _addons.plain(entry.get("definition"))
        try:
            documents = yaml.safe_load_all(given) if isinstance(given, str) else given
            objects = kube.expand([documents] if isinstance(documents, dict) else documents or [], "definition")
            places = {kube.reference(item, str(entry.get("namespace") or "default")) for item in objects}
        except (yaml.YAMLError, SlipwayError, TypeError, ValueError):
            continue  # for the API server to say
        for place in sorted(places):
            other = first.setdefault(place, str(entry["name"]))
            if other != entry["name"] and place.kind not in KEPT_KINDS:
                yield f"{entry['name']} and {other} both have the object {place}.", "Leave it to one of them."


def _of_releases(host: Host, listed: t.Sequence[t.Mapping[str, t.Any]]) -> t.Iterator[Complaint]:
    """Releases that a role of ours installs with other values: each run would upgrade them twice."""
    taken = {(chart.namespace, chart.release): chart.prefix for chart in charts(host)}
    for entry in listed:
        place = (str(entry.get("namespace")), str(entry["name"]))
        if entry.get("chart") and place in taken:
            yield (
                f"{entry['name']}: the release {'/'.join(place)} is that of {taken[place]}_chart.",
                f"Rename it, set {taken[place]}_values, or switch that one off.",
            )


def _complaints(entry: t.Mapping[str, t.Any], inventory_dir: str) -> t.Iterator[Complaint]:
    if not NAME.fullmatch(str(entry["name"])):
        yield "the name is no DNS label of at most 40 characters.", "Use lowercase letters, digits and inner dashes."
    try:
        kind = kind_of(entry)
    except ValueError as error:
        yield f"{error}.", f"Give it exactly one of {', '.join(SOURCES)}."
        return
    yield from _of_a_namespace(entry)
    yield from _of_a_chart(entry) if kind == "chart" else _of_manifests(entry, kind)
    for path, folder in _addons.local_paths(entry, inventory_dir):
        reason = _controller_files.unreadable(path, folder)
        if reason:
            yield (
                f"{path} {reason}.",
                "Correct the path; a relative one begins at the folder of the inventory.",
            )
        elif kind == "chart":
            yield from _of_a_local_chart(entry, path)
    yield from _of_conditions(entry)


def _of_a_namespace(entry: t.Mapping[str, t.Any]) -> t.Iterator[Complaint]:
    namespace = str(entry.get("namespace") or "")
    if namespace and not DNS_LABEL.fullmatch(namespace):
        yield (
            f"the namespace {namespace} is no DNS label.",
            "Use at most 63 lowercase letters, digits and inner dashes.",
        )
    try:
        labels = _labels(entry)
    except SlipwayError as error:
        yield error.msg, "Put it in quotes."
        return
    for key, value in labels.items():
        if bad_key(key) or bad_value(value):
            yield (
                f"{key}={value} is not a valid label of a namespace.",
                "At most 63 letters, digits, dashes, dots, underscores; a key may have a DNS name and a slash ahead.",
            )


def _of_a_chart(entry: t.Mapping[str, t.Any]) -> t.Iterator[Complaint]:
    if not entry.get("namespace"):
        yield "a chart needs a namespace.", "Add namespace."
    if not _addons.is_local_chart(entry) and not entry.get("version"):
        yield (
            f"{entry['chart']} has no version, and would be another chart each day.",
            'Add the exact version of the chart in quotes, such as version: "1.2.3".',
        )
    elif not _addons.is_local_chart(entry) and not VERSION.fullmatch(str(entry["version"])):
        yield _inexact(entry["version"])
    chart, repository = str(entry["chart"]), str(entry.get("repository") or "")
    if chart.startswith(("oci://", "http://", "https://")) and not is_web(f"https://{chart.partition('://')[2]}"):
        yield f"{url_shown(chart)} is malformed.", "Write it as oci://host/path or https://host/path."
    if repository and not is_web(repository):
        yield f"{url_shown(repository)} is no http:// or https:// address of a chart repository.", "Correct repository."
    if repository and "://" in str(entry["chart"]):
        yield (
            f"{entry['chart']} is no name of a chart in {url_shown(repository)}.",
            "Leave out repository, or give the name only.",
        )


def _of_a_local_chart(entry: t.Mapping[str, t.Any], path: str) -> t.Iterator[Complaint]:
    try:
        chart = _addons.read_chart(path)
    except ValueError as error:
        yield str(error), "Give a folder with a Chart.yaml, or what `helm package` makes of it."
        return
    if entry.get("version") not in (None, "", chart.version):
        yield (
            f"{path} has the version {chart.version}, and not {entry['version']}.",
            "Leave out version: a chart on the controller has its own.",
        )


def _of_manifests(entry: t.Mapping[str, t.Any], kind: str) -> t.Iterator[Complaint]:
    for name in OF_CHARTS:
        if entry.get(name):
            yield f"{name} is for charts, and this entry has {kind}.", "Leave it out."
    if kind != "url":
        if entry.get("checksum"):
            yield f"checksum is for url, and this entry has {kind}.", "Leave it out."
        return
    if not is_web(str(entry["url"])):
        yield (
            f"{url_shown(entry['url'])} is no http:// or https:// address.",
            "Correct url; files on the controller are files.",
        )
    if not CHECKSUM.fullmatch(str(entry.get("checksum") or "")):
        yield (
            "what is downloaded is not verified: it has no checksum of the form sha256:DIGITS.",
            "Add what `sha256sum` prints for the file, or sha256: and the address of a file with checksums.",
        )


def _of_conditions(entry: t.Mapping[str, t.Any]) -> t.Iterator[Complaint]:
    conditions = entry.get("ready_when")
    for condition in conditions if isinstance(conditions, list) else []:
        if not isinstance(condition, dict):
            continue
        kind = str(condition.get("type"))
        lacking = [key for key in CONDITION_NEEDS.get(kind, ()) if not condition.get(key)]
        if lacking:
            yield f"the condition {kind} of ready_when lacks {' and '.join(lacking)}.", "See ansible-doc kube_wait."


CHECKS: t.Tuple[t.Callable[[Hosts], t.Iterable[Problem]], ...] = (
    check_same_addons,
    check_addons,
    check_options,
    check_chart_versions,
)
