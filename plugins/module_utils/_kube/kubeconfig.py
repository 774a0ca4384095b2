# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Kubeconfigs of users: a copy of kubeadm's, or a file with other clusters that ours is one of.

kubectl reads them, as nodes have no YAML of their own. What we have put into somebody's file carries a mark (an
extension, which kubectl keeps); all else in it is somebody's.

Private to this collection.
"""

from __future__ import annotations

import copy
import hashlib
import json
import re
import tempfile
import typing as t

from ansible_collections.slipway.kubernetes.plugins.module_utils._command import Runner, SlipwayError

Config = t.Dict[str, t.Any]

_EXTENSION = "slipway.kubernetes"
_KINDS = ("cluster", "user", "context")
#: What differs between two copies of one administrator's kubeconfig: a renewal, another endpoint.
_CREDENTIALS = ("client-certificate-data:", "client-key-data:")
#: kubeadm's kubeconfig, one cluster with one user, and nothing that somebody has added.
_PLAIN = re.compile(
    r"apiVersion: v1\nclusters:\n- cluster:\n    certificate-authority-data: (?P<authority>\S+)\n"
    r"    server: (?P<server>\S+)\n  name: (?P<cluster>\S+)\n"
    r"contexts:\n- context:\n    cluster: (?P=cluster)\n    user: (?P<user>\S+)\n  name: (?P<context>\S+)\n"
    r"current-context: (?P=context)\nkind: Config\n(preferences: \{\}\n)?"
    r"users:\n- name: (?P=user)\n  user:\n    client-certificate-data: \S+\n    client-key-data: \S+\n"
)
_SAFE = re.compile(r"[A-Za-z][A-Za-z0-9_@./=+-]*")
_RESERVED = {"true", "false", "null", "yes", "no", "on", "off", "y", "n"}
#: kubectl's own preferences must not change what it prints.
_ENVIRONMENT = {"KUBECTL_KUBERC": "false", "KUBECONFIG": ""}


def plain(text: str) -> t.Dict[str, str]:
    """Authority, server and names in a kubeconfig that kubeadm has written; empty when it is anything else."""
    match = _PLAIN.fullmatch(text)
    return match.groupdict() if match else {}


def without(text: str, keys: t.Tuple[str, ...] = _CREDENTIALS) -> t.List[str]:
    """The lines of a kubeconfig but for those of some keys; a renewal leaves the others as they are."""
    return [line for line in text.splitlines() if not line.strip().startswith(keys)]


def is_copy(text: str, ours: str) -> bool:
    """Whether a text is a copy of our kubeconfig, of an earlier time perhaps."""
    keys = (*_CREDENTIALS, "server:")
    return without(text, keys) == without(ours, keys)


def is_of_rebuilt_cluster(text: str, ours: str) -> bool:
    """Whether a text is kubeadm's kubeconfig of a cluster that was here before: the same address, another CA."""
    before, now = plain(text), plain(ours)
    return bool(now) and before.get("server") == now["server"]


def bodies(text: str) -> t.Set[str]:
    """The certificates in PEM, by their bodies."""
    found = re.findall(r"-----BEGIN CERTIFICATE-----(.*?)-----END CERTIFICATE-----", text, re.DOTALL)
    return {"".join(body.split()) for body in found}


