#!/usr/bin/python
# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: control_plane_files
short_description: Files that the static pods of a control plane read
version_added: 0.1.0
description:
  - Keeps the files in C(/etc/kubernetes/slipway), a folder that is this module's own. What is in it and not in O(files)
    is deleted, unless a static pod names it.
  - Where static pods see the folder, those that began before a file was written are restarted, and waited for. A
    process is ended, the kubelet starts its container again.
  - When a static pod is not healthy with what was written, the files are put back as they were, and the module fails.
  - kubeadm's patches, known by their names, restart nothing. kubeadm applies them when it next writes the static pods.
author: slipway.kubernetes contributors (@slipway)
extends_documentation_fragment:
  - slipway.kubernetes.attributes
attributes:
  check_mode:
    support: full
    details: Files of O(files[].source) are read on the controller in check mode, too.
  diff_mode:
    support: full
    details: Contents of secret files and of those that not everybody may read are left out.
  idempotent:
    support: full
options:
  files:
    description: The files. Each has either O(files[].content) or O(files[].source).
    type: list
    elements: dict
    required: true
    suboptions:
      name:
        description: Name of the file, or its path below the folder.
        type: str
        required: true
      content:
        description: Its text.
        type: str
      secret_content:
        description: Its text when nobody may see it in output or diffs.
        type: str
      source:
        description:
          - Path on the controller of a text file, which may be encrypted by Ansible's vault. A relative path begins at
            the folder of the inventory.
        type: str
      secret:
        description: Whether its text is shown nowhere, and nobody but root may read it.
        type: bool
        default: false
      mode:
        description: Permission bits in octal digits, in quotes. Empty means V(0600) for a secret and V(0644) otherwise.
        type: str
        default: ""
  timeout:
    description: Seconds that a static pod may take to be healthy after it was restarted.
    type: int
    default: 300
"""

EXAMPLES = r"""
- name: Give the API server its audit policy
  slipway.kubernetes.control_plane_files:
    files:
      - name: audit-policy.yaml
        content: |
          apiVersion: audit.k8s.io/v1
          kind: Policy
          rules:
            - level: Metadata
"""

RETURN = r"""
changed_paths:
  description: Paths of the files that were written or deleted, or would be in check mode.
  type: list
  elements: str
  returned: success
  sample: [/etc/kubernetes/slipway/audit-policy.yaml]
restarted:
  description: Static pods that were restarted, or would be in check mode.
  type: list
  elements: str
  returned: success
  sample: [kube-apiserver]
