# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import gzip
import json
import os
import stat
import tarfile
import typing as t
from pathlib import Path

import pytest
from ansible_collections.slipway.kubernetes.plugins.module_utils import _runtimes
from ansible_collections.slipway.kubernetes.plugins.module_utils._etcd import etcd_backup
from ansible_collections.slipway.kubernetes.plugins.module_utils._etcd.etcd_backup import Archive, BackupError, Settings
from ansible_collections.slipway.kubernetes.plugins.modules import etcd_snapshot
from ansible_collections.slipway.kubernetes.tests.unit.plugins.etcd_fakes import fixture
from ansible_collections.slipway.kubernetes.tests.unit.plugins.utils import ModuleRunner

STATUS = {"hash": 1533338944, "revision": 3429, "totalKey": 374, "totalSize": 1859584, "version": "3.7.0"}
# ctr, kubectl and age as small programs: what counts is what reaches them and what is left on the disk.
CTR = """#!/bin/sh
echo "$@" >> {log}
for word in "$@"; do last=$word; done
case "$*" in
  *"snapshot save"*) echo the-snapshot > "$last" ;;
  *"snapshot status"*) cat {status} ;;
esac
"""
KUBECTL = '#!/bin/sh\necho "{}"\n'
AGE = '#!/bin/sh\necho "$@" >> {log}\necho age-encryption.org/v1\ncat > /dev/null\n'


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A control plane in a folder."""
    programs = tmp_path / "bin"
    programs.mkdir()
    log = tmp_path / "log"
    (tmp_path / "status.json").write_text(json.dumps(STATUS))
    scripts = {"ctr": CTR, "kubectl": KUBECTL, "age": AGE}
    for name, script in scripts.items():
        text = script.replace("{log}", str(log)).replace("{status}", str(tmp_path / "status.json"))
        (programs / name).write_text(text)
        (programs / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}:/usr/bin:/bin")
    (tmp_path / "pki" / "etcd").mkdir(parents=True)
    for name in ("ca.crt", "ca.key", "etcd/ca.crt"):
        (tmp_path / "pki" / name).write_text(f"{name} of this cluster")
    (tmp_path / "pki" / "sa.key").symlink_to(tmp_path / "pki" / "ca.key")
    (tmp_path / "manifests").mkdir()
    manifest = fixture("etcd.yaml").replace("/var/lib/etcd", str(tmp_path / "data"))
    (tmp_path / "manifests" / "etcd.yaml").write_text(manifest)
    return tmp_path


def settings(machine: Path, **more: t.Any) -> Settings:
    given = {
        "directory": str(machine / "backups"),
        "cluster_name": "lab",
        "keep": 2,
        "tool": _runtimes.DEFAULT.tool_at("/run/c.sock"),
        "manifest": str(machine / "manifests" / "etcd.yaml"),
        "kubeconfig": str(machine / "admin.conf"),
        "pki": str(machine / "pki"),
    }
    return Settings(**{**given, **more})


def mode(path: t.Union[str, Path]) -> int:
    return stat.S_IMODE(os.stat(path).st_mode)


def test_backup(machine: Path) -> None:
    result = etcd_backup.Backup(settings(machine)).run()
    assert (mode(result["archive"]), mode(machine / "backups")) == (0o600, 0o700)
    assert result["snapshot"] == {
        "hash": "5b64e540",
        "revision": 3429,
        "total_keys": 374,
        "size": 1859584,
        "version": "3.7.0",
    }
    assert result["sha256"] == etcd_backup.sha256_of_file(result["archive"])
    archive = Archive(result["archive"])
    about = archive.about
    assert (about["cluster_name"], about["member"]) == ("lab", "etcd-cp1")
    assert about["image"] == "registry.k8s.io/etcd:3.7.0-0"
    wanted = {"snapshot.db", "kubeadm.json", "manifests/etcd.yaml", "pki/ca.crt", "pki/ca.key", "pki/etcd/ca.crt"}
    assert set(about["files"]) == wanted | {"pki/sa.key"}
    assert archive.read("pki/sa.key") == b"ca.key of this cluster"
    archive.extract("snapshot.db", str(machine / "out"))
    assert (machine / "out").read_text() == "the-snapshot\n" and mode(machine / "out") == 0o600
    # Nothing else is left.
    assert sorted(os.listdir(machine / "backups")) == sorted([".slipway-lock", os.path.basename(result["archive"])])
    saved = (machine / "log").read_text().splitlines()[0]
    assert "--endpoints=https://127.0.0.1:2379" in saved and f"src={machine}/pki/etcd,dst={machine}/pki/etcd" in saved
    assert "--cert=/etc/kubernetes/pki/etcd/server.crt" in saved


def test_client_certificate(machine: Path) -> None:
    for suffix in ("crt", "key"):
        (machine / "pki" / "etcd" / f"healthcheck-client.{suffix}").write_text("")
    argv = etcd_backup.Backup(settings(machine)).save_argv("/b/snapshot.db")
    assert f"--cert={machine}/pki/etcd/healthcheck-client.crt" in argv


def test_encrypted(machine: Path) -> None:
    result = etcd_backup.Backup(settings(machine, age_recipients=["age1one", "age1two"])).run()
    assert result["archive"].endswith(".tar.gz.age") and mode(result["archive"]) == 0o600
    assert Path(result["archive"]).read_text() == "age-encryption.org/v1\n"
    asked = (machine / "log").read_text().splitlines()[-1]
    assert asked == "--encrypt --recipient age1one --recipient age1two"


@pytest.mark.parametrize(
    "script", ["#!/bin/sh\ncat > /dev/null\necho no such key >&2\nexit 1\n", "#!/bin/sh\nexit 3\n"]
)
def test_failing_encryption(machine: Path, script: str) -> None:
    (machine / "bin" / "age").write_text(script)
    (machine / "pki" / "big").write_bytes(os.urandom(1 << 20))
    with pytest.raises(BackupError, match="age failed"):
        etcd_backup.Backup(settings(machine, age_recipients=["age1one"])).run()
    assert os.listdir(machine / "backups") == [".slipway-lock"]


def test_without_age(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (machine / "bin" / "age").unlink()
    monkeypatch.setenv("PATH", str(machine / "bin") + ":/bin")
    monkeypatch.setattr(etcd_backup.Backup, "_encrypt", _encrypt_with_nothing(etcd_backup.Backup._encrypt))
    with pytest.raises(BackupError, match="age is not installed"):
        etcd_backup.Backup(settings(machine, age_recipients=["age1one"])).run()


def _encrypt_with_nothing(original: t.Callable[..., None]) -> t.Callable[..., None]:
    """The method in a world without any program: this machine may have age itself."""

    def encrypt(self: t.Any, *arguments: t.Any) -> None:
        before = os.environ["PATH"]
        os.environ["PATH"] = "/nonexistent"
        try:
            original(self, *arguments)
        finally:
            os.environ["PATH"] = before

    return encrypt


def test_retention(machine: Path) -> None:
    folder = machine / "backups"
    (folder / ".slipway-work-killed").mkdir(parents=True)
    folder.chmod(0o700)
    # The first one is to go; the last two are of another cluster and of nobody.
    old, recent = "etcd-lab-20261120T030000Z.tar.gz", "etcd-lab-20261121T030000Z.tar.gz.age"
    foreign = ["etcd-lab-2-20261001T030000Z.tar.gz", "etcd-lab.tar.gz"]
    for age, name in enumerate([old, recent, *foreign]):
        (folder / name).write_text("")
        os.utime(folder / name, (1000 + age, 1000 + age))
    result = etcd_backup.Backup(settings(machine)).run()
    assert result["deleted"] == [str(folder / old)]
    assert {recent, *foreign} < set(os.listdir(folder))
    assert not (folder / ".slipway-work-killed").exists()


@pytest.mark.parametrize("status", [{**STATUS, "totalKey": 0}, {**STATUS, "revision": 1}])
def test_empty_snapshot(machine: Path, status: t.Dict[str, t.Any]) -> None:
    (machine / "status.json").write_text(json.dumps(status))
    with pytest.raises(BackupError, match="The snapshot is empty"):
        etcd_backup.Backup(settings(machine)).run()
    assert os.listdir(machine / "backups") == [".slipway-lock"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"keep": 0}, "keep is 0: every backup would be deleted"),
        ({"keep": -1}, "keep is -1"),
        ({"tool": []}, "none that is known"),
        ({"cluster_name": "../x"}, "no DNS label"),
        ({"manifest": "/nonexistent"}, "kubeadm runs no etcd here"),
    ],
)
def test_refused(machine: Path, options: t.Dict[str, t.Any], message: str) -> None:
    with pytest.raises(BackupError, match=message):
        etcd_backup.Backup(settings(machine, **options))


def test_failing_tools(machine: Path) -> None:
    (machine / "bin" / "kubectl").write_text("#!/bin/sh\necho connection refused >&2\nexit 1\n")
    with pytest.raises(BackupError, match=r"kubectl failed \(rc 1\): connection refused"):
        etcd_backup.Backup(settings(machine)).run()
    with pytest.raises(BackupError, match="/nonexistent cannot be run"):
        etcd_backup.run(["/nonexistent"])
    (machine / "manifests" / "etcd.yaml").write_text("spec: {}\n")
    with pytest.raises(BackupError, match="names no image"):
        etcd_backup.Backup(settings(machine)).image()


def test_full_disk(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (machine / "data" / "member" / "snap").mkdir(parents=True)
    (machine / "data" / "member" / "snap" / "db").write_bytes(b"x")

    class Usage:
        free = 1

    monkeypatch.setattr(etcd_backup.shutil, "disk_usage", lambda _path: Usage)
    with pytest.raises(BackupError, match="has 0 MB free"):
        etcd_backup.Backup(settings(machine)).run()


def test_damaged_archives(machine: Path) -> None:
    path = Path(etcd_backup.Backup(settings(machine)).run()["archive"])
    whole = path.read_bytes()
    damaged = machine / "damaged.tar.gz"
    # Cut off, a byte changed, no archive at all.
    changed = bytearray(gzip.decompress(whole))
    changed[changed.index(b"the-snapshot")] ^= 1
    for content in (whole[: len(whole) // 2], gzip.compress(bytes(changed)), b"x", b""):
        damaged.write_bytes(content)
        with pytest.raises(BackupError, match=r"The archive is damaged.*, nothing was changed"):
            Archive(str(damaged))
    # A byte of what is compressed, for which zlib has errors of its own; what is behind the last file is not read.
    refusals = []
    about = Archive(str(path)).about
    for position in range(20, len(whole), len(whole) // 50):
        content = bytearray(whole)
        content[position] ^= 0xFF
        damaged.write_bytes(content)
        try:
            assert Archive(str(damaged)).about == about
        except BackupError as error:
            refusals.append(str(error))
    assert any("while decompressing data" in text for text in refusals)
    with tarfile.open(damaged, "w:gz"):
        pass
    with pytest.raises(BackupError, match=r"about\.json is not in it"):
        Archive(str(damaged))


def without(name: str) -> t.Dict[str, t.Any]:
    """What an archive says about itself, but for one part."""
    texts = dict.fromkeys(("created", "cluster_name", "member", "image"), "x")
    about = {"format": 1, **texts, "snapshot": {"size": 1, "revision": 2}, "files": {"snapshot.db": "0"}}
    return {key: value for key, value in about.items() if key != name}


@pytest.mark.parametrize(
    ("about", "said"),
    [
        ({"format": 2}, "format 2, and 1 can be read"),
        ([1], "format None"),
        ("text", "format None"),
        *((without(name), f"nothing of use, about {name}.") for name in without("") if name != "format"),
        ({**without(""), "files": ["snapshot.db"]}, "nothing of use, about files."),
        ({**without(""), "snapshot": 3, "image": None}, "nothing of use, about image, snapshot."),
        ({**without(""), "snapshot": {"size": 1}}, "does not say how large the snapshot is, and of which revision"),
        ({**without(""), "files": {}}, "snapshot.db is not among the files"),
        ({**without(""), "files": {"snapshot.db": "0"}}, "snapshot.db is not in it"),
    ],
)
def test_archives_that_say_nothing_of_use(tmp_path: Path, about: t.Any, said: str) -> None:
    path = tmp_path / "damaged.tar.gz"
    with path.open("wb") as stream:
        etcd_backup.add_all(stream, {"about.json": json.dumps(about).encode()})
    with pytest.raises(BackupError, match=r"The archive is damaged.*nothing was changed") as refusal:
        Archive(str(path))
    assert said in str(refusal.value)


def test_program_of_the_timer(machine: Path, capsys: pytest.CaptureFixture[str]) -> None:
    given = machine / "settings.json"
    given.write_text(json.dumps(settings(machine).__dict__))
    assert etcd_backup.main(["program", str(given)]) == 0
    assert json.loads(capsys.readouterr().out)["snapshot"]["revision"] == 3429
    given.write_text(json.dumps({**settings(machine).__dict__, "keep": 0}))
    assert etcd_backup.main(["program", str(given)]) == 1
    assert capsys.readouterr().err.startswith("No backup of etcd was taken: keep is 0")


def test_module(machine: Path, run_module: ModuleRunner, monkeypatch: pytest.MonkeyPatch) -> None:
    options = {
        "directory": str(machine / "backups"),
        "manifest": str(machine / "manifests" / "etcd.yaml"),
        "cluster_name": "lab",
    }
    assert run_module(etcd_snapshot.main, options, check=True)["changed"] and not (machine / "backups").exists()
    monkeypatch.setattr(etcd_backup.Backup, "run", lambda _self: {"archive": "a"})
    result = run_module(etcd_snapshot.main, options)
    assert (result["changed"], result["archive"]) == (True, "a")
    failed = run_module(etcd_snapshot.main, {**options, "keep": 0}, check=True)
    assert failed["failed"] and failed["msg"].startswith("No backup of etcd was taken: keep is 0")


def test_nobody_else_may_write_where_the_folder_is(machine: Path) -> None:
    before = os.umask(0)
    try:
        etcd_backup.Backup(settings(machine, directory=str(machine / "new" / "backups"))).run()
    finally:
        os.umask(before)
    assert mode(machine / "new") == 0o755 and mode(machine / "new" / "backups") == 0o700


@pytest.mark.parametrize("mode_of_folder", [0o755, 0o750, 0o701])
def test_a_folder_that_others_may_enter_is_left_as_it_is(machine: Path, mode_of_folder: int) -> None:
    """It may be somebody's, and archives have the keys of the cluster."""
    folder = machine / "backups"
    folder.mkdir()
    folder.chmod(mode_of_folder)
    (folder / ".work-of-somebody").mkdir()
    with pytest.raises(BackupError, match=r"is there already, and others may enter it .* chmod 0700"):
        etcd_backup.Backup(settings(machine)).run()
    assert mode(folder) == mode_of_folder and os.listdir(folder) == [".work-of-somebody"]
    folder.chmod(0o700)
    etcd_backup.Backup(settings(machine)).run()
    assert (folder / ".work-of-somebody").is_dir()


