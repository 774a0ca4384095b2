# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""kubeadm: its configuration, its processes, and the record of what it has not finished.

kubeadm reads its configuration from standard input here: tokens and keys stand in no file and no argument list.

Private to this collection.
"""

from __future__ import annotations

import json
import os
import re
import secrets
import shutil
import string
import typing as t

from ansible_collections.slipway.kubernetes.plugins.module_utils import _processes, _records, _waiting
from ansible_collections.slipway.kubernetes.plugins.module_utils._command import CommandError, Runner, SlipwayError
from ansible_collections.slipway.kubernetes.plugins.module_utils._kubeadm.kubeadm_files import (
    NOWHERE,
    KubeadmFiles,
    etcd_data,
)
from ansible_collections.slipway.kubernetes.plugins.module_utils._layout import KUBEADM
from ansible_collections.slipway.kubernetes.plugins.module_utils._machine import leftovers
from ansible_collections.slipway.kubernetes.plugins.module_utils._pki import x509

API_VERSION = "kubeadm.k8s.io/v1beta4"
_TOKEN_ALPHABET = string.ascii_lowercase + string.digits
_TOKEN = re.compile(r"\b([a-z0-9]{6})\.[a-z0-9]{16}\b")
_CERTIFICATE_KEY = re.compile(r"(?<![0-9a-f:])[0-9a-f]{64}\b")
#: Descriptions of the tokens that this collection makes begin like this.
TOKEN_DESCRIPTION = "slipway.kubernetes: "
INIT_DESCRIPTION = TOKEN_DESCRIPTION + "made by kubeadm init, revoked right after it"


def masked(text: str) -> str:
    """``text`` without the secret part of bootstrap tokens, and without certificate keys."""
    return _CERTIFICATE_KEY.sub("(certificate key)", _TOKEN.sub(r"\1.(secret)", text))


def new_token() -> str:
    """A random bootstrap token, ``ID.SECRET`` with 6 and 16 characters."""
    characters = [secrets.choice(_TOKEN_ALPHABET) for _index in range(22)]
    return "".join(characters[:6]) + "." + "".join(characters[6:])


def token_id(token: str) -> str:
    """The part of a token before the dot, which is not secret."""
    return token.partition(".")[0]


def documents_text(documents: t.Sequence[t.Mapping[str, t.Any]]) -> str:
    """Configuration documents as the text that kubeadm reads. JSON is YAML, so that nodes need no PyYAML."""
    return "---\n".join(json.dumps(document, sort_keys=True) + "\n" for document in documents)


def find_document(documents: t.Sequence[t.Mapping[str, t.Any]], kind: str) -> t.Mapping[str, t.Any]:
    """The document of that kind; empty when there is none."""
    return next((document for document in documents if document.get("kind") == kind), {})


def ca_certificate_hashes(pem: str) -> t.List[str]:
    """``sha256:`` and the hash of each certificate's public key; while a CA is replaced there are two.

    :raises SlipwayError: when there is no certificate in ``pem``.
    """
    try:
        pins = x509.certificate_pins(pem)
    except ValueError as error:
        raise SlipwayError(f"There is no readable certificate in the CA file: {error}") from error
    if not pins:
        raise SlipwayError("There is no readable certificate in the CA file.")
    return pins


def parse_join_command(text: str) -> t.Dict[str, t.Any]:
    """What kubeadm's ``join`` command line, as it prints it, says.

    :returns: endpoint, token, ca_cert_hashes, certificate_key and control_plane.
    :raises SlipwayError: when there is no such line.
    """
    joined = re.sub(r"\\\s*\n", " ", text)
    match = re.search(r"kubeadm join\s+(\S+)([^\n]*)", joined)
    if match is None:
        raise SlipwayError("kubeadm printed no join command.")
    words = match.group(2).replace("=", " ").split()

    def values(option: str) -> t.List[str]:
        return [words[index + 1] for index, word in enumerate(words[:-1]) if word == option]

    return {
        "endpoint": match.group(1),
        "token": (values("--token") or [""])[0],
        "ca_cert_hashes": values("--discovery-token-ca-cert-hash"),
        "certificate_key": (values("--certificate-key") or [""])[0],
        "control_plane": "--control-plane" in words,
    }


def unfinished(operation: str) -> t.Optional[t.Dict[str, t.Any]]:
    """The record of an ``operation`` (``init`` or ``join``) of ours that has not ended; ``None`` when there is none.

    :raises SlipwayError: when the other operation has not ended, which this one must not clean up after.
    """
    marker = _records.KUBEADM.read()
    begun = (marker or {}).get("operation", operation)
    if begun == "reset":
        raise SlipwayError(
            f"An interrupted reset of {(marker or {}).get('started')} has left this host half done. Run the playbook"
            " that began it again (reset.yml or remove_node.yml), which finishes it."
        )
    if begun == "restore" != operation:
        raise SlipwayError(
            f"An interrupted restore of etcd of {(marker or {}).get('started')} has left this host half done. Run the"
            " playbook etcd_restore.yml again, with the same archive, which finishes it."
        )
    if begun != operation:
        raise SlipwayError(
            f"An interrupted `kubeadm {begun}` of {(marker or {}).get('started')} has left this host half done, so"
            f" `kubeadm {operation}` is not begun: it might clean up what is in use. Run again with the host in the"
            f" group that it was in, which finishes it, or give it up: `kubeadm reset`, then remove"
            f" {_records.KUBEADM.path}."
        )
    return marker


def running_commands(proc: str = "/proc") -> t.List[str]:
    """kubeadm commands that change this machine and are running, for example ``kubeadm init``.

    ``kubeadm upgrade plan`` and the like only look, and are over in a moment.
    """
    found = []
    for name in filter(str.isdigit, os.listdir(proc)):
        words = _processes.words(name, proc)
        changes = len(words) > 1 and words[1] in ("init", "join", "reset", "upgrade")
        # One in a container, as of kind, is about another node.
        if os.path.basename(words[0]) == "kubeadm" and changes and _processes.is_of_this_machine(name, proc):
            found.append(f"kubeadm {words[1]}")
    return found


def wait_for_running(timeout: float) -> bool:
    """Wait for kubeadm commands that an earlier run has left running; whether there were any.

    :param timeout: seconds.
    :raises SlipwayError: when one still runs after that time.
    """
    wait = _waiting.Wait(timeout)
    commands = running_commands()
    waited = bool(commands)
    while commands:
        if wait.is_over:
            raise SlipwayError(f"`{commands[0]}` of an earlier run is still running after {timeout:.0f} seconds.")
        wait.sleep()
        commands = running_commands()
    return waited


class Kubeadm:
    """The kubeadm that is installed on this machine."""

    def __init__(self, runner: Runner) -> None:
        """:raises SlipwayError: when it is not installed."""
        self._runner = runner
        self.path = runner.path("kubeadm")

    def version(self) -> str:
        """Its version, with the leading ``v``."""
        return self._runner.run([self.path, "version", "--output=short"]).stdout.strip()

    def run(self, documents: t.Sequence[t.Mapping[str, t.Any]], *arguments: str) -> str:
        """Run a kubeadm command with a configuration and return what it printed.

        :raises SlipwayError: when it fails; secrets are masked in what it said.
        """
        return self.run_text(documents_text(documents), *arguments)

    def run_text(self, configuration: str, *arguments: str, environment: t.Optional[t.Mapping[str, str]] = None) -> str:
        """Like :meth:`run`, with the text of a configuration."""
        argv = [self.path, *arguments, "--config=/dev/stdin"]
        try:
            return self._runner.run(argv, stdin=configuration, environment=environment).stdout
        except CommandError as error:
            result = error.result
            said = masked(error.msg)
            details = {"cmd": result.argv, "rc": result.rc}
            raise SlipwayError(said, **details, stdout=masked(result.stdout), stderr=masked(result.stderr)) from None

    def validate(self, documents: t.Sequence[t.Mapping[str, t.Any]]) -> None:
        """Let kubeadm check the configuration; it refuses fields that it does not know.

        :raises SlipwayError: with kubeadm's words, which name the field.
        """
        self.validate_text(documents_text(documents))

    def validate_text(self, configuration: str, strict: bool = False) -> None:
        """Like :meth:`validate`, with the text of a configuration.

        :param strict: whether fields are refused, too, of which it only says that it loses them.
        """
        argv = [self.path, "config", "validate", "--config=/dev/stdin"]
        result = self._runner.run(argv, stdin=configuration, check=False)
        if result.rc != 0 or (strict and "unknown field" in result.stderr):
            said = masked(result.stderr or result.stdout).strip()
            said = "\n".join(line for line in said.splitlines() if "--v=5" not in line)
            raise SlipwayError(f"kubeadm refuses the configuration, nothing was changed: {said}")

    def enable_kubelet(self) -> None:
        """Let the kubelet start at boot; kubeadm itself only starts it now.

        :raises SlipwayError: when systemd refuses.
        """
        self._runner.run([self._runner.path("systemctl"), "enable", "--quiet", "kubelet.service"])

    def reset(self, cri_socket: str, authorities: bool = False) -> None:
        """Clean up after a command of ours that did not end. Only ever called when there is a record of it.

        What is not kubeadm's stays, and so does what had been there before.

        :param authorities: whether complete ones stay, too; load balancers before the API server know the CA already.
        """
        files = KubeadmFiles()
        # An earlier call that was killed has left something there.
        files.put_back()
        kept = files.given() | (files.authorities() if authorities else set())
        # Known as long as kubeadm has not removed what tells it.
        data = etcd_data()
        self.run_reset(cri_socket, files, files.in_the_way())
        for path in filter(None, (f"{KUBEADM.kubelet_folder}/pki", data)):
            shutil.rmtree(path, ignore_errors=True)
        for path in files.own():
            if path not in kept:
                leftovers.remove(path)

    def run_reset(self, cri_socket: str, files: KubeadmFiles, aside: t.Iterable[str], *options: str) -> None:
        """Run ``kubeadm reset``, which may fail, with its hands off the PKI and of what is put ``aside`` meanwhile."""
        argv = [self.path, "reset", "--force", *options, f"--cert-dir={NOWHERE}"]
        if cri_socket:
            argv.append(f"--cri-socket={cri_socket}")
        files.put_aside(aside)
        try:
            self._runner.run(argv, check=False)
        finally:
            files.put_back()
