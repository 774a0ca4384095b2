# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A kubectl with a small API server behind it; its messages are those of kubectl 1.37."""

from __future__ import annotations

import copy
import json
import typing as t
from pathlib import Path

import pytest
from ansible_collections.slipway.kubernetes.plugins.module_utils import _waiting
from ansible_collections.slipway.kubernetes.plugins.module_utils._command import CommandError, CommandResult
from ansible_collections.slipway.kubernetes.plugins.module_utils._kube import kube_objects as kube
from ansible_collections.slipway.kubernetes.plugins.module_utils._kube.kubectl import Kubectl

FIXTURES = Path(__file__).parent / "fixtures" / "kube"
APPROVALS = "/apis/certificates.k8s.io/v1/certificatesigningrequests"
CLUSTER_SCOPED = {"Namespace", "CustomResourceDefinition", "ClusterRole", "Node", "APIService"}


def fixture(name: str) -> t.Any:
    """The recorded JSON document ``name``."""
    return json.loads((FIXTURES / name).read_text(encoding="utf-8"))


class Clock:
    """Time that passes only by sleeping."""

    def __init__(self) -> None:
        self.now = 0.0
        self.pauses: t.List[float] = []

    def __call__(self) -> float:
        return self.now

    monotonic = __call__

    def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.now += seconds


def waiting_clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """The clock that all who wait go by from now on."""
    clock = Clock()
    monkeypatch.setattr(_waiting, "time", clock)
    return clock


