# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is printed of texts that somebody else wrote."""

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.slipway.kubernetes.plugins.module_utils import _shown
from ansible_collections.slipway.kubernetes.plugins.module_utils._command import (
    CommandResult,
    Runner,
    SlipwayError,
)
from ansible_collections.slipway.kubernetes.plugins.module_utils._kube import verify
from ansible_collections.slipway.kubernetes.plugins.module_utils._module import Context
from ansible_collections.slipway.kubernetes.plugins.module_utils._packages.apt import Apt
from ansible_collections.slipway.kubernetes.plugins.module_utils._packages.interface import Repository
from ansible_collections.slipway.kubernetes.plugins.modules import kube_nodes_info, release_archive
from ansible_collections.slipway.kubernetes.plugins.plugin_utils._preflight.report import Problem, merge, render
from ansible_collections.slipway.kubernetes.tests.unit.plugins.package_fakes import FakeRunner

EVIL = "n1\x1b[2J\x1b]0;t\x07\r\n- cp1: ok\x9b\u202e\u2066\u200b\u2028\u061c\udc1b\U000e0041"
CONTROLS = [character for character in EVIL if not character.isprintable()]


def is_clean(text: str) -> bool:
    return not [character for character in CONTROLS if character in text]


def test_nothing_that_a_terminal_obeys_is_left() -> None:
    assert _shown.shown("a\nb\tc\x1b[2Jd\u202ee\U000e0041") == "a\\nb\\tc\\x1b[2Jd\\u202ee\\U000e0041"
    assert is_clean(_shown.shown(EVIL)) and is_clean(_shown.lines_shown(EVIL).replace("\n", ""))
    assert _shown.lines_shown("a\n\tb\x1b") == "a\n\tb\\x1b"
    assert _shown.shown("Zürich \u65e5\u672c \u00e9 1/2") == "Zürich \u65e5\u672c \u00e9 1/2"
    assert _shown.shown("x" * 400, _shown.LONGEST) == "x" * 300 + "..."
    assert _shown.listed(["a\n", "b"]) == "a\\n, b"


def test_errors_reports_and_tables_are_clean() -> None:
    assert is_clean(SlipwayError(f"kubectl failed: {EVIL}").msg.replace("\n", ""))
    findings = merge([Problem("n1", "hostname", f"{EVIL} is the same.", EVIL)], ["n1"])
    assert is_clean(render(findings, ["n1"]).replace("\n", "", 1)) and is_clean(str(findings[0].as_dict()))
    assert len(render(findings, ["n1"]).splitlines()) == 2
    node = {"name": EVIL, "roles": [EVIL], "version": EVIL, "runtime": EVIL, "address": EVIL, "ready": True}
    assert is_clean("".join(kube_nodes_info.table([{**node, "schedulable": True, "age_seconds": 1}])))
    check = verify.Check("nodes", [f"node {EVIL}"]).as_dict()
    assert is_clean("".join(verify.table([check])))


SECRET = "sEcReT"
#: URLs and what people write for one; the password is SECRET or has it in parts.
URLS = [
    "https://user:{}@mirror.example.org:5000/v2",
    "https://user:{}@mirror.example.org:99999/v2",
    "https://user:{}@mirror.example.org:port/v2",
    "https://user:{}@:5000",
    "https://user:{}@",
    "https://user:{}",
    "https://user:{}/path",
    "https://user:{} mirror.example.org/",
    "https://{}@mirror.example.org/",
    "https://user:{}@[fd00::1]:5000/",
    "https://user:{}@[fd00::1",
    "https://user:{}@fd00::1]/",
    "https://user:a {}@mirror.example.org/",
    "https://user:{} b@mirror.example.org/",
    "https://user:a/{}@mirror.example.org/",
    "https://user:a@{}@mirror.example.org/",
    "https://user:a?{}@mirror.example.org/",
    "https://user:a#{}@mirror.example.org/",
    "https://user:%zz{}@mirror.example.org/",
    "https://user:{}%40mirror.example.org/",
    "https://user%3A{}@mirror.example.org/",
    "https://us er:{}@mirror.example.org/",
    "https:/user:{}@mirror.example.org/",
    "https//user:{}@mirror.example.org/",
    "https:user:{}@mirror.example.org/",
    "htps://user:{}@mirror.example.org/",
    "http s://user:{}@mirror.example.org/",
    "//user:{}@mirror.example.org/",
    "user:{}@mirror.example.org",
    "user:{}@mirror.example.org:5000/path",
    "oci://user:{}@mirror.example.org/charts/x",
    " https://user:{}@mirror.example.org/",
    "'https://user:{}@mirror.example.org/'",
    "https://mirror.example.org/key?token={}",
    "https://user:{}@mirror.example.org/x@sha256:00",
    "https://user%3A{}%40mirror.example.org/",
    "https://[fd00::1]:{}",
]
#: What passwords may have in them.
ODD = ['se"{}', "se'{}", "se<{}", "se>{}", "se/{}", "se {}", "se?{}", "se#{}", "se@{}", "se://{}", "12/{}", "123456{}"]


