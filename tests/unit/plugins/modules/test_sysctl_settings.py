# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t
from pathlib import Path

import pytest
from ansible_collections.slipway.kubernetes.plugins.module_utils._command import SlipwayError
from ansible_collections.slipway.kubernetes.plugins.modules import sysctl_settings
from ansible_collections.slipway.kubernetes.plugins.modules.sysctl_settings import SysctlSettings
from ansible_collections.slipway.kubernetes.tests.unit.plugins.utils import ModuleRunner

PATH = "/etc/sysctl.d/99-x.conf"


def machine(root: Path, **live: str) -> Path:
    """A folder with the live values of sysctls; ``__`` stands for a slash."""
    for name, value in live.items():
        path = root / "proc/sys" / name.replace("__", "/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(value + "\n")
    return root


def run(root: Path, settings: t.Mapping[str, t.Any], check_mode: bool = False) -> t.Dict[str, t.Any]:
    return SysctlSettings(settings, PATH, str(root)).run(check_mode)


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("net.ipv4.ip_forward", "net/ipv4/ip_forward"),
        ("net/ipv4/ip_forward", "net/ipv4/ip_forward"),
        ("net.ipv4.conf.eth0/100.rp_filter", "net/ipv4/conf/eth0.100/rp_filter"),
        ("net/ipv4/conf/eth0.100/rp_filter", "net/ipv4/conf/eth0.100/rp_filter"),
        ("vm", "vm"),
    ],
)
def test_key_path(name: str, path: str) -> None:
    assert sysctl_settings.key_path(name) == path


@pytest.mark.parametrize("name", ["", "../etc/passwd", "/etc/passwd", "net.ipv4..x", "-net.x", "a b", "net.*.x"])
def test_names_that_are_none(name: str) -> None:
    with pytest.raises(SlipwayError, match="is no name of a sysctl"):
        sysctl_settings.key_path(name)


@pytest.mark.parametrize(
    ("value", "text"),
    [(1, "1"), (True, "1"), (False, "0"), ("32768\t 60999", "32768 60999"), (" x\n", "x"), (0.5, "0.5")],
)
def test_normalised(value: t.Any, text: str) -> None:
    assert sysctl_settings.normalised("x", value) == text


@pytest.mark.parametrize("value", [None, [1], {}, "1\nvm.x = 2"])
def test_values_that_are_none(value: t.Any) -> None:
    with pytest.raises(SlipwayError, match="x needs a number or one line of text"):
        sysctl_settings.normalised("x", value)


def test_parse_file() -> None:
    text = "# net.a = 1\n; b\n-net.b =  2\nnet.c=3 4\nnet.*.d = 5\nnothing\n"
    assert sysctl_settings.parse_file(text) == {"net/b": "2", "net/c": "3 4"}


def test_one_sysctl_under_two_names(tmp_path: Path) -> None:
    settings = {"net.ipv4.ip_forward": 1, "net/ipv4/ip_forward": 0}
    with pytest.raises(SlipwayError, match=r"ip_forward \(1\) and net/ipv4/ip_forward \(0\) are one sysctl"):
        SysctlSettings(settings, "/etc/x.conf", str(tmp_path))
    SysctlSettings({**settings, "net/ipv4/ip_forward": True}, "/etc/x.conf", str(tmp_path))


def test_check_run_again_and_drift(tmp_path: Path) -> None:
    root = machine(tmp_path, net__ipv4__ip_forward="0", net__ipv4__ip_local_port_range="32768\t60999")
    settings = {"net.ipv4.ip_forward": True, "net.ipv4.ip_local_port_range": "32768 60999"}
    checked = run(root, settings, check_mode=True)
    assert (checked["changed"], checked["changed_settings"]) == (True, ["net.ipv4.ip_forward"])
    live = root / "proc/sys/net/ipv4/ip_forward"
    assert live.read_text() == "0\n"
    assert run(root, settings) == checked
    assert live.read_text() == "1\n"
    assert (tmp_path / PATH[1:]).read_text().splitlines()[1:] == [
        "net.ipv4.ip_forward = 1",
        "net.ipv4.ip_local_port_range = 32768 60999",
    ]
    for check_mode in (True, False):
        again = run(root, settings, check_mode)
        assert (again["changed"], again["diff"]) == (False, [])
    live.write_text("0\n")
    drifted = run(root, settings, check_mode=True)
    header = {"before_header": "live sysctls", "after_header": "live sysctls"}
    assert drifted["diff"] == [{**header, "before": "net.ipv4.ip_forward = 0\n", "after": "net.ipv4.ip_forward = 1\n"}]
    assert run(root, settings)["changed"]
    (tmp_path / PATH[1:]).write_text("")
    assert run(root, settings)["changed_settings"] == []
    assert not run(root, settings)["changed"]


