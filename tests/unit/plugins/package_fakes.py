# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""apt and dpkg for tests: answers that were recorded from Debian 12 and 13, and a log of the calls."""

from __future__ import annotations

import io
import json
import re
import tarfile
import tempfile
import typing as t
from pathlib import Path

import pytest
from ansible.module_utils import basic
from ansible_collections.slipway.kubernetes.plugins.module_utils._command import CommandResult, Runner

FIXTURES = Path(__file__).parent / "fixtures" / "apt"
#: Names that are drawn by chance. One of them had "ctr" in it, and was taken for that program.
_TEMPORARY = re.escape(tempfile.gettempdir())
_BY_CHANCE = re.compile(rf"(\.slipway-(?:work-)?|{_TEMPORARY}/slipway-(?:addons-)?)[a-z0-9_]{{8}}")


def fixture(name: str) -> str:
    """The recorded output ``name``."""
    return (FIXTURES / name).read_text(encoding="utf-8")


def recorded(tool: str, name: str) -> str:
    """What ``tool`` printed once, by the name of the recording."""
    return (FIXTURES.parent / tool / f"{name}.txt").read_text(encoding="utf-8")


def write(root: Path, path: str, text: str) -> Path:
    """A file of a machine whose root is a folder."""
    file = root / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    return file


class FakeRunner(Runner):
    """Answers by the first key that is part of the command line, but for names drawn by chance in it.

    A list is used up one by one, its last one stays.
    """

    def __init__(self, answers: t.Mapping[str, t.Any], tools: t.Container[str] = ("apt-get",)) -> None:
        self.answers = dict(answers)
        self.tools = tools
        self.calls: t.List[t.List[str]] = []
        self.stdins: t.List[t.Optional[str]] = []

    def _find(self, name: str) -> t.Optional[str]:
        return f"/usr/bin/{name}" if name in self.tools else None

    def run(
        self, argv: t.Sequence[str], stdin: t.Optional[str] = None, *_options: t.Any, **_more: t.Any
    ) -> CommandResult:
        words = list(argv)
        self.calls.append(words)
        self.stdins.append(stdin)
        line = _BY_CHANCE.sub(r"\1", " ".join(words))
        answer: t.Any = next(
            (value for key, value in self.answers.items() if key in line), AssertionError(f"not expected: {line}")
        )
        if isinstance(answer, list):
            answer = answer.pop(0) if len(answer) > 1 else answer[0]
        if callable(answer):
            answer = answer(words)
        if isinstance(answer, Exception):
            raise answer
        rc, stdout, stderr = (0, answer, "") if isinstance(answer, str) else answer
        return CommandResult(words, rc, stdout, stderr)

    def called(self, *words: str) -> t.List[t.List[str]]:
        """The calls that have all ``words``."""
        return [call for call in self.calls if set(words) <= set(call)]


def make_tar(path: Path, files: t.Mapping[str, bytes], mode: str = "w:gz") -> Path:
    """A tar archive with ``files`` and a symbolic link."""
    with tarfile.open(path, mode) as tar:
        link = tarfile.TarInfo("linux-amd64/link")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        tar.addfile(link)
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return path


def run_main(
    main: t.Callable[[], None],
    params: t.Mapping[str, t.Any],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    check_mode: bool = False,
) -> t.Dict[str, t.Any]:
    """What a module prints when it is run with ``params`` in this process."""
    arguments = {"ANSIBLE_MODULE_ARGS": {**params, "_ansible_check_mode": check_mode, "_ansible_remote_tmp": "/tmp"}}
    monkeypatch.setattr(basic, "_ANSIBLE_ARGS", json.dumps(arguments).encode())
    # ansible-core 2.19 and later
    monkeypatch.setattr(basic, "_ANSIBLE_PROFILE", "legacy", raising=False)
    with pytest.raises(SystemExit):
        main()
    return json.loads(capsys.readouterr().out)
