# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import hashlib
import json
import os
import shutil
import typing as t
from pathlib import Path

import pytest
from ansible_collections.slipway.kubernetes.plugins.module_utils._command import SlipwayError
from ansible_collections.slipway.kubernetes.plugins.modules import release_archive as module
from ansible_collections.slipway.kubernetes.tests.unit.plugins.package_fakes import make_tar, run_main


class Site:
    """A web site in a directory, and a host in another one."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.fetched: t.List[str] = []
        make_tar(root / "helm.tar.gz", {"linux-amd64/helm": b"helm 1", "linux-amd64/LICENSE": b"law"})
        self.digest = hashlib.sha256((root / "helm.tar.gz").read_bytes()).hexdigest()
        (root / "helm.tar.gz.sha256sum").write_text(f"{self.digest}  helm.tar.gz\n")
        self.dest = root / "bin" / "helm"

    def fetch(self, url: str, path: str) -> None:
        name = url.rpartition("/")[2]
        self.fetched.append(name)
        shutil.copyfile(self.root / name, path)

    def run(self, check: bool = False, **params: t.Any) -> t.Dict[str, t.Any]:
        self.fetched = []
        files = params.pop("files", [{"member": "*/helm", "dest": str(self.dest), "mode": "0755"}])
        values: t.Dict[str, t.Any] = {
            "name": "helm",
            "url": "http://x/helm.tar.gz",
            "checksum": f"sha256:{self.digest}",
            **params,
        }
        temporary = self.root / "tmp"
        shutil.rmtree(temporary, ignore_errors=True)
        temporary.mkdir()
        archive = module.ReleaseArchive(
            files=module.parse_files(files), fetch=self.fetch, records=str(self.root / "records"), **values
        )
        return archive.run(check, str(temporary))


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


def test_check_run_check_run(site: Site) -> None:
    predicted = site.run(check=True)
    assert predicted["changed"] and not site.fetched and not site.dest.exists()
    assert "from http://x/helm.tar.gz, mode 0755" in predicted["diff"]["after"]
    result = site.run()
    assert result["changed"] and result["downloaded"] and result["archive_sha256"] == site.digest
    assert site.dest.read_bytes() == b"helm 1" and site.dest.stat().st_mode & 0o7777 == 0o755
    assert result["files"] == [
        {"dest": str(site.dest), "sha256": hashlib.sha256(b"helm 1").hexdigest(), "changed": True}
    ]
    for check in (True, False):
        again = site.run(check=check)
        assert not again["changed"] and not again["downloaded"] and not site.fetched
        assert again["diff"]["before"] == again["diff"]["after"]


@pytest.mark.usefixtures("narrow")
def test_everybody_may_run_what_is_in_a_new_folder(site: Site) -> None:
    site.dest = site.root / "new" / "bin" / "helm"
    assert site.run(files=[{"member": "*/helm", "dest": str(site.dest), "mode": "0755"}])["changed"]
    assert [path.stat().st_mode & 0o7777 for path in (site.root / "new", site.dest.parent)] == [0o755, 0o755]


def test_checksum_file(site: Site) -> None:
    checksum = "sha256:http://x/helm.tar.gz.sha256sum"
    assert site.run(checksum=checksum)["changed"]
    assert site.fetched == ["helm.tar.gz.sha256sum", "helm.tar.gz"]
    assert not site.run(checksum=checksum)["changed"] and not site.fetched
    # The same archive from a mirror, by its digest.
    assert not site.run(url="http://mirror/helm.tar.gz")["changed"] and not site.fetched


def test_drift_is_mended(site: Site) -> None:
    site.run()
    site.dest.write_bytes(b"another")
    predicted = site.run(check=True)
    assert predicted["changed"] and not site.fetched
    assert site.run()["changed"] and site.dest.read_bytes() == b"helm 1"


@pytest.mark.parametrize("make", [os.mkdir, os.mkfifo])
def test_what_is_no_file_stays(site: Site, make: t.Callable[[str], None]) -> None:
    site.dest.parent.mkdir(parents=True, exist_ok=True)
    make(str(site.dest))
    for check in (True, False):
        with pytest.raises(SlipwayError, match=r"helm is there and is no file\. Move it away"):
            site.run(check=check)
    assert os.listdir(site.dest.parent) == [site.dest.name]


def test_permissions_are_mended_without_a_download(site: Site) -> None:
    site.run()
    site.dest.chmod(0o644)
    assert site.run(check=True)["changed"]
    assert site.run()["changed"] and not site.fetched
    assert site.dest.stat().st_mode & 0o7777 == 0o755


def test_a_new_release(site: Site) -> None:
    site.run()
    make_tar(site.root / "helm2.tar.gz", {"linux-amd64/helm": b"helm 2"})
    digest = hashlib.sha256((site.root / "helm2.tar.gz").read_bytes()).hexdigest()
    values = {"url": "http://x/helm2.tar.gz", "checksum": f"sha256:{digest}"}
    assert site.run(check=True, **values)["changed"]
    assert site.run(**values)["changed"] and site.dest.read_bytes() == b"helm 2"


def test_files_without_a_record_are_compared(site: Site) -> None:
    site.dest.parent.mkdir()
    site.dest.write_bytes(b"helm 1")
    site.dest.chmod(0o755)
    assert not site.run(check=True)["changed"] and site.fetched
    assert not (site.root / "records").exists()
    assert not site.run()["changed"]
    assert not site.run()["downloaded"]


def test_a_program_of_somebody_else_is_kept(site: Site) -> None:
    site.dest.parent.mkdir()
    site.dest.write_bytes(b"theirs \xff\r\n")
    site.dest.chmod(0o750)
    kept = Path(f"{site.dest}.before-slipway")
    assert site.run(check=True)["foreign_paths"] == [str(site.dest)] and not kept.exists()
    result = site.run()
    assert result["foreign_paths"] == [str(site.dest)] and result["copies"] == [str(kept)]
    assert kept.read_bytes() == b"theirs \xff\r\n" and kept.stat().st_mode & 0o777 == 0o750
    # Ours may be replaced, and what was done to it by hand.
    site.dest.write_bytes(b"damaged")
    assert site.run()["copies"] == []
    # Another one of theirs gets a number, and the same one none.
    (site.root / "records" / "helm.json").unlink()
    for content, name in ((b"again", f"{kept}.2"), (b"theirs \xff\r\n", str(kept))):
        site.dest.write_bytes(content)
        (site.root / "records" / "helm.json").unlink(missing_ok=True)
        assert site.run()["copies"] == [name] and site.dest.read_bytes() == b"helm 1"


@pytest.mark.parametrize("record", ["", "[]", "{}", "null"])
def test_a_damaged_record_does_not_count(site: Site, record: str) -> None:
    site.run()
    (site.root / "records" / "helm.json").write_text(record)
    result = site.run()
    assert not result["changed"] and result["downloaded"]
    assert json.loads((site.root / "records" / "helm.json").read_text())["archive_sha256"] == site.digest


def test_one_more_file(site: Site) -> None:
    site.run()
    files = [
        {"member": "*/helm", "dest": str(site.dest), "mode": "0755"},
        {"member": "*/LICENSE", "dest": str(site.root / "doc" / "LICENSE"), "mode": "0644"},
    ]
    result = site.run(files=files)
    assert [entry["changed"] for entry in result["files"]] == [False, True]


def test_a_single_binary(site: Site) -> None:
    (site.root / "tool").write_bytes(b"tool")
    digest = hashlib.sha256(b"tool").hexdigest()
    files = [{"member": None, "dest": str(site.dest), "mode": "0755"}]
    assert site.run(url="http://x/tool", checksum=f"sha256:{digest}", files=files)["changed"]
    assert site.dest.read_bytes() == b"tool"


def test_wrong_checksum_installs_nothing(site: Site) -> None:
    with pytest.raises(SlipwayError, match=f"has the SHA-256 {site.digest} instead of {'0' * 64}"):
        site.run(checksum="sha256:" + "0" * 64)
    assert not site.dest.exists()


def test_checksum_file_without_the_archive(site: Site) -> None:
    (site.root / "helm.tar.gz.sha256sum").write_text(f"{site.digest}  other.tar.gz\n")
    with pytest.raises(SlipwayError, match=r"has no SHA-256 of helm\.tar\.gz"):
        site.run(checksum="sha256:http://x/helm.tar.gz.sha256sum")


def test_missing_member_installs_nothing(site: Site) -> None:
    files = [
        {"member": "*/helm", "dest": str(site.dest), "mode": "0755"},
        {"member": "*/none", "dest": str(site.root / "none"), "mode": "0755"},
    ]
    with pytest.raises(SlipwayError, match=r"http://x/helm\.tar\.gz: The archive has no file \*/none.*Nothing was"):
        site.run(files=files)
    assert not site.dest.exists()


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ([], "name at least one"),
        ([{"member": None, "dest": "bin/x", "mode": "0755"}], "absolute path"),
        ([{"member": None, "dest": "/bin/", "mode": "0755"}], "absolute path"),
        ([{"member": None, "dest": "/bin/x", "mode": "0755"}] * 2, "be there once"),
        ([{"member": None, "dest": "/bin/x", "mode": "493"}], "not octal"),
        ([{"member": None, "dest": "/bin/x", "mode": "420"}], "not octal"),
        ([{"member": None, "dest": "/bin/x", "mode": "u=rwx"}], "not octal"),
    ],
)
def test_bad_files(files: t.List[t.Dict[str, t.Any]], message: str) -> None:
    with pytest.raises(SlipwayError, match=message):
        module.parse_files(files)


def test_bad_name(site: Site) -> None:
    with pytest.raises(SlipwayError, match="cannot be part of a file name"):
        site.run(name="../x")


def test_main(site: Site, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(module, "RECORDS", str(site.root / "records"))
    params = {
        "name": "helm",
        "url": f"file://{site.root}/helm.tar.gz",
        "checksum": f"sha256:file://{site.root}/helm.tar.gz.sha256sum",
        "files": [{"member": "linux-amd64/helm", "dest": str(site.dest)}],
    }
    result = run_main(module.main, params, monkeypatch, capsys)
    assert result["changed"] and os.access(site.dest, os.X_OK)
    params["url"] = f"file://{site.root}/none"
    failed = run_main(module.main, params, monkeypatch, capsys)
    assert failed["failed"] and "has no SHA-256 of none" in failed["msg"]
    params["checksum"] = "sha256:" + "0" * 64
    failed = run_main(module.main, params, monkeypatch, capsys)
    assert failed["failed"] and "cannot be fetched" in failed["msg"]
