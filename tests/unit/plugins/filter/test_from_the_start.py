# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t
from pathlib import Path

import pytest
import yaml
from ansible import context
from ansible.errors import AnsibleFilterError
from ansible.module_utils.common.collections import ImmutableDict
from ansible_collections.slipway.kubernetes.plugins.filter import from_the_start as plugin

PLAYBOOKS = Path(__file__).resolve().parents[4] / "playbooks"


def ask(monkeypatch: pytest.MonkeyPatch, **options: t.Any) -> str:
    monkeypatch.setattr(context, "CLIARGS", ImmutableDict(options))
    return plugin.FilterModule().filters()["from_the_start"]("localhost")


@pytest.mark.parametrize(
    "playbook", ["slipway.kubernetes.site", str(PLAYBOOKS / "site.yml"), str(PLAYBOOKS.parent / "site.yml")]
)
def test_a_start_in_the_middle(playbook: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert ask(monkeypatch, args=(playbook,), start_at_task=None) == "localhost"
    with pytest.raises(AnsibleFilterError, match="Nothing was changed"):
        ask(monkeypatch, args=(playbook,), start_at_task="Install Helm")


def test_playbooks_of_others(monkeypatch: pytest.MonkeyPatch) -> None:
    """They may start before or after what they import, and a test has no arguments."""
    assert ask(monkeypatch, args=("/srv/site.yml",), start_at_task="Mine") == "localhost"
    assert ask(monkeypatch) == "localhost"


@pytest.mark.parametrize("path", sorted(PLAYBOOKS.glob("*.yml")), ids=lambda path: str(path.stem))
def test_all_playbooks_ask_first(path: Path) -> None:
    first = yaml.safe_load(path.read_text(encoding="utf-8"))[0]
    while "ansible.builtin.import_playbook" in first:
        path = PLAYBOOKS / first["ansible.builtin.import_playbook"]
        first = yaml.safe_load(path.read_text(encoding="utf-8"))[0]
    assert "from_the_start" in first["hosts"] or path.stem == "release_lock"
