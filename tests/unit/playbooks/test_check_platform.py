# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is assumed about distributions, and what is said where it is otherwise."""

from __future__ import annotations

import re
import subprocess
import sys
import typing as t
from pathlib import Path

import pytest
import yaml
from ansible_collections.slipway.kubernetes.plugins.filter.platform import platform_assumptions, platform_report
from ansible_collections.slipway.kubernetes.plugins.module_utils import _module
from ansible_collections.slipway.kubernetes.plugins.modules import platform_info
from ansible_collections.slipway.kubernetes.tests.unit.playing import run_play
from ansible_collections.slipway.kubernetes.tests.unit.plugins.utils import ModuleRunner

PROJECT = Path(__file__).resolve().parents[3]
ASSUMPTIONS = yaml.safe_load((PROJECT / "playbooks/vars/platform.yml").read_text(encoding="utf-8"))["__assumptions"]
SYSTEMS = {"debian": "debian", "redhat": "redhat", "fedora": "redhat", "amzn": "redhat"}


def node(name: str = "debian", joined: bool = False, pretty_name: str = "Debian 13") -> t.Dict[str, t.Any]:
    known = {"id": name, "family": SYSTEMS.get(name, name)}
    system = {**known, "pretty_name": pretty_name, "architecture": "amd64", "kernel": "6.12.1"}
    return {"os": system, "kubernetes": {"joined": joined}}


def test_each_assumption_can_be_looked_at() -> None:
    for entry in ASSUMPTIONS:
        assert set(entry) <= {"name", "systems", "built", "command", "expected", "means"}
        assert entry["name"] and entry["means"] and set(entry.get("systems", SYSTEMS)) <= set(SYSTEMS)
        assert entry.get("built", True) is True
        re.compile(entry["expected"], re.MULTILINE)
        # A shell can read it; nothing is run.
        subprocess.run(["/bin/sh", "-n"], input=entry["command"], text=True, check=True)
    for system in SYSTEMS:
        names = [entry["name"] for entry in platform_assumptions(ASSUMPTIONS, node(system, joined=True))]
        assert len(set(names)) == len(names) > 20


@pytest.mark.parametrize(
    ("name", "system", "good", "bad"),
    [
        ("cgroup v2", "debian", "cgroup2fs", "tmpfs"),
        ("its distribution is known", "debian", 'ID=debian\nVERSION_ID="13"', "ID=arch"),
        ("its distribution is known", "redhat", 'ID="rocky"\nID_LIKE="rhel centos fedora"', "ID=alpine"),
        ("the kernel counts memory and processors of groups", "debian", "cpuset cpu io memory pids", "cpuset cpu pids"),
        ("swap stays off", "debian", "", "/dev/sda2 partition 2G"),
        ("apt is 2.2 or newer", "debian", "apt 2.6.1 (amd64)", "apt 2.1.9 (amd64)"),
        ("apt is 2.2 or newer", "debian", "apt 3.0.3 (amd64)", "apt 1.8.2 (amd64)"),
        (
            "the kubelet has a file with the real name servers",
            "debian",
            "/run/systemd/resolve/stub-resolv.conf\nnameserver 192.0.2.1",
            "/run/systemd/resolve/stub-resolv.conf\nnameserver 127.0.0.53",
        ),
        ("the kubelet has a file with the real name servers", "debian", "/etc/resolv.conf", "/a/stub-resolv.conf"),
        ("a firewall lets nodes and pods through", "debian", "Status: inactive\nlooked", "Status: active\nlooked"),
        ("nobody restarts services after an installation", "debian", "looked", "$nrconf{restart} = 'a';\nlooked"),
        ("its release is known", "redhat", "rocky 9.5", "rocky 8.10"),
        ("its release is known", "redhat", "rhel 10", "rhel 2023"),
        ("its release is known", "fedora", "fedora 44", "fedora 42"),
        ("its release is known", "amzn", "amzn 2023", "amzn 2"),
        ("dnf is dnf 4, by this name", "redhat", "4.14.0\n/usr/bin/dnf-3", "dnf5 version 5.2.17\n/usr/bin/dnf5"),
        ("dnf is dnf 5, and dnf 4 is no guest there", "fedora", "dnf5 version 5.2.17.0\n/usr/bin/dnf5",
         "dnf5 version 5.2.17.0\n/usr/bin/dnf-3\n/usr/bin/dnf5"),
        ("`$releasever` is the number alone", "redhat", "9", "9.4"),
        ("the release's package says what stands for `$releasever`", "fedora", "43\tsystem-release=\nlooked", "looked"),
        ("the release's package says what stands for `$releasever`", "amzn",
         "no package provides system-release(releasever)\n2023.9.20250929\tsystem-release=2023\nlooked", "2023\tx"),
        ("containerd is 2.x, has runc, and looks for plugins where Kubernetes puts them", "amzn",
         "containerd github.com/containerd/containerd/v2 2.2.5 x\nrunc version 1.3.5\n  bin_dirs = ['/opt/cni/bin']",
         "containerd github.com/containerd/containerd 1.7.22 x\nrunc version 1.3.5\n  bin_dir = \"/opt/cni/bin\""),
        ("the packages of the container runtime are as they were installed", "redhat",
         "package containerd is not installed\nlooked", "S.5....T.    /usr/bin/containerd\nlooked"),
        ("SELinux lets haproxy take any port and connect to 6443", "redhat",
         "Enforcing\nhaproxy_connect_any --> on\nlooked", "Enforcing\nhaproxy_connect_any --> off\nlooked"),
        ("SELinux lets haproxy take any port and connect to 6443", "redhat", "Permissive\nlooked", "Enforcing\nlooked"),
        ("haproxy's unit takes a drop-in, and starts as root", "redhat",
         "HAProxy version 2.4.22-f8e3218 2023/02/14\nlooked", "User=haproxy\nHAProxy version 2.4.22\nlooked"),
        ("firewalld admits pods and nodes", "redhat", "looked", "active\nlooked"),
    ],
)  # fmt: skip
def test_what_is_as_expected(name: str, system: str, good: str, bad: str) -> None:
    (entry,) = [one for one in platform_assumptions(ASSUMPTIONS, node(system, joined=True)) if one["name"] == name]
    pattern = re.compile(entry["expected"], re.MULTILINE)
    assert pattern.search(good) and not pattern.search(bad)


