# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A reset removes the packages that are named, also by -e."""

from __future__ import annotations

import itertools
import typing as t
from pathlib import Path

import jinja2
import pytest
import yaml

TASKS = Path(__file__).resolve().parents[3] / "roles" / "node_reset" / "tasks" / "main.yml"


@pytest.mark.parametrize("given", [["kubeadm", "kubelet"], "kubeadm,kubelet", "kubeadm, kubelet"])
def test_names(given: t.Any) -> None:
    (block,) = (task["block"] for task in yaml.safe_load(TASKS.read_text(encoding="utf-8")) if "block" in task)
    task = next(task for task in block if "slipway.kubernetes.package_set" in task)
    environment = jinja2.Environment(autoescape=False)
    environment.filters["product"] = itertools.product
    wanted = environment.compile_expression(task["vars"]["__node_reset_names"].strip()[2:-2])
    names = wanted(node_reset_package_names=given)
    text = task["slipway.kubernetes.package_set"]["packages"].partition("| dict2items")[0].strip()[2:]
    states = environment.compile_expression(text)(__node_reset_names=names, dict=dict)
    assert states == {"kubeadm": "absent", "kubelet": "absent"}
