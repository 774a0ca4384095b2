# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import fcntl
import os
import re
import time
import typing as t
from pathlib import Path

import pytest
from ansible_collections.slipway.kubernetes.plugins.module_utils import _module
from ansible_collections.slipway.kubernetes.plugins.module_utils._command import SlipwayError
from ansible_collections.slipway.kubernetes.plugins.module_utils._packages import apt
from ansible_collections.slipway.kubernetes.plugins.module_utils._packages.apt import Apt
from ansible_collections.slipway.kubernetes.plugins.module_utils._packages.interface import PackageSource, Repository
from ansible_collections.slipway.kubernetes.plugins.module_utils._pki.openpgp import keyring
from ansible_collections.slipway.kubernetes.plugins.modules import package_source as module
from ansible_collections.slipway.kubernetes.tests.unit.plugins.package_fakes import (
    FIXTURES,
    FakeRunner,
    fixture,
    run_main,
)

KEY = (FIXTURES / "kubernetes.asc").read_bytes()
FINGERPRINT = "E23CA7F303F4ECE149E7F3DC73D22F7A9728DC2C"
DOCKER_KEY = (FIXTURES / "docker.asc").read_bytes()
URL = "https://mirror/core:/stable:/v1.37/deb/"
POLICY = fixture("policy-trixie.txt")
PARAMS: t.Dict[str, t.Any] = {
    "key": f"{URL}Release.key",
    "key_content": None,
    "key_fingerprints": [],
    "packages": {"kubeadm": "1.37.1"},
    "validate": True,
    "timeout": 30,
}


