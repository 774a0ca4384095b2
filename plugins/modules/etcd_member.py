#!/usr/bin/python
# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: etcd_member
short_description: Removes a member from etcd
version_added: 0.1.0
description:
  - Removes a member from etcd, asking the member on this host, which has to be another one than that which leaves when
    that one shall be reset.
  - Refuses what would end the cluster. After the removal the members that are healthy have to be a majority, and the
    last member never goes.
  - When the leader leaves, another healthy member becomes leader before.
author: slipway.kubernetes contributors (@slipway)
extends_documentation_fragment:
  - slipway.kubernetes.attributes
  - slipway.kubernetes.cri_socket
  - slipway.kubernetes.etcd
attributes:
  check_mode:
    support: full
    details: Refuses what it would refuse.
  diff_mode:
    support: none
  idempotent:
    support: full
options:
  state:
    description: V(absent) removes the member. Members are added by C(kubeadm join).
    type: str
    choices: [absent]
    default: absent
  name:
    description: Name of the member, which is its node's name.
    type: str
  id:
    description: Number of the member in hexadecimal digits.
    type: str
  address:
    description:
      - Host in the peer URL of a member that was added and has never started, which therefore has no name. A member
        with a name is never meant by its address, which may be that of a machine that has come later.
      - A member that matches one of O(name), O(id) and O(address) is meant.
    type: str
  removal_order:
    description:
      - Names of several members that are removed by one call each, in this order. Check mode takes those before O(name)
        for gone, so that it says what removing one after the other would do. Without check mode it has no effect.
    type: list
    elements: str
    default: []
"""

EXAMPLES = r"""
- name: Remove the member of a machine that is gone
  slipway.kubernetes.etcd_member:
    name: cp4
    address: 172.30.0.99
    state: absent
"""

RETURN = r"""
msg:
  description: What was done, or would be in check mode.
  type: str
  returned: success
  sample: cp4 (8e9e05c52164694d) is removed
removed:
  description: Numbers of the members that were removed.
  type: list
  elements: str
  returned: success
  sample: [8e9e05c52164694d]
members:
  description: The members before, as M(slipway.kubernetes.etcd_member_info) returns them.
  type: list
  elements: dict
  returned: success
  sample: []
"""

import typing as t

from ansible_collections.slipway.kubernetes.plugins.module_utils._command import CommandError, SlipwayError
from ansible_collections.slipway.kubernetes.plugins.module_utils._etcd import etcd as _etcd
from ansible_collections.slipway.kubernetes.plugins.module_utils._module import Context, run_module


def matching(
    members: t.Iterable[_etcd.Member],
    name: t.Optional[str],
    identifier: t.Optional[str],
    address: t.Optional[str],
) -> t.List[_etcd.Member]:
    """The members that are meant."""
    number = (identifier or "").lower()
    return [
        member
        for member in members
        if (name and member.name == name)
        or (number and member.identifier == number)
        or (address and not member.name and address in member.hosts)
    ]


class EtcdMember:
    """The removal of a member from etcd."""

    def __init__(self, params: t.Mapping[str, t.Any], etcd: _etcd.Etcd, check_mode: bool = False) -> None:
        self._params = params
        self._etcd = etcd
        self._check_mode = check_mode

    def run(self) -> t.Dict[str, t.Any]:
        """Remove it, or in check mode say that it would be.

        :raises SlipwayError: when that would cost the quorum, or etcd refuses.
        """
        params = self._params
        order = params["removal_order"] if self._check_mode else []
        gone = order[: order.index(params["name"])] if params["name"] in order else []
        members = [member for member in self._etcd.members() if member.name not in gone]
        leaving = matching(members, params["name"], params["id"], params["address"])
        result = {"members": [member.as_dict() for member in members]}
        if not leaving:
            return {"changed": False, "msg": "There is no such member.", "removed": [], **result}
        named = ", ".join(f"{member.name or member.hosts} ({member.identifier})" for member in leaving)
        problem = _etcd.removal_problem(members, leaving)
        if problem:
            raise SlipwayError(f"The member {named} is not removed: {problem}", **result)
        if not self._check_mode:
            for member in leaving:
                self._remove(member, members)
        removed = [member.identifier for member in leaving]
        return {"changed": True, "msg": f"{named} is removed", "removed": removed, **result}

    def _remove(self, member: _etcd.Member, members: t.Sequence[_etcd.Member]) -> None:
        if member.leader:
            heir = next(other for other in _etcd.voters(members) if other is not member and other.healthy)
            # Without it the others would have to find out that the leader is gone. When it fails, they do.
            self._etcd.ctl("move-leader", heir.identifier, endpoints=member.client_urls, check=False)
        try:
            self._etcd.ctl("member", "remove", member.identifier)
        except CommandError:
            # A request that was answered too late may have been carried out.
            if any(other.identifier == member.identifier for other in self._etcd.members()):
                raise


ARGUMENTS: t.Dict[str, t.Any] = {
    **_etcd.ETCD_ARGUMENTS,
    "state": {"type": "str", "choices": ["absent"], "default": "absent"},
    "name": {"type": "str"},
    "id": {"type": "str"},
    "address": {"type": "str"},
    "removal_order": {"type": "list", "elements": "str", "default": []},
}


def run(context: Context) -> t.Dict[str, t.Any]:
    """What the module returns."""
    pod = _etcd.read_pod(context.params["manifest"])
    etcd = _etcd.Etcd(context.runner, pod, context.params["cri_socket"])
    return EtcdMember(context.params, etcd, context.check_mode).run()


def main() -> None:
    run_module(ARGUMENTS, run, required_one_of=[("name", "id", "address")])


if __name__ == "__main__":
    main()
