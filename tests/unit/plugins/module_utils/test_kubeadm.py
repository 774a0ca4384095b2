# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import itertools
import json
import re
import shutil
import typing as t
from pathlib import Path

import pytest
from ansible_collections.slipway.kubernetes.plugins.module_utils import _records
from ansible_collections.slipway.kubernetes.plugins.module_utils._command import (
    CommandError,
    CommandResult,
    SlipwayError,
)
from ansible_collections.slipway.kubernetes.plugins.module_utils._kubeadm import (
    kubeadm as _kubeadm,
)
from ansible_collections.slipway.kubernetes.plugins.module_utils._kubeadm import (
    kubeadm_files,
)
from ansible_collections.slipway.kubernetes.tests.unit.plugins.kube_fakes import Clock
from ansible_collections.slipway.kubernetes.tests.unit.plugins.package_fakes import FakeRunner
from ansible_collections.slipway.kubernetes.tests.unit.plugins.proc_fakes import process

FIXTURES = Path(__file__).parent.parent / "fixtures" / "kubeadm"
TOKEN = "abcdef.0123456789abcdef"
KEY = "ab" * 32
CA_HASH = "sha256:0b54d67d8c8562f3992f9a217611ce19137c9091ecea00a72a5692c8dd0c4e1f"


def recorded(name: str) -> str:
    return (FIXTURES / name).read_text(encoding="utf-8")


# Secrets


def test_masked_hides_tokens_and_keys_and_nothing_else() -> None:
    text = recorded("init-control-plane.txt")
    assert TOKEN in text and KEY in text
    hidden = _kubeadm.masked(text)
    assert TOKEN.split(".")[1] not in hidden and KEY not in hidden
    assert "--token abcdef.(secret) \\" in hidden
    assert "--certificate-key (certificate key)\n" in hidden
    assert hidden.count("sha256:d00e08a597708007bb39072db477b8214ee60d138587f7020603974aac4a4f55") == 2
    assert hidden.replace("(secret)", TOKEN[7:]).replace("(certificate key)", KEY) == text
    assert _kubeadm.masked("v1.37.1 node.example.com 10.244.0.0/16") == "v1.37.1 node.example.com 10.244.0.0/16"


def test_new_tokens_are_what_kubeadm_takes_and_differ() -> None:
    tokens = {_kubeadm.new_token() for _value in range(50)}
    assert len(tokens) == 50
    assert all(re.fullmatch(r"[a-z0-9]{6}\.[a-z0-9]{16}", token) for token in tokens)


# Configuration


def test_documents() -> None:
    documents = [{"kind": "A", "b": [1]}, {"kind": "B"}]
    assert _kubeadm.documents_text(documents) == '{"b": [1], "kind": "A"}\n---\n{"kind": "B"}\n'
    assert _kubeadm.find_document(documents, "B") is documents[1]
    assert _kubeadm.find_document(documents, "C") == {}


# CA


@pytest.mark.parametrize("name", ["ca", "ca-version-1"])
def test_ca_hash_is_that_of_openssl(name: str) -> None:
    wanted = recorded(f"{name}-hash-by-openssl.txt").strip()
    assert _kubeadm.ca_certificate_hashes("a comment\n" + recorded(f"{name}.crt"))[0] == wanted


def test_ca_hash_is_that_of_kubeadm() -> None:
    assert _kubeadm.ca_certificate_hashes(recorded("ca.crt"))[0] == CA_HASH
    assert CA_HASH in recorded("token-create.txt")


@pytest.mark.parametrize(
    "pem", ["", "no PEM", "-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n", "half"]
)
def test_ca_file_without_a_certificate(pem: str) -> None:
    if pem == "half":
        lines = recorded("ca.crt").splitlines()
        pem = "\n".join(lines[:5] + lines[-1:])
    with pytest.raises(SlipwayError, match="no readable certificate in the CA file"):
        _kubeadm.ca_certificate_hashes(pem)


# Join commands


def test_join_command_of_a_worker() -> None:
    assert _kubeadm.parse_join_command(recorded("token-create.txt")) == {
        "endpoint": "172.30.0.11:6443",
        "token": TOKEN,
        "ca_cert_hashes": [CA_HASH],
        "certificate_key": "",
        "control_plane": False,
    }


