# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An archive of etcd_snapshot on the controller: decrypt it, check it, compare it with what the inventory says.

Private to this collection; runs on the controller.
"""

from __future__ import annotations

import base64
import binascii
import json
import os
import shlex
import shutil
import subprocess
import typing as t

import yaml
from ansible.errors import AnsibleError
from ansible.parsing.vault import VaultLib, VaultSecret
from ansible_collections.slipway.kubernetes.plugins.module_utils._etcd.etcd_backup import (
    AUTHORITIES,
    Archive,
    BackupError,
)

_VAULT = b"$ANSIBLE_VAULT"
_AGE = (b"age-encryption.org/", b"-----BEGIN AGE ENCRYPTED FILE-----")
#: What must be the same, by the names of the options: where kubeadm's ClusterConfiguration has it.
_SAME: t.Mapping[str, t.Tuple[str, ...]] = {
    "pod_subnet": ("networking", "podSubnet"),
    "service_subnet": ("networking", "serviceSubnet"),
    "dns_domain": ("networking", "dnsDomain"),
    "endpoint": ("controlPlaneEndpoint",),
}


class ArchiveError(Exception):
    """Why an archive cannot be used, with what to do about it."""


def encryption(path: str) -> str:
    """``vault``, ``age`` or ``none``, by how the file begins: names do not count.

    :raises ArchiveError: when it cannot be read.
    """
    if not path:
        raise ArchiveError(
            "Say which archive is to be restored: -e etcd_restore_archive=FILE, a file on the controller."
        )
    try:
        with open(path, "rb") as stream:
            head = stream.read(64)
    except OSError as error:
        raise ArchiveError(f"{path} cannot be read on the controller: {error.strerror}.") from error
    if head.startswith(_VAULT):
        return "vault"
    return "age" if head.startswith(_AGE) else "none"


def open_archive(path: str, target: str, vault_password: str, age_identity: str) -> Archive:
    """The archive in ``path``, checked; where it is encrypted ``target`` becomes the file without, with mode 0600.

    :raises ArchiveError: when it cannot be decrypted.
    :raises BackupError: when it is damaged.
    """
    kind = encryption(path)
    if kind == "none":
        return Archive(path)
    handle = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with open(handle, "wb") as stream:
        if kind == "vault":
            stream.write(_from_vault(path, vault_password))
        else:
            _from_age(path, age_identity, stream)
    return Archive(target)


def _from_vault(path: str, password: str) -> bytes:
    if not password:
        raise ArchiveError(
            f"{path} is encrypted by ansible-vault. Give etcd_backup_vault_password, with which it was made."
        )
    with open(path, "rb") as stream:
        text = stream.read()
    try:
        plain = VaultLib([("default", VaultSecret(password.encode()))]).decrypt(text)
        return base64.b64decode(plain, validate=True)
    except AnsibleError as error:
        raise ArchiveError(
            f"The password in etcd_backup_vault_password does not open {path}, or the file is damaged."
        ) from error
    except binascii.Error as error:
        raise ArchiveError(f"{path} was not made by etcd_backup: its content is not in base64.") from error


def _from_age(path: str, identity: str, target: t.BinaryIO) -> None:
    by_hand = f"age --decrypt --identity KEY --output FILE.tar.gz {shlex.quote(path)}"
    if not identity:
        raise ArchiveError(
            f"{path} is encrypted by age. Give the file with the secret key: -e etcd_restore_age_identity=FILE. Or"
            f" decrypt it where the key is, and give what comes out: {by_hand}"
        )
    if not os.path.exists(identity):
        raise ArchiveError(f"etcd_restore_age_identity is {identity}, and there is no such file on the controller.")
    age = shutil.which("age")
    if age is None:
        raise ArchiveError(
            f"{path} is encrypted by age, which is not installed on the controller. Install it, or decrypt the file"
            f" elsewhere and give what comes out: {by_hand}"
        )
    done = subprocess.run(
        [age, "--decrypt", "--identity", identity, path],
        stdin=subprocess.DEVNULL,
        stdout=target,
        stderr=subprocess.PIPE,
        check=False,
    )
    if done.returncode != 0:
        said = done.stderr.decode("utf-8", "replace").strip()[-400:]
        raise ArchiveError(f"age does not open {path} with {identity}: {said}")


def cluster_configuration(archive: Archive) -> t.Dict[str, t.Any]:
    """kubeadm's ClusterConfiguration as it was in the cluster.

    :raises ArchiveError: when it is not in the archive.
    """
    try:
        items = json.loads(archive.read("kubeadm.json"))["items"]
        found = next(item for item in items if item["metadata"]["name"] == "kubeadm-config")
        return dict(yaml.safe_load(found["data"]["ClusterConfiguration"]))
    except (BackupError, KeyError, StopIteration, TypeError, ValueError, yaml.YAMLError) as error:
        raise ArchiveError(
            "The archive has no ConfigMap kubeadm-config: the cluster was not one of kubeadm."
        ) from error


def minor(version: str) -> str:
    """``1.37`` of ``v1.37.1``."""
    return ".".join(version.lstrip("v").split(".")[:2])


def differences(
    about: t.Mapping[str, t.Any], cluster: t.Mapping[str, t.Any], wanted: t.Mapping[str, t.Any]
) -> t.List[str]:
    """What the inventory says otherwise than the archive, a sentence each.

    :param wanted: by the names of the options; what is empty is not compared, but for the endpoint.
    """
    found = []
    if wanted.get("cluster_name") and wanted["cluster_name"] != about["cluster_name"]:
        found.append(
            f"It is of the cluster {about['cluster_name']}, and cluster_name of the inventory is"
            f" {wanted['cluster_name']}."
        )
    version = str(cluster.get("kubernetesVersion", ""))
    if wanted.get("version") and minor(version) != minor(wanted["version"]):
        found.append(
            f"It is of Kubernetes {version.lstrip('v')}, and cluster_version is {wanted['version']}. Restore with a"
            f" cluster_version of {minor(version)}, and upgrade afterwards."
        )
    for name, place in _SAME.items():
        value: t.Any = cluster
        for key in place:
            value = value.get(key) if isinstance(value, dict) else None
        was, now = str(value or ""), str(wanted.get(name) or "")
        if was != now and (now or name == "endpoint"):
            found.append(f"Its {'.'.join(place)} is {was or 'not set'}, and cluster_{name} is {now or 'not set'}.")
    return found


def extract(archive: Archive, folder: str) -> t.List[str]:
    """Write what a restore needs into ``folder``, with mode 0600: ``snapshot.db``, and the authorities below ``pki``.

    :returns: the authorities' names; with a CA outside of the cluster there are no keys.
    """
    os.makedirs(os.path.join(folder, "pki", "etcd"), mode=0o700)
    archive.extract("snapshot.db", os.path.join(folder, "snapshot.db"))
    names = [name for name in AUTHORITIES if f"pki/{name}" in archive.about["files"]]
    for name in names:
        archive.extract(f"pki/{name}", os.path.join(folder, "pki", name))
    return names
