# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A control plane where nothing could be changed keeps no other from being renewed; one that is not well does."""

from __future__ import annotations

import sys
import typing as t
from pathlib import Path

import pytest
import yaml
from ansible_collections.slipway.kubernetes.tests.unit.playing import run_play

PLAYBOOKS = Path(__file__).resolve().parents[3] / "playbooks"
#: In the place of kubeadm_certs_renew.
MODULE = """#!/usr/bin/python
from ansible.module_utils.basic import AnsibleModule
module = AnsibleModule(argument_spec={"says": {"type": "dict"}})
says = module.params["says"]
module.fail_json(**says) if says else module.exit_json(changed=True)
"""


@pytest.mark.parametrize("refused", [True, False])
def test_who_is_renewed(refused: bool, tmp_path: Path) -> None:
    plays = {
        play["name"]: play
        for play in yaml.safe_load((PLAYBOOKS / "renew_certificates.yml").read_text(encoding="utf-8"))
    }
    renew, last = plays["Renew the certificates"], plays["Name the control planes that were left out"]
    (block,) = [task for task in renew["tasks"] if "block" in task]
    (role,) = block["block"]
    assert role.pop("ansible.builtin.import_role") == {"name": "slipway.kubernetes.certificates"}
    role["certs_renew"] = {"says": "{{ says }}"}
    look = {"ansible_facts": {"slipway_node": {"kubernetes": {"control_plane": True, "api_ready": True}}}}
    local: t.Dict[str, t.Any] = {
        "cluster_look": look,
        "ansible_connection": "local",
        "ansible_python_interpreter": sys.executable,
        "ansible_become": False,
        "says": {},
    }
    said = {"msg": "sa.crt is damaged.", **({"refused": True} if refused else {})}
    hosts = {"cp1": local, "cp2": {**local, "says": said}, "cp3": local}
    (tmp_path / "inventory.yml").write_text(yaml.safe_dump({"kube_control_plane": {"hosts": hosts}}))
    found = [{**play, "become": False, "vars_files": [str(PLAYBOOKS / "vars/groups.yml")]} for play in (renew, last)]
    (tmp_path / "play.yml").write_text(yaml.safe_dump(found))
    (tmp_path / "library").mkdir()
    (tmp_path / "library/certs_renew.py").write_text(MODULE)
    done = run_play(tmp_path)
    assert done.returncode != 0
    assert "changed: [cp1]" in done.stdout
    assert ("changed: [cp3]" in done.stdout) is refused, done.stdout + done.stderr
    named = "The certificates of cp2 were not renewed: sa.crt is damaged. Nothing was changed there."
    assert (named in done.stdout) is refused
    assert ("cp2 failed; what is wrong is said above" in done.stdout) is not refused