def test_which_are_looked_at() -> None:
    assumptions = [
        {"name": "all", "command": "x", "expected": "x", "means": "x"},
        {"name": "built", "built": True, "command": "x", "expected": "x", "means": "x"},
        {"name": "dnf", "systems": ["redhat"], "command": "x", "expected": "x", "means": "x"},
        {"name": "own", "systems": ["fedora"], "command": "x", "expected": "x", "means": "x"},
    ]
    for machine, expected in (
        (node(), ["all"]),
        (node(joined=True), ["all", "built"]),
        (node("redhat"), ["all", "dnf"]),
        # What is said of a distribution by its name goes before what is said of its family.
        (node("fedora"), ["all", "own"]),
        (node("amzn"), ["all", "dnf"]),
        (node("suse", joined=True), ["all", "built"]),
    ):
        chosen = platform_assumptions(assumptions, machine)
        assert [entry["name"] for entry in chosen] == expected
        assert all(set(entry) == {"name", "command", "expected"} for entry in chosen)


@pytest.fixture
def real(monkeypatch: pytest.MonkeyPatch, run_module: ModuleRunner) -> t.Callable[..., t.Dict[str, t.Any]]:
    """The module with real commands."""

    class Shell:
        def run(self, argv: t.List[str], stdin: t.Any = None, check: bool = True) -> t.Any:
            assert stdin is None and not check
            done = subprocess.run(argv, capture_output=True, text=True, errors="surrogateescape", check=False)
            return type("Result", (), {"rc": done.returncode, "stdout": done.stdout, "stderr": done.stderr})

    monkeypatch.setattr(_module, "Runner", lambda _module: Shell())

    def look(*commands: t.Tuple[str, str], **options: t.Any) -> t.Dict[str, t.Any]:
        given = [{"name": f"n{number}", "command": command, "expected": expected}
                 for number, (command, expected) in enumerate(commands)]  # fmt: skip
        return run_module(platform_info.main, {"assumptions": given, **options})

    return look


def test_commands(real: t.Callable[..., t.Dict[str, t.Any]]) -> None:
    result = real(
        ("echo one; echo two >&2", r"\Aone\ntwo\Z"),
        ("exit 3", r"\A\Z"),
        ("echo no", "yes"),
        ("absent-program || echo there is none", "there is none$"),
        ("seq 10000", r"\A1$"),
    )
    assert not result["changed"]
    assert [entry["as_expected"] for entry in result["assumptions"]] == [True, True, False, True, True]
    assert result["assumptions"][0] == {
        "name": "n0", "command": "echo one; echo two >&2", "printed": "one\ntwo", "as_expected": True,
    }  # fmt: skip
    long = result["assumptions"][-1]["printed"]
    assert len(long) == platform_info.LONGEST and long.endswith("10000")


def test_a_command_that_does_not_end(real: t.Callable[..., t.Dict[str, t.Any]]) -> None:
    (entry,) = real(("echo begun; sleep 60", "begun"), timeout=1)["assumptions"]
    assert not entry["as_expected"] and entry["printed"] == "(ended after 1 seconds) begun"


def test_a_command_that_has_to_be_killed(real: t.Callable[..., t.Dict[str, t.Any]]) -> None:
    script = "trap '' TERM; echo begun; while :; do sleep 0.1; done"
    (entry,) = real((script, "begun"), timeout=1)["assumptions"]
    assert not entry["as_expected"] and "ended after 1 seconds" in entry["printed"]


