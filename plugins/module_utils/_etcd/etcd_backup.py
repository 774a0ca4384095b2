# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Take a backup of etcd with all that is needed to use it, as one archive, and read such an archive again.

This file needs nothing but Python's standard library and imports nothing of this collection: the role etcd_backup puts
it on control planes as the program that a systemd timer runs.

Private to this collection.
"""

from __future__ import annotations

import dataclasses
import datetime
import fcntl
import glob
import gzip
import hashlib
import io
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import typing as t
import zlib

FORMAT = 1
#: Where the timer has its settings.
SETTINGS = "/etc/slipway/etcd-backup.json"
#: Seconds that one command may take: a snapshot of a large etcd on a slow disk is a matter of minutes.
COMMAND_TIMEOUT = 900
#: Kubernetes' own files of the PKI that another control plane cannot make anew.
AUTHORITIES = (
    "ca.crt", "ca.key", "front-proxy-ca.crt", "front-proxy-ca.key", "sa.key", "sa.pub", "etcd/ca.crt", "etcd/ca.key",
)  # fmt: skip
_SUFFIX = ".tar.gz"
_CHUNK = 1 << 20
#: Our containers' names begin like this.
CONTAINER_PREFIX = "slipway-etcd-"
#: What the name of a backup that is not complete begins with.
_WORK = ".slipway-work-"


class BackupError(Exception):
    """A failure that the user can do something about."""


@dataclasses.dataclass(frozen=True)
class Settings:
    """How backups are taken.

    :param directory: where they are kept; it is made with mode 0700 when it is not there.
    :param keep: how many of them, at least one.
    :param tool: how the container runtime runs a program of an image, as :func:`tool_argv` takes it.
    :param manifest: etcd's static pod.
    :param kubeconfig: the administrator's.
    :param pki: the folder of the cluster's keys and certificates.
    :param age_recipients: public keys that ``age`` encrypts for; no encryption when there are none.
    """

    directory: str
    cluster_name: str
    keep: int
    tool: t.Sequence[str]
    manifest: str
    kubeconfig: str
    pki: str
    age_recipients: t.Sequence[str] = ()

    def check(self) -> None:
        """:raises BackupError: when they make no sense."""
        if self.keep < 1:
            raise BackupError(
                f"keep is {self.keep}: every backup would be deleted at once. Keep at least 1 on the node."
            )
        if not re.match(r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$", self.cluster_name):
            raise BackupError(f"cluster_name is {self.cluster_name!r}, which is no DNS label.")
        if not self.tool:
            raise BackupError("etcd's tools are run by the container runtime, and none that is known has this socket.")
        if not os.path.exists(self.manifest):
            raise BackupError(f"There is no {self.manifest} on this host, so kubeadm runs no etcd here.")

    @property
    def suffix(self) -> str:
        """How the archives' names end."""
        return _SUFFIX + (".age" if self.age_recipients else "")


def run(argv: t.Sequence[str]) -> str:
    """What a command prints.

    :raises BackupError: when it fails.
    """
    environment = {**os.environ, "LC_ALL": "C"}
    try:
        done = subprocess.run(
            argv,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            env=environment,
            check=False,
            timeout=COMMAND_TIMEOUT,
        )
    except subprocess.TimeoutExpired as error:
        raise BackupError(f"{os.path.basename(argv[0])} did not end within {COMMAND_TIMEOUT} seconds.") from error
    except OSError as error:
        raise BackupError(f"{argv[0]} cannot be run: {error.strerror}.") from error
    if done.returncode != 0:
        said = (done.stderr or done.stdout).decode("utf-8", "replace").strip()[-600:]
        raise BackupError(f"{os.path.basename(argv[0])} failed (rc {done.returncode}): {said}")
    return done.stdout.decode("utf-8", "replace")


def _read(path: str) -> bytes:
    """The content of a small file."""
    with open(path, "rb") as stream:
        return stream.read()


