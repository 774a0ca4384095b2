# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import hashlib
import typing as t
from pathlib import Path

import pytest
from ansible_collections.slipway.kubernetes.plugins.module_utils import _archive as archive
from ansible_collections.slipway.kubernetes.plugins.module_utils._command import SlipwayError
from ansible_collections.slipway.kubernetes.tests.unit.plugins.package_fakes import make_tar

DIGEST = hashlib.sha256(b"x").hexdigest()
OTHER = hashlib.sha256(b"y").hexdigest()


FILES = {"./linux-amd64/helm": b"helm", "linux-amd64/README.md": b"read me", "../../evil": b"evil"}


def test_checksums() -> None:
    assert archive.parse_checksum(f"sha256:{DIGEST.upper()}") == (DIGEST, None)
    assert archive.parse_checksum("sha256:https://x/y.sha256sum") == (None, "https://x/y.sha256sum")


@pytest.mark.parametrize(
    "text", ["", DIGEST, "md5:abc", "sha256:abc", f"sha512:{DIGEST}", "sha256:ftp://x", "sha256:https://x/a b"]
)
def test_bad_checksums(text: str) -> None:
    with pytest.raises(SlipwayError, match="neither sha256"):
        archive.parse_checksum(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (f"{DIGEST}  helm.tar.gz\n", DIGEST),
        (f"{OTHER}  other\n{DIGEST} *dist/helm.tar.gz\n", DIGEST),
        (f"{DIGEST}\n", DIGEST),
        (f"{OTHER}  other\n", None),
        ("<html>", None),
    ],
)
def test_checksum_files(text: str, expected: t.Optional[str]) -> None:
    assert archive.find_checksum(text, "helm.tar.gz") == expected


def test_digest_of_files(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"x")
    assert archive.file_sha256(str(tmp_path / "x")) == DIGEST
    assert archive.file_sha256(str(tmp_path / "none")) is None
    assert archive.file_sha256(str(tmp_path)) is None


@pytest.mark.parametrize("mode", ["w", "w:gz", "w:bz2", "w:xz"])
@pytest.mark.parametrize("member", ["linux-amd64/helm", "./linux-amd64/helm", "*/helm"])
def test_extract(tmp_path: Path, mode: str, member: str) -> None:
    path = make_tar(tmp_path / "a", FILES, mode)
    target = tmp_path / "out"
    assert archive.extract(str(path), {member: str(target)}) == {member: hashlib.sha256(b"helm").hexdigest()}
    assert target.read_bytes() == b"helm"


def test_a_file_that_is_no_archive(tmp_path: Path) -> None:
    (tmp_path / "tool").write_bytes(b"x")
    assert archive.extract(str(tmp_path / "tool"), {None: str(tmp_path / "out")}) == {None: DIGEST}
    assert (tmp_path / "out").read_bytes() == b"x"
    with pytest.raises(SlipwayError, match="cannot be read as a tar archive"):
        archive.extract(str(tmp_path / "tool"), {"x": str(tmp_path / "out")})


@pytest.mark.parametrize(
    ("member", "message"),
    [
        ("linux-amd64/kubectl", "has no file linux-amd64/kubectl; it has .*linux-amd64/helm"),
        ("linux-amd64/*", "matches several files"),
        ("linux-amd64/link", "has no file"),
    ],
)
def test_members_that_cannot_be_had(tmp_path: Path, member: str, message: str) -> None:
    path = make_tar(tmp_path / "a", FILES)
    with pytest.raises(SlipwayError, match=message):
        archive.extract(str(path), {member: str(tmp_path / "out")})


def test_names_in_the_archive_lead_nowhere(tmp_path: Path) -> None:
    path = make_tar(tmp_path / "a", FILES)
    (tmp_path / "deep" / "er").mkdir(parents=True)
    archive.extract(str(path), {"../../evil": str(tmp_path / "deep" / "er" / "out")})
    assert not (tmp_path / "evil").exists()


def test_a_damaged_archive(tmp_path: Path) -> None:
    path = make_tar(tmp_path / "a", {"big": bytes(range(256)) * 4000})
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(SlipwayError, match="cannot be read"):
        archive.extract(str(path), {"big": str(tmp_path / "out")})
