# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import base64
import json
import shutil
import types
import typing as t
from pathlib import Path

import pytest
from ansible.module_utils.basic import AnsibleModule
from ansible_collections.slipway.kubernetes.plugins.module_utils import _module
from ansible_collections.slipway.kubernetes.plugins.module_utils._command import SlipwayError
from ansible_collections.slipway.kubernetes.plugins.module_utils._kube import api_server
from ansible_collections.slipway.kubernetes.plugins.module_utils._kubeadm import static_pods
from ansible_collections.slipway.kubernetes.plugins.module_utils._kubelet import kubelet_certificate
from ansible_collections.slipway.kubernetes.plugins.module_utils._pki import certificates
from ansible_collections.slipway.kubernetes.plugins.modules import kubeadm_certs_renew
from ansible_collections.slipway.kubernetes.tests.unit.plugins.kube_fakes import Clock, waiting_clock
from ansible_collections.slipway.kubernetes.tests.unit.plugins.package_fakes import FakeRunner
from ansible_collections.slipway.kubernetes.tests.unit.plugins.utils import ModuleRunner

FIXTURES = Path(__file__).parents[1] / "fixtures" / "kubeadm" / "control-plane"
#: When apiserver.crt expires; the kubelet's certificates do so a quarter of an hour earlier.
END = 1826797781.0
DAY = 86400
CONFIGURATION = "apiVersion: kubeadm.k8s.io/v1beta4\nkind: ClusterConfiguration\ncertificateValidityPeriod: 48h0m0s\n"
KUBECONFIG = "users:\n- user:\n    client-certificate-data: {}\n    client-key-data: {}\n"
NEVER = 99999.0


class Component:
    """A component of the control plane, as :class:`static_pods.Component`."""

    def __init__(self, program: str, file: Path, started: float, clock: Clock) -> None:
        self.program, self.file = program, str(file)
        self.started: t.Optional[float] = started
        self.delay = 0.0
        self._clock = clock
        self.ends: t.List[float] = []
        self.arguments: t.Dict[str, str] = {}

    def pid(self) -> int:
        return 5 if self.started is not None and self._clock() >= self.started else 0

    def argument(self, name: str) -> str:
        return self.arguments.get(name, "") if self.pid() else ""

    def is_older_than_its_file(self) -> bool:
        return bool(self.pid()) and (self.started or 0) < 0 and Path(self.file).read_text().startswith("renewed")

    def end(self) -> None:
        self.ends.append(self._clock())
        self.started = self._clock() + self.delay


class ControlPlane:
    """A control plane; kubeadm writes `renewed` before a file, and the clock goes on by sleeping."""

    def __init__(self, root: Path, monkeypatch: pytest.MonkeyPatch, run_module: ModuleRunner) -> None:
        self._run_module = run_module
        self.root = root / "machine"
        shutil.copytree(FIXTURES, self.root)
        for name in ("ca.key", "front-proxy-ca.key", "etcd/ca.key"):
            (self.root / "pki" / name).touch()
        (self.root / "admin.conf").write_text((self.root / "scheduler.conf").read_text())
        self.clock = waiting_clock(monkeypatch)
        self.now = END - 10 * DAY
        self.ready = True
        self.ready_at = 0.0
        self.warnings: t.List[str] = []
        self.scheduler = Component("kube-scheduler", self.root / "scheduler.conf", -1, self.clock)
        self.controller = Component("kube-controller-manager", self.root / "admin.conf", -1, self.clock)
        self.api = Component("kube-apiserver", self.root / "pki/apiserver.crt", -1, self.clock)
        self.etcd = Component("etcd", self.root / "pki/etcd/peer.crt", -1, self.clock)
        self.etcd.arguments["listen-client-urls"] = "https://127.0.0.1:2379"
        #: Seconds until a server sees a new file.
        self.reloads = {6443: 1.0, 2379: 0.0}
        self.runner = FakeRunner(
            {
                "get --raw": lambda _argv: self._configuration(),
                "kubeadm version": "v1.37.1\n",
                "certs renew": self._renew,
                "kubeconfig user": lambda _argv: self._kubeconfig(),
                "restart kubelet": lambda _argv: self._kubelet(),
            },
            tools=("kubeadm", "kubectl", "systemctl"),
        )
        manifest = self.root / "kube-apiserver.yaml"
        manifest.write_text("kubeadm.kubernetes.io/kube-apiserver.advertise-address.endpoint: 172.30.0.40:6443\n")
        module = kubeadm_certs_renew
        for target, name, value in (
            (certificates, "FOLDER", str(self.root)),
            (certificates, "KUBELET_FOLDER", str(self.root / "kubelet")),
            (api_server, "MANIFEST", str(manifest)),
            (api_server, "is_ready", lambda: self.ready and self.clock() >= self.ready_at),
            (_module, "Runner", lambda _module: self.runner),
            (module, "ADMINISTRATORS", (str(self.root / "admin.conf"), str(self.root / "none.conf"))),
            (module, "READ_ONCE", ((self.controller, 10257), (self.scheduler, 10259))),
            (static_pods, "API_SERVER", self.api),
            (static_pods, "ETCD", self.etcd),
            (static_pods, "ETCD_PEER", str(self.root / "none.crt")),
            (static_pods, "presented", self._presented),
            (static_pods, "is_healthy", self._is_healthy),
            (module, "time", types.SimpleNamespace(time=self._time)),
            (AnsibleModule, "warn", lambda _module, text: self.warnings.append(text)),
        ):
            monkeypatch.setattr(target, name, value)
        self.healthy: t.List[t.Tuple[str, int]] = []

    def _time(self) -> float:
        return self.now

    def _configuration(self) -> t.Any:
        if not self.ready:
            return (1, "", "refused")
        return json.dumps({"data": {"ClusterConfiguration": CONFIGURATION}})

    def _renew(self, argv: t.List[str]) -> str:
        names = {name: path for name, path, _authority in certificates.RENEWABLE}
        path = self.root / names[argv[argv.index("renew") + 1]]
        path.write_text("renewed\n" + path.read_text())
        return ""

    def _kubeconfig(self) -> str:
        certificate = (FIXTURES / "kubelet/kubelet-client-current.pem").read_bytes()
        return KUBECONFIG.format(base64.b64encode(certificate).decode(), base64.b64encode(b"the key\n").decode())

    def _kubelet(self) -> str:
        for component in (self.scheduler, self.controller, self.api, self.etcd):
            if component.started == NEVER:
                component.started = self.clock() + 5
        self.ready, self.ready_at = True, self.clock() + 9
        return ""

    def _presented(self, _host: str, port: int) -> str:
        component = self.api if port == 6443 else self.etcd
        if not component.pid():
            return ""
        is_new = self.clock() >= self.reloads[port] or component.ends
        return certificates.read(component.file).fingerprint if is_new else "another"

    def _is_healthy(self, host: str, port: int) -> bool:
        self.healthy.append((host, port))
        return True

    def run(self, check: bool = False, **options: t.Any) -> t.Dict[str, t.Any]:
        return self._run_module(kubeadm_certs_renew.main, options, check=check)

    def renewed_by_kubeadm(self) -> t.List[str]:
        return [call[call.index("renew") + 1] for call in self.runner.calls if "renew" in call]


