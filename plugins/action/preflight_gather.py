# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Look at a host for preflight. What goes wrong is kept for the report instead of failing here."""

from __future__ import annotations

import re
import time
import typing as t

from ansible.errors import AnsibleConnectionFailure, AnsibleError
from ansible.module_utils.parsing.convert_bool import boolean
from ansible.plugins.action import ActionBase
from ansible_collections.slipway.kubernetes.plugins.module_utils import _pod_networks
from ansible_collections.slipway.kubernetes.plugins.module_utils._machine.surroundings import known_modules
from ansible_collections.slipway.kubernetes.plugins.module_utils._runtimes import chosen
from ansible_collections.slipway.kubernetes.plugins.module_utils._settings import Settings
from ansible_collections.slipway.kubernetes.plugins.plugin_utils import _machines
from ansible_collections.slipway.kubernetes.plugins.plugin_utils._platforms import platform_name
from ansible_collections.slipway.kubernetes.plugins.plugin_utils._preflight import sources
from ansible_collections.slipway.kubernetes.plugins.plugin_utils._preflight.addresses import parse_endpoint
from ansible_collections.slipway.kubernetes.plugins.plugin_utils._preflight.failures import explain, reason
from ansible_collections.slipway.kubernetes.plugins.plugin_utils._preflight.inventory import parse_version
from ansible_collections.slipway.kubernetes.plugins.plugin_utils._preflight.variables import Variables, collection_roles

#: Packages whose presence in the asked version makes a look at the repository needless.
VERSION_FACTS = ("kubeadm_version", "kubelet_version")


