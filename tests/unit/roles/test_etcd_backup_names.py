# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which names of archives the role fetches to the controller: those that etcd_snapshot gives, and no others."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import yaml

ROLE = Path(__file__).resolve().parents[3] / "roles/etcd_backup"
GOOD = "/var/lib/slipway/etcd-backup/etcd-lab-20261121T120000Z.tar.gz"


def test_only_names_of_our_archives_are_fetched(tmp_path: Path) -> None:
    tasks = {task["name"]: task for task in yaml.safe_load((ROLE / "tasks/main.yml").read_text(encoding="utf-8"))}
    refusal = tasks["Refuse an archive with a name that none of ours has"]
    given = [
        (GOOD, "none", True),
        (GOOD, "vault", True),
        (f"{GOOD}.age", "age", True),
        (GOOD, "age", False),
        (f"{GOOD}.age", "none", False),
        ("/var/lib/slipway/etcd-backup/admin.conf", "none", False),
        ("/var/lib/slipway/etcd-backup/etcd-other-20261121T120000Z.tar.gz", "none", False),
        (f"{GOOD}\n", "none", False),
        (f"{GOOD}/", "none", False),
        ("", "none", False),
    ]
    play = {
        "hosts": "localhost",
        "gather_facts": False,
        "vars_files": [str(ROLE / "defaults/main.yml"), str(ROLE / "vars/main.yml")],
        "tasks": [
            {
                "block": [
                    {
                        **refusal,
                        "vars": {"etcd_backup_encryption": encryption, "__etcd_backup_result": {"archive": path}},
                    },
                    {"ansible.builtin.set_fact": {"allowed": f"{{{{ allowed + [{number}] }}}}"}},
                ],
                "rescue": [{"ansible.builtin.meta": "noop"}],
            }
            for number, (path, encryption, _expected) in enumerate(given)
        ]
        + [{"ansible.builtin.debug": {"msg": "allowed={{ allowed | join(',') }};"}}],
    }
    (tmp_path / "play.yml").write_text(yaml.safe_dump([play]))
    (tmp_path / "inventory.yml").write_text(
        yaml.safe_dump({"all": {"hosts": {"localhost": {"cluster_name": "lab", "allowed": []}}}})
    )
    done = subprocess.run(
        [Path(sys.executable).parent / "ansible-playbook", "-i", "inventory.yml", "play.yml"],
        cwd=tmp_path,
        env={**os.environ, "ANSIBLE_HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    expected = ",".join(str(number) for number, entry in enumerate(given) if entry[2])
    assert f"allowed={expected};" in done.stdout, done.stdout + done.stderr
