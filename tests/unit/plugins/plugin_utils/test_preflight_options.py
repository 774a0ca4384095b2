# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Variables against argument_specs."""

from __future__ import annotations

import pathlib
import re
import typing as t

import pytest
from ansible_collections.slipway.kubernetes.plugins.plugin_utils._preflight.checks import options
from ansible_collections.slipway.kubernetes.plugins.plugin_utils._preflight.report import Host
from ansible_collections.slipway.kubernetes.plugins.plugin_utils._preflight.sources import ADDONS
from ansible_collections.slipway.kubernetes.plugins.plugin_utils._preflight.variables import Catalogue, read_catalogue

SPECS = """
argument_specs:
  main:
    options:
      cluster_cni: {type: str, choices: [flannel, none], default: flannel}
      cluster_mirrors: {type: dict, default: {}}
      cluster_timeout: {type: int, default: 30}
      cluster_hold: {type: bool, default: null}
      cluster_names: {type: list, elements: str}
      cluster_secret: {type: int, no_log: true}
      cluster_taints:
        type: list
        elements: dict
        options:
          effect: {type: str, choices: [NoSchedule, NoExecute], required: true}
  other:
"""


@pytest.fixture
def catalogue(tmp_path: pathlib.Path) -> Catalogue:
    cluster = tmp_path / "cluster"
    (cluster / "meta").mkdir(parents=True)
    (cluster / "defaults").mkdir()
    (cluster / "vars").mkdir()
    (cluster / "meta" / "argument_specs.yml").write_text(SPECS.replace("  other:\n", "  other: {}\n"))
    (cluster / "defaults" / "main.yml").write_text("cluster_cni: flannel\ncluster_timeout: 30\n")
    (cluster / "vars" / "main.yml").write_text("__cluster_table: {a: 1}\n")
    cni = tmp_path / "cni"
    (cni / "meta").mkdir(parents=True)
    (cni / "meta" / "argument_specs.yml").write_text(
        "argument_specs: {main: {options: {cni_mtu: {type: int}, cni_file: {type: str}, cluster_cni: {type: bool}}}}"
    )
    (tmp_path / "unfinished").mkdir()
    return read_catalogue(tmp_path)


def said(catalogue: Catalogue, broken: t.Optional[t.Dict[str, str]] = None, **given: t.Any) -> str:
    host = Host("cp1", variables=given, given=frozenset(given), broken=broken or {})
    problems = [
        *options.check_unknown_variables([host], catalogue),
        *options.check_broken_variables([host]),
        *options.check_types([host], catalogue),
    ]
    return "\n".join(f"{problem.subject}: {problem.message} {problem.remedy}".rstrip() for problem in problems)


def test_read_catalogue(catalogue: Catalogue) -> None:
    assert catalogue.prefixes == ("cluster_", "cni_")
    assert catalogue.base == {"cluster_cni": "flannel", "cluster_timeout": 30, "__cluster_table": {"a": 1}}
    # The role that a variable belongs to says what it is.
    assert catalogue.options["cluster_cni"].role == "cluster"
    assert catalogue.options["cni_mtu"].role == "cni"


