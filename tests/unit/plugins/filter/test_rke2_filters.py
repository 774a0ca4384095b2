# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest
from ansible.errors import AnsibleFilterError
from ansible_collections.slipway.kubernetes.plugins.filter.rke2 import FilterModule

FILTERS = FilterModule().filters()


def test_names_of_a_release() -> None:
    assert FILTERS["rke2_release"]("v1.36.3+rke2r1")["folder"] == "v1.36.3%2Brke2r1"
    with pytest.raises(AnsibleFilterError, match="rke2_version: stable is no release"):
        FILTERS["rke2_release"]("stable")


def test_configuration() -> None:
    computed = {"node-name": "w1", "cni": "canal"}
    assert FILTERS["rke2_config"](computed, {"debug": True}) == {"cni": "canal", "debug": True, "node-name": "w1"}
    assert FILTERS["rke2_config"](computed, {"debug": True}, "agent") == {"debug": True, "node-name": "w1"}
    assert computed == {"node-name": "w1", "cni": "canal"}
    with pytest.raises(AnsibleFilterError, match="Perhaps debug is meant"):
        FILTERS["rke2_config"]({}, {"debuk": True})
    with pytest.raises(AnsibleFilterError, match="has to be a dictionary"):
        FILTERS["rke2_config"]({}, ["debug"])