@pytest.fixture
def plane(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, run_module: ModuleRunner) -> ControlPlane:
    return ControlPlane(tmp_path, monkeypatch, run_module)


ALL = ["apiserver", "front-proxy-client", "etcd-peer", "admin.conf", "scheduler.conf"]


def test_nothing_is_due(plane: ControlPlane) -> None:
    result = plane.run(below=5)
    assert (result["changed"], result["renewed"], result["restarted"]) == (False, [], [])
    assert plane.runner.calls == []


def test_check_then_run(plane: ControlPlane) -> None:
    checked = plane.run(check=True)
    assert plane.runner.calls == [] and checked["changed"]
    result = plane.run()
    assert result["renewed"] == checked["renewed"] == plane.renewed_by_kubeadm() == ALL
    # API server and etcd see the new files themselves.
    assert result["restarted"] == checked["restarted"] == ["kube-controller-manager", "kube-scheduler"]
    assert checked["diff"]["before"] == result["diff"]["before"]
    assert set(checked["diff"]["after"].values()) == {"renewed"}
    assert result["diff"]["after"]["apiserver"] == "expires 2027-11-21T11:49:41Z"
    assert plane.healthy == [("127.0.0.1", 10257), ("127.0.0.1", 10259)]
    # The cluster's own configuration counts, which may have another period of validity.
    stdins = [stdin for call, stdin in zip(plane.runner.calls, plane.runner.stdins) if "renew" in call]
    assert set(stdins) == {CONFIGURATION} and plane.warnings == []


def test_chosen_names(plane: ControlPlane) -> None:
    assert plane.run(names=["apiserver"])["renewed"] == ["apiserver"]
    assert plane.run(names=["etcd-peer"], below=5)["renewed"] == []
    assert plane.run(names=["etcd-peer"], below=5, all=True)["renewed"] == ["etcd-peer"]


def test_a_run_that_was_killed_is_finished(plane: ControlPlane) -> None:
    """The file was renewed, and the process that reads it once is older."""
    plane._renew(["renew", "scheduler.conf"])
    plane.scheduler.delay = 3
    for check in (True, False):
        result = plane.run(check=check, below=5)
        assert (result["changed"], result["renewed"], result["restarted"]) == (True, [], ["kube-scheduler"])
    assert plane.scheduler.ends == [1.0] and plane.controller.ends == []
    assert not plane.run(below=5)["changed"]


def test_other_ports_and_addresses(plane: ControlPlane) -> None:
    plane.scheduler.arguments = {"bind-address": "10.0.0.7", "secure-port": "1234"}
    plane.controller.arguments = {"bind-address": "0.0.0.0"}
    plane.run()
    assert plane.healthy == [("127.0.0.1", 10257), ("10.0.0.7", 1234)]


