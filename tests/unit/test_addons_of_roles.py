# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An addon with a role of its own is one row of the table: what the role and the playbook have to say beside that."""

from __future__ import annotations

import typing as t
from pathlib import Path

import pytest
import yaml
from ansible_collections.slipway.kubernetes.plugins.module_utils._charts import Chart
from ansible_collections.slipway.kubernetes.plugins.plugin_utils._preflight.sources import ADDONS

PROJECT = Path(__file__).resolve().parents[2]
HELM_RELEASE = "slipway.kubernetes.helm_release"
PARTS = ("enabled", "chart", "chart_repository", "chart_version", "chart_plain_http", "values")
each_addon = pytest.mark.parametrize("addon", ADDONS, ids=lambda addon: addon.prefix)


def read(path: str) -> t.Any:
    return yaml.safe_load((PROJECT / path).read_text(encoding="utf-8"))


@each_addon
def test_its_role(addon: Chart) -> None:
    defaults = read(f"roles/{addon.prefix}/defaults/main.yml")
    assert [part for part in PARTS if f"{addon.prefix}_{part}" not in defaults] == []
    assert f"{addon.prefix}_enabled" in read(f"roles/{addon.prefix}/vars/main.yml")[f"{addon.prefix}_conditions"]
    tasks = read(f"roles/{addon.prefix}/tasks/main.yml")
    (release,) = [task[HELM_RELEASE] for task in tasks if HELM_RELEASE in task]
    assert (release["name"], release["namespace"]) == (addon.release, addon.namespace)
    assert {task["when"] for task in tasks} == {f"{addon.prefix}_enabled | bool"}


def test_the_playbook_installs_all_before_those_of_the_list_and_waits_for_them() -> None:
    (tasks,) = [play["tasks"] for play in read("playbooks/site.yml") if play["name"] == "Complete the cluster"]
    roles = [task["ansible.builtin.import_role"]["name"] for task in tasks if "ansible.builtin.import_role" in task]
    names = [f"slipway.kubernetes.{addon.prefix}" for addon in ADDONS]
    # Addons may need names that CoreDNS has to be told first.
    assert ["slipway.kubernetes.coredns", *names, "slipway.kubernetes.addons"] == roles
    (wait,) = [task["slipway.kubernetes.kube_wait"] for task in tasks if "slipway.kubernetes.kube_wait" in task]
    assert [addon.prefix for addon in ADDONS if f"+ {addon.prefix}_conditions" not in wait["conditions"]] == []
