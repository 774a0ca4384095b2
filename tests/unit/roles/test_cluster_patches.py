# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which folder of patches kubeadm is given, which does not keep it."""

from __future__ import annotations

import typing as t
from pathlib import Path

import jinja2
import pytest
import yaml

DEFAULTS = Path(__file__).resolve().parents[3] / "roles/cluster/defaults/main.yml"
INIT = {"control_plane_init_configuration": {"patches": {"directory": "/init"}}}
JOIN = {"node_join_configuration": {"patches": {"directory": "/join"}}}


@pytest.mark.parametrize(
    ("given", "is_control_plane", "expected"),
    [
        ({}, True, ""),
        ({"node_join_configuration": {}, "control_plane_init_configuration": {"patches": {}}}, True, ""),
        (INIT, True, "/init"),
        # Files for kubeadm init are on control planes alone.
        (INIT, False, ""),
        (JOIN, False, "/join"),
        ({**INIT, **JOIN}, True, "/join"),
        ({**INIT, **JOIN}, False, "/join"),
        # Nobody has looked yet.
        (INIT, None, ""),
    ],
)
def test_patches(given: t.Dict[str, t.Any], is_control_plane: t.Optional[bool], expected: str) -> None:
    text = yaml.safe_load(DEFAULTS.read_text(encoding="utf-8"))["cluster_patches"]
    environment = jinja2.Environment(autoescape=False, undefined=jinja2.ChainableUndefined)
    look = {} if is_control_plane is None else {"cluster_node": {"kubernetes": {"control_plane": is_control_plane}}}
    assert environment.from_string(text).render({**given, **look}) == expected
