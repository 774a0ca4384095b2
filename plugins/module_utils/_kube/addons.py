# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A list of charts and manifests that a cluster shall have, and the record of what of it was made.

Private to this collection.
"""

from __future__ import annotations

import base64
import functools
import io
import json
import os
import re
import shutil
import tarfile
import tempfile
import typing as t

from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible_collections.slipway.kubernetes.plugins.module_utils._command import Runner, SlipwayError
from ansible_collections.slipway.kubernetes.plugins.module_utils._kube.helm import HelmRelease, chart_name
from ansible_collections.slipway.kubernetes.plugins.module_utils._kube.kube_apply import KubeApply
from ansible_collections.slipway.kubernetes.plugins.module_utils._kube.kube_objects import Reference
from ansible_collections.slipway.kubernetes.plugins.module_utils._kube.kube_wait import CONDITION_ARGUMENTS, KubeWait
from ansible_collections.slipway.kubernetes.plugins.module_utils._kube.kubectl import Kubectl

Entry = t.Dict[str, t.Any]
Result = t.Dict[str, t.Any]

#: What an entry is made of; one of them is there.
SOURCES = ("chart", "definition", "files", "url", "kustomization")
#: Options that only a chart has.
OF_CHARTS = ("repository", "version", "values", "plain_http", "ca_file")

#: An entry of the list, as the role's argument_specs have it.
ENTRY_OPTIONS: t.Dict[str, t.Any] = {
    "name": {"type": "str", "required": True},
    "chart": {"type": "str"},
    "repository": {"type": "str", "default": ""},
    "version": {"type": "str", "default": ""},
    "values": {"type": "dict", "default": {}},
    "plain_http": {"type": "bool", "default": False},
    "ca_file": {"type": "path"},
    "definition": {"type": "raw"},
    "files": {"type": "list", "elements": "str"},
    "url": {"type": "str"},
    "checksum": {"type": "str"},
    "kustomization": {"type": "str"},
    "namespace": {"type": "str", "default": ""},
    "create_namespace": {"type": "bool", "default": True},
    "namespace_labels": {"type": "dict", "default": {}},
    "force_conflicts": {"type": "bool", "default": False},
    "secret": {"type": "bool", "default": False},
    "ready_when": {"type": "list", "elements": "dict", "default": [], **CONDITION_ARGUMENTS},
    "timeout": {"type": "int", "default": 300},
}
#: What the action adds: texts of files, an archive with what is a folder here, and the chart in it.
FROM_CONTROLLER: t.Dict[str, t.Any] = {
    "texts": {"type": "list", "elements": "str"},
    "archive": {"type": "str", "default": ""},
    "digest": {"type": "str", "default": ""},
    "chart_name": {"type": "str", "default": ""},
}

#: What a name, with ``addon-`` before it, leaves of the name of a set.
NAME = re.compile(r"[a-z0-9]([-a-z0-9]{0,38}[a-z0-9])?")
SET, RECORD, SPACE = "addon", "slipway-addons", "kube-system"
#: What holds more than an entry has put into it.
KEPT_KINDS = ("Namespace", "CustomResourceDefinition")


def kind_of(entry: t.Mapping[str, t.Any]) -> str:
    """Which of :data:`SOURCES` the entry has.

    :raises ValueError: when it has none, or several.
    """
    found = [source for source in SOURCES if entry.get(source)]
    if len(found) != 1:
        listed = " and ".join(found) or "none"
        raise ValueError(f"one of {', '.join(SOURCES)} is needed, and it has {listed}")
    return found[0]


def read_entries(text: str) -> t.List[Entry]:
    """The entries, with defaults.

    :raises SlipwayError: when one is not well described.
    """
    entries: t.List[Entry] = []
    given = json.loads(text)
    if not isinstance(given, list) or not all(isinstance(item, dict) for item in given):
        raise SlipwayError("addons: a list of dictionaries is needed.")
    for item in given:
        name = str(item.get("name"))
        checked = ArgumentSpecValidator({**ENTRY_OPTIONS, **FROM_CONTROLLER}).validate(item)
        if checked.error_messages:
            raise SlipwayError(f"addon {name}: {'; '.join(checked.error_messages)}.")
        entry = dict(checked.validated_parameters)
        try:
            kind_of(entry)
        except ValueError as error:
            raise SlipwayError(f"addon {name}: {error}.") from error
        if not NAME.fullmatch(name):
            raise SlipwayError(f"addon {name}: the name must be 1 to 40 lower-case letters, digits and inner dashes.")
        if name in [other["name"] for other in entries]:
            raise SlipwayError(f"addon {name}: the name stands in the list twice.")
        if entry["chart"] and not (entry["namespace"] and entry["version"]):
            raise SlipwayError(f"addon {name}: a chart needs `namespace` and `version`.")
        entries.append(entry)
    return entries


class Recorded(t.NamedTuple):
    """An entry that was applied once. ``made``: whether a release did not exist before; a set knows its objects."""

    name: str
    kind: str
    namespace: str
    made: bool = True
    digest: str = ""

    @property
    def key(self) -> t.Tuple[str, str, str]:
        """What makes another entry of an entry that is changed."""
        return (self.name, self.kind, self.namespace if self.kind == "chart" else "")


def read_record(text: str, name: str = RECORD) -> t.List[Recorded]:
    """The entries in the ConfigMap, in the order in which they were applied.

    :raises SlipwayError: when it has been damaged.
    """
    try:
        return [Recorded(**json.loads(line)) for line in text.splitlines()]
    except (ValueError, TypeError) as error:
        raise SlipwayError(f"ConfigMap {SPACE}/{name} is damaged: {error}") from error


def wanted(entry: Entry) -> Recorded:
    """The entry as it will be recorded."""
    return Recorded(entry["name"], "chart" if entry["chart"] else "manifests", entry["namespace"])


class Addons:
    """A list of charts and manifests, and what a cluster has of them."""

    def __init__(
        self,
        entries: t.Sequence[Entry],
        prune: bool,
        kubeconfig: str,
        runner: Runner,
        check_mode: bool = False,
        names: t.Tuple[str, str] = (SET, RECORD),
    ) -> None:
        """:param names: how names of sets begin, and the name of the ConfigMap with the record: those of this list."""
        self._entries = entries
        self._set, self._record_name = names
        self._prune = prune
        self._kubeconfig = kubeconfig
        self._runner = runner
        self._check_mode = check_mode
        self._kubectl = Kubectl(runner, kubeconfig)
        self._record: t.List[Recorded] = []
        self._folder = ""
        self._results: t.List[Result] = []
        #: Which entry has an object.
        self._owners: t.Dict[Reference, str] = {}
        #: The sets that objects have left, which are still there.
        self._left: t.List[t.Tuple[Entry, KubeApply, Result]] = []

    def run(self) -> t.Dict[str, t.Any]:
        """Apply the entries in their order, wait for what they say, then remove what is not there any more.

        :raises SlipwayError: when one fails, with its name.
        """
        lacking = self._kubectl.missing()
        if lacking and not self._check_mode:
            raise SlipwayError(lacking)
        before = [] if lacking else self._read_record()
        self._record = list(before)
        self._folder = tempfile.mkdtemp(prefix="slipway-addons-")
        try:
            if not lacking:
                self._begin()
            for entry in self._entries:
                self._each(entry["name"], functools.partial(self._one, entry))
            # Only now it is known what has moved from one to another.
            for entry, applied, result in reversed(self._left if self._prune else []):
                self._each(entry["name"], functools.partial(self._leave, entry, applied, result))
            for stale in [recorded for recorded in reversed(before) if self._is_stale(recorded)]:
                self._each(stale.name, functools.partial(self._remove, stale))
        finally:
            shutil.rmtree(self._folder)
        return {
            "changed": any(result["action"] != "unchanged" for result in self._results),
            "addons": [{key: value for key, value in result.items() if key != "diff"} for result in self._results],
            "diff": [part for result in self._results for part in result.get("diff", [])],
        }

    def _each(self, name: str, act: t.Callable[[], t.Optional[Result]]) -> None:
        try:
            result = act()
        except SlipwayError as error:
            done = [{"name": result["name"], "action": result["action"]} for result in self._results]
            # Arguments and output of commands may have values of the entry.
            raise SlipwayError(f"addon {name}: {error.msg}", addon=name, done=done) from error
        if result:
            result["name"] = name
            self._results.append(result)

    # The record

    def _read_record(self) -> t.List[Recorded]:
        found = self._kubectl.run(
            "get", "configmap", self._record_name, f"--namespace={SPACE}", "--ignore-not-found", "-o=json"
        )
        data = (json.loads(found.stdout) if found.stdout.strip() else {}).get("data") or {}
        return read_record(data.get("entries", ""), self._record_name)

    def _write_record(self, record: t.List[Recorded]) -> None:
        """Keep what is there; nothing is sent when that is known, and in check mode."""
        if record == self._record or self._check_mode:
            return
        lines = "".join(json.dumps(item._asdict(), sort_keys=True) + "\n" for item in record)
        metadata = {"name": self._record_name, "namespace": SPACE}
        document = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"entries": lines}}
        argv = ["apply", "--server-side", "--force-conflicts", "--field-manager=slipway", "--filename=-"]
        self._kubectl.run(*argv, stdin=json.dumps(document))
        self._record = record

    def _begin(self) -> None:
        """Record what is about to be made, so that a run that is killed leaves nothing that nobody knows."""
        known = {recorded.key: recorded for recorded in self._record}
        listed = [known.get(item.key, item._replace(made=item.kind != "chart")) for item in map(wanted, self._entries)]
        # One that was there before may have been uninstalled: then it is made now.
        releases = {} if all(item.made for item in listed) else self._releases()
        for item in listed:
            known[item.key] = item._replace(made=item.made or (item.namespace, item.name) not in releases)
        self._write_record(list(known.values()))

    def _releases(self) -> t.Dict[t.Tuple[str, str], str]:
        """The charts of all releases by their namespace and name; none where helm is not installed yet."""
        helm = self._runner.which("helm", required=not self._check_mode)
        if helm is None:
            return {}
        argv = [helm, "list", "--all", "--all-namespaces", "--output=json", f"--kubeconfig={self._kubeconfig}"]
        listed = json.loads(self._runner.run(argv).stdout or "[]")
        return {(item["namespace"], item["name"]): item["chart"] for item in listed}

    def _is_stale(self, recorded: Recorded) -> bool:
        return recorded.key not in {wanted(entry).key for entry in self._entries}

    # An entry

    def _one(self, entry: Entry) -> Result:
        for other in self._in_the_way(entry):
            self._each(other.name, functools.partial(self._remove, other))
        result = self._chart(entry) if entry["chart"] else self._manifests(entry)
        # In check mode what would be changed is not there to be waited for.
        if entry["ready_when"] and not (self._check_mode and result["action"] != "unchanged"):
            conditions = {"conditions": entry["ready_when"], "timeout": entry["timeout"], "interval": 0.5}
            waited = KubeWait(conditions, self._kubectl, self._check_mode).run()
            result["missing"] = waited.get("missing", [])
        return result

    def _in_the_way(self, entry: Entry) -> t.List[Recorded]:
        """What goes before the entry: Helm gives no object to a release while another one has it.

        That is what the entry was before, as in another namespace; for a new release those of its chart, too.
        """
        stale = [item for item in self._record if self._is_stale(item)]
        charts = self._releases() if entry["chart"] and any(item.kind == "chart" for item in stale) else {}
        same: t.Set[t.Tuple[str, str]] = set()
        if charts and (entry["namespace"], entry["name"]) not in charts:
            name = entry["chart_name"] or chart_name(entry["chart"], entry["version"])
            versions = re.compile(rf"{re.escape(name)}-v?\d+\.\d.*")
            same = {place for place, chart in charts.items() if versions.fullmatch(chart)}
        return [
            item
            for item in stale
            if item.name == entry["name"] or (item.kind == "chart" and (item.namespace, item.name) in same)
        ]

    def _unpacked(self, entry: Entry) -> str:
        """The chart's archive, or the folder of the kustomization."""
        path = os.path.join(self._folder, entry["name"])
        content = base64.b64decode(entry["archive"])
        if entry["chart"]:
            with open(f"{path}.tgz", "wb") as stream:
                stream.write(content)
            return f"{path}.tgz"
        with tarfile.open(fileobj=io.BytesIO(content)) as archive:
            # The action has packed it: folders and files below it, no links.
            archive.extractall(path)
        return path

    def _chart(self, entry: Entry) -> Result:
        recorded = next((item for item in self._record if item.key == wanted(entry).key), wanted(entry))
        params = {
            **{name: entry[name] for name in ("name", "namespace", "namespace_labels", "create_namespace", "timeout")},
            **{name: entry[name] for name in (*OF_CHARTS, "chart_name")},
            "chart": self._unpacked(entry) if entry["archive"] else entry["chart"],
            "kubeconfig": self._kubeconfig,
            "content": entry["digest"],
            "content_before": recorded.digest,
        }
        done = HelmRelease(params, self._runner, self._check_mode).run()
        if entry["digest"] != recorded.digest:
            now = recorded._replace(digest=entry["digest"])
            self._write_record([now if item.key == now.key else item for item in self._record])
        result: Result = {"action": done["action"] if done["changed"] else "unchanged", "diff": []}
        if "diff" in done:
            result["diff"] = [done["diff"]]
        return self._shown(entry, result)

    def _manifests(self, entry: Entry) -> Result:
        params = {**self._set_of(entry["name"]), "force_conflicts": entry["force_conflicts"]}
        namespace = entry["namespace"] or "default"
        params.update(
            state="present",
            stale="later" if self._prune else "keep",
            namespace=namespace,
            namespace_labels=entry["namespace_labels"],
            create_namespace=entry["create_namespace"] and namespace != "default" and not namespace.startswith("kube-"),
            url=entry["url"],
            checksum=entry["checksum"],
            definition=entry["definition"],
            retry=entry["timeout"],
        )
        if entry["texts"]:
            params["definition"] = "\n---\n".join(entry["texts"])
        elif entry["archive"] and not self._kubectl.missing():
            params["definition"] = self._kubectl.run("kustomize", self._unpacked(entry)).stdout
        applied = KubeApply(params, self._kubectl, self._check_mode)
        result = self._shown(entry, self._summary(applied.run()))
        self._owners.update((place, entry["name"]) for place in applied.places)
        if applied.left:
            self._left.append((entry, applied, result))
        return result

    def _leave(self, entry: Entry, applied: KubeApply, result: Result) -> None:
        """Remove what has left the entry, unless another one has it now."""
        result.update(self._shown(entry, self._summary(applied.remove_stale())))

    @staticmethod
    def _summary(done: t.Mapping[str, t.Any]) -> Result:
        action = "applied" if done["changed"] else "unchanged"
        result: Result = {"action": action, "msg": done["msg"], "diff": done["diff"]}
        if done.get("kept"):
            result["kept"] = done["kept"]
        return result

    @staticmethod
    def _shown(entry: Entry, result: Result) -> Result:
        if entry["secret"] and result["diff"]:
            hidden = {"before": "(not shown: a secret)\n", "after": "(not shown: a secret, too)\n"}
            result["diff"] = [{**hidden, "before_header": entry["name"], "after_header": entry["name"]}]
        return result

    def _set_of(self, name: str) -> t.Dict[str, t.Any]:
        return {
            "set_name": f"{self._set}-{name}",
            "definition": None,
            "files": None,
            "url": None,
            "checksum": None,
            "namespace": "default",
            "field_manager": "slipway",
            "force_conflicts": False,
            "retry": 60,
            "delete_timeout": 120,
            "kept_kinds": KEPT_KINDS,
            "elsewhere": self._owners,
        }

    # An entry that is not there any more

    def _remove(self, recorded: Recorded) -> t.Optional[Result]:
        """Remove what was made of it; it stays, and stays recorded, when nothing is pruned."""
        if not self._prune or recorded not in self._record:
            return None
        if recorded.kind == "chart":
            result = self._uninstalled(recorded)
        else:
            params = {**self._set_of(recorded.name), "state": "absent"}
            result = self._summary(KubeApply(params, self._kubectl, self._check_mode).run())
            # Its record is gone with it, also when it had no objects any more.
            result["action"] = "deleted"
        without = [item for item in self._record if item != recorded]
        self._write_record(without)
        self._record = without
        return result

    def _uninstalled(self, recorded: Recorded) -> Result:
        place = f"release {recorded.namespace}/{recorded.name}"
        if (recorded.namespace, recorded.name) not in self._releases():
            return {"action": "forgotten", "msg": f"{place} is not there any more."}
        if not recorded.made:
            return {"action": "forgotten", "msg": f"{place} was there before, and stays."}
        if not self._check_mode:
            argv = [self._runner.path("helm"), "uninstall", recorded.name, f"--namespace={recorded.namespace}"]
            self._runner.run([*argv, "--wait", f"--kubeconfig={self._kubeconfig}"])
        header = {"before_header": place, "after_header": place}
        return {
            "action": "deleted",
            "msg": f"{place} uninstalled",
            "diff": [{**header, "before": "there\n", "after": ""}],
        }
