# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the entries of the addons' list have on the controller, and where else they come from.

Private to this collection.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import io
import os
import re
import tarfile
import typing as t

import yaml
from ansible_collections.slipway.kubernetes.plugins.module_utils._kube.addons import kind_of
from ansible_collections.slipway.kubernetes.plugins.plugin_utils import _controller_files

Entry = t.Mapping[str, t.Any]

#: What is handed over to the control plane for one entry at most, in bytes.
LARGEST = 32 * 1024 * 1024
_URL = re.compile(r"(oci|https?)://")
_CHART_FILE = re.compile(r"[^/]+/Chart\.yaml")


def plain(value: t.Any) -> t.Any:
    """``value`` of nothing but what JSON has; texts out of Ansible's vault are decrypted."""
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if value is None or isinstance(value, (bool, int, float)):
        return value
    return str(value)


def is_local_chart(entry: Entry) -> bool:
    """Whether the chart is a folder or an archive on the controller."""
    return bool(entry.get("chart")) and not entry.get("repository") and not _URL.match(str(entry["chart"]))


def downloads(entry: Entry) -> t.List[t.Tuple[str, str]]:
    """Where the entry comes from, besides the controller: pairs of a kind and an address.

    Kinds are ``repository`` (of charts), ``oci`` (a chart's reference, without its version) and ``url``.
    """
    chart = str(entry.get("chart") or "")
    if entry.get("repository"):
        return [("repository", str(entry["repository"]))]
    if chart.startswith("oci://"):
        return [("oci", chart)]
    if _URL.match(chart):
        return [("url", chart)]
    return [("url", str(entry["url"]))] if entry.get("url") else []


def local_paths(entry: Entry, inventory_dir: t.Optional[str]) -> t.List[t.Tuple[str, bool]]:
    """Paths on the controller that the entry needs, each with whether it is a folder."""
    if is_local_chart(entry):
        path = _controller_files.located(str(entry["chart"]), inventory_dir)
        return [(path, os.path.isdir(path))]
    if entry.get("kustomization"):
        return [(_controller_files.located(str(entry["kustomization"]), inventory_dir), True)]
    files = entry.get("files")
    names = files if isinstance(files, list) else []
    return [(_controller_files.located(str(name), inventory_dir), False) for name in names]


class Chart(t.NamedTuple):
    """A chart on the controller; ``digest`` is that of its files, or of the archive that somebody has made."""

    archive: bytes
    digest: str
    name: str
    version: str


def read_chart(path: str) -> Chart:
    """The chart in a folder or an archive.

    :raises ValueError: when it is none.
    """
    folder = os.path.isdir(path)
    content = _packed(path, "chart") if folder else _read(path)
    try:
        with tarfile.open(fileobj=io.BytesIO(content)) as archive:
            name = next((name for name in archive.getnames() if _CHART_FILE.fullmatch(name)), "")
            stream = archive.extractfile(name) if name else None
            about = yaml.safe_load(stream.read()) if stream else None
    except (tarfile.TarError, OSError, EOFError, yaml.YAMLError) as error:
        raise ValueError(f"{path} is no chart: {error}.") from error
    if not isinstance(about, dict) or not about.get("name") or not about.get("version"):
        raise ValueError(f"{path} is no chart: it has no Chart.yaml with name and version.")
    digest = hashlib.sha256(content).hexdigest()
    # Helm takes compressed archives only.
    archived = gzip.compress(content, mtime=0) if folder else content
    return Chart(archived, digest, str(about["name"]), str(about["version"]))


def _read(path: str) -> bytes:
    reason = _controller_files.unreadable(path)
    if reason:
        raise ValueError(f"{path} {reason}.")
    with open(path, "rb") as stream:
        return stream.read()


def _packed(folder: str, name: str) -> bytes:
    """All files of a folder in an archive, below ``name``; the same for the same files.

    :raises ValueError: when it has links, or more than can be handed over.
    """
    target = io.BytesIO()
    size = 0
    with tarfile.open(fileobj=target, mode="w") as archive:
        for path in sorted(_files(folder)):
            if os.path.islink(path) or not os.path.isfile(path):
                raise ValueError(f"{path} is a link or no file, and folders are handed over with files only.")
            size += os.path.getsize(path)
            if size > LARGEST:
                raise ValueError(f"{folder} has more than {LARGEST // 1024 // 1024} MB of files.")
            member = tarfile.TarInfo(os.path.normpath(os.path.join(name, os.path.relpath(path, folder))))
            content = _read(path)
            member.size, member.mode = len(content), 0o644
            archive.addfile(member, io.BytesIO(content))
    return target.getvalue()


def _files(folder: str) -> t.Iterator[str]:
    for base, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if name != ".git"]
        yield from (os.path.join(base, name) for name in [*names, *filter(lambda n: _is_link(base, n), folders)])


def _is_link(base: str, name: str) -> bool:
    return os.path.islink(os.path.join(base, name))


def handed_over(entry: Entry, loader: t.Any, inventory_dir: t.Optional[str]) -> t.Dict[str, t.Any]:
    """The entry as the module takes it, with what is on the controller.

    :raises ValueError: when that cannot be had.
    """
    result = plain(dict(entry))
    kind = kind_of(result)
    paths = local_paths(result, inventory_dir)
    if kind == "files":
        result["texts"] = [_controller_files.read_text(loader, path) for path, _folder in paths]
        return result
    for path, folder in paths:
        reason = _controller_files.unreadable(path, folder)
        if reason:
            raise ValueError(f"{path} {reason}.")
        if kind == "kustomization":
            content = _packed(path, ".")
        else:
            chart = read_chart(path)
            if result.get("version") not in (None, "", chart.version):
                raise ValueError(f"{path} has the version {chart.version}, and not {result['version']}.")
            result.update(chart_name=chart.name, version=chart.version, digest=chart.digest)
            content = chart.archive
        if len(content) > LARGEST:
            raise ValueError(f"{path} has more than {LARGEST // 1024 // 1024} MB.")
        result["archive"] = base64.b64encode(content).decode()
    return result
