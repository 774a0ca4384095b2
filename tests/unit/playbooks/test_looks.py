# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What counts as seen is what this run has registered: facts may be yesterday's, or no variables at all."""

from __future__ import annotations

import json
import re
import typing as t
from pathlib import Path

import pytest
import yaml
from ansible_collections.slipway.kubernetes.plugins.plugin_utils._look import seen
from ansible_collections.slipway.kubernetes.tests.unit.playing import run_play

PROJECT = Path(__file__).resolve().parents[3]
FILES = sorted(path for part in ("playbooks", "roles") for path in (PROJECT / part).rglob("*") if path.is_file())
SOURCES = [path for path in FILES if path.suffix in (".yml", ".j2")]
#: Tasks that look, and what they are registered as.
LOOKS = {
    "node_facts": "cluster_look",
    "preflight_gather": "cluster_look",
    "peer_probe": "__preflight_peers",
    # Who has joined; plugins/filter/nodes.py takes the others for machines that are left behind.
    "kubeadm_join": "__node_join_joined",
}


def tasks(items: t.Any) -> t.Iterator[dict[str, t.Any]]:
    """All tasks in a file of plays or tasks."""
    for item in items if isinstance(items, list) else ():
        yield item
        for key in ("tasks", "pre_tasks", "post_tasks", "handlers", "block", "rescue", "always"):
            yield from tasks(item.get(key))


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(PROJECT)))
def test_nothing_of_ours_reads_facts(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    # A registered result has what the module returned as facts.
    registered = re.sub(r"\b(__\w+|cluster_look|preflight_lock)\.ansible_facts\.", "", text)
    for word in ("ansible_facts", "cacheable", "gather_facts: true", "ansible.builtin.setup"):
        assert word not in registered
    assert not re.search(r"\bansible_(distribution|os_family|architecture|default_ipv[46]|kernel|fqdn|nodename)", text)
    # As a variable of a host it would be a fact; slipway.kubernetes.machines_seen says which hosts were looked at.
    assert not re.search(r"\['slipway_node'\]|\]\.slipway_node|'slipway_node', 'defined'|hostvars, \['slipway", text)


@pytest.mark.parametrize("path", [path for path in SOURCES if path.suffix == ".yml"], ids=str)
def test_looks_are_registered(path: Path) -> None:
    for task in tasks(yaml.safe_load(path.read_text(encoding="utf-8"))):
        for module, name in LOOKS.items():
            if f"slipway.kubernetes.{module}" in task and "loop" not in task:
                assert task.get("register") == name, task["name"]


@pytest.mark.parametrize(
    ("look", "expected"),
    [
        ({"ansible_facts": {"slipway_node": {"hostname": "cp1"}}, "changed": False}, {"hostname": "cp1"}),
        ({"changed": False, "skipped": True, "skip_reason": "Conditional result was False"}, None),
        ({"changed": False, "unreachable": True, "msg": "no route to host"}, None),
        ({"changed": False, "failed": True, "msg": "no Python"}, None),
        ({"ansible_facts": {"slipway_preflight": {"failure": ["connection", "x", "y"]}}}, None),
    ],
)
def test_what_is_registered_and_nothing_else(look: t.Any, expected: t.Any) -> None:
    cached = {"slipway_node": {"hostname": "old"}, "ansible_facts": {"slipway_node": {"hostname": "old"}}}
    assert seen({"cluster_look": look, **cached}) == expected
    assert seen(cached) is None


@pytest.mark.parametrize("injected", ["True", "False"])
def test_a_cache_of_yesterday(injected: str, tmp_path: Path) -> None:
    """Two machines are in the cache, one is looked at; the other one counts as not seen, by any way to ask."""
    old = {"kubernetes": {"control_plane": True, "unfinished": None, "api_ready": True, "joined": True}}
    new = {"kubernetes": {**old["kubernetes"], "api_ready": False}}
    cache = tmp_path / "cache"
    cache.mkdir()
    names = ("cp1", "cp2")
    facts = json.dumps({"slipway_node": old, "slipway_lock": True, "slipway_peers": {"failures": []}})
    for name in names:
        # As ansible-core 2.18 names and writes them, and as those after it do.
        (cache / name).write_text(facts)
        (cache / f"s1_{name}").write_text(json.dumps({"__payload__": facts}))
    inventory = {"all": {"children": {"kube_control_plane": {"hosts": {name: {} for name in names}}}}}
    (tmp_path / "inventory.yml").write_text(yaml.safe_dump(inventory))
    said = {
        "cached": "{{ ansible_facts.slipway_node.kubernetes.api_ready }}",
        "mine": "{{ cluster_node.kubernetes.api_ready | default('not seen') }}",
        "members": "{{ __members }}",
        "primary": "{{ __primary }}",
        "bare": "{{ __cluster.left_out }}",
    }
    look = {"cluster_look": {"ansible_facts": {"slipway_node": new}}}
    play = {
        "hosts": "all",
        "gather_facts": False,
        "vars_files": [str(PROJECT / "playbooks/vars/groups.yml")],
        "tasks": [
            {"ansible.builtin.set_fact": look, "when": "inventory_hostname == 'cp2'"},
            {
                "ansible.builtin.debug": {"msg": "SAID {{ inventory_hostname }} {{ said | to_json }}"},
                "vars": {"said": said},
            },
        ],
    }
    (tmp_path / "play.yml").write_text(yaml.safe_dump([play], sort_keys=False))
    done = run_play(
        tmp_path,
        ANSIBLE_CACHE_PLUGIN="ansible.builtin.jsonfile",
        ANSIBLE_CACHE_PLUGIN_CONNECTION=str(cache),
        ANSIBLE_INJECT_FACT_VARS=injected,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "DEPRECATION" not in done.stderr
    found = dict(re.findall(r'SAID (\w+) (\{.*\})"', done.stdout.replace('\\"', '"')))
    seen_by = {name: json.loads(text) for name, text in found.items()}
    assert {name: answer["mine"] for name, answer in seen_by.items()} == {"cp1": "not seen", "cp2": False}
    for answer in seen_by.values():
        assert answer["cached"] is True
        assert (answer["members"], answer["primary"], answer["bare"]) == (["cp2"], "cp2", [])