def test_the_collections_own_roles_can_be_read() -> None:
    roles = pathlib.Path(options.__file__).resolve().parents[4] / "roles"
    catalogue = read_catalogue(roles)
    assert {"cluster_version", "preflight_supported_os"} <= catalogue.options.keys()
    undocumented = {name for name in catalogue.base if not name.startswith("__")} - catalogue.options.keys()
    # What roles register for playbooks, nobody has to set.
    assert {"cluster_look", "preflight_report", "kubeconfig_kept"} <= set(catalogue.results)
    assert catalogue.is_result("preflight_lock", {"changed": True}) and not catalogue.is_result("cluster_lock", {})
    # Somebody thinks that it is a switch.
    assert not catalogue.is_result("preflight_lock", False)
    # What was seen of a machine is no setting, and an addon says itself what tells that it is ready.
    told = {"cluster_node", "control_plane_names_differ"}
    assert undocumented == {*told, *(f"{chart.prefix}_conditions" for chart in ADDONS)}


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"cluster_cni": "none", "cluster_timeout": "7", "cluster_names": ["a", "b"], "mine": 1}, ""),
        *(
            ({name: None}, f"{name}: has no value (null). Give it one, or leave the variable out")
            for name in ("cluster_cni", "cluster_timeout", "cluster_names", "cluster_secret", "cni_file")
        ),
        ({"cluster_hold": None}, ""),
        ({"cluster_names": "a,b"}, "cluster_names: is a text instead of a list. Write it as YAML; with -e as JSON: -e"),
        ({"cluster_mirrors": "a=b"}, "cluster_mirrors: is a text instead of a dictionary."),
        ({"cluster_mirrors": '{"a": 1}'}, """with -e as JSON: -e '{"cluster_mirrors": ...}'."""),
        (
            {"cluster_tmeout": 3},
            "cluster_tmeout: is not a variable of any role of slipway.kubernetes. Did you mean clu",
        ),
        ({"cni_zzz": 3}, "cni_zzz: is not a variable of any role of slipway.kubernetes. If it is yours, add it to"),
        (
            {"cluster_cni": "flanel"},
            "cluster_cni: flanel is none of flannel, none. Did you mean flannel? See `ansible-doc",
        ),
        ({"cluster_cni": "zzz"}, "cluster_cni: zzz is none of flannel, none. See `ansible-doc --type role slipway.ku"),
        ({"cluster_timeout": "soon"}, "cluster_timeout: argument 'cluster_timeout' is of type"),
        ({"cluster_mirrors": ["a"]}, "cluster_mirrors: argument 'cluster_mirrors' is of type"),
        (
            {"cluster_taints": [{"effect": "No"}]},
            "cluster_taints: value of effect must be one of: NoSchedule, NoExecute",
        ),
        ({"cluster_taints": ["a"]}, "cluster_taints: Elements value for option 'cluster_taints' is of type"),
        ({"cluster_taints": [{}]}, "cluster_taints: missing required arguments: effect found in cluster_taints. See"),
        ({"cluster_taints": [{"effect": "NoExecute", "kye": 1}]}, "kye"),
        *(
            ({"cni_file": text}, f"cni_file: '{text}' has blanks at its ends. Leave them out.")
            for text in ("1.37.1 ", " 10.244.0.0/16", "x:6443\n", " ")
        ),
        ({"cni_file": "several\nlines\n"}, ""),
        ({"cluster_secret": "hunter2"}, "cluster_secret: has a wrong type or value (not shown, it is secret). See"),
    ],
)
def test_values(catalogue: Catalogue, given: t.Dict[str, t.Any], expected: str) -> None:
    text = said(catalogue, **given)
    assert expected in text
    assert bool(text) == bool(expected)
    assert "hunter2" not in text


def test_variables_of_somebody_else_are_ignored(catalogue: Catalogue) -> None:
    given = {"cluster_owner": "me", "cluster_site_a": 1, "cni_mine": 1}
    ignore = {"preflight_ignore_variables": ["cluster_owner", "cluster_site_*"]}
    assert said(catalogue, **given, **ignore).startswith("cni_mine: is not a variable")


def test_broken_variables_are_said_once(catalogue: Catalogue) -> None:
    text = said(catalogue, {"cluster_cni": "'x' is undefined."}, cluster_cni="{{ x }}")
    assert text == "cluster_cni: cannot be templated: 'x' is undefined. Correct its value."


@pytest.mark.parametrize("name", sorted(options.TEXT_LISTS))
def test_lists_that_may_be_text(name: str) -> None:
    """Roles do nothing with them but hand them to a module, or say what becomes of text."""
    roles = pathlib.Path(options.__file__).resolve().parents[4] / "roles"
    catalogue = read_catalogue(roles)
    assert catalogue.options[name].spec["elements"] in ("str", "path")
    host = Host("cp1", variables={name: "a,b"}, given=frozenset({name}))
    assert list(options.check_types([host], catalogue)) == []
    texts = [path.read_text(encoding="utf-8") for part in ("tasks", "vars") for path in roles.glob(f"*/{part}/*.yml")]
    uses = [line.strip() for text in texts for line in text.splitlines() if re.search(rf"(?<!\w){name}\b", line)]
    handed = re.compile(rf'\w+: "{{{{ {name} }}}}"')
    assert uses
    assert all(handed.fullmatch(use) for use in uses) or any(f"if {name} is string" in use for use in uses)


@pytest.mark.parametrize("name", ["kube_nodes", "kube-node", "Kube_Node", "kube_ndoe"])
def test_a_mistyped_group(name: str) -> None:
    groups = {"all": ["cp1", "w1", "w2"], "kube_control_plane": ["cp1"], name: ["w1", "w2"]}
    (problem,) = options.check_group_names(groups, ["cp1"])
    assert (problem.subject, problem.severity) == (f"group {name}", "error")
    assert "w1, w2 in it would be left out" in problem.message and "Did you mean kube_node?" in problem.remedy


@pytest.mark.parametrize(
    "groups",
    [
        # Names of their own, groups around ours, and playbooks of others with other groups.
        {"kube_control_plane": ["cp1"], "kube_node_spare": ["w1"], "kube_node2": ["w2"], "etcd": ["e1"]},
        {"kube_control_plane": ["cp1"], "kube_node": ["w1"], "kube_nodes": ["w1"]},
        {"masters": ["cp1"], "kube_nodes": ["w2"]},
    ],
)
def test_groups_with_other_names(groups: t.Dict[str, t.List[str]]) -> None:
    assert list(options.check_group_names(groups, ["cp1", "w1"])) == []