def test_join_command_of_a_control_plane() -> None:
    printed = _kubeadm.parse_join_command(recorded("token-create-certificate-key.txt"))
    assert (printed["control_plane"], printed["certificate_key"], printed["token"]) == (True, KEY, TOKEN)
    assert printed["ca_cert_hashes"] == [CA_HASH]


def test_join_command_over_several_lines() -> None:
    text = recorded("init-control-plane.txt")
    assert "\\\n\t--discovery-token-ca-cert-hash" in text
    hashes = ["sha256:d00e08a597708007bb39072db477b8214ee60d138587f7020603974aac4a4f55"]
    control_plane = {
        "endpoint": "api.example.com:6443",
        "token": TOKEN,
        "ca_cert_hashes": hashes,
        "certificate_key": KEY,
        "control_plane": True,
    }
    assert _kubeadm.parse_join_command(text) == control_plane
    worker = text[text.index("Then you can join any number of worker nodes") :]
    assert _kubeadm.parse_join_command(worker) == {**control_plane, "certificate_key": "", "control_plane": False}


def test_join_command_with_equals_signs_several_hashes_and_none() -> None:
    line = "kubeadm join [::1]:6443 --token=a --discovery-token-ca-cert-hash=sha256:1 --discovery-token-ca-cert-hash x"
    printed = _kubeadm.parse_join_command(line)
    assert (printed["endpoint"], printed["token"], printed["ca_cert_hashes"]) == ("[::1]:6443", "a", ["sha256:1", "x"])
    assert _kubeadm.parse_join_command("kubeadm join a:1")["token"] == ""
    with pytest.raises(SlipwayError, match="printed no join command"):
        _kubeadm.parse_join_command("W1121 something else\n")


# The record of what is unfinished


def test_marker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    marker = tmp_path / "slipway" / "kubeadm.json"
    monkeypatch.setattr(_records.KUBEADM, "path", str(marker))
    assert _kubeadm.unfinished("init") is None
    _records.KUBEADM.end()
    _records.KUBEADM.begin("init", token_id="abcdef")
    assert marker.stat().st_mode & 0o7777 == 0o600
    record = _kubeadm.unfinished("init")
    assert record is not None
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", record.pop("started"))
    assert record == {"operation": "init", "token_id": "abcdef"}
    with pytest.raises(SlipwayError, match=r"interrupted `kubeadm init` .* so `kubeadm join` is not begun"):
        _kubeadm.unfinished("join")
    _records.KUBEADM.end()
    assert not marker.exists()


def test_an_unreadable_marker_is_one_all_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    marker = tmp_path / "kubeadm.json"
    marker.write_text("{")
    monkeypatch.setattr(_records.KUBEADM, "path", str(marker))
    assert _kubeadm.unfinished("init") == _kubeadm.unfinished("join") == {}


# Processes


def test_running_commands(tmp_path: Path) -> None:
    lines = {
        "1": "/sbin/init\0",
        "20": "/usr/bin/kubeadm\0init\0--config=/dev/stdin\0",
        "21": "kubeadm\0join\0",
        "22": "kubeadm\0reset\0--force\0",
        "23": "kubeadm\0config\0images\0pull\0",
        "24": "kubeadm",
        "25": "",
        "26": "vi\0kubeadm\0init\0",
        "self": "kubeadm\0init\0",
    }
    for pid, line in lines.items():
        (process(tmp_path, pid) / "cmdline").write_text(line)
    (tmp_path / "27").mkdir()
    # Of a kind cluster on this machine: nobody waits for that.
    process(tmp_path, 28, "kubeadm", "upgrade", "apply", namespace=2, depth=2)
    assert sorted(_kubeadm.running_commands(str(tmp_path))) == ["kubeadm init", "kubeadm join", "kubeadm reset"]


def test_waits_for_a_command_of_an_earlier_run(monkeypatch: pytest.MonkeyPatch, clock: Clock) -> None:
    running = iter([["kubeadm init"], ["kubeadm init"], []])
    monkeypatch.setattr(_kubeadm, "running_commands", lambda: next(running))
    assert _kubeadm.wait_for_running(10)
    assert clock.now == 1.0
    monkeypatch.setattr(_kubeadm, "running_commands", lambda: [])
    assert not _kubeadm.wait_for_running(10)
    monkeypatch.setattr(_kubeadm, "running_commands", lambda: ["kubeadm join"])
    with pytest.raises(SlipwayError, match="`kubeadm join` of an earlier run is still running after 10 seconds"):
        _kubeadm.wait_for_running(10)


