# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The frame of every module, from its arguments to its result.

Private to this collection.
"""

from __future__ import annotations

import dataclasses
import typing as t

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.slipway.kubernetes.plugins.module_utils._command import Runner, SlipwayError, failure
from ansible_collections.slipway.kubernetes.plugins.module_utils._shown import secrets_of

Arguments = t.Dict[str, t.Any]
Result = t.Dict[str, t.Any]


def expect_timeout(seconds: int, **details: t.Any) -> None:
    """Refuse, before anything is changed, a time in which nothing can be waited for.

    :param details: what the module returns besides.
    :raises SlipwayError: when it is less than a second.
    """
    if seconds < 1:
        raise SlipwayError(
            f"timeout is {seconds}, and has to be 1 second at least: it is no way to wait for ever. Nothing was"
            " changed.",
            **details,
        )


@dataclasses.dataclass(frozen=True)
class Context:
    """What a module works with: its options, and the machine it runs on.

    It holds nothing of the process, so that several modules can run in one, each with a context of its own.

    :param params: the options, validated.
    :param warn: tells the user something beside the result.
    :param module: for those functions of Ansible's that take nothing else, such as ``fetch_url``.
    """

    params: t.Mapping[str, t.Any]
    check_mode: bool
    runner: Runner
    warn: t.Callable[[str], None]
    module: AnsibleModule

    @classmethod
    def of(cls, module: AnsibleModule) -> Context:
        """The context that Ansible's own module gives."""
        return cls(module.params, module.check_mode, Runner(module), module.warn, module)

    def hide_credentials(self, *urls: t.Optional[str]) -> None:
        """Let Ansible hide what is secret in ``urls`` wherever it is returned: results, differences, options."""
        for url in urls:
            self.module.no_log_values.update(secrets_of(url))


class _QuietModule(AnsibleModule):
    """A module whose arguments do not get into the machine's log.

    Ansible writes them there as Python's ``repr()`` has them and masks the texts of ``no_log`` options in that. A text
    of several lines, which has ``\\n`` there, inside of a list is not masked.
    """

    def log(self, msg: str, log_args: t.Optional[t.Mapping[str, t.Any]] = None) -> None:
        """Write to the machine's log, but for arguments: of those only the names."""
        super().log(f"Invoked with {', '.join(sorted(log_args))} (values are not logged)" if log_args else msg)


def run_module(
    arguments: Arguments, run: t.Callable[[Context], Result], quiet: bool = False, **constraints: t.Any
) -> None:
    """Read the arguments, run, and end the process with the result, or with what went wrong.

    :param arguments: Ansible's ``argument_spec``.
    :param run: returns the result; it raises ``SlipwayError``, and the system's own ``OSError``.
    :param quiet: the arguments may have secrets in them, such as manifests and values of charts, and are not logged.
    :param constraints: ``required_if`` and its like, as for ``AnsibleModule``.
    """
    kind = _QuietModule if quiet else AnsibleModule
    module = kind(argument_spec=arguments, supports_check_mode=True, **constraints)
    try:
        result = run(Context.of(module))
    except (SlipwayError, OSError) as error:
        module.fail_json(**failure(error))
    module.exit_json(**{"changed": False, **result})
