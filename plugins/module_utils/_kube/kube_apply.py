# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Make objects in the API server like given ones, or delete them.

Private to this collection.
"""

from __future__ import annotations

import functools
import hashlib
import json
import os
import re
import typing as t
import urllib.error
from collections import Counter

from ansible.module_utils.urls import open_url
from ansible_collections.slipway.kubernetes.plugins.module_utils import _waiting
from ansible_collections.slipway.kubernetes.plugins.module_utils._archive import find_checksum, parse_checksum
from ansible_collections.slipway.kubernetes.plugins.module_utils._command import CommandResult, SlipwayError
from ansible_collections.slipway.kubernetes.plugins.module_utils._documents import merged
from ansible_collections.slipway.kubernetes.plugins.module_utils._kube import kube_objects as kube
from ansible_collections.slipway.kubernetes.plugins.module_utils._kube.kubectl import Kubectl
from ansible_collections.slipway.kubernetes.plugins.module_utils._kube.patches import patched
from ansible_collections.slipway.kubernetes.plugins.module_utils._marks import SET_LABEL
from ansible_collections.slipway.kubernetes.plugins.module_utils._shown import url_shown

SET_NAMESPACE = "kube-system"
#: Seconds that a custom resource definition of the same call may take until its kind can be used.
ESTABLISHED_WITHIN = 30

_SET_NAME = re.compile(r"^[a-z0-9]([-a-z0-9]{0,48}[a-z0-9])?$")


def fetch(url: str) -> bytes:
    """The content at ``url``.

    :raises SlipwayError: when it cannot be had.
    """
    try:
        return open_url(url, timeout=30, http_agent="slipway.kubernetes").read()
    except (urllib.error.URLError, OSError, ValueError) as error:
        raise SlipwayError(f"Cannot download {url_shown(url)}: {error}") from error


def download(url: str, checksum: str) -> str:
    """The text at ``url``.

    :raises SlipwayError: when it cannot be had or is not what ``checksum`` says.
    """
    wanted, place = parse_checksum(checksum)
    if place:
        name = os.path.basename(url.partition("?")[0])
        wanted = find_checksum(fetch(place).decode("utf-8", "replace"), name)
        if wanted is None:
            raise SlipwayError(f"The checksum file has no SHA-256 checksum of {name}.")
    content = fetch(url)
    found = hashlib.sha256(content).hexdigest()
    if found != wanted:
        raise SlipwayError(f"{url_shown(url)} has the SHA-256 checksum {found}, not {wanted} as it should.")
    return content.decode("utf-8", "replace")


Found = t.Dict[kube.Reference, kube.Object]


class Plan:
    """What is done, or would be done in check mode, with each object."""

    def __init__(self) -> None:
        self._steps: t.List[t.Dict[str, t.Any]] = []
        #: The objects under the names that the API server gives them.
        self.known: t.Set[kube.Reference] = set()
        #: Kinds, namespaces and webhooks that do not exist, or do not answer, yet.
        self.pending: t.Set[str] = set()
        self.warnings: t.List[str] = []
        #: Objects that have left the set and are not deleted.
        self.kept: t.List[str] = []

    def add(
        self,
        item: kube.Object,
        action: str,
        before: t.Optional[kube.Object] = None,
        after: t.Optional[kube.Object] = None,
    ) -> None:
        """One more object: ``item``, with which ``action`` happens, and how it looks before and after."""
        self._steps.append({"item": item, "action": action, "before": before, "after": after})

    @property
    def changes(self) -> bool:
        """Whether anything would change."""
        return any(step["action"] != "unchanged" for step in self._steps)

    def result(self, namespace: str) -> t.Dict[str, t.Any]:
        """The module's return values; ``namespace`` is where objects are that name none."""
        counts = Counter(step["action"] for step in self._steps)
        message = ", ".join(
            f"{counts[action]} {action}"
            for action in ("created", "configured", "deleted", "unchanged")
            if counts[action]
        )
        if self.pending:
            message += f" (not there yet: {', '.join(sorted(self.pending))})"
        objects, diffs = [], []
        for step in self._steps:
            place = kube.reference(step["item"])
            if place._replace(namespace=place.namespace or namespace) in self.known:
                place = place._replace(namespace=place.namespace or namespace)
            objects.append(
                {"kind": place.kind, "namespace": place.namespace, "name": place.name, "action": step["action"]}
            )
            if step["action"] != "unchanged":
                before, after = kube.difference(step["before"], step["after"])
                diffs.append(
                    {"before_header": str(place), "after_header": str(place), "before": before, "after": after}
                )
        return {
            "changed": self.changes,
            "msg": message or "nothing to do",
            "objects": objects,
            "diff": diffs,
            "warnings": self.warnings,
            "kept": self.kept,
        }