# kubeadm itself


def test_version() -> None:
    runner = FakeRunner({"version --output=short": "v1.37.1\n"}, tools=("kubeadm",))
    assert _kubeadm.Kubeadm(runner).version() == "v1.37.1"


def test_configuration_goes_by_standard_input_only() -> None:
    runner = FakeRunner({"join": "joined"}, tools=("kubeadm",))
    assert _kubeadm.Kubeadm(runner).run([{"token": TOKEN}], "join", "--v=1") == "joined"
    assert runner.calls == [["/usr/bin/kubeadm", "join", "--v=1", "--config=/dev/stdin"]]
    assert runner.stdins == [json.dumps({"token": TOKEN}) + "\n"]


def test_what_a_failing_kubeadm_says_is_shown_without_secrets() -> None:
    argv = ["/usr/bin/kubeadm", "init"]
    result = CommandResult(argv, 1, f"made token {TOKEN}\n", f"token {TOKEN} key {KEY} is bad\n")
    runner = FakeRunner({"init": CommandError(f"kubeadm init failed (rc 1): {result.stderr}", result)}, ("kubeadm",))
    with pytest.raises(SlipwayError) as caught:
        _kubeadm.Kubeadm(runner).run([{}], "init")
    error = caught.value
    said = "token abcdef.(secret) key (certificate key) is bad\n"
    assert error.msg == f"kubeadm init failed (rc 1): {said}"
    assert error.details == {"cmd": argv, "rc": 1, "stdout": "made token abcdef.(secret)\n", "stderr": said}
    assert error.__cause__ is None and error.__suppress_context__
    assert TOKEN[7:] not in repr(error) + str(error)


def test_validate_names_the_unknown_field() -> None:
    said = recorded("validate-unknown-field.txt")
    answers: t.Dict[str, t.Any] = {"config validate": [(1, "", said), (1, f"bad token {TOKEN}", ""), "ok\n"]}
    runner = FakeRunner(answers, tools=("kubeadm",))
    kubeadm = _kubeadm.Kubeadm(runner)
    with pytest.raises(SlipwayError, match=r"nothing was changed: error: .* unknown field") as caught:
        kubeadm.validate([{"nodeRegistraton": 1}])
    assert '"nodeRegistraton"' in caught.value.msg and "--v=5" not in caught.value.msg
    with pytest.raises(SlipwayError, match=r"bad token abcdef.\(secret\)$"):
        kubeadm.validate([])
    kubeadm.validate([{"kind": "A"}, {"kind": "B"}])
    assert runner.calls[2] == ["/usr/bin/kubeadm", "config", "validate", "--config=/dev/stdin"]
    assert runner.stdins[2] == '{"kind": "A"}\n---\n{"kind": "B"}\n'


# What is kubeadm's, and what is not: a PKI that the user gave, configuration and static pods of others.

GIVEN = {
    "pki/ca.crt": "an authority without its key",
    "pki/sa.key": "half of a pair",
    "pki/etcd/ca.crt": "another one",
    "controller-manager.conf": "signed by somebody else",
}
FOREIGN = {
    "cloud.conf": "secret",
    "audit-webhook.conf": "of an operator",
    "patches/etcd0.yaml": "a patch",
    "encryption/config.yaml": "keys",
    "manifests/kube-vip.yaml": "a static pod",
    "manifests/more/extra.yaml": "in a folder",
    "pki/users/ada.key": "of a user",
    "tmp/mine": "x",
}
KUBEADMS = {
    "admin.conf": "",
    "super-admin.conf": "",
    "kubelet.conf": "",
    "bootstrap-kubelet.conf": "",
    "scheduler.conf": "",
    "manifests/kube-apiserver.yaml": "",
    "manifests/etcd.yaml": "--data-dir=/srv/etcd",
    "pki/apiserver.crt": "",
    "pki/front-proxy-ca.key": "without its certificate",
    "pki/etcd/server.key": "",
    "tmp/kubeadm-backup-manifests-1/etcd.yaml": "",
}


