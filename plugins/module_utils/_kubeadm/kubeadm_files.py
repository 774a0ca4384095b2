# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which files are kubeadm's, and which were there before: a PKI of the user, manifests and configuration of others.

``kubeadm reset`` empties whole folders. What is not kubeadm's is put aside before and put back after it, and what had
been there before our first kubeadm command is known from a record with checksums.

Private to this collection.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import tempfile
import typing as t

from ansible_collections.slipway.kubernetes.plugins.module_utils import _labels, _marks, _records
from ansible_collections.slipway.kubernetes.plugins.module_utils._command import SlipwayError
from ansible_collections.slipway.kubernetes.plugins.module_utils._files import (
    UNFINISHED,
    TextFile,
    make_folder,
    read_text,
)
from ansible_collections.slipway.kubernetes.plugins.module_utils._kubeadm import control_plane_files
from ansible_collections.slipway.kubernetes.plugins.module_utils._layout import KUBEADM
from ansible_collections.slipway.kubernetes.plugins.module_utils._pki import der, x509

FOLDER = KUBEADM.folder
KUBELET = KUBEADM.kubelet_folder
RECORD = f"{_records.FOLDER}/given.json"
#: Where other people's files are while kubeadm resets; the whole path of each is below it.
ASIDE = f"{_records.FOLDER}/aside"
#: A folder that is never there, for kubeadm to empty instead of the PKI.
NOWHERE = f"{_records.FOLDER}/no-certificates"

KUBECONFIGS = (
    "admin.conf", "super-admin.conf", "kubelet.conf", "controller-manager.conf", "scheduler.conf",
    "bootstrap-kubelet.conf",
)  # fmt: skip
MANIFESTS = ("kube-apiserver.yaml", "kube-controller-manager.yaml", "kube-scheduler.yaml", "etcd.yaml")
#: Certificates with their keys (or two halves of a key) that others are signed with.
AUTHORITIES = (
    ("ca.crt", "ca.key"),
    ("front-proxy-ca.crt", "front-proxy-ca.key"),
    ("etcd/ca.crt", "etcd/ca.key"),
    ("sa.pub", "sa.key"),
)
_LEAVES = (
    "apiserver", "apiserver-kubelet-client", "apiserver-etcd-client", "front-proxy-client",
    "etcd/server", "etcd/peer", "etcd/healthcheck-client",
)  # fmt: skip
_PKI = [name for pair in AUTHORITIES for name in pair] + [f"{name}.{end}" for name in _LEAVES for end in ("crt", "key")]
#: kubeadm's files below its folder.
OWN = (*KUBECONFIGS, *(f"manifests/{name}" for name in MANIFESTS), *(f"pki/{name}" for name in _PKI))


def etcd_data(kubernetes: str = KUBEADM.folder) -> str:
    """The folder that kubeadm's etcd keeps its data in; empty on machines that have none.

    By its static pod; while that is missing, by the certificate that kubeadm makes for it before. Another etcd of the
    machine, whose data may well be below the same folder, has neither.
    """
    manifest = f"{kubernetes}/manifests/etcd.yaml"
    match = re.search(r"--data-dir=(/[^\s\"']+/[^\s\"']+)", read_text(manifest))
    if match:
        return match.group(1)
    own = os.path.exists(manifest) or os.path.exists(f"{kubernetes}/pki/etcd/server.crt")
    return KUBEADM.etcd_data if own else ""


def make_etcd_data(path: str) -> None:
    """Make the folder of etcd's data before kubeadm does, whose own has the label of the folder above it.

    Where SELinux is off it is left to kubeadm.

    :param path: empty when the machine gets none.
    """
    if path and _labels.is_on():
        make_folder(os.path.dirname(path))
        make_folder(path, 0o700)


def digest(path: str) -> str:
    """The SHA-256 of a file; empty when it is none."""
    try:
        with open(path, "rb") as stream:
            return hashlib.sha256(stream.read()).hexdigest()
    except OSError:
        return ""


