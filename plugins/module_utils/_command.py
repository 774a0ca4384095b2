# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run command-line tools and turn their failures into results that a person can act on.

Private to this collection.
"""

from __future__ import annotations

import dataclasses
import os
import typing as t

from ansible_collections.slipway.kubernetes.plugins.module_utils._layout import program
from ansible_collections.slipway.kubernetes.plugins.module_utils._shown import (
    lines_shown,
    without_credentials,
)

if t.TYPE_CHECKING:
    from ansible.module_utils.basic import AnsibleModule


@dataclasses.dataclass(frozen=True)
class CommandResult:
    """What a finished command left behind."""

    argv: t.List[str]
    rc: int
    stdout: str
    stderr: str

    def as_return_values(self) -> t.Dict[str, t.Any]:
        """The values that a failed module returns beside its message."""
        return {
            "cmd": [without_credentials(word) for word in self.argv],
            "rc": self.rc,
            "stdout": without_credentials(self.stdout),
            "stderr": without_credentials(self.stderr),
        }


class SlipwayError(Exception):
    """A failure that the user can do something about.

    :param msg: one sentence or more: what was wrong, where, how to mend it. What a terminal would obey, and passwords
        in URLs, are taken out of it: it may quote nodes, servers and people.
    :param details: further return values for ``fail_json`` (no secrets).
    """

    def __init__(self, msg: str, **details: t.Any) -> None:
        self.msg = lines_shown(without_credentials(msg))
        super().__init__(self.msg)
        self.details = details


def failure(error: t.Union[SlipwayError, OSError]) -> t.Dict[str, t.Any]:
    """What a module hands to ``fail_json``. What the system refuses is a file, as a rule, which it names."""
    if isinstance(error, SlipwayError):
        return {"msg": error.msg, **error.details}
    what = "A file could not be written" if error.filename else "The system refuses"
    return {"msg": f"{what}: {error}"}


class CommandError(SlipwayError):
    """A command ended with a return code other than zero."""

    def __init__(self, msg: str, result: CommandResult) -> None:
        super().__init__(msg, **result.as_return_values())
        self.result = result


#: Where root's programs are: package managers and kubeadm run others, and `su` leaves the path of an ordinary user.
_PATH = ("/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin")


def _path() -> str:
    """The path of this process, with what it lacks of root's."""
    given = os.environ.get("PATH", "").split(os.pathsep)
    return os.pathsep.join([*filter(None, given), *(folder for folder in _PATH if folder not in given)])


class Runner:
    """Runs commands for a module, without a shell and in the C locale.

    Secrets never go into ``argv``: hand them over by ``stdin`` or in a file with mode 0600.
    """

    def __init__(self, module: AnsibleModule, environment: t.Optional[t.Mapping[str, str]] = None) -> None:
        self._module = module
        self._environment = {"LANGUAGE": "C", "LC_ALL": "C", "PATH": _path(), **(environment or {})}

    def which(self, name: str, required: bool = True) -> t.Optional[str]:
        """The path of the executable ``name``; ``None`` when it is absent and not ``required``.

        :raises SlipwayError: when it is required and absent.
        """
        return self.path(name) if required else self._find(name)

    def path(self, name: str) -> str:
        """The path of the executable ``name``.

        :raises SlipwayError: when it is absent.
        """
        path = self._find(name)
        if path is None:
            raise SlipwayError(f"{name} is not installed on this host (searched PATH and /usr/local).")
        return path

    def _find(self, name: str) -> t.Optional[str]:
        return self._module.get_bin_path(name, opt_dirs=["/usr/local/bin", "/usr/local/sbin"]) or program(name) or None

    def run(
        self,
        argv: t.Sequence[str],
        stdin: t.Optional[str] = None,
        check: bool = True,
        failure: t.Optional[str] = None,
        environment: t.Optional[t.Mapping[str, str]] = None,
    ) -> CommandResult:
        """Run ``argv`` and return its result.

        :param stdin: text for its standard input; it gets a newline at its end.
        :param check: raise when the return code is not zero.
        :param failure: start of the message when it fails; default: the name of the command.
        :raises CommandError: when ``check`` is set and the return code is not zero.
        """
        words = [os.fspath(word) for word in argv]
        rc, stdout, stderr = self._module.run_command(
            words,
            data=stdin,
            environ_update={**self._environment, **(environment or {})},
            # Words are words: `$HOME` or `~` in a value is no wish for another value.
            expand_user_and_vars=False,
        )
        result = CommandResult(words, rc, stdout, stderr)
        if check and rc != 0:
            said = (stderr.strip() or stdout.strip() or "it printed nothing").splitlines()
            what = failure or " ".join([os.path.basename(words[0]), *words[1:2]]) + " failed"
            raise CommandError(f"{what} (rc {rc}): " + "\n".join(said[-12:]), result)
        return result