class ActionModule(ActionBase):
    """Runs node_facts, and asks the sources of what is still to be installed: package_source and source_probe."""

    TRANSFERS_FILES = False
    _VALID_ARGS: t.FrozenSet[str] = frozenset()

    def run(self, tmp: t.Any = None, task_vars: t.Optional[t.Dict[str, t.Any]] = None) -> t.Dict[str, t.Any]:
        """Returns ansible_facts: slipway_node (when it could be had) and slipway_preflight, what went wrong."""
        task_vars = task_vars or {}
        super().run(tmp, task_vars)
        known: t.Dict[str, t.Any] = {"failure": None, "source_failure": "", "sources": []}
        facts = {"slipway_preflight": known}
        asked = time.time()
        looked = self._look("slipway.kubernetes.node_facts", self._names(task_vars), task_vars)
        answered = time.time()
        failure = explain(looked)
        if failure:
            known["failure"] = [failure.subject, failure.message, failure.remedy]
        else:
            facts["slipway_node"] = looked["ansible_facts"]["slipway_node"]
            seen = facts["slipway_node"].get("time")
            # The look was between the two moments: that is all that is known, and on a slow connection not much.
            known["clock"] = None if seen is None else [seen - answered, seen - asked]
            known["source_failure"] = self._source_failure(facts["slipway_node"], task_vars)
            known["sources"] = self._sources(facts["slipway_node"], task_vars)
        return {"changed": False, "ansible_facts": facts}

    def _look(self, module: str, arguments: t.Dict[str, t.Any], task_vars: t.Dict[str, t.Any]) -> t.Dict[str, t.Any]:
        """The result of a module that changes nothing; also when it could not be run at all."""
        try:
            return self._execute_module(module_name=module, module_args=arguments, task_vars=task_vars)
        except AnsibleConnectionFailure as error:
            return {"unreachable": True, "msg": str(error)}
        except AnsibleError as error:
            return {"failed": True, "msg": str(error)}

    def _names(self, task_vars: t.Dict[str, t.Any]) -> t.Dict[str, t.Any]:
        """The arguments of node_facts: names that the machine is to resolve, modules, and users that it is to know.

        The endpoint's name, when it has one, and those that node_prep will write where the machine does not know them.
        """
        variables = Variables(self._templar, collection_roles(), task_vars)
        place = parse_endpoint(str(variables.get("cluster_endpoint") or ""))
        named = place and re.search("[a-z]", place[0]) and ":" not in place[0]
        given = variables.get("kubeconfig_users")
        is_control_plane = task_vars.get("inventory_hostname") in (variables.get("cluster_control_plane_hosts") or [])
        users = given.split(",") if isinstance(given, str) else given if isinstance(given, list) else []
        names = dict.fromkeys([*([place[0]] if place and named else []), *self._entries(variables)])
        settings = Settings(variables)
        of_runtime = f"container_runtime_{settings.text('container_runtime_provider')}_users"
        users = [*(users if is_control_plane else []), *settings.sequence(of_runtime)]
        users = [name for name in dict.fromkeys(map(str, users)) if name != "root"]
        network, known = _pod_networks.chosen(settings), known_modules()
        given = [*map(str, settings.sequence("node_prep_kernel_modules")), *sorted(network.modules(settings))]
        modules = [name for name in dict.fromkeys(given) if name not in known]
        interfaces = network.leftovers(settings).get("interfaces", [])
        asked = {"resolve": list(names), "users": users, "modules": modules, "pod_interfaces": interfaces}
        return {option: values for option, values in asked.items() if values}

    @staticmethod
    def _entries(variables: t.Mapping[str, t.Any]) -> t.List[str]:
        """The names that node_prep will write into /etc/hosts."""
        given = variables.get("node_prep_hosts_entries")
        return list(_machines.entry_addresses(given if isinstance(given, list) else []))

    @staticmethod
    def _is_known(node: t.Mapping[str, t.Any], variables: t.Mapping[str, t.Any]) -> bool:
        """Whether roles have packages for the machine's distribution."""
        platforms = variables.get("__kube_packages_platforms") or {}
        return platform_name(platforms, node["os"]) in platforms

    def _is_unknown(self, source: t.Any, node: t.Mapping[str, t.Any], variables: t.Mapping[str, t.Any]) -> bool:
        """Whether a source is at a name that the machine will know by /etc/hosts only, and does not yet."""
        known = node.get("surroundings", {}).get("names") or {}
        late = [name.lower() for name in self._entries(variables) if name in known and not known[name]]
        return bool(late) and sources.asks_one_of(source, late)

    def _sources(self, node: t.Dict[str, t.Any], task_vars: t.Dict[str, t.Any]) -> t.List[t.Dict[str, t.Any]]:
        """What the host has to fetch and cannot; nothing is asked when there is nothing to fetch."""
        variables = Variables(self._templar, collection_roles(), {**task_vars, "cluster_node": node})
        if not boolean(variables.get("preflight_sources", True), strict=False):
            return []
        # A version that is malformed, or a family without packages, is reported as that.
        if not self._is_known(node, variables):
            return []
        if parse_version(str(variables.get("cluster_version"))) is None:
            return []
        found: t.List[t.Dict[str, t.Any]] = []
        wanted = sources.sources(variables, node, str(task_vars.get("inventory_hostname")))
        wanted = [source for source in wanted if not self._is_unknown(source, node, variables)]
        repository = sources.runtime_repository(variables, node)
        service = chosen(str(variables.get("container_runtime_provider"))).service
        # What cannot be templated is reported by the checks on variables.
        if wanted:
            looked = self._look("slipway.kubernetes.source_probe", {"sources": wanted, "runtime": service}, task_vars)
            found += looked.get("failures", [])
            if explain(looked):
                found.append({"subject": "preflight_sources", "message": reason(looked), "severity": "error"})
        if repository and not self._is_unknown(repository, node, variables):
            looked = self._look("slipway.kubernetes.package_source", repository, task_vars)
            if explain(looked):
                found.append({"subject": "container_runtime_repository", "message": reason(looked)})
        return found

    def _source_failure(self, node: t.Dict[str, t.Any], task_vars: t.Dict[str, t.Any]) -> str:
        """Why the package repository has not what kube_packages will install; empty when it has or need not."""
        variables = Variables(self._templar, collection_roles(), {**task_vars, "cluster_node": node})
        asked = str(variables.get("kube_packages_version"))
        installed = {node["kubernetes"][fact] for fact in VERSION_FACTS}
        url = variables.get("kube_packages_repository_url")
        # A version that is malformed, or a family without packages, is reported as that. Releases are asked for by
        # source_probe.
        if parse_version(asked) is None or variables.get("kube_packages_source") == "release":
            return ""
        if installed == {asked} and not sources.has_other_source(node, url):
            return ""
        if not self._is_known(node, variables):
            return ""
        arguments = {
            "name": "kubernetes",
            "url": url,
            "key": variables.get("kube_packages_repository_key"),
            "key_fingerprints": variables.get("kube_packages_repository_key_fingerprints"),
            "packages": dict.fromkeys(variables.get("kube_packages_names") or [], asked),
        }
        if variables.broken:
            return "; ".join(f"{name}: {reason}" for name, reason in variables.broken.items())
        if self._is_unknown(arguments, node, variables):
            return ""
        looked = self._look("slipway.kubernetes.package_source", arguments, task_vars)
        return reason(looked) if explain(looked) else ""