class KubeadmFiles:
    """The files of this machine that kubeadm has to do with."""

    def __init__(self, root: str = "") -> None:
        """:param root: the folder that stands for ``/``, for tests."""
        self._root = root
        self.folder = root + FOLDER

    def own(self) -> t.List[str]:
        """kubeadm's files that are there, by their names."""
        found = [f"{self.folder}/{name}" for name in OWN if os.path.lexists(f"{self.folder}/{name}")]
        # Backups of upgrades and the like.
        temporary = f"{self.folder}/tmp"
        names = sorted(os.listdir(temporary)) if os.path.isdir(temporary) else []
        return found + [f"{temporary}/{name}" for name in names if name.startswith("kubeadm-")]

    # --- the record of what was there before

    def _read(self) -> t.Dict[str, t.Dict[str, str]]:
        """The record; empty when there is none.

        :raises SlipwayError: when it cannot be read: what is somebody's would count as kubeadm's, and go.
        """
        if not self.recorded:
            return {}
        try:
            record = json.loads(read_text(self._root + RECORD))
            return {key: dict(record.get(key, {})) for key in ("given", "made")}
        except (AttributeError, TypeError, ValueError) as error:
            raise SlipwayError(
                f"{RECORD} is damaged ({error}). It says which files in {FOLDER} were there before kubeadm, such as a"
                " CA of yours. Keep a copy of those elsewhere, and remove it. Nothing was changed."
            ) from error

    def _write(self, record: t.Mapping[str, t.Any]) -> None:
        TextFile(self._root + RECORD, json.dumps(record, sort_keys=True) + "\n", 0o600).write()

    @property
    def recorded(self) -> bool:
        """Whether there is a record; calls of earlier releases made none."""
        return os.path.exists(self._root + RECORD)

    def record_given(self) -> None:
        """Record what is here before kubeadm begins, but for what we have made for it."""
        made = self._read().get("made", {})
        paths = [os.path.join(top, name) for top, _folders, names in os.walk(self.folder) for name in names]
        # A PKI behind a link is found by kubeadm's names only.
        paths += self.own()
        kubelet = self._root + KUBELET
        names = os.listdir(kubelet) if os.path.isdir(kubelet) else []
        paths += [f"{kubelet}/{name}" for name in names]
        digests = {path: digest(path) for path in sorted(paths) if has_content(path)}
        given = {path: value for path, value in digests.items() if value and made.get(path) != value}
        self._write({"given": given, "made": made})

    def record_made(self, paths: t.Iterable[str]) -> None:
        """Record that we have made these files, although kubeadm will find them there."""
        record = self._read()
        made = {**record.get("made", {}), **{path: digest(path) for path in paths}}
        self._write({"given": record.get("given", {}), "made": made})

    def record_left(self, paths: t.Iterable[str]) -> None:
        """Record what a reset has left of what had been there before; without anything there is no record."""
        digests = {path: digest(path) for path in sorted(paths) if os.path.exists(path)}
        if digests:
            self._write({"given": digests, "made": {}})
        elif self.recorded:
            os.unlink(self._root + RECORD)

    def given(self) -> t.Set[str]:
        """Files that had been here before, and are as they were."""
        return {path for path, value in self._read().get("given", {}).items() if value == digest(path)}

    def made(self) -> t.Set[str]:
        """Files that we have made, and that are as they were."""
        return {path for path, value in self._read().get("made", {}).items() if value == digest(path)}

    def authorities(self) -> t.Set[str]:
        """The authorities that are complete; without a record all of them, as nobody knows whose they are."""
        found: t.Set[str] = set()
        for pair in AUTHORITIES:
            paths = [f"{self.folder}/pki/{name}" for name in pair]
            if not self.recorded or _is_complete(*paths):
                found.update(paths)
        return found

    # --- around kubeadm reset

    def remains(self) -> t.List[str]:
        """All that is in kubeadm's folder."""
        found = []
        for top, folders, names in os.walk(self.folder):
            links = [name for name in folders if os.path.islink(os.path.join(top, name))]
            found += [os.path.join(top, name) for name in [*names, *links]]
        return sorted(found)

    def foreign_manifests(self) -> t.List[str]:
        """Static pods of others, and what else is in their folder."""
        folder = f"{self.folder}/manifests"
        names = sorted(os.listdir(folder)) if os.path.isdir(folder) else []
        return [f"{folder}/{name}" for name in names if name not in MANIFESTS]

    def in_the_way(self) -> t.List[str]:
        """What is not kubeadm's and ``kubeadm reset`` would remove: other people's manifests, and what had been there.

        The latter may be the kubelet's credentials for registries, or kubeconfigs of a user with a CA of his own.
        """
        folders = (self.folder, self._root + KUBELET)
        return self.foreign_manifests() + sorted(path for path in self.given() if os.path.dirname(path) in folders)

    def put_aside(self, paths: t.Iterable[str]) -> None:
        """Copy files, links and folders to where kubeadm does not look."""
        for path in paths:
            target = self._root + ASIDE + path
            make_folder(os.path.dirname(target), 0o700)
            _copy(path, target)

    def put_back(self) -> None:
        """Put back what is aside and is not there any more. A call that was killed in between is made good by this."""
        aside = self._root + ASIDE
        for top, folders, names in os.walk(aside):
            place = top[len(aside) :] or "/"
            folders[:] = [name for name in folders if not name.startswith(UNFINISHED)]
            # A folder that was put aside whole goes back whole.
            whole = [name for name in folders if not os.path.isdir(os.path.join(place, name))]
            for name in [*names, *whole]:
                target = os.path.join(place, name)
                if not os.path.lexists(target):
                    make_folder(place)
                    _copy(os.path.join(top, name), target)
            folders[:] = [name for name in folders if name not in whole]
        shutil.rmtree(aside, ignore_errors=True)