def test_a_file_of_somebody_else_is_kept(tmp_path: Path) -> None:
    root = machine(tmp_path, vm__a="1")
    path = root / PATH[1:]
    path.parent.mkdir(parents=True)
    path.write_text("kernel.panic = 10\n")
    kept = Path(f"{path}.before-slipway")
    assert "was somebody else's" in run(root, {"vm.a": 1}, check_mode=True)["warnings"][0] and not kept.exists()
    assert "was somebody else's" in run(root, {"vm.a": 1})["warnings"][0]
    assert kept.read_text() == "kernel.panic = 10\n"
    path.write_text(path.read_text() + "vm.a = 2\n")
    assert run(root, {"vm.a": 1})["warnings"] == [] and len(list(path.parent.iterdir())) == 2


def test_unknown_names_are_all_named_and_nothing_is_changed(tmp_path: Path) -> None:
    root = machine(tmp_path, net__ipv4__ip_forward="0")
    settings = {"net.ipv4.ip_forward": 1, "net.nothing": 1, "net.bridge.bridge-nf-call-iptables": 1, "net.ipv4": 1}
    expected = (
        r"no sysctl net.nothing, net.bridge.bridge-nf-call-iptables \(load the kernel module br_netfilter first\),"
        r" net.ipv4. Nothing was changed"
    )
    with pytest.raises(SlipwayError, match=expected):
        run(root, settings)
    with pytest.raises(SlipwayError, match=r"no sysctl net.nothing, net.ipv4\."):
        run(root, settings, check_mode=True)
    assert (root / "proc/sys/net/ipv4/ip_forward").read_text() == "0\n"
    assert not (tmp_path / PATH[1:]).exists()


def test_a_module_that_is_not_loaded_yet_is_a_change_in_check_mode(tmp_path: Path) -> None:
    settings = {"net.bridge.bridge-nf-call-iptables": 1}
    checked = run(tmp_path, settings, check_mode=True)
    assert checked["changed_settings"] == ["net.bridge.bridge-nf-call-iptables"]
    assert checked["diff"][1]["before"] == ""
    (tmp_path / "sys/module/br_netfilter").mkdir(parents=True)
    with pytest.raises(SlipwayError, match=r"no sysctl net\.bridge"):
        run(tmp_path, settings, check_mode=True)


def test_what_the_kernel_refuses_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = machine(tmp_path, vm__a="0", vm__b="0", vm__c="0")

    def refuse(path: str, mode: str, encoding: str) -> t.TextIO:
        if path.endswith("vm/a"):
            raise OSError(22, "Invalid argument")
        return open("/dev/null" if path.endswith("vm/b") else path, mode, encoding=encoding)  # type: ignore[return-value]

    monkeypatch.setattr(sysctl_settings, "open", refuse, raising=False)
    with pytest.raises(SlipwayError, match=r"refused vm.a = 7 \(Invalid argument\), vm.b = 8 \(it keeps '0'\)\."):
        run(root, {"vm.a": 7, "vm.b": 8, "vm.c": 9})
    assert (root / "proc/sys/vm/c").read_text() == "9\n"
    assert not (tmp_path / PATH[1:]).exists()


def test_files_that_win_at_boot_are_a_warning(tmp_path: Path) -> None:
    root = machine(tmp_path, vm__a="1", vm__b="1")
    for path, text in {
        "etc/sysctl.d/10-early.conf": "vm.a = 0\n",
        "etc/sysctl.d/99-z.conf": "vm.a = 5\nvm.b = 1\n",
        "usr/lib/sysctl.d/99-z.conf": "vm.b = 6\n",
    }.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)
    expected = ["/etc/sysctl.d/99-z.conf sets vm.a to 5 after every boot; take it out there."]
    assert run(root, {"vm.a": 1, "vm.b": 1})["warnings"] == expected


def test_main(tmp_path: Path, run_module: ModuleRunner) -> None:
    value = Path("/proc/sys/kernel/pid_max").read_text().strip()
    options = {"settings": {"kernel.pid_max": value}, "path": f"{tmp_path}/x.conf"}
    assert run_module(sysctl_settings.main, options)["changed_settings"] == []
    assert not run_module(sysctl_settings.main, options)["changed"]
    assert "no name" in run_module(sysctl_settings.main, {**options, "settings": {"a b": 1}})["msg"]
    unwritable = run_module(sysctl_settings.main, {**options, "path": f"{tmp_path}/x.conf/y"})
    assert "could not be written" in unwritable["msg"] and "x.conf" in unwritable["msg"]


def test_main_warns(tmp_path: Path, run_module: ModuleRunner, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(SysctlSettings, "run", lambda *_arguments: {"changed": False, "warnings": ["look there"]})
    result = run_module(sysctl_settings.main, {"settings": {}, "path": f"{tmp_path}/x"})
    assert "look there" in str(result["warnings"])