class FakeKubectl(Kubectl):
    """Answers like kubectl out of a dict of objects."""

    def __init__(self, *objects: kube.Object, lacking: str = "") -> None:
        self.store: t.Dict[kube.Reference, kube.Object] = {}
        self.namespaces = {"default", "kube-system"}
        self.custom_kinds: t.Set[str] = set()
        self.calls: t.List[t.List[str]] = []
        self.sent: t.List[t.List[kube.Object]] = []
        #: Certificate requests that were approved.
        self.approved: t.List[str] = []
        #: Answers that come before the API server is asked: (verb or "", CommandResult).
        self.failures: t.List[t.Tuple[str, CommandResult]] = []
        self.raw: t.Dict[str, CommandResult] = {}
        self.stderr = ""
        self._lacking = lacking
        for item in objects:
            self.put(item)

    # What modules use

    def missing(self) -> str:
        return self._lacking

    def get(self, *arguments: str) -> t.Dict[str, t.Any]:
        return json.loads(self.run("get", *arguments, "--output=json").stdout)

    def run(self, *arguments: str, stdin: t.Optional[str] = None, check: bool = True) -> CommandResult:
        self.calls.append(list(arguments))
        result = self._answer(list(arguments), stdin)
        if check and result.rc:
            raise CommandError(result.stderr, result)
        return result

    # For tests

    def put(self, item: kube.Object) -> None:
        item = copy.deepcopy(item)
        if item["kind"] in CLUSTER_SCOPED:
            item["metadata"].pop("namespace", None)
        else:
            item["metadata"].setdefault("namespace", "default")
        item["metadata"].setdefault("uid", "5d3c")
        self.store[kube.reference(item)] = item
        if item["kind"] == "Namespace":
            self.namespaces.add(item["metadata"]["name"])

    def verbs(self) -> t.List[str]:
        return [call[0] + (" --dry-run" if "--dry-run=server" in call else "") for call in self.calls]

    def fail(self, stderr: str, verb: str = "", times: int = 1) -> None:
        self.failures += [(verb, CommandResult([], 1, "", stderr))] * times

    def names(self) -> t.List[str]:
        return sorted(item["metadata"]["name"] for item in self.store.values())

    # The API server

    def _answer(self, argv: t.List[str], stdin: t.Optional[str]) -> CommandResult:
        for index, (verb, failure) in enumerate(self.failures):
            if verb in ("", argv[0]):
                del self.failures[index]
                return failure
        if argv[0] == "patch":
            return self._convert(argv, stdin or "")
        if argv[0] == "get" and "--filename=-" not in argv:
            return self._list(argv)
        if argv[:1] == ["replace"] and argv[1].startswith("--raw="):
            return self._approve(argv, json.loads(stdin or ""))
        items = json.loads(stdin or "")["items"]
        self.sent.append(items)
        return getattr(self, "_" + argv[0])(argv, items)

    def _approve(self, argv: t.List[str], sent: kube.Object) -> CommandResult:
        name = argv[1].split("/")[-2]
        assert argv[1:] == [f"--raw={APPROVALS}/{name}/approval", "--filename=-"]
        stored = self.store.get(kube.reference(sent))
        if stored is None:
            said = f'certificatesigningrequests.certificates.k8s.io "{name}" not found'
            return CommandResult([], 1, "", f"Error from server (NotFound): {said}")
        if any(stored["metadata"].get(key) != sent["metadata"].get(key) for key in ("uid", "resourceVersion")):
            said = f'certificatesigningrequests.certificates.k8s.io "{name}": the object has been modified'
            return CommandResult([], 1, "", f"Error from server (Conflict): Operation cannot be fulfilled on {said}")
        assert sent["spec"] == stored["spec"]
        stored["status"] = sent["status"]
        self.approved.append(name)
        return CommandResult([], 0, "{}", "")

    def _convert(self, argv: t.List[str], stdin: str) -> CommandResult:
        texts = stdin.split("\n---\n") if "--filename=-" in argv else []
        texts += [Path(word[11:]).read_text("utf-8") for word in argv if word.startswith("--filename=/")]
        try:
            found = [json.loads(text) for text in texts if not text.startswith("#")]
        except ValueError:
            return CommandResult([], 1, "", "error: error parsing STDIN: error converting YAML to JSON")
        if not found:
            return CommandResult([], 1, "", "error: no objects passed to patch\n")
        return CommandResult([], 0, "\n".join(json.dumps(item) for item in found), "")

    def _list(self, argv: t.List[str]) -> CommandResult:
        if argv[1].startswith("--raw"):
            return self.raw.get(argv[1], CommandResult([], 0, "ok", ""))
        kinds = {"nodes": "Node", "pods": "Pod", "events": "Event"}
        kind = kinds.get(argv[1], "CertificateSigningRequest")
        spaces = [word.partition("=")[2] for word in argv if word.startswith("--namespace")]
        labels = [word[11:].split("=") for word in argv if word.startswith("--selector=")]
        items = [
            item
            for item in self.store.values()
            if item["kind"] == kind
            and (not spaces or item["metadata"]["namespace"] in spaces)
            and all((item["metadata"].get("labels") or {}).get(key) == value for key, value in labels)
        ]
        return self._printed(items)

    @staticmethod
    def _printed(items: t.Sequence[kube.Object], stderr: str = "") -> CommandResult:
        if not items:
            return CommandResult([], 0, json.dumps({"apiVersion": "v1", "kind": "List", "items": []}), stderr)
        if len(items) == 1 and items[0]["kind"] not in ("Node", "Pod", "Event", "CertificateSigningRequest"):
            return CommandResult([], 0, json.dumps(items[0]), stderr)
        return CommandResult([], 0, json.dumps({"apiVersion": "v1", "kind": "List", "items": items}), stderr)

    def _unknown(self, items: t.Sequence[kube.Object]) -> str:
        return "".join(
            f'error: resource mapping not found for name: "{item["metadata"]["name"]}" namespace: "x" from "STDIN": '
            f'no matches for kind "{item["kind"]}" in version "{item["apiVersion"]}"\nensure CRDs are installed first\n'
            for item in items
            if "example.org" in item["apiVersion"] and item["kind"] not in self.custom_kinds
        )

    def _find(self, item: kube.Object) -> t.Optional[kube.Object]:
        place = kube.reference(item)
        return self.store.get(place) or self.store.get(place._replace(namespace=""))

    def _get(self, argv: t.List[str], items: t.List[kube.Object]) -> CommandResult:
        unknown = self._unknown(items)
        if unknown:
            return CommandResult([], 1, "", unknown)
        found = [item for item in map(self._find, items) if item]
        return self._printed(found) if found else CommandResult([], 0, "", "")

    def _apply(self, argv: t.List[str], items: t.List[kube.Object]) -> CommandResult:
        dry = "--dry-run=server" in argv
        stderr = self._unknown(items)
        results = []
        for item in items:
            if item["kind"] == "CustomResourceDefinition" and not dry:
                self.custom_kinds.add(item["spec"]["names"]["kind"])
            if self._unknown([item]):
                continue
            if item["kind"] not in CLUSTER_SCOPED and item["metadata"]["namespace"] not in self.namespaces:
                name = item["metadata"]["namespace"]
                stderr += f'Error from server (NotFound): namespaces "{name}" not found\n'
                continue
            results.append(self._merged(item))
            if not dry:
                self.put(results[-1])
        if stderr:
            return CommandResult([], 1, "", stderr)
        return self._printed([self._find(item) or item for item in results] if not dry else results, self.stderr)

    def _merged(self, item: kube.Object) -> kube.Object:
        live = copy.deepcopy(self._find(item)) or {"metadata": {}}
        metadata = {**live["metadata"], **item["metadata"]}
        if "labels" in live["metadata"] and "labels" not in item["metadata"]:
            # What is not applied any more is gone.
            metadata["labels"] = {}
        if item["kind"] in CLUSTER_SCOPED:
            metadata.pop("namespace", None)
        fields: t.Dict[str, t.Any] = {f"f:{key}": {} for key in item if key not in ("apiVersion", "kind", "metadata")}
        labels = item["metadata"].get("labels")
        if labels:
            fields["f:metadata"] = {"f:labels": {f"f:{key}": {} for key in labels}}
        others = [entry for entry in metadata.get("managedFields", []) if entry["manager"] != "slipway"]
        own = {"manager": "slipway", "operation": "Apply", "fieldsV1": fields}
        metadata["managedFields"] = [*others, *([own] if fields else [])]
        metadata["resourceVersion"] = "7"
        return {**live, **copy.deepcopy(item), "metadata": metadata}

    def _replace(self, argv: t.List[str], items: t.List[kube.Object]) -> CommandResult:
        if "--dry-run=server" not in argv:
            for item in items:
                self.put(item)
        return CommandResult([], 0, "", "")

    def _delete(self, argv: t.List[str], items: t.List[kube.Object]) -> CommandResult:
        for item in items:
            found = self._find(item)
            if found:
                del self.store[kube.reference(found)]
        return CommandResult([], 0, "", "")