def sha256_of(stream: t.BinaryIO) -> str:
    """The SHA-256 of all that ``stream`` has left."""
    digest = hashlib.sha256()
    for chunk in iter(lambda: stream.read(_CHUNK), b""):
        digest.update(chunk)
    return digest.hexdigest()


def sha256_of_file(path: str) -> str:
    """The SHA-256 of a file."""
    with open(path, "rb") as stream:
        return sha256_of(stream)


def tool_argv(tool: t.Sequence[str], image: str, mounts: t.Mapping[str, bool], words: t.Sequence[str]) -> t.List[str]:
    """The command line that runs ``words`` in a container of ``image`` that is deleted when it ends.

    :param tool: as ``Runtime.tool_at`` returns it.
    :param mounts: folders that it sees under their own names, and whether it may write there.
    """
    names = {"image": image, "name": f"{CONTAINER_PREFIX}{os.getpid()}"}
    folders = [{"path": path, "access": "rw" if writable else "ro"} for path, writable in mounts.items()]
    argv = [word.format(**names, **folder) for word in tool for folder in (folders if "{path}" in word else [{}])]
    return [*argv, *words]


def status_words(snapshot: str) -> t.List[str]:
    """The command that shows what a snapshot has."""
    return ["etcdutl", "snapshot", "status", snapshot, "--write-out=json"]


def parse_status(text: str) -> t.Dict[str, t.Any]:
    """What :func:`status_words` prints about a snapshot.

    :raises BackupError: when there is nothing in it.
    """
    said = json.loads(text)
    status: t.Dict[str, t.Any] = {
        "hash": f"{said['hash']:08x}",
        "revision": int(said["revision"]),
        "total_keys": int(said["totalKey"]),
        "size": int(said["totalSize"]),
        "version": str(said.get("version", "")),
    }
    if status["total_keys"] < 1 or status["revision"] < 2:
        raise BackupError(
            f"The snapshot is empty (revision {status['revision']}, {status['total_keys']} keys): it is no backup of a"
            " cluster, so it is not kept."
        )
    return status


def archives(directory: str, cluster_name: str = "") -> t.List[str]:
    """The archives in a folder, newest first by the time in their names; of all clusters when none is named."""
    cluster = re.escape(cluster_name) if cluster_name else ".+"
    name = re.compile(rf"etcd-{cluster}-\d{{8}}T\d{{6}}Z{re.escape(_SUFFIX)}(\.age)?")
    folder = os.listdir(directory) if os.path.isdir(directory) else []
    found = [os.path.join(directory, entry) for entry in folder if name.fullmatch(entry)]
    return sorted(found, key=lambda path: (taken_at(path), path), reverse=True)


def taken_at(path: str) -> float:
    """When an archive was taken, by its name: copies and a clock that was set change the time of the file only."""
    stamp = path.rsplit(_SUFFIX, 1)[0].rsplit("-", 1)[-1]
    try:
        moment = datetime.datetime.strptime(stamp, "%Y%m%dT%H%M%SZ")
    except ValueError:
        # Digits that are no time: older than all others.
        return 0.0
    return moment.replace(tzinfo=datetime.timezone.utc).timestamp()


