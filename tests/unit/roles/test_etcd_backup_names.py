# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the role fetches to the controller: names that etcd_snapshot gives and no others. Nothing of it is printed."""

from __future__ import annotations

import base64
import hashlib
import sys
from pathlib import Path

import pytest
import yaml
from ansible_collections.slipway.kubernetes.tests.unit.playing import run_play

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
    done = run_play(tmp_path)
    expected = ",".join(str(number) for number, entry in enumerate(given) if entry[2])
    assert f"allowed={expected};" in done.stdout, done.stdout + done.stderr


def test_recipients_in_a_text_may_have_blanks_and_none_is_no_encryption(tmp_path: Path) -> None:
    """age takes no recipient with a blank before it, and without any the archive would not be encrypted."""
    given = ["age1a, age1b", ["age1a", " age1b "], "age1a,", "", ",", [""], [], " "]
    template = "{{ __etcd_backup_recipients | join('+') }}/{{ __etcd_backup_refusals | select | length }}"
    play = {
        "hosts": "localhost",
        "gather_facts": False,
        "vars_files": [str(ROLE / "defaults/main.yml"), str(ROLE / "vars/main.yml")],
        "tasks": [
            {
                "ansible.builtin.debug": {"msg": f"is {number}:{template};"},
                "vars": {"etcd_backup_encryption": "age", "etcd_backup_age_recipients": recipients},
            }
            for number, recipients in enumerate(given)
        ],
    }
    (tmp_path / "play.yml").write_text(yaml.safe_dump([play]))
    done = run_play(tmp_path, inventory="localhost,")
    expected = ["age1a+age1b/0", "age1a+age1b/0", "age1a/0", "/1", "/1", "/1", "/1", "/1"]
    missing = [entry for entry in (f"is {n}:{text};" for n, text in enumerate(expected)) if entry not in done.stdout]
    assert missing == [], done.stdout + done.stderr


@pytest.mark.parametrize(("calendar", "is_refused"), [("every night", True), ("*-*-* 03:00:00", False)])
def test_a_timer_that_would_never_elapse_is_refused(tmp_path: Path, calendar: str, is_refused: bool) -> None:
    """Before its file is written: the timer that runs would lose its times. A backup at once needs none."""
    tasks = yaml.safe_load((ROLE / "tasks/timer.yml").read_text(encoding="utf-8"))
    template = "{{ __etcd_backup_refusals | select | join(' ') }}"
    play = {
        "hosts": "localhost",
        "gather_facts": False,
        "vars_files": [str(ROLE / "defaults/main.yml"), str(ROLE / "vars/main.yml")],
        "tasks": [
            {
                "ansible.builtin.debug": {"msg": f"timer=<{template}>"},
                "vars": {**tasks[0]["vars"], "etcd_backup_on_calendar": calendar},
            },
            {
                "ansible.builtin.debug": {"msg": f"once=<{template}>"},
                "vars": {"etcd_backup_on_calendar": calendar},
            },
        ],
    }
    (tmp_path / "play.yml").write_text(yaml.safe_dump([play]))
    done = run_play(tmp_path, inventory="localhost,")
    said = f"etcd_backup_on_calendar is {calendar}, which is no time" if is_refused else ">"
    assert f"timer=<{said}" in done.stdout and "once=<>" in done.stdout, done.stdout + done.stderr


@pytest.mark.parametrize("is_there", [True, False])
def test_nothing_of_an_archive_is_printed_by_a_verbose_run(tmp_path: Path, is_there: bool) -> None:
    """Connections print what modules return, but for tasks with no_log; what was wrong is said all the same."""
    tasks = {task["name"]: task for task in yaml.safe_load((ROLE / "tasks/main.yml").read_text(encoding="utf-8"))}
    archive = tmp_path / "etcd-lab-20261121T120000Z.tar.gz"
    content = b"all Secrets of the cluster"
    if is_there:
        archive.write_bytes(content)
    # What comes last are the words for the other side.
    ssh = tmp_path / "ssh"
    ssh.write_text('#!/bin/sh\nfor words; do :; done\nexec /bin/sh -c "$words"\n')
    ssh.chmod(0o755)
    variables = {
        "ansible_ssh_executable": str(ssh),
        "ansible_python_interpreter": sys.executable,
        "etcd_backup_encryption": "none",
        "etcd_backup_fetch": True,
        "etcd_backup_fetch_directory": str(tmp_path / "kept"),
        "__etcd_backup_result": {"archive": str(archive), "sha256": hashlib.sha256(content).hexdigest()},
    }
    play = {"hosts": "cp1", "gather_facts": False, "vars": variables, "tasks": [tasks["Keep it on the controller"]]}
    (tmp_path / "play.yml").write_text(yaml.safe_dump([play]))
    done = run_play(tmp_path, "-vvv", inventory="cp1,")
    assert (done.returncode == 0) is is_there, done.stdout
    assert (tmp_path / "kept" / archive.name).exists() is is_there
    assert base64.b64encode(content).decode() not in done.stdout + done.stderr
    assert ("cannot be read: No such file" in done.stdout) is not is_there
