# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The Corefile that settings make of kubeadm's, and settings that make none."""

from __future__ import annotations

import ipaddress
import typing as t

import pytest
from ansible_collections.slipway.kubernetes.plugins.module_utils._command import SlipwayError
from ansible_collections.slipway.kubernetes.plugins.module_utils._kube import corefile
from ansible_collections.slipway.kubernetes.plugins.module_utils._kube.corefile import Settings, Zone, render

#: As kubeadm 1.34 to 1.37 write it.
BASE = """\
.:53 {
    errors
    health {
       lameduck 5s
    }
    ready
    kubernetes cluster.local in-addr.arpa ip6.arpa {
       pods insecure
       fallthrough in-addr.arpa ip6.arpa
       ttl 30
    }
    prometheus :9153
    forward . /etc/resolv.conf {
       max_concurrent 1000
    }
    cache 30 {
       disable success cluster.local
       disable denial cluster.local
    }
    loop
    reload
    loadbalance
}
"""
DNS = ipaddress.ip_address("10.96.0.10")


def settings(**given: t.Any) -> Settings:
    return corefile.settings_of({"dns_domain": "cluster.local", **given})


def test_nothing_asked_for_is_kubeadms_own() -> None:
    assert not settings().given
    assert render(BASE, settings()) == BASE
    # kubeadm's text comes out of reading and writing as it was.
    (server,) = corefile.directives(BASE)
    assert corefile._text(".:53", corefile.directives(server.inside)) == BASE


def test_servers_in_the_place_of_those_of_the_node() -> None:
    asked = settings(upstreams=["192.0.2.53", "tls://[2001:db8::53]:853"], upstreams_tls_name="dns.example.com")
    text = render(BASE, asked)
    assert text.startswith("# Ansible managed (slipway.kubernetes)")
    assert "forward . 192.0.2.53 tls://[2001:db8::53]:853 {\n       max_concurrent 1000\n" in text
    assert "       policy random\n       tls_servername dns.example.com\n    }\n" in text
    assert "resolv.conf" not in text and text.count("forward") == 1
    expected = [line for line in BASE.splitlines() if "resolv.conf" not in line]
    assert [line for line in text.splitlines() if line in expected] == expected


def test_one_other_server_is_no_corefile_that_kubeadm_takes_for_its_own() -> None:
    """It compares plugins and options, any single server fits, and puts its own in the place of such a one."""
    assert "policy random" in render(BASE, settings(upstreams=["192.0.2.53"]))


def test_zones_have_blocks_of_their_own_and_the_names_of_hosts_in_them() -> None:
    hosts = ["192.0.2.1 a.corp.example.com registry.example.com", "fd00::1 six.example.com"]
    zones = [
        {"zones": ["corp.example.com", "2.0.192.in-addr.arpa"], "upstreams": ["192.0.2.53"], "cache": 5},
        {
            "zones": ["example.org"],
            "plugins": {"template": 'template IN A {\n answer "{{ .Name }} 60 IN A 192.0.2.9"\n}'},
        },
        {
            "zones": ["example.net"],
            "upstreams": ["192.0.2.53"],
            "cache": 0,
            "plugins": {"prometheus": "", "log": "log"},
        },
    ]
    text = render(BASE, settings(zones=zones, hosts=hosts))
    main, corp, template, net = (f"{block}\n}}\n" for block in text.split("\n}\n")[:4])
    assert "    hosts {\n       192.0.2.1 a.corp.example.com registry.example.com\n" in main
    # kubeadm does not know the short form.
    assert "       fd00:0000:0000:0000:0000:0000:0000:0001 six.example.com\n       fallthrough\n    }\n" in main
    assert "forward . /etc/resolv.conf" in main
    assert corp == (
        "corp.example.com:53 2.0.192.in-addr.arpa:53 {\n    errors\n    prometheus :9153\n    cache 5\n"
        "    forward . 192.0.2.53 {\n       max_concurrent 1000\n       policy random\n    }\n"
        "    hosts {\n       192.0.2.1 a.corp.example.com\n       fallthrough\n    }\n}\n"
    )
    assert '    template IN A {\n       answer "{{ .Name }} 60 IN A 192.0.2.9"\n' in template
    assert "cache 30" in template and "hosts" not in template and "forward" not in template
    assert "log" in net and "prometheus" not in net and "cache" not in net