class Kubernetes:
    """The folders of kubeadm and of the kubelet, and a kubeadm that empties them as the real one does."""

    def __init__(self, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.root, self.folder, self.kubelet = root, root / "kubernetes", root / "kubelet"
        self.dies = ""
        self.runner = FakeRunner({"reset": self._reset}, tools=("kubeadm",))
        for name, path in {
            "FOLDER": self.folder,
            "KUBELET": self.kubelet,
            "RECORD": root / "slipway/given.json",
            "ASIDE": root / "slipway/aside",
        }.items():
            monkeypatch.setattr(kubeadm_files, name, str(path))
        monkeypatch.setattr(_kubeadm, "etcd_data", lambda: "")

    def write(self, files: t.Mapping[str, str]) -> None:
        for name, text in files.items():
            path = self.folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)

    def _reset(self, argv: t.List[str]) -> str:
        assert not Path(next(word for word in argv if word.startswith("--cert-dir=")).partition("=")[2]).exists()
        if self.dies == "before":
            raise KeyboardInterrupt
        for folder in (self.folder / "manifests", self.kubelet):
            for path in folder.iterdir():
                shutil.rmtree(path) if path.is_dir() else path.unlink()
        for name in kubeadm_files.KUBECONFIGS:
            (self.folder / name).unlink(missing_ok=True)
        return ""

    def files(self) -> t.Dict[str, str]:
        found = (path for path in self.folder.rglob("*") if path.is_file())
        return {str(path.relative_to(self.folder)): path.read_text() for path in found}

    def reset(self, authorities: bool = True) -> None:
        _kubeadm.Kubeadm(self.runner).reset("unix:///c.sock", authorities)


@pytest.fixture
def kubernetes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Kubernetes:
    machine = Kubernetes(tmp_path, monkeypatch)
    machine.write({**GIVEN, **FOREIGN})
    machine.kubelet.mkdir()
    (machine.kubelet / "config.json").write_text("credentials")
    (machine.folder / "manifests/link.yaml").symlink_to("/opt/pod.yaml")
    (machine.folder / "cloud.conf").chmod(0o600)
    (machine.folder / "manifests/kube-vip.yaml").chmod(0o640)
    (machine.kubelet / ".kubelet-keep").touch()
    kubeadm_files.KubeadmFiles().record_given()
    machine.write(KUBEADMS)
    (machine.kubelet / "config.yaml").write_text("of kubeadm")
    return machine


@pytest.mark.parametrize("authorities", [True, False])
def test_a_repeated_command_removes_what_is_kubeadms_and_nothing_else(
    kubernetes: Kubernetes, authorities: bool
) -> None:
    kubernetes.reset(authorities)
    assert kubernetes.files() == {**GIVEN, **FOREIGN}
    assert (kubernetes.folder / "cloud.conf").stat().st_mode & 0o777 == 0o600
    assert (kubernetes.folder / "manifests/kube-vip.yaml").stat().st_mode & 0o777 == 0o640
    assert str((kubernetes.folder / "manifests/link.yaml").readlink()) == "/opt/pod.yaml"
    assert [path.name for path in kubernetes.kubelet.iterdir()] == ["config.json"]
    assert not (kubernetes.root / "slipway/aside").exists()
    [argv] = kubernetes.runner.calls
    assert argv[1:3] == ["reset", "--force"] and argv[-1] == "--cri-socket=unix:///c.sock"


def test_what_was_given_and_has_changed_since_is_not_the_users_any_more(kubernetes: Kubernetes) -> None:
    kubernetes.write({"pki/ca.crt": "downloaded from the cluster"})
    kubernetes.reset(authorities=False)
    assert "pki/ca.crt" not in kubernetes.files() and "pki/sa.key" in kubernetes.files()


@pytest.mark.parametrize("text", ["", "{", "[]", '{"given": ["/etc/kubernetes/pki/ca.key"]}'])
def test_a_record_that_is_damaged_gives_nothing_away(kubernetes: Kubernetes, text: str) -> None:
    """As if there were none, a CA of the user's would count as kubeadm's, and a reset would delete it."""
    (kubernetes.root / "slipway/given.json").write_text(text)
    files = kubeadm_files.KubeadmFiles()
    for look in (files.given, files.made, files.in_the_way, files.record_given):
        with pytest.raises(SlipwayError, match=r"given\.json is damaged .* Nothing was changed"):
            look()


def test_what_we_made_for_kubeadm_was_not_given(kubernetes: Kubernetes) -> None:
    files = kubeadm_files.KubeadmFiles()
    made = f"{kubernetes.folder}/pki/ca.crt"
    files.record_made([made])
    files.record_given()
    assert made in files.made() and made not in files.given()
    # The other way round as well: what is made later is known besides what was given.
    files.record_made([f"{kubernetes.folder}/pki/sa.key"])
    assert f"{kubernetes.folder}/pki/etcd/ca.crt" in files.given()


