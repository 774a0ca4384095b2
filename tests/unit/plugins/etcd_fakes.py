# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Answers of etcdctl 3.7.0 for tests; what one member said was recorded, more members are made from it."""

from __future__ import annotations

import copy
import json
import typing as t
from pathlib import Path

FIXTURES = Path(__file__).parent / "fixtures" / "etcd"
FIRST = 17815618384001441648


def fixture(name: str) -> str:
    """The recorded output ``name``."""
    return (FIXTURES / name).read_text(encoding="utf-8")


def answers(
    *names: str, down: t.Container[str] = (), learners: t.Container[str] = (), leader: str = "cp1"
) -> t.Dict[str, str]:
    """What etcdctl prints about a cluster of these members, by the words that it is asked with.

    An empty name is a member that was added and has never started.
    """
    members, health, status = (json.loads(fixture(f"{kind}.json")) for kind in ("members", "health", "status"))
    example = members["members"][0]
    numbers = {name: FIRST - (ord(name[-1:] or "3") - ord("1")) for name in names}
    members["members"] = []
    asked, told = [], []
    for index, name in enumerate(names):
        url = f"https://172.30.0.{11 + index}:2379"
        member = {**example, "ID": numbers[name], "name": name, "peerURLs": [url.replace("2379", "2380")]}
        member["clientURLs"] = [url] if name else []
        if name in learners:
            member["isLearner"] = True
        members["members"].append(member)
        if not name:
            continue
        failure = {"endpoint": url, "health": False, "took": "5.18901044s", "error": "context deadline exceeded"}
        asked.append(failure if name in down or name in learners else {**health[0], "endpoint": url})
        if name not in down:
            entry = copy.deepcopy(status[0])
            entry["Endpoint"] = url
            entry["Status"].update(leader=numbers.get(leader, FIRST))
            entry["Status"]["header"]["member_id"] = numbers[name]
            told.append(entry)
    return {
        "member list": json.dumps(members),
        "endpoint health": json.dumps(asked),
        "endpoint status": json.dumps(told) if told else "",
    }