def test_plugins_in_the_place_of_kubeadms() -> None:
    rewrites = (
        "rewrite name a.example.com b.example.com\n# a comment\nrewrite name exact c.example.com d.example.com # one"
    )
    plugins = {"cache": "cache 300 {\n  serve_stale 1h\n}", "loadbalance": "", "rewrite": rewrites, "loop": None}
    text = render(BASE, settings(plugins=plugins))
    assert "    cache 300 {\n       serve_stale 1h\n    }\n    reload\n" in text
    assert "loadbalance" not in text and "loop" not in text and "comment" not in text
    assert text.endswith(
        "    rewrite name a.example.com b.example.com\n    rewrite name exact c.example.com d.example.com\n}\n"
    )


def test_blocks_of_kubeadm_beside_that_for_all_names_stay() -> None:
    more = BASE + "example.com:53 {\n    whoami\n}\n"
    assert render(more, settings(hosts=["192.0.2.1 a.example.org"])).endswith("example.com:53 {\n    whoami\n}\n")
    with pytest.raises(SlipwayError, match="no block for all names"):
        render("example.com:53 {\n    whoami\n}\n", settings(hosts=["192.0.2.1 a.example.org"]))


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"upstreams": ["192.0.2.53:5353", "2001:db8::53", "[2001:db8::53]:53", "dns://192.0.2.54"]},
        {"upstreams": [f"192.0.2.{number}" for number in range(15)]},
        # A server that is a Service of the cluster.
        {"zones": [{"zones": ["corp.example.com", "_msdcs.corp.example.com"], "upstreams": ["10.96.0.11"]}]},
        {"zones": [{"zones": ["localhost.example"], "plugins": {"whoami": "whoami"}}]},
        {"hosts": ["192.0.2.1 a b.example.com", "2001:db8::1\tb.example.com"]},
        {"plugins": {"kubernetes": "kubernetes cluster.local {\n pods verified\n}"}},
        {"plugins": {"forward": "forward . /etc/resolv.conf"}, "hosts": ["192.0.2.1 a"]},
    ],
)
def test_what_is_all_right(given: t.Dict[str, t.Any]) -> None:
    assert corefile.flaws(settings(**given), [DNS]) == []
    assert corefile.directives(render(BASE, settings(**given)))