def test_a_renewal_in_between_leaves_a_whole_archive(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the archive says of a file is true of the file in it, though another one was there before it was written."""
    write = etcd_backup.Backup._write

    def renewed(self: etcd_backup.Backup, *arguments: t.Any) -> None:
        (machine / "pki" / "ca.crt").write_text("another certificate")
        (machine / "manifests" / "etcd.yaml").write_text("another manifest")
        write(self, *arguments)

    monkeypatch.setattr(etcd_backup.Backup, "_write", renewed)
    archive = Archive(etcd_backup.Backup(settings(machine)).run()["archive"])
    assert archive.read("pki/ca.crt") == b"ca.crt of this cluster"


def test_the_new_archive_is_kept_though_others_are_from_the_future(machine: Path) -> None:
    folder = machine / "backups"
    folder.mkdir(mode=0o700)
    names = ["etcd-lab-20261120T030000Z.tar.gz", "etcd-lab-99991120T030000Z.tar.gz", "etcd-lab-99999999T999999Z.tar.gz"]
    for name in names:
        (folder / name).write_text("")
        os.utime(folder / name, (2**33, 2**33))
    result = etcd_backup.Backup(settings(machine)).run()
    assert sorted(result["deleted"]) == [str(folder / names[0]), str(folder / names[2])]
    assert os.path.exists(result["archive"])
    assert not os.path.exists(etcd_backup.Backup(settings(machine, keep=1)).run()["deleted"][0])
    assert len(etcd_backup.archives(str(folder))) == 1


def test_what_the_disk_refuses_is_a_message(
    machine: Path, run_module: ModuleRunner, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full(*_arguments: t.Any) -> None:
        raise OSError(28, "No space left on device", "/backups/x")

    monkeypatch.setattr(etcd_backup, "add_all", full)
    given = machine / "settings.json"
    given.write_text(json.dumps(settings(machine).__dict__))
    assert etcd_backup.main(["program", str(given)]) == 1
    assert "No backup of etcd was taken: [Errno 28] No space left on device" in capsys.readouterr().err
    assert os.listdir(machine / "backups") == [".slipway-lock"]
    assert etcd_backup.main(["program", f"{given}.gone"]) == 1
    assert capsys.readouterr().err.startswith("No backup of etcd was taken: ")
    monkeypatch.setattr(etcd_backup.Backup, "check_directory", full)
    options = {"directory": str(machine / "backups"), "manifest": str(machine / "manifests" / "etcd.yaml")}
    failed = run_module(etcd_snapshot.main, options)
    assert failed["failed"] and "No space left on device" in failed["msg"]


def test_a_command_that_hangs_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(etcd_backup, "COMMAND_TIMEOUT", 0.1)
    with pytest.raises(BackupError, match="sleep did not end within"):
        etcd_backup.run(["sleep", "20"])