"""

import functools
import os
import time
import typing as t

from ansible_collections.slipway.kubernetes.plugins.module_utils import _waiting
from ansible_collections.slipway.kubernetes.plugins.module_utils._command import SlipwayError
from ansible_collections.slipway.kubernetes.plugins.module_utils._files import (
    TextFile,
    deletion_diff,
    read_exactly,
    read_text,
)
from ansible_collections.slipway.kubernetes.plugins.module_utils._kube import api_server as _api_server
from ansible_collections.slipway.kubernetes.plugins.module_utils._kubeadm import control_plane_files, static_pods
from ansible_collections.slipway.kubernetes.plugins.module_utils._kubeadm.static_pods import Component
from ansible_collections.slipway.kubernetes.plugins.module_utils._layout import KUBEADM
from ansible_collections.slipway.kubernetes.plugins.module_utils._machine import leftovers
from ansible_collections.slipway.kubernetes.plugins.module_utils._module import Context, run_module

MANIFESTS = KUBEADM.manifests
DIRECTORY = control_plane_files.DIRECTORY
#: What may read the files, with the port of its health; the API server is asked in another way.
COMPONENTS = (
    (static_pods.API_SERVER, 0),
    (static_pods.CONTROLLER_MANAGER, 10257),
    (static_pods.SCHEDULER, 10259),
)

#: Seconds that the kubelet lets pass at most before it starts again what has died again and again, and for the start.
BACK_OFF = 330

Values = t.Mapping[str, t.Any]


def wanted_files(entries: t.Sequence[Values], directory: str) -> t.Dict[str, TextFile]:
    """The files by their names.

    :raises SlipwayError: when an entry is not well described.
    """
    files: t.Dict[str, TextFile] = {}
    for entry in entries:
        name = entry["name"]
        if not control_plane_files.is_name(name):
            raise SlipwayError(f"files: {name!r} is no name of a file below {directory}.")
        if name in files:
            raise SlipwayError(f"files: {name} stands there twice.")
        texts = [text for text in (entry["content"], entry["secret_content"]) if text is not None]
        if len(texts) != 1:
            raise SlipwayError(f"files: {name} needs either `content` or `source`.")
        secret = entry["secret"] or entry["secret_content"] is not None
        try:
            mode = control_plane_files.mode_of(entry["mode"], secret)
        except ValueError as error:
            raise SlipwayError(f"files: {name}: {error}.") from error
        files[name] = TextFile(f"{directory}/{name}", texts[0], mode, secret=secret, directory_mode=0o755)
    return files


def existing(directory: str) -> t.List[str]:
    """Paths of all files below the folder."""
    return sorted(os.path.join(folder, name) for folder, _folders, names in os.walk(directory) for name in names)


def expect_room(paths: t.Sequence[str], kept: t.Sequence[str]) -> None:
    """:raises SlipwayError: when a file would be where a folder is, or the other way round, that static pods need."""
    for path in paths:
        for other in kept:
            if f"{other}/".startswith(f"{path}/") or f"{path}/".startswith(f"{other}/"):
                raise SlipwayError(f"files: {path} has no place, as a static pod names {other}. Nothing was changed.")


class ControlPlaneFiles:
    """The files that static pods of this control plane read, and the pods that have to read them anew.

    :raises SlipwayError: when they are not well described.
    """

    def __init__(self, context: Context) -> None:
        self._context = context
        self._timeout: int = context.params["timeout"]
        self._files = wanted_files(context.params["files"], DIRECTORY)

    def run(self) -> t.Dict[str, t.Any]:
        """Write and delete what differs, then restart what has read something else.

        :raises SlipwayError: when a static pod is not healthy afterwards.
        """
        differing = [file for file in self._files.values() if file.differs()]
        named = "".join(read_text(self._manifest(component)) for component, _port in COMPONENTS)
        unwanted = [path for path in existing(DIRECTORY) if path not in {file.path for file in self._files.values()}]
        doomed = [path for path in unwanted if path not in named]
        kept = sorted(set(unwanted) - set(doomed))
        expect_room([file.path for file in differing], kept)
        for path in kept:
            self._context.warn(f"{path} is not in the list any more, and stays as long as a static pod names it.")
        result = {
            "changed_paths": [file.path for file in differing] + doomed,
            "diff": [file.diff() for file in differing] + [deletion_diff(path) for path in doomed],
        }
        before = [self._as_it_is(file.path) for file in differing if os.path.isfile(file.path)]
        if not self._context.check_mode:
            # First, since a folder may get the name that a file had, and the other way round.
            for path in doomed:
                os.unlink(path)
            folders = [folder for folder, _folders, _names in os.walk(DIRECTORY, topdown=False)]
            leftovers.remove_if_empty(*(folder for folder in folders if folder != DIRECTORY))
            for file in differing:
                file.write()
        self._warn_of_unseen([file for file in differing if file in self._read_by_pods()])
        restarted = self._foreseen(differing) if self._context.check_mode else self._restart(differing, before)
        return {"changed": bool(result["changed_paths"] or restarted), "restarted": restarted, **result}

    @staticmethod
    def _as_it_is(path: str) -> TextFile:
        status = os.stat(path)
        return TextFile(path, read_exactly(path), status.st_mode & 0o777, str(status.st_uid), str(status.st_gid))

    @staticmethod
    def _manifest(component: Component) -> str:
        return f"{MANIFESTS}/{component.program}.yaml"

    def _sees_the_folder(self, component: Component) -> bool:
        return DIRECTORY in read_text(self._manifest(component))

    def _read_by_pods(self) -> t.List[TextFile]:
        return [file for name, file in self._files.items() if not control_plane_files.is_patch(name)]

    def _warn_of_unseen(self, differing: t.Sequence[TextFile]) -> None:
        """A cluster that was built without such files has no volume for them."""
        api_server = static_pods.API_SERVER
        if differing and os.path.exists(self._manifest(api_server)) and not self._sees_the_folder(api_server):
            self._context.warn(
                f"The API server of this control plane does not see {DIRECTORY}: the cluster was built without files."
                " They are there, and nothing reads them until the static pod has the volume."
            )

    def _is_older(self, component: Component) -> bool:
        """Whether its process began before a file that it may read was written; one from the future does not count."""
        pid = component.pid()
        if not pid:
            return False
        began = static_pods.started(pid)
        times = [os.stat(file.path).st_mtime for file in self._read_by_pods() if os.path.exists(file.path)]
        return any(began < written <= time.time() for written in times)

    def _foreseen(self, differing: t.Sequence[TextFile]) -> t.List[str]:
        written = any(file in differing for file in self._read_by_pods())
        return [
            component.program
            for component, _port in COMPONENTS
            if self._sees_the_folder(component) and component.pid() and (written or self._is_older(component))
        ]

    def _is_well(self, component: Component, port: int) -> bool:
        if not component.pid() or self._is_older(component):
            return False
        if component is static_pods.API_SERVER:
            return _api_server.is_ready()
        host = component.argument("bind-address")
        return static_pods.is_healthy(
            "127.0.0.1" if host in ("", "0.0.0.0", "::") else host, int(component.argument("secure-port") or port)
        )

    def _restart(self, written: t.Sequence[TextFile], before: t.Sequence[TextFile]) -> t.List[str]:
        restarted = []
        for component, port in COMPONENTS:
            if not self._sees_the_folder(component):
                continue
            # One that has died of its files is waited for, too: the kubelet starts it again and again.
            if not component.pid() and written:
                self._expect(component, port, written, before)
            if self._is_older(component):
                component.end()
                restarted.append(component.program)
                self._expect(component, port, written, before)
        return restarted

    def _expect(
        self, component: Component, port: int, written: t.Sequence[TextFile], before: t.Sequence[TextFile]
    ) -> None:
        """Wait until it is healthy; when that does not come, put back what was there and wait for that.

        :raises SlipwayError: when it did not come.
        """
        is_well = functools.partial(self._is_well, component, port)
        if _waiting.until(is_well, self._timeout):
            return
        paths = ", ".join(file.path for file in written) or DIRECTORY
        kept = {file.path for file in before}
        for file in before:
            file.write()
        for file in written:
            if file.path not in kept:
                os.unlink(file.path)
        component.end()
        well = _waiting.until(is_well, max(self._timeout, BACK_OFF)) if written else False
        raise SlipwayError(
            f"After {self._timeout} seconds {component.program} is not healthy on this machine with the files that were"
            f" written ({paths})."
            + (" They were put back as they were." if written else "")
            + (f" With those {component.program} is healthy again." if well else "")
            + f" What it says stands in /var/log/pods/kube-system_{component.program}-*. Correct control_plane_files."
        )


ARGUMENTS: t.Dict[str, t.Any] = {
    "files": {
        "type": "list",
        "elements": "dict",
        "required": True,
        "options": {
            "name": {"type": "str", "required": True},
            "content": {"type": "str"},
            "secret_content": {"type": "str", "no_log": True},
            "source": {"type": "str"},
            "secret": {"type": "bool", "default": False, "no_log": False},
            "mode": {"type": "str", "default": ""},
        },
    },
    "timeout": {"type": "int", "default": 300},
}


def main() -> None:
    run_module(ARGUMENTS, lambda context: ControlPlaneFiles(context).run(), quiet=True)


if __name__ == "__main__":
    main()