def test_what_is_printed_can_be_returned_and_published(real: t.Callable[..., t.Dict[str, t.Any]]) -> None:
    (odd, login, stdin) = real(
        (r"printf 'caf\351 ok'", "ok$"),
        ("echo 'Status code: 401 for http://ops:secret@mirror.example.com/list'", "401"),
        ("cat; echo looked", r"\Alooked\Z"),
    )["assumptions"]
    assert odd["printed"].encode() and odd["as_expected"] and stdin["as_expected"]
    assert "secret" not in login["printed"] and "mirror.example.com" in login["printed"]


def test_options_that_make_no_sense(real: t.Callable[..., t.Dict[str, t.Any]]) -> None:
    failed = real(("echo", "("), ("echo", "ok"), ("echo", "["))
    assert failed["failed"] and "n0: `expected` is no regular" in failed["msg"] and "n2: " in failed["msg"]
    assert "timeout is 0, and has to be 1 second at least" in real(("echo", ""), timeout=0)["msg"]


def looked(machine: t.Dict[str, t.Any], *entries: t.Tuple[str, bool]) -> t.Dict[str, t.Any]:
    found = [
        {"name": f"n{number}", "command": "true", "printed": printed, "as_expected": good}
        for number, (printed, good) in enumerate(entries)
    ]
    return {
        "cluster_look": {"ansible_facts": {"slipway_node": machine}},
        "platform_looked": {"assumptions": found},
    }


def test_the_report() -> None:
    hostvars = {
        "well": looked(node(joined=True), ("x", True)),
        "odd": looked(node("redhat", pretty_name="Ro\x1b[2Jcky"), ("one\ntwo\x1b[0m", False), ("", False), ("z", True)),
        "away": {"cluster_look": {"unreachable": True}},
        "failed": {**looked(node()), "platform_looked": {"failed": True}},
        "lies": looked(node(), ("x", True)) | {"platform_looked": {"assumptions": "x"}},
    }
    assert platform_report(list(hostvars), hostvars) == [
        "well: Debian 13, amd64, Linux 6.12.1, a node: 1 of 1 as expected",
        "odd: Ro\\x1b[2Jcky, amd64, Linux 6.12.1, no node yet: 1 of 3 as expected",
        "  not as expected: n0",
        "    command: true",
        "    printed: one",
        "    printed: two\\x1b[0m",
        "  not as expected: n1",
        "    command: true",
        "    printed: (nothing)",
        "away: was not reached, or could not be looked at",
        "failed: was not reached, or could not be looked at",
        "lies: says what makes no sense",
    ]


def test_the_playbook_ends_well_whatever_it_finds(tmp_path: Path) -> None:
    """By Ansible, with modules that look at nothing: one machine cannot be reached, one is of another family."""
    folder = tmp_path / "library"
    folder.mkdir()
    fake = (
        "#!/usr/bin/python\nfrom ansible.module_utils.basic import AnsibleModule\n"
        "module = AnsibleModule({'assumptions': {'type': 'list'}}, supports_check_mode=True)\n"
    )
    (folder / "node_facts.py").write_text(f"{fake}module.exit_json(ansible_facts={{'slipway_node': {node()!r}}})\n")
    (folder / "platform_info.py").write_text(
        f"{fake}found = [dict(name=e['name'], command='x', printed='y', as_expected=not i)"
        " for i, e in enumerate(module.params['assumptions'])]\nmodule.exit_json(assumptions=found[:2])\n"
    )
    text = (PROJECT / "playbooks/check_platform.yml").read_text(encoding="utf-8")
    assert text.count("vars_files: [vars/groups.yml, vars/platform.yml]") == 1
    for old, new in (
        ("slipway.kubernetes.node_facts:", "node_facts:"),
        ("slipway.kubernetes.platform_info:", "platform_info:"),
        ("vars/", f"{PROJECT}/playbooks/vars/"),
        ("become: true", "become: false"),
    ):
        text = text.replace(old, new)
    (tmp_path / "play.yml").write_text(text)
    local = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}
    away = {"ansible_connection": "ssh", "ansible_host": "127.0.0.1", "ansible_port": 1}
    (tmp_path / "inventory.yml").write_text(yaml.safe_dump({"all": {"hosts": {"here": local, "away": away}}}))
    limited = run_play(tmp_path, "--limit", "here", ANSIBLE_LIBRARY=str(folder))
    assert limited.returncode == 0 and "no node yet: 1 of 2 as expected" in limited.stdout
    assert "away" not in limited.stdout
    for options in ((), ("--check",)):
        done = run_play(tmp_path, *options, ANSIBLE_LIBRARY=str(folder))
        said = done.stdout + done.stderr
        assert "here: Debian 13, amd64, Linux 6.12.1, no node yet: 1 of 2 as expected" in said, said
        assert "away: was not reached, or could not be looked at" in said
        assert "not as expected: Python 3.9" in said and "changed=0" in said and "failed=0" in said