class Backup:
    """Takes one backup."""

    def __init__(self, settings: Settings) -> None:
        """:raises BackupError: when the settings make no sense."""
        settings.check()
        self._settings = settings
        with open(settings.manifest, encoding="utf-8") as stream:
            self._pod = stream.read()

    def _flag(self, name: str, default: str = "") -> str:
        match = re.search(rf"^\s*- [\"']?--{name}=(.*?)[\"']?\s*$", self._pod, re.MULTILINE)
        return match.group(1) if match else default

    def image(self) -> str:
        """etcd's image."""
        image = re.search(r"^\s*image: [\"']?([^\s\"']+)", self._pod, re.MULTILINE)
        if image is None:
            raise BackupError(f"{self._settings.manifest} names no image.")
        return image.group(1)

    def _tool(self, mounts: t.Mapping[str, bool], words: t.Sequence[str]) -> t.List[str]:
        """The command line that runs ``words`` in a container of etcd's image."""
        return tool_argv(self._settings.tool, self.image(), mounts, words)

    def save_argv(self, path: str) -> t.List[str]:
        """The command line that saves a snapshot of this machine's member in ``path``."""
        etcd = os.path.join(self._settings.pki, "etcd")
        urls = self._flag("listen-client-urls").split(",")
        endpoint = next((url for url in urls if "127.0.0.1" in url or "[::1]" in url), urls[0])
        pair = [os.path.join(etcd, f"healthcheck-client.{suffix}") for suffix in ("crt", "key")]
        if not all(os.path.exists(name) for name in pair):
            pair = [self._flag("cert-file"), self._flag("key-file")]
        options = [
            f"--endpoints={endpoint}",
            f"--cacert={self._flag('trusted-ca-file', os.path.join(etcd, 'ca.crt'))}",
            f"--cert={pair[0]}",
            f"--key={pair[1]}",
            "--dial-timeout=10s",
            "--command-timeout=600s",
        ]
        mounts = {etcd: False, os.path.dirname(path): True}
        return self._tool(mounts, ["etcdctl", *options, "snapshot", "save", path])

    def run(self) -> t.Dict[str, t.Any]:
        """Take the backup, keep it, delete old ones.

        :raises BackupError: when that fails; nothing of it is left then.
        """
        try:
            return self._run()
        except OSError as error:
            raise BackupError(f"{error}.") from error

    def _run(self) -> t.Dict[str, t.Any]:
        settings = self._settings
        self.check_directory()
        if not os.path.isdir(settings.directory):
            mask = os.umask(0o022)  # for its parents, which nobody else shall write to
            try:
                os.makedirs(settings.directory, mode=0o700)
            finally:
                os.umask(mask)
        with open(os.path.join(settings.directory, ".slipway-lock"), "a", encoding="utf-8") as lock:
            # The timer and Ansible take turns. What is half done now is of a call that was killed.
            fcntl.flock(lock, fcntl.LOCK_EX)
            for path in glob.glob(os.path.join(glob.escape(settings.directory), f"{_WORK}*")):
                shutil.rmtree(path, ignore_errors=True)
            work = tempfile.mkdtemp(prefix=_WORK, dir=settings.directory)
            try:
                return self._take(work)
            finally:
                shutil.rmtree(work, ignore_errors=True)

    def check_directory(self) -> None:
        """A folder that is there may be somebody's: it is left as it is.

        :raises BackupError: when others can get at what is in it.
        """
        directory = self._settings.directory
        if not os.path.isdir(directory):
            return
        status = os.stat(directory)
        if status.st_mode & 0o077 or status.st_uid != os.geteuid():
            raise BackupError(
                f"The folder {directory} is there already, and others may enter it (mode {status.st_mode & 0o777:04o},"
                f" owner {status.st_uid}), while archives have the keys of the cluster. Nothing was changed. If nobody"
                f" else uses it: chown 0:0 {directory}; chmod 0700 {directory}. Otherwise name another folder"
                " (etcd_backup_directory)."
            )

    def _take(self, work: str) -> t.Dict[str, t.Any]:
        settings = self._settings
        self._expect_room(work)
        snapshot = os.path.join(work, "snapshot.db")
        run(self.save_argv(snapshot))
        status = parse_status(run(self._tool({work: False}, status_words(snapshot))))
        configuration = run(self._kubectl("get", "configmaps", "kubeadm-config", "kubelet-config", "kube-proxy"))
        created = datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
        contents = self._contents(snapshot, configuration.encode())
        about = {
            "format": FORMAT,
            "created": created,
            "cluster_name": settings.cluster_name,
            "member": self._flag("name"),
            "image": self.image(),
            "snapshot": status,
            "files": {name: self._digest(item) for name, item in contents.items()},
        }
        name = f"etcd-{settings.cluster_name}-{created.replace('-', '').replace(':', '')}{settings.suffix}"
        partial = os.path.join(work, name)
        self._write(partial, {"about.json": (json.dumps(about, indent=1, sort_keys=True) + "\n").encode(), **contents})
        path = os.path.join(settings.directory, name)
        os.replace(partial, path)
        # Never the new one, though others may bear a later time, of a clock that was wrong.
        others = [other for other in archives(settings.directory, settings.cluster_name) if other != path]
        deleted = others[settings.keep - 1 :]
        for old in deleted:
            os.unlink(old)
        return {
            "archive": path,
            "sha256": sha256_of_file(path),
            "size": os.path.getsize(path),
            "created": created,
            "snapshot": status,
            "deleted": deleted,
        }

    def _expect_room(self, work: str) -> None:
        """:raises BackupError: when the disk has no room for snapshot and archive."""
        data = os.path.join(self._flag("data-dir", "/var/lib/etcd"), "member", "snap", "db")
        needed = 2 * os.path.getsize(data) if os.path.exists(data) else 0
        free = shutil.disk_usage(work).free
        if free < needed:
            raise BackupError(
                f"{self._settings.directory} has {free >> 20} MB free, and a backup may need {needed >> 20} MB."
            )

    def _kubectl(self, *words: str) -> t.List[str]:
        kubeconfig = f"--kubeconfig={self._settings.kubeconfig}"
        timeout = "--request-timeout=30s"
        return [
            "kubectl",
            kubeconfig,
            timeout,
            *words,
            "--namespace=kube-system",
            "--ignore-not-found",
            "--output=json",
        ]

    def _contents(self, snapshot: str, configuration: bytes) -> t.Dict[str, t.Union[str, bytes]]:
        """What goes into the archive, by name: the content itself; of the snapshot, which may be large, the path.

        Files of the control plane are read once: a renewal may change them before the archive is written, and their
        checksums would be others than those that the archive says.
        """
        contents: t.Dict[str, t.Union[str, bytes]] = {"snapshot.db": snapshot, "kubeadm.json": configuration}
        folder = self._settings.pki
        for path in sorted(glob.glob(os.path.join(folder, "**", "*"), recursive=True)):
            if os.path.isfile(path):
                contents["pki/" + os.path.relpath(path, folder)] = _read(path)
        for path in sorted(glob.glob(os.path.join(os.path.dirname(self._settings.manifest), "*.yaml"))):
            contents["manifests/" + os.path.basename(path)] = _read(path)
        return contents

    @staticmethod
    def _digest(item: t.Union[str, bytes]) -> str:
        return hashlib.sha256(item).hexdigest() if isinstance(item, bytes) else sha256_of_file(item)

    def _write(self, path: str, contents: t.Mapping[str, t.Union[str, bytes]]) -> None:
        """Write the archive with mode 0600; with recipients nothing but the encrypted one reaches the disk."""
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with open(handle, "wb") as target:
            if not self._settings.age_recipients:
                add_all(target, contents)
            else:
                self._encrypt(target, contents)
            target.flush()
            os.fsync(target.fileno())

    def _encrypt(self, target: t.BinaryIO, contents: t.Mapping[str, t.Union[str, bytes]]) -> None:
        argv = ["age", "--encrypt"]
        for recipient in self._settings.age_recipients:
            argv += ["--recipient", recipient]
        try:
            process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=target, stderr=subprocess.PIPE)
        except OSError as error:
            raise BackupError(
                "age is not installed on this host. Install the package age of the distribution, or let the role"
                " etcd_backup do it (etcd_backup_age_install)."
            ) from error
        problem = ""
        try:
            add_all(t.cast(t.BinaryIO, process.stdin), contents)
        except BrokenPipeError:
            problem = "it ended early"
        said = process.communicate()[1].decode("utf-8", "replace").strip()
        if process.returncode != 0 or problem:
            raise BackupError(f"age failed (rc {process.returncode}): {said or problem}")


