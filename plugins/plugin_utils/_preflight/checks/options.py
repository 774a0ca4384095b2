# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Variables against the argument_specs of this collection's roles: unknown names, wrong types, wrong choices.

Private to this collection; runs on the controller.
"""

from __future__ import annotations

import difflib
import fnmatch
import functools
import typing as t

from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible_collections.slipway.kubernetes.plugins.module_utils._shown import url_shown
from ansible_collections.slipway.kubernetes.plugins.plugin_utils._preflight.kubespray import KUBESPRAY, is_kubespray
from ansible_collections.slipway.kubernetes.plugins.plugin_utils._preflight.report import (
    CLUSTER,
    Check,
    Hosts,
    Problem,
    first_of,
)
from ansible_collections.slipway.kubernetes.plugins.plugin_utils._preflight.variables import Catalogue, Option

#: The groups that playbooks of this collection know.
GROUPS = ("kube_control_plane", "kube_node")
#: Lists that roles hand to modules as they are, which read `a,b` as a list, too; elsewhere a text is a list of letters.
TEXT_LISTS = frozenset(
    {
        "certificates_kubeconfig_users",
        "certificates_renew_names",
        "container_runtime_repository_key_fingerprints",
        "etcd_backup_age_recipients",
        "kube_packages_repository_key_fingerprints",
        "kubeconfig_users",
        "node_prep_kernel_modules",
        "node_reset_files",
        "node_reset_users",
        "upgrade_ignore_preflight_errors",
    }
)


def _help(option: Option) -> str:
    return f"See `ansible-doc --type role slipway.kubernetes.{option.role}`."


def _suggestion(word: t.Any, candidates: t.Iterable[str]) -> str:
    """``Did you mean X? `` when one of ``candidates`` is close to ``word``."""
    close = difflib.get_close_matches(str(word), [str(candidate) for candidate in candidates], n=1, cutoff=0.6)
    return f"Did you mean {close[0]}? " if close else ""


def check_group_names(groups: t.Mapping[str, t.Sequence[str]], names: t.Collection[str]) -> t.Iterable[Problem]:
    """Groups whose names are almost those of ours: the machines in them would be left out without a word.

    :param groups: all groups of the inventory with their hosts.
    :param names: the hosts that the run is about.
    """
    if not set(groups.get(GROUPS[0], ())) & set(names):
        return  # somebody else's playbook, with groups of its own
    for group, members in groups.items():
        lost = [name for name in members if name not in names]
        close = difflib.get_close_matches(group.lower().replace("-", "_"), GROUPS, n=1, cutoff=0.85)
        # kube_node_spare and kube_node2 are other groups, meant as such; kube_nodes is not.
        is_own = bool(close) and group.startswith(close[0]) and group[len(close[0]) :] not in ("", "s")
        if close and lost and not is_own and group not in GROUPS:
            yield Problem(
                CLUSTER,
                f"group {group}",
                f"is no group of this collection, and {first_of(lost)} in it would be left out.",
                f"Did you mean {close[0]}? Rename it.",
            )


def check_unknown_variables(hosts: Hosts, catalogue: Catalogue) -> t.Iterable[Problem]:
    """Names that begin like ours but that no role knows: mostly typing errors, which would be ignored silently."""
    # An inventory of Kubespray has one finding for all of its variables.
    known = KUBESPRAY.keys() if is_kubespray(hosts) else set()
    for host in hosts:
        ignored = [str(pattern) for pattern in host.sequence("preflight_ignore_variables")]
        for name in sorted(host.given):
            if name in catalogue.options or not catalogue.is_ours(name) or name in known:
                continue
            if any(fnmatch.fnmatchcase(name, pattern) for pattern in ignored):
                continue
            yield host.problem(
                name,
                "is not a variable of any role of slipway.kubernetes.",
                f"{_suggestion(name, catalogue.options)}If it is yours, add it to preflight_ignore_variables.",
            )


def check_broken_variables(hosts: Hosts) -> t.Iterable[Problem]:
    """Variables whose template cannot be rendered."""
    for host in hosts:
        for name, reason in sorted(host.broken.items()):
            yield host.problem(name, f"cannot be templated: {reason.rstrip('.')}.", "Correct its value.")


def _misread(name: str, value: t.Any, spec: t.Mapping[str, t.Any]) -> str:
    """What Ansible's validation lets pass, or converts for itself, though roles see the variable as it was written."""
    if value is None and spec.get("default", "") is not None:
        return "has no value (null). Give it one, or leave the variable out to have its default."
    wanted = {"list": "list", "dict": "dictionary"}.get(spec.get("type", "str"))
    if wanted and isinstance(value, str) and name not in TEXT_LISTS:
        return f"is a text instead of a {wanted}. Write it as YAML; with -e as JSON: -e '{{\"{name}\": ...}}'."
    return ""


def _explain(name: str, value: t.Any, option: Option) -> t.Optional[str]:
    """What is wrong with the value of a variable; ``None`` when it is right."""
    spec = option.spec
    misread = _misread(name, value, spec)
    if misread:
        return misread
    errors = ArgumentSpecValidator({name: spec}).validate({name: value}).error_messages
    if not errors:
        # Roles use what is written; a text of several lines may end with one.
        is_line = spec.get("type") == "str" and not spec.get("no_log") and len(str(value).strip().splitlines()) <= 1
        blank = is_line and str(value) != str(value).strip()
        return f"'{value}' has blanks at its ends. Leave them out." if blank else None
    if spec.get("no_log"):
        return f"has a wrong type or value (not shown, it is secret). {_help(option)}"
    choices = spec.get("choices")
    if choices and not isinstance(value, (list, dict)):
        listed = ", ".join(str(choice) for choice in choices)
        text = url_shown(value) if "@" in str(value) else value
        return f"{text!s} is none of {listed}. {_suggestion(value, choices)}{_help(option)}"
    # Ansible says some things twice, once with the option's name around it.
    told = [error for error in dict.fromkeys(errors) if not any(error != other and error in other for other in errors)]
    return f"{'; '.join(error.rstrip('.') for error in told)}. {_help(option)}"


def check_types(hosts: Hosts, catalogue: Catalogue) -> t.Iterable[Problem]:
    """Types, choices and sub-options of every documented variable that somebody set."""
    for host in hosts:
        for name in sorted(host.given & catalogue.options.keys() - host.broken.keys()):
            wrong = _explain(name, host.variables[name], catalogue.options[name])
            if wrong:
                yield host.problem(name, wrong, "")


def checks(catalogue: Catalogue) -> t.List[Check]:
    """The checks of this file, with what the collection documents."""
    return [
        functools.partial(check_unknown_variables, catalogue=catalogue),
        check_broken_variables,
        functools.partial(check_types, catalogue=catalogue),
    ]