@pytest.mark.parametrize("url", URLS)
def test_passwords_in_urls_are_in_no_message(url: str) -> None:
    text = url.format(SECRET)
    assert SECRET not in _shown.url_shown(text)
    assert SECRET not in _shown.without_credentials(f"It cannot be used: {text}: no such host. See <{text}>.")
    assert SECRET not in SlipwayError(f"{text} cannot be fetched.").msg
    returned = CommandResult(["curl", text], 1, f"from {text}\n", f"curl: {text}").as_return_values()
    assert SECRET not in str(returned)
    [finding] = merge([Problem("n1", "x", f"has {text}.", f"Correct {text}")], ["n1"])
    assert SECRET not in str(finding.as_dict())


@pytest.mark.parametrize("password", ODD)
def test_passwords_may_have_anything_in_them(password: str) -> None:
    url = f"https://user:{password.format(SECRET)}@mirror.example.org/"
    assert _shown.url_shown(url) == "https://***@mirror.example.org/"
    text = _shown.without_credentials(f'GET http://a:5000: it cannot get "{url}": no such host. See <{url}>.')
    assert text.startswith("GET http://a:5000: it cannot get ") and text.endswith(
        "See <https://***@mirror.example.org/>."
    )
    assert SECRET not in text
    if " " not in password:
        assert SECRET not in _shown.without_credentials(url.partition("//")[2])


@pytest.mark.parametrize(
    "text",
    [
        "https://mirror.example.org:5000/v2/docker.io",
        "https://[fd00::1]:6443/readyz",
        "oci://mirror.example.org:5000/charts/x@sha256:00ff",
        "registry.k8s.io",
        "unix:///run/containerd/containerd.sock",
        "file:///srv/key.asc",
        "Get https://192.0.2.1:6443/api: dial tcp 192.0.2.1:6443: connect: connection refused.",
        "cannot reach https://192.0.2.1:6443/. Ask ops@example.org: they know.",
        '"https://192.0.2.1:6443" or ops@example.org, https://[fd00::1]:6443/readyz, ops@example.org',
        "https://mirror.example.org: connection refused",
        "pause:3.10@sha256:00ff is missing: getty@tty1.service failed (a: b)",
    ],
)
def test_what_has_no_password_is_printed_as_it_is(text: str) -> None:
    assert _shown.without_credentials(text) == text
    assert " " in text or _shown.url_shown(text) == text


def test_the_host_stays_readable() -> None:
    assert _shown.url_shown(URLS[0].format(SECRET)) == "https://***@mirror.example.org:5000/v2"
    assert _shown.url_shown("http://a:port") == "http://a:port"


class Module:
    def __init__(self) -> None:
        self.no_log_values: t.Set[str] = set()


def test_ansible_hides_them_in_results() -> None:
    module = Module()
    context = Context({}, False, Runner(module), print, module)  # type: ignore[arg-type]
    context.hide_credentials(
        "https://user:sEcReT@h/",
        "u:pw@h",
        "https://h/",
        None,
        "https://u:hidden",
        "https://[::1]:5/",
        "x@sha256:00",
        "https://[::1]:bracketed",
        "https://us:se/cond",
        "https://u%3Apw%40h/",
    )
    assert module.no_log_values == {
        *("user:sEcReT", "sEcReT", "u:pw", "hidden", "bracketed", "se", "se/cond", "u%3Apw%40h/")
    }


@pytest.mark.parametrize("url", URLS)
def test_modules_that_take_urls(url: str, tmp_path: t.Any) -> None:
    text = url.format(SECRET)
    source = Apt(FakeRunner({})).source(Repository("example", text), 30)
    try:
        source.check()
    except SlipwayError as error:
        assert SECRET not in error.msg
    assert SECRET not in source.render("/key", b"", text).decode().replace(f"URIs: {text}", "")
    files = [release_archive.File(None, str(tmp_path / "x"), 0o755)]
    archive = release_archive.ReleaseArchive("x", text, "sha256:" + "0" * 64, files, lambda *_: None, str(tmp_path))
    assert SECRET not in archive._describe(files[0], None, 0o755)