def has_content(path: str) -> bool:
    """Whether there is something in a file; packages keep their folders by empty ones."""
    return os.path.isfile(path) and os.path.getsize(path) > 0


def _is_complete(certificate: str, key: str) -> bool:
    text = read_text(certificate)
    if certificate.endswith(".pub"):
        readable = text.rstrip().endswith("PUBLIC KEY-----")
    else:
        try:
            readable = bool(x509.certificate_pins(text))
        except der.DerError:
            readable = False
    return readable and read_text(key).rstrip().endswith("KEY-----")


def _copy(source: str, target: str) -> None:
    """Copy a file, a link or a folder with modes and owners; complete or not at all."""
    work = tempfile.mkdtemp(prefix=UNFINISHED, dir=os.path.dirname(target))
    try:
        partial = os.path.join(work, "copy")
        if os.path.isdir(source) and not os.path.islink(source):
            shutil.copytree(source, partial, symlinks=True)
            for top, folders, names in os.walk(source):
                for name in ["", *folders, *names]:
                    path = os.path.normpath(os.path.join(top, name))
                    _own_like(path, os.path.normpath(os.path.join(partial, os.path.relpath(path, source))))
            if os.path.isdir(target):
                shutil.rmtree(target)
        else:
            shutil.copy2(source, partial, follow_symlinks=False)
            _own_like(source, partial)
        os.replace(partial, target)
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _own_like(source: str, target: str) -> None:
    status = os.lstat(source)
    os.chown(target, status.st_uid, status.st_gid, follow_symlinks=False)


def is_ours(path: str, made: t.Container[str]) -> bool:
    """Whether a file in kubeadm's folder that is not kubeadm's is this collection's."""
    is_unfinished = any(name.startswith(UNFINISHED) for name in path.split("/"))
    return is_unfinished or path in made or f"{control_plane_files.DIRECTORY}/" in path or _marks.is_managed(path)