@pytest.mark.parametrize("link", [".", "pki", "pki/etcd", "pki/ca.crt", "manifests"])
def test_what_was_given_behind_a_link_stays(kubernetes: Kubernetes, link: str) -> None:
    """A PKI on another disk, as a whole or in part: kubeadm's names are found through the link."""
    for name in KUBEADMS:
        (kubernetes.folder / name).unlink()
    place, elsewhere = kubernetes.folder / link, kubernetes.root / "elsewhere"
    place.rename(elsewhere)
    place.symlink_to(elsewhere)
    kubeadm_files.KubeadmFiles().record_given()
    kubernetes.write({name: text for name, text in KUBEADMS.items() if name not in GIVEN})
    kubernetes.reset(authorities=False)
    left = {name for name in {**GIVEN, **FOREIGN} if (kubernetes.folder / name).is_file()}
    assert left == {*GIVEN, *FOREIGN} and place.is_symlink()
    assert not any((kubernetes.folder / name).exists() for name in KUBEADMS if name not in GIVEN)


def test_an_authority_that_is_complete_stays(kubernetes: Kubernetes) -> None:
    """Load balancers know the CA already; half of one would make kubeadm fail for ever."""
    pair = {"pki/front-proxy-ca.crt": recorded("ca.crt"), "pki/front-proxy-ca.key": "-----END RSA PRIVATE KEY-----\n"}
    kubernetes.write({**pair, "pki/etcd/ca.key": "-----BEGIN RSA"})
    kubernetes.reset()
    assert kubernetes.files() == {**GIVEN, **FOREIGN, **pair}


def test_without_a_record_all_authorities_stay(kubernetes: Kubernetes) -> None:
    (kubernetes.root / "slipway/given.json").unlink()
    kubernetes.reset()
    left = kubernetes.files()
    assert {"pki/ca.crt", "pki/sa.key", "pki/etcd/ca.crt", "pki/front-proxy-ca.key", *FOREIGN} == set(left)


@pytest.mark.parametrize("moment", ["before kubeadm", "after kubeadm", "while it is put back"])
def test_a_kill_at_any_moment_loses_nothing(
    kubernetes: Kubernetes, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    """SIGKILL: nothing is cleaned up, and only the next call can make it good."""
    copies = itertools.count()
    real = kubeadm_files._copy
    if moment == "before kubeadm":
        # In the middle of a copy, too.
        unfinished = kubernetes.root / "slipway/aside" / str(kubernetes.folder).lstrip("/") / "manifests/.slipway-x"
        unfinished.mkdir(parents=True)
        (unfinished / "copy").write_text("half")

    def copy(source: str, target: str) -> None:
        if moment == "while it is put back" and "aside" in source and next(copies) == 1:
            raise KeyboardInterrupt
        real(source, target)

    def put_back(_files: t.Any) -> None:
        if (kubernetes.root / "slipway/aside").exists():
            raise KeyboardInterrupt

    kubernetes.dies = "before" if moment == "before kubeadm" else ""
    with monkeypatch.context() as patched:
        patched.setattr(kubeadm_files, "_copy", copy)
        if moment != "while it is put back":
            patched.setattr(kubeadm_files.KubeadmFiles, "put_back", put_back)
        with pytest.raises(KeyboardInterrupt):
            kubernetes.reset()
    kubernetes.dies = ""
    kubernetes.reset()
    assert kubernetes.files() == {**GIVEN, **FOREIGN}
    assert (kubernetes.kubelet / "config.json").read_text() == "credentials"


def test_etcd_data(tmp_path: Path) -> None:
    assert kubeadm_files.etcd_data(str(tmp_path)) == ""
    certificate = tmp_path / "pki/etcd/server.crt"
    certificate.parent.mkdir(parents=True)
    certificate.touch()
    assert kubeadm_files.etcd_data(str(tmp_path)) == "/var/lib/etcd"
    manifest = tmp_path / "manifests/etcd.yaml"
    manifest.parent.mkdir()
    manifest.write_text("    - --data-dir=/srv/etcd\n")
    assert kubeadm_files.etcd_data(str(tmp_path)) == "/srv/etcd"
    manifest.write_text("    - --data-dir=/\n")
    assert kubeadm_files.etcd_data(str(tmp_path)) == "/var/lib/etcd"