class Kubeconfigs:
    """Reads kubeconfigs by kubectl, and what is to become one."""

    def __init__(self, runner: Runner) -> None:
        self._runner = runner

    def read(self, text: str, path: str) -> Config:
        """What is in a text.

        :param path: where it is from, for messages. kubectl gets a file of its own, which nobody else can change.
        :raises SlipwayError: when kubectl cannot read it.
        """
        kubectl = self._runner.path("kubectl")
        with tempfile.NamedTemporaryFile("w", prefix=".slipway-", encoding="utf-8", errors="surrogateescape") as file:
            file.write(text)
            file.flush()
            argv = [kubectl, "config", "view", "--raw", f"--kubeconfig={file.name}", "--output=json"]
            result = self._runner.run(argv, check=False, environment=_ENVIRONMENT)
        try:
            config = json.loads(result.stdout) if result.rc == 0 else None
        except ValueError:
            config = None
        if not isinstance(config, dict):
            # What it says may have a line of the file in it.
            raise SlipwayError(f"{path} is no kubeconfig that kubectl can read.")
        for kind in _KINDS:
            config[f"{kind}s"] = config.get(f"{kind}s") or []
        return config

    def text(self, config: Config, path: str) -> str:
        """The text for a file, in which kubectl has read the same.

        :raises SlipwayError: when it does not.
        """
        text = as_yaml(config)
        if self.read(text, path) != config:
            raise SlipwayError(f"{path} was left alone: kubectl reads something else than would be written.")
        return text


def _entry(config: Config, kind: str, name: str) -> t.Optional[t.Dict[str, t.Any]]:
    return next((item[kind] for item in config[f"{kind}s"] if item["name"] == name), None)


def _is_marked(entry: t.Mapping[str, t.Any]) -> bool:
    return any(item.get("name") == _EXTENSION for item in entry.get("extensions") or [])


def _marked(entry: t.Mapping[str, t.Any]) -> t.Dict[str, t.Any]:
    others = [item for item in entry.get("extensions") or [] if item.get("name") != _EXTENSION]
    # By their names, as kubectl has them, or the file would differ each time.
    found = [*others, {"name": _EXTENSION, "extension": {"managed": True}}]
    return {**entry, "extensions": sorted(found, key=lambda item: str(item.get("name")))}


def _authority(config: Config, cluster: str) -> str:
    return str((_entry(config, "cluster", cluster) or {}).get("certificate-authority-data", ""))


def _own(config: Config) -> t.Tuple[str, str, str]:
    """Names of the only cluster, user and context of the administrator's kubeconfig.

    :raises SlipwayError: when it has another form.
    """
    name = config.get("current-context", "")
    context = _entry(config, "context", name)
    if context is None or not _authority(config, context["cluster"]):
        raise SlipwayError("The administrator's kubeconfig has no cluster with a CA of its own.")
    return context["cluster"], context["user"], name


def _is_adopted(config: Config, names: t.Tuple[str, str, str], authority: str) -> bool:
    """Whether these names in somebody's file are those of our cluster already, and of nothing else."""
    cluster, user, context = names
    theirs = _entry(config, "context", context)
    if theirs is None or (theirs.get("cluster"), theirs.get("user")) != (cluster, user):
        return False
    used = {item["context"].get("cluster", "") for item in config["contexts"] if item["context"].get("user") == user}
    return all(_authority(config, name) == authority for name in used)


def _is_free(config: Config, names: t.Tuple[str, str, str], ours: t.Mapping[str, t.Any]) -> bool:
    """Whether nobody has these names, or our cluster has them: by its authority, or an earlier one by its address.

    What is marked may be another cluster's of this collection, where a home is shared.
    """
    entries = [_entry(config, kind, name) for kind, name in zip(_KINDS, names)]
    theirs = entries[0] or ours
    same = any(theirs.get(key) == ours.get(key) for key in ("certificate-authority-data", "server"))
    return same and all(entry is None or _is_marked(entry) for entry in entries)


def place(theirs: Config, ours: Config) -> t.Tuple[str, str, str]:
    """The names that cluster, user and context of ours have, or get, in somebody's file.

    :raises SlipwayError: when somebody has them all.
    """
    own = _own(ours)
    authority = _authority(ours, own[0])
    if _is_adopted(theirs, own, authority):
        return own
    name = own[0]
    other = f"{name}-{hashlib.sha256(authority.encode()).hexdigest()[:8]}"
    cluster = _entry(ours, "cluster", name) or {}
    # The name that it has already comes first, also when the other one has become free.
    for candidate in sorted((name, other), key=lambda candidate: _authority(theirs, candidate) != authority):
        names = (candidate, f"{candidate}-admin", candidate)
        if _is_free(theirs, names, cluster):
            return names
    raise SlipwayError(f"It has entries named {name} and {other} of somebody else.")


