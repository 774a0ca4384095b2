# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import base64
import json
import stat
import types
import typing as t
import unittest.mock
from pathlib import Path

import pytest
from ansible.parsing.vault import VaultLib, VaultSecret
from ansible_collections.slipway.kubernetes.plugins.action import etcd_archive
from ansible_collections.slipway.kubernetes.plugins.module_utils._etcd.etcd_backup import Archive, BackupError
from ansible_collections.slipway.kubernetes.plugins.plugin_utils import _etcd_archive
from ansible_collections.slipway.kubernetes.plugins.plugin_utils._etcd_archive import ArchiveError
from ansible_collections.slipway.kubernetes.tests.unit.plugins.etcd_fakes import make_archive

AGE = '#!/bin/sh\necho "$@" > {log}\ncat {plain}\nexit {rc}\n'
EXPECTED = {
    "cluster_name": "lab",
    "version": "1.37.9",
    "endpoint": "api.example.com",
    "pod_subnet": "10.244.0.0/16",
    "service_subnet": "10.96.0.0/12",
    "dns_domain": "cluster.local",
}


@pytest.fixture
def plain(tmp_path: Path) -> Path:
    return make_archive(tmp_path / "plain.tar.gz")


def sealed(plain: Path, content: t.Optional[bytes] = None) -> Path:
    """What etcd_backup makes with ``vault``: the archive in base64, encrypted."""
    text = base64.b64encode(plain.read_bytes()) if content is None else content
    path = plain.with_name("sealed.tar.gz.vault")
    path.write_bytes(VaultLib([("default", VaultSecret(b"pw"))]).encrypt(text, VaultSecret(b"pw")))
    return path


def aged(plain: Path, monkeypatch: pytest.MonkeyPatch, rc: int = 0) -> Path:
    """An archive that a small program called age opens."""
    path = plain.with_name("sealed.tar.gz.age")
    path.write_text("age-encryption.org/v1\n...")
    program = plain.parent / "bin" / "age"
    program.parent.mkdir()
    program.write_text(AGE.format(log=plain.parent / "log", plain=plain if rc == 0 else "/dev/null", rc=rc))
    program.chmod(0o755)
    (plain.parent / "identity").touch()
    monkeypatch.setenv("PATH", f"{program.parent}:/usr/bin:/bin")
    return path


def test_not_encrypted(plain: Path, tmp_path: Path) -> None:
    assert _etcd_archive.open_archive(str(plain), str(tmp_path / "x"), "", "").about["cluster_name"] == "lab"
    assert not (tmp_path / "x").exists()


def test_vault(plain: Path, tmp_path: Path) -> None:
    target = tmp_path / "opened"
    archive = _etcd_archive.open_archive(str(sealed(plain)), str(target), "pw", "")
    assert archive.about["member"] == "cp1"
    assert (target.read_bytes(), stat.S_IMODE(target.stat().st_mode)) == (plain.read_bytes(), 0o600)


@pytest.mark.parametrize(
    ("password", "content", "text"),
    [
        ("", None, "Give etcd_backup_vault_password"),
        ("wrong", None, "does not open"),
        ("pw", b"\xff!", "not in base64"),
    ],
)
def test_vault_that_does_not_open(
    plain: Path, tmp_path: Path, password: str, content: t.Optional[bytes], text: str
) -> None:
    with pytest.raises(ArchiveError, match=text):
        _etcd_archive.open_archive(str(sealed(plain, content)), str(tmp_path / "x"), password, "")