@pytest.mark.parametrize("wait", [True, False])
def test_an_api_server_that_does_not_see_the_file_is_restarted(plane: ControlPlane, wait: bool) -> None:
    plane.reloads[6443] = NEVER
    plane.api.delay = 4
    result = plane.run(names=["apiserver"], wait=wait)
    assert result["restarted"] == ["kube-apiserver"]
    assert plane.api.ends == [static_pods.RELOAD]


def test_what_does_not_come_up_again_is_named(plane: ControlPlane) -> None:
    plane.reloads[6443] = NEVER
    plane.api.delay = NEVER
    result = plane.run(names=["apiserver"], timeout=10)
    assert result["failed"] and "After 10 seconds kube-apiserver with the certificate in" in result["msg"]
    assert "refused" not in result


def test_all_have_expired_and_nothing_runs(plane: ControlPlane) -> None:
    plane.now = END + DAY
    plane.ready = False
    for component in (plane.scheduler, plane.controller, plane.api, plane.etcd):
        component.started = NEVER
    checked = plane.run(check=True)
    result = plane.run()
    assert result["renewed"] == checked["renewed"] == [*ALL, "kubelet-client"]
    assert result["restarted"] == ["kubelet"]
    assert "for a year" in plane.warnings[0]
    stdins = [stdin for call, stdin in zip(plane.runner.calls, plane.runner.stdins) if "renew" in call]
    assert json.loads(stdins[0] or "")["kubernetesVersion"] == "v1.37.1"
    assert plane.runner.called("--client-name=system:node:certs-cp1", "--org=system:nodes")
    current = plane.root / "kubelet" / "kubelet-client-current.pem"
    assert current.is_symlink() and current.resolve().stat().st_mode & 0o777 == 0o600
    assert current.read_text().endswith("-----END CERTIFICATE-----\nthe key\n")


def test_it_does_not_wait_for_what_needs_others(plane: ControlPlane) -> None:
    plane.ready, plane.now = False, END + DAY
    plane.etcd.started = NEVER
    result = plane.run(wait=False, names=["etcd-peer"])
    assert (result["restarted"], plane.clock()) == (["kubelet"], 1.0)


def test_an_authority_that_is_elsewhere(plane: ControlPlane) -> None:
    (plane.root / "pki" / "front-proxy-ca.key").unlink()
    result = plane.run()
    assert result["failed"] and result["msg"].startswith("front-proxy-client: expiring in less than 30 days")
    assert result["refused"] is True
    assert plane.runner.calls == []
    result = plane.run(all=True, below=1)
    assert result["skipped_external"] == ["front-proxy-client"] and "front-proxy-client" not in result["renewed"]


def test_an_authority_that_has_expired(plane: ControlPlane) -> None:
    plane.now = END + 3650 * DAY
    result = plane.run()
    assert result["failed"] and "The authority has expired" in result["msg"]
    assert plane.runner.calls == []


def test_no_time_to_wait(plane: ControlPlane) -> None:
    result = plane.run(all=True, timeout=0)
    assert result["failed"] and "timeout is 0, and has to be 1 second at least" in result["msg"]
    assert result["refused"] is True and plane.runner.calls == []


def test_an_unreadable_file(plane: ControlPlane) -> None:
    (plane.root / "pki" / "apiserver.crt").write_text("")
    result = plane.run()
    assert result["failed"] and "apiserver.crt (there is no PEM block CERTIFICATE)" in result["msg"]
    assert result["refused"] is True and plane.runner.calls == []


def test_a_certificate_that_becomes_unreadable_is_not_presented(plane: ControlPlane) -> None:
    (plane.root / "pki" / "apiserver.crt").write_text("")
    assert not static_pods.presents(plane.api.file, ("127.0.0.1", 6443))


# The kubelet's certificate


@pytest.mark.parametrize(
    "kubeconfig", ["", KUBECONFIG.format("", "a2V5"), KUBECONFIG.format("$", "$"), KUBECONFIG.format("a2V5", "")]
)
def test_a_kubeconfig_without_certificate_or_key(kubeconfig: str) -> None:
    with pytest.raises(SlipwayError, match="no kubeconfig"):
        kubelet_certificate.pair_of(kubeconfig)


def test_a_certificate_of_nobody(plane: ControlPlane) -> None:
    entry = certificates.Entry("kubelet-client", "/x.pem", "kubelet", "ca", False, None, "empty")
    with pytest.raises(SlipwayError, match="which node"):
        kubelet_certificate.renew(plane.runner, entry)


def test_a_link_of_a_call_that_was_killed_is_replaced(plane: ControlPlane) -> None:
    path = plane.root / "kubelet" / "kubelet-client-current.pem"
    (plane.root / "kubelet" / "kubelet-client-current.pem.new").symlink_to("/nowhere")
    entry = certificates._entry("kubelet-client", str(path), "kubelet", "ca", False)
    kubelet_certificate.renew(plane.runner, entry)
    assert path.is_symlink() and "the key" in path.read_text()