def zone(*names: str, **more: t.Any) -> t.Dict[str, t.Any]:
    return {"zones": [{"zones": list(names), "upstreams": ["192.0.2.53"], **more}]}


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"upstreams": ["dns.example.com"]}, "upstreams has 'dns.example.com', which is no address of a server"),
        ({"upstreams": ["192.0.2.53:0"]}, "no address of a server"),
        ({"upstreams": ["192.0.2.53:65536"]}, "no address of a server"),
        ({"upstreams": ["192.0.2.53 {"]}, "no address of a server"),
        ({"upstreams": ["192.0.2.53\n}"]}, "no address of a server"),
        ({"upstreams": ["https://192.0.2.53"]}, "no address of a server"),
        ({"upstreams": ["fe80::1%eth0"]}, "no address of a server"),
        ({"upstreams": ["/etc/resolv.conf"]}, "no address of a server"),
        ({"upstreams": ["127.0.0.53"]}, "upstreams has 127.0.0.53, which in a pod of CoreDNS is the pod itself"),
        ({"upstreams": ["0.0.0.0"]}, "is the pod itself, or nobody"),
        ({"upstreams": ["10.96.0.10:53"]}, "upstreams has 10.96.0.10:53, which is the cluster's own DNS"),
        ({"upstreams": ["192.0.2.53", "192.0.2.53"]}, "upstreams has 192.0.2.53 twice"),
        ({"upstreams": [f"192.0.2.{number}" for number in range(16)]}, "upstreams has 16 servers"),
        (
            {"upstreams": ["192.0.2.1"], "upstreams_tls_name": "a.example"},
            "has the name a.example for TLS, and no server",
        ),
        ({"upstreams": ["tls://192.0.2.1"], "upstreams_tls_name": "a b"}, "has 'a b', which is no name of a server"),
        (zone("Corp.example.com"), "zones[Corp.example.com] has 'Corp.example.com', which is no zone"),
        (zone("corp.example.com."), "has 'corp.example.com.', which is no zone"),
        (zone("corp example.com"), "which is no zone"),
        (zone("."), "zones[.] has '.', which is no zone"),
        (zone("192.0.2.1"), "which is no zone"),
        (zone("a\n}"), "which is no zone"),
        (zone("a.example", "a.example"), "a.example is there twice"),
        (zone("local"), "zones[local] local takes names of the cluster's own domain cluster.local away from it"),
        (zone("svc.cluster.local"), "takes names of the cluster's own domain"),
        (zone(), "zones has an entry without zones"),
        (zone("a.example", upstreams=[]), "zones[a.example] has nobody to ask"),
        (zone("a.example", upstreams=["::1"]), "zones[a.example] has ::1, which in a pod"),
        (zone("a.example", cache=-1), "zones[a.example] cache is -1"),
        (
            zone("a.example", plugins={"forward": "forward . 192.0.2.1"}),
            "zones[a.example].plugins[forward] is written by",
        ),
        ({"hosts": ["a.example.com 192.0.2.1"]}, "hosts has 'a.example.com 192.0.2.1', which does not begin with an"),
        ({"hosts": [""]}, "which does not begin with an address"),
        ({"hosts": ["192.0.2.1"]}, "hosts has '192.0.2.1', which has no name"),
        ({"hosts": ["192.0.2.1 a\n192.0.2.2 b"]}, "has '192.0.2.2', which is no name of a host"),
        ({"hosts": ["192.0.2.1 a}"]}, "has 'a}', which is no name of a host"),
        ({"hosts": ["192.0.2.1 kubernetes.default.svc.cluster.local"]}, "which is one of the cluster's own names"),
        ({"plugins": {"Cache": "Cache 1"}}, "plugins[Cache] is no name of a plugin"),
        ({"plugins": {"cache": "forward . 192.0.2.1"}}, "plugins[cache] is the text of cache, and has forward"),
        ({"plugins": {"cache": "cache 30 {"}}, "plugins[cache] has a block that is not closed"),
        ({"plugins": {"cache": "cache 30\n}"}}, "plugins[cache] closes a block that it has not opened"),
        ({"plugins": {"cache": "cache 30 { success 1"}}, "has a brace that is not where it has to be"),
        ({"plugins": {"cache": "cache 30 }"}}, "has a brace that is not where it has to be"),
        ({"plugins": {"log": 'log "a'}}, 'has a quote that is not closed, in: log "a'),
        ({"plugins": {"log": "log \x1b[2J"}}, "has characters that cannot be printed"),
        ({"plugins": {"ready": ""}}, "plugins[ready] is empty, and without this plugin there is no DNS"),
        ({"plugins": {"kubernetes": "# none"}}, "plugins[kubernetes] is empty"),
        (
            {"plugins": {"hosts": "hosts"}, "hosts": ["192.0.2.1 a"]},
            "plugins[hosts] is written by another setting, too",
        ),
        ({"plugins": {"forward": "forward . 192.0.2.1"}, "upstreams": ["192.0.2.1"]}, "plugins[forward] is written by"),
    ],
)
def test_what_is_wrong(given: t.Dict[str, t.Any], said: str) -> None:
    found = [f"{flaw.setting} {flaw.message} {flaw.remedy}" for flaw in corefile.flaws(settings(**given), [DNS])]
    assert [line for line in found if said in line] and len(found) <= 2, found


def test_values_of_another_kind_are_reported_by_others() -> None:
    given = {"upstreams": "192.0.2.1", "zones": ["a", {"zones": "b", "cache": "x"}], "plugins": ["a"], "hosts": None}
    assert settings(**given) == Settings("cluster.local", [], "", [Zone([], [])], [])


@pytest.mark.parametrize(
    ("other", "expected"), [(BASE, True), (f"\n{BASE}\n", True), (BASE.replace("30", "31"), False)]
)
def test_whether_two_are_the_same(other: str, expected: bool) -> None:
    assert corefile.same(BASE, other) is expected