def add_all(target: t.BinaryIO, contents: t.Mapping[str, t.Union[str, bytes]]) -> None:
    """Write ``contents`` to ``target`` as a compressed tar archive."""
    # Fast rather than small: tarfile by itself would take the slowest level.
    with gzip.GzipFile(filename="", fileobj=target, mode="wb", compresslevel=3) as packed, tarfile.open(
        fileobj=packed, mode="w|"
    ) as archive:
        for name, item in contents.items():
            if isinstance(item, bytes):
                entry = tarfile.TarInfo(name)
                entry.size = len(item)
                entry.mode = 0o600
                archive.addfile(entry, io.BytesIO(item))
            else:
                with open(item, "rb") as stream:
                    # Links are followed: the key itself is needed.
                    entry = archive.gettarinfo(arcname=name, fileobj=stream)
                    archive.addfile(entry, stream)


def check_about(about: t.Any) -> None:
    """What an archive says about itself has all that a restore reads of it.

    :raises BackupError: when it has not.
    """
    if not isinstance(about, dict) or about.get("format") != FORMAT:
        said = about.get("format") if isinstance(about, dict) else None
        raise BackupError(f"It has the format {said!r}, and {FORMAT} can be read.")
    kinds = {"created": str, "cluster_name": str, "member": str, "image": str, "snapshot": dict, "files": dict}
    lacking = [name for name, kind in kinds.items() if not isinstance(about.get(name), kind)]
    if lacking:
        raise BackupError(f"Its about.json says nothing, or nothing of use, about {', '.join(lacking)}.")
    numbers = [about["snapshot"].get(name) for name in ("size", "revision")]
    if not all(isinstance(number, int) for number in numbers):
        raise BackupError("Its about.json does not say how large the snapshot is, and of which revision.")
    if "snapshot.db" not in about["files"]:
        raise BackupError("snapshot.db is not among the files that its about.json names.")


