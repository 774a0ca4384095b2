# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t
from pathlib import Path

import pytest
from ansible_collections.slipway.kubernetes.plugins.module_utils import _module
from ansible_collections.slipway.kubernetes.plugins.module_utils._command import CommandError, CommandResult
from ansible_collections.slipway.kubernetes.plugins.modules import kubeadm_images
from ansible_collections.slipway.kubernetes.tests.unit.plugins.package_fakes import FakeRunner
from ansible_collections.slipway.kubernetes.tests.unit.plugins.utils import ModuleRunner

# Recorded from kubeadm 1.37.1.
RECORDED = (Path(__file__).parent.parent / "fixtures" / "kubeadm" / "images.txt").read_text("utf-8")
OPTIONS = ["--kubernetes-version=v1.37.1", "--image-repository=registry.k8s.io"]


@pytest.fixture
def runner(monkeypatch: pytest.MonkeyPatch) -> FakeRunner:
    fake = FakeRunner({"images list": RECORDED, "images pull": "[config/images] Pulled"}, tools=("kubeadm",))
    monkeypatch.setattr(_module, "Runner", lambda _module: fake)
    return fake


@pytest.mark.parametrize("version", ["1.37.1", "v1.37.1"])
def test_listed(runner: FakeRunner, run_module: ModuleRunner, version: str) -> None:
    result = run_module(kubeadm_images.main, {"kubernetes_version": version, "cri_socket": "unix:///c.sock"})
    assert (result["changed"], result["sandbox_image"]) == (False, "registry.k8s.io/pause:3.10.2")
    assert result["images"] == RECORDED.split() and len(result["images"]) == 7
    assert runner.calls == [["/usr/bin/kubeadm", "config", "images", "list", *OPTIONS]]


def test_pulled(runner: FakeRunner, run_module: ModuleRunner) -> None:
    options = {"kubernetes_version": "1.37.1", "state": "pulled", "cri_socket": "unix:///c.sock"}
    assert len(run_module(kubeadm_images.main, options, check=True)["images"]) == 7
    assert not runner.called("pull")
    assert not run_module(kubeadm_images.main, options)["changed"]
    pull = ["/usr/bin/kubeadm", "config", "images", "pull"]
    assert runner.called("pull") == [[*pull, *OPTIONS, "--cri-socket=unix:///c.sock"]]
    run_module(kubeadm_images.main, {**options, "cri_socket": None, "image_repository": "mirror/k8s"})
    assert runner.calls[-1] == [*pull, OPTIONS[0], "--image-repository=mirror/k8s"]


def test_without_kubeadm(runner: FakeRunner, run_module: ModuleRunner) -> None:
    runner.tools = ()
    nothing: t.Dict[str, t.Any] = {"images": [], "sandbox_image": ""}
    options = {"kubernetes_version": "1.37.1"}
    for given, check in ((options, False), ({**options, "state": "pulled"}, True)):
        result = run_module(kubeadm_images.main, given, check=check)
        assert {key: result[key] for key in nothing} == nothing and not result["failed"]
    failed = run_module(kubeadm_images.main, {**options, "state": "pulled"})
    assert failed["msg"] == "kubeadm is not installed on this host, so its images cannot be pulled."


def test_failing_pull(runner: FakeRunner, run_module: ModuleRunner) -> None:
    runner.answers["images pull"] = CommandError("no route", CommandResult([], 1, "", ""))
    failed = run_module(kubeadm_images.main, {"kubernetes_version": "1.37.1", "state": "pulled"})
    assert (failed["failed"], failed["msg"]) == (True, "no route")


def test_sandbox_image() -> None:
    assert kubeadm_images.sandbox_image(["a/pause-more:1", "a:5000/k8s/pause:3.9", "pause:1"]) == "a:5000/k8s/pause:3.9"
    assert kubeadm_images.sandbox_image([]) == ""