def test_age(plain: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, identity = aged(plain, monkeypatch), str(tmp_path / "identity")
    assert _etcd_archive.open_archive(str(path), str(tmp_path / "x"), "", identity).about["cluster_name"] == "lab"
    assert (tmp_path / "log").read_text().split() == ["--decrypt", "--identity", identity, str(path)]


def test_age_without_what_it_needs(plain: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, identity = str(aged(plain, monkeypatch, rc=1)), str(tmp_path / "identity")
    with pytest.raises(ArchiveError, match=r"-e etcd_restore_age_identity=FILE.*age --decrypt --identity KEY"):
        _etcd_archive.open_archive(path, str(tmp_path / "1"), "", "")
    with pytest.raises(ArchiveError, match="no such file"):
        _etcd_archive.open_archive(path, str(tmp_path / "2"), "", "/nonexistent")
    with pytest.raises(ArchiveError, match="age does not open"):
        _etcd_archive.open_archive(path, str(tmp_path / "3"), "", identity)
    monkeypatch.setenv("PATH", "/nonexistent")
    with pytest.raises(ArchiveError, match="not installed on the controller"):
        _etcd_archive.open_archive(path, str(tmp_path / "4"), "", identity)


def test_nothing_to_open(tmp_path: Path) -> None:
    with pytest.raises(ArchiveError, match="-e etcd_restore_archive=FILE"):
        _etcd_archive.encryption("")
    with pytest.raises(ArchiveError, match="cannot be read on the controller: No such file"):
        _etcd_archive.encryption(str(tmp_path / "absent"))


def test_cluster_configuration(plain: Path, tmp_path: Path) -> None:
    assert _etcd_archive.cluster_configuration(Archive(str(plain)))["kubernetesVersion"] == "v1.37.1"
    for text in ('{"items": []}', "{}", "no JSON"):
        other = make_archive(tmp_path / "other.tar.gz", {"kubeadm.json": text.encode()})
        with pytest.raises(ArchiveError, match="no ConfigMap kubeadm-config"):
            _etcd_archive.cluster_configuration(Archive(str(other)))


def differences(**wanted: str) -> t.List[str]:
    cluster = {
        "kubernetesVersion": "v1.37.1",
        "controlPlaneEndpoint": "api.example.com:6443",
        "networking": {"podSubnet": "10.244.0.0/16", "serviceSubnet": "10.96.0.0/12", "dnsDomain": "cluster.local"},
    }
    given = {**EXPECTED, "endpoint": "api.example.com:6443", **wanted}
    return _etcd_archive.differences({"cluster_name": "lab"}, cluster, given)


@pytest.mark.parametrize(
    ("wanted", "text"),
    [
        ({"cluster_name": "other"}, "It is of the cluster lab, and cluster_name of the inventory is other."),
        ({"version": "1.36.4"}, "It is of Kubernetes 1.37.1, and cluster_version is 1.36.4."),
        ({"pod_subnet": "10.1.0.0/16"}, "Its networking.podSubnet is 10.244.0.0/16, and"),
        ({"endpoint": ""}, "Its controlPlaneEndpoint is api.example.com:6443, and cluster_endpoint is not set."),
    ],
)  # fmt: skip
def test_differences(wanted: t.Dict[str, str], text: str) -> None:
    (found,) = differences(**wanted)
    assert found.startswith(text)


def test_no_differences() -> None:
    assert differences() == []
    assert differences(cluster_name="", version="", pod_subnet="") == []
    assert _etcd_archive.differences({"cluster_name": "lab"}, {}, {}) == []
    (found,) = _etcd_archive.differences({"cluster_name": "lab"}, {"networking": None}, {"dns_domain": "d"})
    assert "Its networking.dnsDomain is not set" in found


def run(tmp_path: Path, **args: t.Any) -> t.Dict[str, t.Any]:
    """What the action returns."""
    task = types.SimpleNamespace(action="etcd_archive", args=args, async_val=0, check_mode=False, diff=False)
    mock = unittest.mock.MagicMock
    action = etcd_archive.ActionModule(task, mock(), mock(), mock(), mock(), mock())
    (tmp_path / "tmp").mkdir(exist_ok=True)
    with unittest.mock.patch.object(etcd_archive.constants, "DEFAULT_LOCAL_TMP", str(tmp_path / "tmp")):
        return action.run(task_vars={})


def test_action(plain: Path, tmp_path: Path) -> None:
    for path in (plain, sealed(plain)):
        result = run(tmp_path, path=str(path), vault_password="pw", expected=EXPECTED)
        assert (result["changed"], result["version"], result["authority"]) == (False, "1.37.1", "ca.crt of lab\n")
        assert result["revision"] > 1_795_000_000_000_000
        assert result["etcd_authority"] == "etcd/ca.crt of lab\n"
        assert set(result["about"]) == {"cluster_name", "created", "member", "image", "snapshot"}
        # No sa.pub: the archive has none.
        assert result["authorities"] == ["ca.crt", "ca.key", "sa.key", "etcd/ca.crt"]
        folder = Path(result["folder"])
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        files = {str(file.relative_to(folder)): file for file in folder.rglob("*") if file.is_file()}
        assert set(files) == {"snapshot.db", *(f"pki/{name}" for name in result["authorities"])}
        assert {stat.S_IMODE(file.stat().st_mode) for file in files.values()} == {0o600}
        assert "key of lab" not in json.dumps(result)


@pytest.mark.parametrize(
    ("spoil", "args", "text"),
    [
        (True, {}, "The archive is damaged"),
        (False, {"expected": {"cluster_name": "other"}}, "does not fit, nothing was changed. It is of the cluster lab"),
        (False, {"path": ""}, "Say which archive"),
    ],
)
def test_action_refuses(plain: Path, tmp_path: Path, spoil: bool, args: t.Dict[str, t.Any], text: str) -> None:
    if spoil:
        plain.write_bytes(plain.read_bytes()[:-50])
    result = run(tmp_path, **{"path": str(plain), **args})
    assert result["failed"] and text in result["msg"]
    assert list((tmp_path / "tmp").iterdir()) == []


def test_an_archive_of_another_format(tmp_path: Path) -> None:
    path = make_archive(tmp_path / "new.tar.gz", about={"format": 2})
    with pytest.raises(BackupError, match="format 2"):
        Archive(str(path))