def has_ours(theirs: Config, ours: Config) -> bool:
    """Whether our cluster is in somebody's file, by our doing."""
    cluster, _user, context = place(theirs, ours)
    return (
        _authority(theirs, cluster) == _authority(ours, _own(ours)[0])
        and _entry(theirs, "context", context) is not None
    )


def is_marked(config: Config) -> bool:
    """Whether we have put something into this file."""
    return any(_is_marked(item[kind]) for kind in _KINDS for item in config[f"{kind}s"])


def merged(theirs: Config, ours: Config) -> Config:
    """``theirs`` with our cluster, user and context in it; everything else is as it was.

    :raises SlipwayError: when somebody has all the names that they could have.
    """
    own, names = _own(ours), place(theirs, ours)
    result = copy.deepcopy(theirs)
    for kind, source, name in zip(_KINDS, own, names):
        entry = copy.deepcopy(_entry(ours, kind, source)) or {}
        before = _entry(theirs, kind, name) or {}
        if kind == "context":
            # The user may have given it a namespace.
            entry = {**before, "cluster": names[0], "user": names[1]}
        elif before.get("extensions"):
            entry["extensions"] = before["extensions"]
        others = [item for item in result[f"{kind}s"] if item["name"] != name]
        result[f"{kind}s"] = sorted([*others, {"name": name, kind: _marked(entry)}], key=lambda item: item["name"])
    result["current-context"] = theirs.get("current-context") or names[2]
    return result


def without_cluster(config: Config, authorities: t.Set[str], decode: t.Callable[[str], str]) -> Config:
    """``config`` without what we have put there for the cluster with these authorities (bodies of certificates)."""
    gone = {
        item["name"]
        for item in config["clusters"]
        if authorities & bodies(decode(str(item["cluster"].get("certificate-authority-data", ""))))
    }
    result = copy.deepcopy(config)
    contexts = [
        item
        for item in config["contexts"]
        if item["context"].get("cluster") in gone
        and (_is_marked(item["context"]) or item["name"] == f"kubernetes-admin@{item['context']['cluster']}")
    ]
    result["contexts"] = [item for item in config["contexts"] if item not in contexts]
    for kind in ("cluster", "user"):
        mine = {item["context"].get(kind) for item in contexts}
        used = {item["context"].get(kind) for item in result["contexts"]}
        result[f"{kind}s"] = [item for item in config[f"{kind}s"] if item["name"] not in mine - used]
    if any(item["name"] == config.get("current-context") for item in contexts):
        result["current-context"] = ""
    return result


def is_empty(config: Config) -> bool:
    """Whether nothing is left in it."""
    return not any(config[f"{kind}s"] for kind in _KINDS)


def as_yaml(value: t.Any, depth: int = 0) -> str:
    """Values of JSON as YAML in block style, as kubectl writes it; texts that could be anything else are quoted."""
    pad = "  " * depth
    if isinstance(value, dict) and value:
        lines = []
        for key, item in value.items():
            nested = isinstance(item, (dict, list)) and item
            lines.append(
                f"{pad}{_scalar(key)}:" + ("\n" + as_yaml(item, depth + 1) if nested else f" {_scalar(item)}\n")
            )
        return "".join(lines)
    if isinstance(value, list) and value:
        return "".join(f"{pad}- " + as_yaml(item, depth + 1).lstrip(" ") for item in value)
    return f"{pad}{_scalar(value)}\n"


def _scalar(value: t.Any) -> str:
    if isinstance(value, str) and _SAFE.fullmatch(value) and value.lower() not in _RESERVED:
        return value
    return json.dumps(value, ensure_ascii=False)