class KubeApply:
    """Makes the objects in the API server like the given ones."""

    def __init__(self, params: t.Mapping[str, t.Any], kubectl: Kubectl, check_mode: bool = False) -> None:
        if params["set_name"] and not _SET_NAME.match(params["set_name"]):
            raise SlipwayError("set_name must be 1 to 50 lower-case letters, digits and inner dashes.")
        self._params = params
        self._files: t.List[str] = params["files"] or []
        self._kubectl = kubectl
        self._check_mode = check_mode
        self._plan = Plan()
        #: The namespace that is made because objects need it.
        self._own: t.Optional[kube.Reference] = None
        #: Kinds that are not deleted for having left the set: what they hold is not the set's.
        self._kept_kinds: t.Collection[str] = params.get("kept_kinds") or ()
        #: What happens to objects that have left the set: ``delete`` them, ``keep`` them recorded, or leave that to
        #: :meth:`remove_stale`, ``later``.
        self._on_stale: str = params.get("stale") or "delete"
        #: Who else of a list has an object: it is refused here, and not deleted.
        self._elsewhere: t.Mapping[kube.Reference, str] = params.get("elsewhere", {})
        self._given: t.Set[kube.Reference] = set()
        #: Recorded objects that are not given any more.
        self.left: t.List[kube.Object] = []
        self._members: t.List[kube.Object] = []

    def apply_argv(self, dry_run: bool = False) -> t.List[str]:
        """The arguments of kubectl that apply the objects in its standard input."""
        argv = ["apply", "--server-side", "--filename=-", "--output=json", "--show-managed-fields"]
        argv.append(f"--field-manager={self._params['field_manager']}")
        if self._params["force_conflicts"]:
            argv.append("--force-conflicts")
        if dry_run:
            argv.append("--dry-run=server")
        return argv

    def delete_argv(self) -> t.List[str]:
        """The arguments of kubectl that delete the objects in its standard input."""
        argv = ["delete", "--filename=-", "--ignore-not-found", "--output=name"]
        seconds = self._params["delete_timeout"]
        if not seconds:
            return [*argv, "--wait=false"]
        # The watch that waits is one request.
        return [*argv, "--wait=true", f"--timeout={seconds}s", "--request-timeout=0"]

    def run(self) -> t.Dict[str, t.Any]:
        """Do it, or in check mode say what would be done."""
        absent = self._params["state"] == "absent"
        lacking = self._kubectl.missing()
        changed = not absent
        if not lacking:
            late = [path for path in self._files if not os.path.exists(path)]
            lacking = f"Files that do not exist on this host: {', '.join(late)}." if late else ""
            changed = True
        if lacking:
            if not self._check_mode:
                raise SlipwayError(lacking)
            would = "The objects would be applied." if changed else "There is nothing to delete."
            return {"changed": changed, "msg": f"{lacking} {would}", "objects": [], "diff": []}
        objects = self._load()
        if absent:
            self._delete(objects)
        else:
            self._apply(objects)
            if self._on_stale == "delete":
                self.remove_stale()
        return self._plan.result(self._params["namespace"])

    @property
    def places(self) -> t.Set[kube.Reference]:
        """The given objects, as they are written and as the API server names them; not those that many may have."""
        return {place for place in self._given | self._plan.known if place.kind not in self._kept_kinds}

    def remove_stale(self) -> t.Dict[str, t.Any]:
        """Delete what has left the set, and forget it; the result of all that was done."""
        if self.left:
            self._remove(self._still_members(self.left))
            if not self._check_mode:
                self._send(self._record(self._members))
        return self._plan.result(self._params["namespace"])

    # What is given

    def _load(self) -> t.List[kube.Object]:
        definition = self._params["definition"]
        texts = []
        objects: t.List[kube.Object] = []
        if isinstance(definition, str):
            texts.append(definition)
        elif definition is not None:
            objects += kube.expand(definition if isinstance(definition, list) else [definition], "definition")
        if self._params["url"]:
            texts.append(download(self._params["url"], self._params["checksum"]))
        objects += self._convert([text for text in texts if text.strip()])
        if self._params.get("create_namespace"):
            labels = kube.as_values(self._params.get("namespace_labels") or {}, "namespace_labels")
            metadata = {"name": self._params["namespace"], "labels": labels}
            own: kube.Object = {"apiVersion": "v1", "kind": "Namespace", "metadata": metadata}
            if kube.reference(own) not in [kube.reference(item) for item in objects]:
                objects.append(own)
                self._own = kube.reference(own)
        places = Counter(kube.reference(item, self._params["namespace"]) for item in objects)
        twice = sorted(str(place) for place, count in places.items() if count > 1)
        if twice:
            raise SlipwayError(f"These objects are given more than once: {', '.join(twice)}.")
        return kube.in_order(patched(objects, self._params.get("patches") or (), self._params["namespace"]))

    def _convert(self, texts: t.Sequence[str]) -> t.List[kube.Object]:
        """The objects in YAML ``texts`` and in the files; kubectl reads the YAML, without asking the API server."""
        sources = ["--filename=-"] if texts else []
        sources += [f"--filename={path}" for path in self._files]
        if not sources:
            return []
        argv = ["patch", "--local", "--type=merge", "--patch={}", "--output=json", *sources]
        result = self._kubectl.run(*argv, stdin="\n---\n".join(texts), check=False)
        if result.rc != 0 and "no objects passed" not in result.stderr:
            raise SlipwayError(f"The manifests cannot be read: {kube.complaint(result)}")
        return kube.expand(kube.documents(result.stdout), "The manifest")

    def _placed(self, objects: t.Iterable[kube.Object]) -> t.List[kube.Object]:
        """``objects`` with a namespace each; the API server ignores it where the kind has none."""
        return [
            {**item, "metadata": {**item["metadata"], "namespace": self._reference(item).namespace}} for item in objects
        ]

    def _reference(self, item: kube.Object) -> kube.Reference:
        return kube.reference(item, self._params["namespace"])

    def _find(self, found: Found, item: kube.Object) -> t.Optional[kube.Object]:
        """What the API server returned for the given ``item``."""
        place = self._reference(item)
        return found.get(place) or found.get(place._replace(namespace=""))

    # state=present

    def _apply(self, objects: t.List[kube.Object]) -> None:
        live = self._read([*self._record([]), *objects])
        manager = self._params["field_manager"]
        # A namespace may be that of other entries, and of charts, that give it labels.
        objects = [
            kube.with_labels_of(item, self._find(live, item), manager) if kube.reference(item) == self._own else item
            for item in objects
        ]
        self._members = self._labelled(objects, live)
        self.left = self._stale(live, objects) if self._params["set_name"] else []
        # Until the stale objects are gone they stay recorded.
        recorded = self._record([*self._members, *self.left])
        targets = [*(recorded if self._on_stale == "keep" else self._record(self._members)), *objects]
        predicted = self._predict(targets, live)
        self._given = {self._reference(item) for item in objects} | {kube.reference(item) for item in live.values()}
        shared = sorted(f"{place} ({self._elsewhere[place]})" for place in self.places & self._elsewhere.keys())
        if shared:
            raise SlipwayError(
                f"Other entries have these objects, too: {', '.join(shared)}. Each run would take them from one and"
                " give them to the other: leave each to one of them."
            )
        for item in targets:
            self._compare(item, self._find(live, item), self._find(predicted, item))
        if self._plan.changes and not self._check_mode:
            self._send([*recorded, *objects])

    def _predict(self, targets: t.Sequence[kube.Object], live: Found) -> Found:
        """The existing objects, in check mode also the new ones, as a server-side dry run returns them."""
        tried = [item for item in targets if self._check_mode or self._find(live, item)]
        new = [item for item in targets if not self._find(live, item)]
        late_namespaces = {item["metadata"]["name"] for item in new if item["kind"] == "Namespace"}
        late_kinds: t.Set[t.Tuple[str, str]] = set()
        while tried:
            for item in new:
                late = self._reference(item).namespace in late_namespaces
                if item in tried and (late or (item["apiVersion"], item["kind"]) in late_kinds):
                    tried.remove(item)
            result = self._persist(self.apply_argv(dry_run=True), tried, tolerate=self._is_an_answer)
            if result.rc == 0:
                return self._returned(result)
            if kube.lacks_webhook(result.stderr):
                self._plan.pending.add("a webhook that checks them")
                pairs = [(item, self._find(live, item)) for item in tried]
                return {self._reference(item): merged(found, item) for item, found in pairs if found}
            kinds, namespaces = kube.missing_kinds(result.stderr), kube.missing_namespaces(result.stderr)
            self._plan.pending |= {f"kind {kind}" for _version, kind in kinds}
            self._plan.pending |= {f"namespace {name}" for name in namespaces}
            if kinds <= late_kinds and namespaces <= late_namespaces:
                raise SlipwayError(kube.complaint(result))
            late_kinds |= kinds
            late_namespaces |= namespaces
        return {}

    def _is_an_answer(self, result: CommandResult) -> bool:
        """Whether a dry run failed because of what is not there yet; in check mode nobody can wait for a webhook."""
        if self._check_mode and kube.lacks_webhook(result.stderr):
            return True
        return bool(kube.missing_kinds(result.stderr) or kube.missing_namespaces(result.stderr))

    def _compare(self, item: kube.Object, live: t.Optional[kube.Object], predicted: t.Optional[kube.Object]) -> None:
        if live is None or predicted is None:
            self._plan.add(predicted or item, "created", None, kube.comparable(item))
            return
        before, after = kube.comparable(live), kube.comparable(predicted)
        if before == after:
            manager = self._params["field_manager"]
            before, after = (
                {f"owned_by_{manager}": dict.fromkeys(kube.owned_fields(version, manager), True)}
                for version in (live, predicted)
            )
        self._plan.add(predicted, "unchanged" if before == after else "configured", before, after)

    def _send(self, objects: t.Sequence[kube.Object]) -> None:
        own_kinds = any(item["kind"] == "CustomResourceDefinition" for item in objects)
        self._returned(self._persist(self.apply_argv(), objects, own_kinds=own_kinds))

    # Sets

    def _labelled(self, objects: t.Sequence[kube.Object], live: Found) -> t.List[kube.Object]:
        """Those of ``objects`` that belong to the set, which get its label.

        What somebody else has made is given its fields, and stays somebody else's.
        """
        name = self._params["set_name"]
        members = []
        for item in objects if name else []:
            found = self._find(live, item)
            metadata = item["metadata"]
            owner = (found["metadata"].get("labels") or {}).get(SET_LABEL) if found else name
            if owner is None:
                continue
            if owner == name or item["kind"] not in self._kept_kinds:
                owner = name
                members.append(item)
            # What is never deleted may be in several sets, and stays in the one that has made it.
            metadata["labels"] = {**(metadata.get("labels") or {}), SET_LABEL: owner}
        return members

    def _record(self, objects: t.Iterable[kube.Object]) -> t.List[kube.Object]:
        """The ConfigMap that keeps what belongs to the set; none without a set."""
        name = self._params["set_name"]
        if not name:
            return []
        members = sorted(json.dumps(kube.identity(item), sort_keys=True) for item in self._placed(objects))
        metadata = {"name": f"slipway-set-{name}", "namespace": SET_NAMESPACE, "labels": {SET_LABEL: name}}
        data = {"objects": "".join(f"{member}\n" for member in members)}
        return [{"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data}]

    def _stale(self, live: Found, objects: t.Sequence[kube.Object]) -> t.List[kube.Object]:
        """The recorded objects that are not among ``objects``."""
        record = self._record([])[0]
        kept = (self._find(live, record) or record).get("data") or {}
        name = record["metadata"]["name"]
        try:
            members = kube.expand(kube.documents(kept.get("objects", "")), f"ConfigMap {SET_NAMESPACE}/{name}")
        except ValueError as error:
            raise SlipwayError(f"ConfigMap {SET_NAMESPACE}/{name} is damaged: {error}") from error
        given = {self._reference(item) for item in objects}
        return [item for item in members if kube.reference(item) not in given]

    def _still_members(self, recorded: t.Sequence[kube.Object]) -> t.List[kube.Object]:
        """Those of the ``recorded`` objects that exist, still bear the set's label and are not given in another way."""
        members = [
            item
            for place, item in self._read(recorded).items()
            if place not in self._plan.known
            and place not in self._elsewhere
            and (item["metadata"].get("labels") or {}).get(SET_LABEL) == self._params["set_name"]
        ]
        kept = [item for item in members if item["kind"] in self._kept_kinds]
        self._plan.kept += [str(kube.reference(item)) for item in kept]
        return [item for item in members if item not in kept]

    # state=absent

    def _delete(self, objects: t.List[kube.Object]) -> None:
        record = self._record([])
        live = self._read([*record, *objects])
        members = self._still_members(self._stale(live, objects)) if record else []
        given = [item for item in (self._find(live, item) for item in [*objects, *record]) if item]
        self._remove([*members, *given])

    def _remove(self, doomed: t.Sequence[kube.Object]) -> None:
        """Delete objects: what needs namespaces and definitions before these, a set's record last."""
        record = self._record([])
        doomed = kube.in_order({kube.reference(item): item for item in doomed}.values())[::-1]
        doomed.sort(key=lambda item: [kube.reference(item)] == [kube.reference(one) for one in record])
        for item in doomed:
            self._plan.add(item, "deleted", kube.comparable(item), None)
        if doomed and not self._check_mode:
            self._persist(self.delete_argv(), [kube.identity(item) for item in doomed])

    # Calling kubectl

    def _read(self, objects: t.Sequence[kube.Object]) -> Found:
        if not objects:
            return {}
        found: t.List[kube.Object] = []

        def call() -> CommandResult:
            items, result = kube.read(self._kubectl, self._placed(objects), "--show-managed-fields")
            found[:] = items
            return result

        self._try(call)
        return {kube.reference(item): item for item in found}

    def _returned(self, result: CommandResult) -> Found:
        """The objects that kubectl printed after applying or trying to."""
        found = {kube.reference(item): item for item in kube.expand(kube.documents(result.stdout), "kubectl")}
        self._plan.known |= set(found)
        self._plan.warnings = kube.warnings(result)
        return found

    def _persist(
        self,
        argv: t.Sequence[str],
        objects: t.Sequence[kube.Object],
        own_kinds: bool = False,
        tolerate: t.Optional[t.Callable[[CommandResult], bool]] = None,
    ) -> CommandResult:
        stdin = kube.as_list(self._placed(objects))
        return self._try(functools.partial(self._kubectl.run, *argv, stdin=stdin, check=False), own_kinds, tolerate)

    def _try(
        self,
        call: t.Callable[[], CommandResult],
        own_kinds: bool = False,
        tolerate: t.Optional[t.Callable[[CommandResult], bool]] = None,
    ) -> CommandResult:
        """The result of ``call``, again and again while it fails for reasons that pass.

        :param own_kinds: wait in any case for kinds that are not known yet.
        :param tolerate: the failures that are results.
        :raises SlipwayError: when it fails for another reason, or for too long.
        """
        wait = _waiting.Wait(self._params["retry"], growth=1.5, longest=3)
        tries = 0
        while True:
            result = call()
            tries += 1
            if result.rc == 0 or (tolerate is not None and tolerate(result)):
                return result
            patience = self._params["retry"]
            if own_kinds and kube.missing_kinds(result.stderr):
                patience = max(patience, ESTABLISHED_WITHIN)
            if not kube.is_transient(result.stderr) or wait.elapsed >= patience:
                raise SlipwayError(_message(result, tries, wait.elapsed), rc=result.rc, stderr=result.stderr)
            wait.sleep()


def _message(result: CommandResult, tries: int, waited: float) -> str:
    message = kube.complaint(result)
    if tries > 1:
        message = f"Gave up after {tries} attempts in {waited:.0f} seconds. The last error: {message}"
    elif kube.is_transient(result.stderr):
        message += " (This may pass: set retry to go on trying.)"
    if "Apply failed with" in message and "conflict" in message:
        message += " Set force_conflicts to take these fields over."
    return message