class Host:
    """A host in a directory, with an apt that has fetched what it is told to."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.sources, self.keyrings = root / "etc/apt/sources.list.d", root / "etc/apt/keyrings"
        self.lists = root / "var/lib/apt/lists"
        for path in (self.sources, self.lists):
            path.mkdir(parents=True)
        self.key = KEY
        self.fetched: t.List[str] = []
        self.runner = FakeRunner({})
        self.configuration = ""
        self.scratch_modes: t.Set[int] = set()
        self.answers: t.Dict[str, t.Any] = {"update": self.update, "policy": POLICY, "indextargets": "", "pkgnames": ""}
        self.answers["--print-architecture"] = "amd64\n"

    def update(self, argv: t.List[str]) -> t.Tuple[int, str, str]:
        scratch = Path(argv[2]).parent
        self.scratch_modes = {path.stat().st_mode & 0o777 for path in scratch.rglob("*") if path.is_dir()}
        self.configuration = Path(argv[2]).read_text()
        assert scratch.stat().st_mode & 0o777 == 0o755
        (scratch / "lists" / "mirror_InRelease").write_text("signed")
        (scratch / "lists" / "mirror_Packages").write_text("packages")
        (scratch / "lists" / "lock").touch()
        return 0, fixture("update-trixie-good.txt"), ""

    def fetch(self, url: str) -> bytes:
        self.fetched.append(url)
        return self.key

    def setup(
        self, url: str = URL, settings: t.Optional[t.Mapping[str, t.Any]] = None, **params: t.Any
    ) -> module.Setup:
        self.runner, self.fetched = FakeRunner(self.answers), []
        values = {**PARAMS, **params}
        repository = Repository("kubernetes", url, settings or {})
        source = Apt(self.runner, root=str(self.root)).source(repository, values["timeout"])
        return module.Setup(source, self.fetch, values)

    def present(self, check: bool = False, **params: t.Any) -> t.Dict[str, t.Any]:
        return self.setup(**params).present(check)

    def files(self) -> t.List[str]:
        places = (self.keyrings, self.lists, self.sources)
        return sorted(f"{place.name}/{path.name}" for place in places for path in place.glob("*") if path.is_file())


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(tmp_path)


DONE = ["keyrings/slipway-kubernetes.gpg", "lists/lock", "lists/mirror_InRelease", "lists/mirror_Packages"]


def test_check_run_check_run(host: Host) -> None:
    predicted = host.present(check=True)
    assert predicted["changed"] and predicted["index_refreshed"] and host.files() == []
    assert predicted["versions"] == {"kubeadm": "1.37.1-1.1"}
    result = host.present()
    assert result["changed"] and result["key_fingerprints"] == [FINGERPRINT]
    assert result["available"] == {"kubeadm": ["1.37.1-1.1", "1.37.0-1.1"]}
    assert host.files() == [*DONE, "sources.list.d/slipway-kubernetes.sources"]
    assert (host.lists / "mirror_Packages").read_text() == "packages"
    text = (host.sources / "slipway-kubernetes.sources").read_text()
    assert text.startswith("# Ansible managed") and result["diff"]["after"] == text
    assert f"Types: deb\nURIs: {URL}\nSuites: /\nSigned-By: {host.keyrings}/slipway-kubernetes.gpg\n" in text
    for check in (True, False):
        again = host.present(check=check)
        assert not again["changed"] and not again["index_refreshed"] and not host.fetched
        assert [call[-2:] for call in host.runner.calls] == [["policy", "kubeadm"]]
        assert again["versions"] == {"kubeadm": "1.37.1-1.1"}


@pytest.mark.usefixtures("narrow")
def test_apt_may_read_the_key(host: Host) -> None:
    assert host.present()["changed"]
    assert host.keyrings.stat().st_mode & 0o7777 == 0o755


@pytest.mark.parametrize("umask", [0o077, 0o000])
def test_what_is_fetched_only_root_may_write_and_apt_may_read(host: Host, umask: int) -> None:
    before = os.umask(umask)
    try:
        host.present()
    finally:
        os.umask(before)
    assert host.scratch_modes == {0o755}


@pytest.mark.parametrize("name", ["keyrings/slipway-kubernetes.gpg", "sources.list.d/slipway-kubernetes.sources"])
def test_a_file_that_apt_may_not_read_any_more(host: Host, name: str) -> None:
    host.present()
    path = host.root / "etc/apt" / name
    path.chmod(0o600)
    assert host.present(check=True)["changed"] and host.present()["changed"]
    assert path.stat().st_mode & 0o777 == 0o644
    assert not host.present()["changed"]


def test_scratch_configuration_has_nothing_of_the_host(host: Host) -> None:
    host.present()
    assert "#clear APT::Update::Post-Invoke;" in host.configuration
    scratch = re.search(r'Dir::State::lists "(/tmp/slipway-\w+)/lists";', host.configuration)
    assert scratch and not os.path.exists(scratch[1])
    assert 'APT::Update::Error-Mode "any";' in host.configuration


def test_nothing_to_look_for_is_nothing_to_do(host: Host) -> None:
    host.present(packages={})
    assert not host.present(packages={})["changed"] and not host.runner.calls


def test_minor_upgrade_is_a_change(host: Host) -> None:
    host.present()
    result = host.present(url=URL.replace("1.37", "1.38"), packages={"kubeadm": ""})
    assert result["changed"] and "v1.37" in result["diff"]["before"] and "v1.38" in result["diff"]["after"]


def test_new_version_refreshes_the_index_and_changes_nothing(host: Host) -> None:
    host.present()
    host.answers["policy"] = ["", POLICY]
    result = host.present()
    assert not result["changed"] and result["index_refreshed"] and host.fetched == [PARAMS["key"]]


def test_drift_is_mended(host: Host) -> None:
    host.present()
    key = host.keyrings / "slipway-kubernetes.gpg"
    key.write_bytes(DOCKER_KEY)
    assert host.present(check=True)["changed"]
    assert host.present()["changed"] and key.read_bytes() == keyring(KEY)
    (host.sources / "slipway-kubernetes.sources").unlink()
    assert host.present()["changed"] and not host.present()["changed"]


def test_key_in_the_task(host: Host) -> None:
    params: t.Dict[str, t.Any] = {"key": None, "key_content": "\n" + KEY.decode()}
    assert host.present(**params)["changed"]
    assert not host.present(**params)["changed"]
    result = host.present(key=None, key_content=DOCKER_KEY.decode())
    assert result["changed"] and result["key_fingerprints"] == ["039ECC206BA9C3F21A8E755E91DC6AD02E8DC6CD"]


def test_a_key_that_an_older_version_wrote_is_written_once_more(host: Host) -> None:
    host.present()
    written = host.keyrings / "slipway-kubernetes.gpg"
    old = written.rename(written.with_suffix(".asc"))
    old.write_bytes(KEY)
    source = host.sources / "slipway-kubernetes.sources"
    source.write_text(source.read_text().replace(".gpg", ".asc"))
    assert host.present(check=True)["changed"] and old.exists()
    assert host.present()["changed"] and not old.exists() and written.read_bytes() == keyring(KEY)
    assert not host.present()["changed"]


def test_what_apt_would_read_beside_the_pinned_key_is_refused(host: Host) -> None:
    foreign = DOCKER_KEY.replace(b"PGP PUBLIC KEY BLOCK", b"APT KEY")
    for key in (foreign + KEY, KEY + foreign, b"text\n" + KEY, KEY + DOCKER_KEY):
        host.key = key
        with pytest.raises(SlipwayError, match=r"is not an OpenPGP public key|which is not among key_fingerprints"):
            host.present(key_fingerprints=[FINGERPRINT])
    assert host.files() == []


def test_an_equal_key_in_another_form_changes_nothing(host: Host) -> None:
    host.present()
    host.key = b"\n" + KEY.replace(b"\n", b"\r\n")
    host.answers["policy"] = ["", POLICY]
    result = host.present()
    assert result["index_refreshed"] and not result["changed"]


def test_binary_and_armoured_keys_are_written_alike(host: Host) -> None:
    host.present()
    host.key = (FIXTURES / "subkey.gpg").read_bytes()
    assert host.present(url=URL + "x/")["key_path"].endswith("slipway-kubernetes.gpg")
    assert [path.name for path in host.keyrings.iterdir()] == ["slipway-kubernetes.gpg"]
    assert not host.present(url=URL + "x/")["changed"]


def test_without_validation(host: Host) -> None:
    result = host.present(validate=False)
    assert result["changed"] and not host.runner.calls and "versions" not in result
    assert not host.present(validate=False)["changed"]


def test_wrong_key_changes_nothing(host: Host) -> None:
    for system in ("bookworm", "trixie"):
        host.answers["update"] = (100, fixture(f"update-{system}-wrong-key.txt"), "")
        with pytest.raises(SlipwayError, match=r"signed by another key.*The key given is E23C.*Nothing was changed"):
            host.present()
    assert host.files() == []


def test_a_warning_that_matters_is_an_error(host: Host) -> None:
    host.answers["update"] = (0, fixture("update-trixie-no-component.txt"), "")
    with pytest.raises(SlipwayError, match="it has no component nosuch"):
        host.present()


def test_unknown_failure_is_shown(host: Host) -> None:
    host.answers["update"] = (100, "", "E: The disk is on fire\n")
    with pytest.raises(SlipwayError, match="E: The disk is on fire"):
        host.present()


def test_missing_versions_are_named_together(host: Host) -> None:
    with pytest.raises(SlipwayError, match=r"kubeadm has no version 1\.37\.9; .*; package none is unknown"):
        host.present(packages={"kubeadm": "1.37.9", "none": ""})
    assert host.files() == []


def test_conflict_with_another_file(host: Host) -> None:
    other = host.sources / "kubernetes.list"
    other.write_text(f"deb [signed-by=/x.gpg] {URL} /\n")
    (host.sources / "other.list").write_text("deb http://other /\n")
    host.answers["indextargets"] = (100, "", "E: Conflicting values set for option Signed-By regarding source\n")
    with pytest.raises(SlipwayError, match=f"other settings in {other}: remove that entry"):
        host.present()
    assert not host.keyrings.exists()


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("kubernetes.list", "# by hand\ndeb [signed-by={key} arch=amd64] {url} / # kubernetes\n"),
        ("k.list", "deb-src {url} /\ndeb [ arch=arm64,amd64 signed-by={key} ] {bare} /\n"),
        ("k.sources", "Types: deb\nURIs: {url}\nSuites: /\nSigned-By:\n {key}\nArchitectures: amd64\n\nTypes: deb\n"),
    ],
)
def test_an_equal_source_of_another_file_serves(host: Host, name: str, text: str) -> None:
    host.present()
    key = host.root / "kubernetes.asc"
    key.write_bytes(KEY)
    other = host.sources / name
    other.write_text(text.format(key=key, url=URL, bare=URL.rstrip("/")))
    predicted = host.present(check=True, key_fingerprints=[FINGERPRINT])
    assert predicted["changed"] and len(host.files()) == len(DONE) + 2
    result = host.present(key_fingerprints=[FINGERPRINT])
    assert (result["source_path"], result["key_path"]) == (str(other), str(key))
    assert result["changed"] and result["versions"] == {"kubeadm": "1.37.1-1.1"} and not host.fetched
    assert not (host.sources / "slipway-kubernetes.sources").exists()
    again = host.present()
    assert not again["changed"] and not again["index_refreshed"]
    host.answers["policy"] = ["", POLICY]
    again = host.present()
    assert not again["changed"] and again["index_refreshed"] and not host.fetched


@pytest.mark.parametrize(
    "text",
    [
        "deb [signed-by={key} trusted=yes] {url} /",
        "deb {url} /",
        "deb [signed-by={key}] {url} other/",
        "deb [signed-by={key} arch=s390x] {url} /",
        "deb [signed-by={key}.none] {url} /",
        "deb [signed-by={docker}] {url} /",
        "deb [signed-by={mixed}] {url} /",
        "#deb [signed-by={key}] {url} /",
        *(
            f"Types: deb\nURIs: {{url}}\nSuites: /\nSigned-By: {{key}}\nEnabled: {off}"
            for off in ("no", "FALSE", "0", "off", "Disable", "without")
        ),
    ],
)
def test_a_source_of_another_file_that_is_not_equal_does_not_serve(host: Host, text: str) -> None:
    keys = {"key": KEY, "docker": DOCKER_KEY, "mixed": DOCKER_KEY.replace(b"PGP PUBLIC KEY BLOCK", b"APT KEY") + KEY}
    for name, content in keys.items():
        (host.root / name).write_bytes(content)
    paths = {name: host.root / name for name in keys}
    (host.sources / f"k.{'list' if 'deb [' in text or 'deb {' in text else 'sources'}").write_text(
        text.format(url=URL, **paths) + "\n"
    )
    result = host.present(key_fingerprints=[FINGERPRINT], settings={"architectures": ["amd64"]})
    assert result["source_path"].endswith("slipway-kubernetes.sources")


def test_an_architecture_that_the_host_does_not_have(host: Host) -> None:
    (host.root / "key").write_bytes(KEY)
    (host.sources / "k.list").write_text(f"deb [arch=amd64 signed-by={host.root}/key] {URL} /\n")
    host.answers["--print-architecture"] = "arm64\n"
    assert host.present(check=True)["source_path"].endswith("slipway-kubernetes.sources")
    host.answers["--print-architecture"] = "amd64\n"
    assert host.present(check=True)["source_path"].endswith("k.list")


def test_a_key_of_ours_that_the_other_source_uses_stays(host: Host) -> None:
    host.present()
    (host.sources / "slipway-kubernetes.sources").rename(host.sources / "renamed.sources")
    for _twice in range(2):
        result = host.present()
        assert not result["changed"] and (host.keyrings / "slipway-kubernetes.gpg").exists()
        assert result["source_path"].endswith("renamed.sources")


def test_a_source_that_came_later_and_contradicts_ours(host: Host) -> None:
    host.present()
    (host.sources / "later.list").write_text(f"deb [signed-by=/none.gpg] {URL} /\n")
    host.answers["indextargets"] = (100, "", "E: Conflicting values set for option Signed-By regarding source\n")
    with pytest.raises(SlipwayError, match=r"other settings in .*later\.list: remove that entry"):
        host.present(check=True)


def test_allowed_fingerprints(host: Host) -> None:
    spaced = "e23c a7f3 03f4 ece1 49e7 f3dc 73d2 2f7a 9728 dc2c"
    assert host.present(key_fingerprints=[spaced])["changed"]
    with pytest.raises(SlipwayError, match=f"has the key {FINGERPRINT}, which is not among"):
        host.present(key_fingerprints=["0" * 40])
    with pytest.raises(SlipwayError, match="key_fingerprints: 'beef' is not a whole fingerprint"):
        host.present(key_fingerprints=["beef"])


def test_a_page_instead_of_a_key(host: Host) -> None:
    host.key = b"<html>log in</html>"
    with pytest.raises(SlipwayError, match=r"Release\.key is not an OpenPGP public key: it does not consist"):
        host.present()
    assert not host.runner.calls


def test_busy_lists_are_left_alone(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    def busy(*_arguments: t.Any) -> None:
        raise OSError("busy")

    monkeypatch.setattr(fcntl, "lockf", busy)
    monkeypatch.setattr(time, "sleep", lambda _seconds: None)
    assert host.present(timeout=0)["changed"]
    assert "lists/mirror_Packages" not in host.files()


def test_waits_for_the_lists(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    answers = iter([OSError("busy"), None])

    def once_busy(*_arguments: t.Any) -> None:
        answer = next(answers)
        if answer:
            raise answer

    monkeypatch.setattr(fcntl, "lockf", once_busy)
    monkeypatch.setattr(time, "sleep", lambda _seconds: None)
    with open(tmp_path / "lock", "w", encoding="utf-8") as file:
        assert apt.lock_file(file, 5)


def test_absent(host: Host) -> None:
    assert not host.setup().absent(False)["changed"]
    host.present()
    assert host.setup().absent(True)["changed"] and "sources.list.d/slipway-kubernetes.sources" in host.files()
    result = host.setup().absent(False)
    assert result["changed"] and URL in result["diff"]["before"] and result["diff"]["after"] == ""
    assert not [name for name in host.files() if "slipway" in name]


def repository(*values: t.Any) -> PackageSource:
    return Apt(FakeRunner({})).source(Repository(*values), 30)


def test_source_with_suite_and_architecture() -> None:
    settings = {"suite": "bookworm", "components": ["stable", "test"], "architectures": "amd64"}
    source = repository("docker", "https://x/debian", settings)
    source.check()
    text = source.render("/k.asc", KEY, None).decode()
    assert "Suites: bookworm\nComponents: stable test\nArchitectures: amd64\nSigned-By: /k.asc\n" in text
    assert " from " not in text


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (("x", ""), "url: '' is not the URL"),
        (("x", "mirror/debian"), "is not the URL"),
        (("x", "https://me:secret@mirror/"), r"auth\.conf\.d"),
        (("x", "https://mirror/a b"), "malformed"),
        (("x", "https://mirror/a\nSigned-By: x"), "malformed"),
        (("x", " https://mirror/"), "malformed"),
        (("x", "https://mirror/", {"suite": ""}), "may be empty"),
        (("x", "https://mirror/", {"suite": "/", "components": ["main"]}), "repository is flat"),
        (("x", "https://mirror/", {"suite": "bookworm"}), "needs at least one"),
        (("x", "https://mirror/", {"enabled": 1}), "settings: enabled cannot be said of a repository here"),
    ],
)
def test_bad_sources(values: t.Tuple[t.Any, ...], message: str) -> None:
    with pytest.raises(SlipwayError, match=message) as caught:
        repository(*values).check()
    assert "secret" not in caught.value.msg


def test_bad_name() -> None:
    with pytest.raises(SlipwayError, match="cannot be part of a file name"):
        Repository("../x")


def test_main(host: Host, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    runner = FakeRunner(host.answers)
    monkeypatch.setattr(_module, "Runner", lambda _module: runner)
    params = {"name": "kubernetes", "url": URL, "key": f"file://{FIXTURES}/kubernetes.asc", "packages": {"kubeadm": ""}}
    result = run_main(module.main, params, monkeypatch, capsys, check_mode=True)
    assert result["changed"] and result["versions"] == {"kubeadm": "1.37.1-1.1"}
    assert run_main(module.main, {"name": "x", "state": "absent"}, monkeypatch, capsys)["changed"] is False
    failed = run_main(module.main, {**params, "key": f"file://{FIXTURES}/none"}, monkeypatch, capsys)
    assert failed["failed"] and "key file:" in failed["msg"] and "cannot be fetched" in failed["msg"]
    with monkeypatch.context() as patched:
        patched.setattr(module, "read", lambda _path: host.sources.read_bytes())
        failed = run_main(module.main, params, monkeypatch, capsys)
    assert failed["failed"] and "Is a directory" in failed["msg"] and str(host.sources) in failed["msg"]
    runner.tools = ()
    failed = run_main(module.main, params, monkeypatch, capsys)
    assert failed["failed"] and "there is no apt-get" in failed["msg"]