class Archive:
    """An archive that is read again, after decryption."""

    def __init__(self, path: str) -> None:
        """:raises BackupError: when it is damaged."""
        self._path = path
        self.about = self._check()

    def _check(self) -> t.Dict[str, t.Any]:
        """Compare all checksums."""
        try:
            with tarfile.open(self._path, "r:gz") as archive:
                entries = {entry.name: entry for entry in archive if entry.isfile()}
                about: t.Dict[str, t.Any] = json.loads(self._open(archive, entries, "about.json").read())
                check_about(about)
                for name, wanted in about["files"].items():
                    if sha256_of(self._open(archive, entries, name)) != wanted:
                        raise BackupError(f"{name} in it has another checksum than it had when it was taken.")
                return about
        except BackupError as error:
            raise BackupError(f"The archive is damaged, nothing was changed: {error}") from error
        except (OSError, EOFError, ValueError, tarfile.TarError, zlib.error) as error:
            raise BackupError(
                f"The archive is damaged, or none of ours, nothing was changed: {str(error) or type(error).__name__}."
            ) from error

    @staticmethod
    def _open(archive: tarfile.TarFile, entries: t.Mapping[str, tarfile.TarInfo], name: str) -> t.BinaryIO:
        if name not in entries:
            raise BackupError(f"{name} is not in it.")
        return t.cast(t.BinaryIO, archive.extractfile(entries[name]))

    def extract(self, name: str, target: str) -> None:
        """Write the file ``name`` to ``target`` with mode 0600."""
        with tarfile.open(self._path, "r:gz") as archive:
            entries = {entry.name: entry for entry in archive if entry.isfile()}
            handle = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            with open(handle, "wb") as stream:
                shutil.copyfileobj(self._open(archive, entries, name), stream, _CHUNK)

    def read(self, name: str) -> bytes:
        """The content of the file ``name``, which is small."""
        with tarfile.open(self._path, "r:gz") as archive:
            entries = {entry.name: entry for entry in archive if entry.isfile()}
            return self._open(archive, entries, name).read()


def main(argv: t.Sequence[str]) -> int:
    """Take a backup as the settings in the JSON file ``argv[1]`` say."""
    try:
        with open(argv[1], encoding="utf-8") as stream:
            settings = Settings(**json.load(stream))
        result = Backup(settings).run()
    except (BackupError, OSError) as error:
        sys.stderr.write(f"No backup of etcd was taken: {error}\n")
        return 1
    sys.stdout.write(json.dumps(result) + "\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv))
