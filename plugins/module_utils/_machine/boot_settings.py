# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a machine will be after its next boot: forwarding, swap, proxies of its services.

Private to this collection.
"""

from __future__ import annotations

import fnmatch
import glob
import os
import re
import shlex
import typing as t

from ansible_collections.slipway.kubernetes.plugins.module_utils._files import read_text
from ansible_collections.slipway.kubernetes.plugins.module_utils._proxies import variable

#: Where systemd-sysctl looks; of files with the same name the first one counts.
_FOLDERS = ("/etc/sysctl.d", "/run/sysctl.d", "/usr/local/lib/sysctl.d", "/usr/lib/sysctl.d", "/lib/sysctl.d")
#: The file of the role node_prep, and what it has by default.
_OURS = "99-slipway-kubernetes.conf"
_BRIDGE = ("net/bridge/bridge-nf-call-iptables", "net/bridge/bridge-nf-call-ip6tables")
_FORWARD = "net/ipv4/ip_forward"
_ALL = "net/ipv4/conf/all/forwarding"
_DEFAULT = "net/ipv4/conf/default/forwarding"
_PER_INTERFACE = re.compile(r"net/ipv4/conf/([^/]+)/forwarding")


class Setting(t.NamedTuple):
    """A line of a file for sysctl.d(5).

    :param path: the file.
    :param key: the path below /proc/sys.
    :param pattern: the shell pattern that it stands for, if it does.
    :param excludes: whether it only takes its key out of patterns.
    """

    path: str
    key: str
    value: str
    pattern: str = ""
    excludes: bool = False

    def shown(self) -> t.Dict[str, str]:
        """For the facts."""
        return {"path": self.path, "setting": (self.pattern or self.key).replace("/", "."), "value": self.value}


def _key(name: str) -> str:
    first = re.search(r"[./]", name)
    return name.translate(str.maketrans("./", "/.")) if first and first.group() == "." else name


def parse_sysctls(path: str, text: str) -> t.List[Setting]:
    """The settings of a file; lines with a minus and no value take something out of a pattern and set nothing."""
    found = []
    for line in text.splitlines():
        name, sign, value = line.strip().partition("=")
        if (sign or name.startswith("-")) and not name.startswith(("#", ";")):
            key = _key(name.strip().lstrip("-").strip())
            found.append(Setting(path, key, value.strip(), excludes=not sign))
    return found


def sysctls(root: str = "") -> t.List[Setting]:
    """All settings in the order in which they are made at boot, with those that the role node_prep makes.

    systemd-sysctl makes one that is there twice where it is last; patterns are for what is not set by its name.
    """
    files: t.Dict[str, str] = {}
    for folder in _FOLDERS:
        for path in glob.glob(f"{root}{folder}/*.conf"):
            files.setdefault(os.path.basename(path), path)
    files.setdefault(_OURS, f"{root}/etc/sysctl.d/{_OURS}")
    found: t.List[Setting] = []
    for name, path in sorted(files.items()):
        shown = path[len(root) :]
        settings = parse_sysctls(shown, read_text(path))
        if name == _OURS and not settings:
            settings = [Setting(shown, key, "1") for key in (*_BRIDGE, _FORWARD)]
        found += settings
    last = {setting.key: place for place, setting in enumerate(found)}
    return [setting for place, setting in enumerate(found) if last[setting.key] == place]


def _expanded(settings: t.Sequence[Setting], interfaces: t.Sequence[str]) -> t.List[Setting]:
    """Patterns in the place of which stands each key of forwarding that they match and that nothing else sets."""
    named = {setting.key for setting in settings}
    known = [_FORWARD, _ALL, _DEFAULT, *(f"net/ipv4/conf/{name}/forwarding" for name in interfaces), *_BRIDGE]
    found = []
    for setting in (setting for setting in settings if not setting.excludes):
        if re.search(r"[*?\[]", setting.key):
            keys = [key for key in known if fnmatch.fnmatchcase(key, setting.key) and key not in named]
            found += [setting._replace(key=key, pattern=setting.key) for key in keys]
        else:
            found.append(setting)
    return found


def turned_off(settings: t.Sequence[Setting], interfaces: t.Sequence[str] = ()) -> t.List[Setting]:
    """The settings by which pods have no network after a boot, because they count in the end.

    ip_forward and conf.all.forwarding are one switch; when it is turned it sets those of all interfaces and that for
    new ones, which is the one that counts for interfaces of pods. Source: devinet_sysctl_forward in Linux'
    net/ipv4/devinet.c.
    """
    state = "0"
    why: t.Dict[str, t.Optional[Setting]] = {"all": None, "default": None}
    bridges: t.Dict[str, t.Optional[Setting]] = {}
    for setting in _expanded(settings, interfaces):
        match = _PER_INTERFACE.fullmatch(setting.key)
        name = "all" if setting.key == _FORWARD else match[1] if match else ""
        if name == "all":
            if setting.value != state:
                state = setting.value
                why = {"default": setting if state == "0" else None}
            why["all"] = setting if state == "0" else None
        elif name and (name == "default" or name in interfaces):
            why[name] = setting if setting.value == "0" else None
        elif setting.key in _BRIDGE:
            bridges[setting.key] = setting if setting.value == "0" else None
    found = [*why.values(), *bridges.values()]
    return list(dict.fromkeys(setting for setting in found if setting is not None))


def forwarding(interfaces: t.Sequence[str], root: str = "") -> t.List[t.Dict[str, str]]:
    """What turns forwarding off: files at boot, and the kernel's state where the role's own setting would not help."""
    found: t.List[t.Dict[str, str]] = []
    for setting in turned_off(sysctls(root), interfaces):
        if setting.shown() not in found:
            found.append(setting.shown())
    live = {key: read_text(f"{root}/proc/sys/{key}").strip() for key in (_FORWARD, _DEFAULT)}
    if not found and live == {_FORWARD: "1", _DEFAULT: "0"}:
        found.append(Setting("", _DEFAULT, "0").shown())
    return found


def swap_at_boot(root: str = "") -> t.List[t.Dict[str, str]]:
    """What brings swap back at each boot and is no unit that could be masked: file and setting."""
    found = []
    agent = "/etc/waagent.conf"
    if re.search(r"^\s*ResourceDisk\.EnableSwap\s*=\s*y", read_text(root + agent), re.MULTILINE | re.IGNORECASE):
        found.append({"path": agent, "setting": "ResourceDisk.EnableSwap=y"})
    scripts = ["/etc/rc.local"]
    scripts += [path[len(root) :] for path in sorted(glob.glob(f"{root}/etc/systemd/system/*.wants/*.service"))]
    for path in scripts:
        # Of a unit what it starts: others name it in their description, or when they stop.
        start = r"\s*Exec(?:Start\w*|Condition)\s*=" if path.endswith(".service") else r"(?!\s*[#;])"
        line = re.search(rf"^{start}.*\bswapon\b.*$", read_text(root + path), re.MULTILINE)
        if line:
            found.append({"path": path, "setting": " ".join(line.group().split())})
    return found


def hosts_at_boot(root: str = "") -> str:
    """The file that lets cloud-init write /etc/hosts anew at each boot; empty when it does not.

    Source: cloud-init's cc_update_etc_hosts.py, and the order in which it merges its configuration.
    """
    if os.path.exists(f"{root}/etc/cloud/cloud-init.disabled") or not os.path.exists(f"{root}/usr/bin/cloud-init"):
        return ""
    system = ["/etc/cloud/cloud.cfg"]
    system += [path[len(root) :] for path in sorted(glob.glob(f"{root}/etc/cloud/cloud.cfg.d/*.cfg"))]
    data = [f"/var/lib/cloud/instance/{name}" for name in ("vendor-cloud-config.txt", "cloud-config.txt")]
    is_run, found = False, ""
    for path in [*system, *data]:
        text = read_text(root + path)
        is_run = is_run or re.search(r"^\s*-[\s\['\"]*update[_-]etc[_-]hosts\b", text, re.MULTILINE) is not None
        for value in re.findall(r"^manage_etc_hosts:[ \t'\"]*(\w*)", text, re.MULTILINE):
            found = path if value.lower() in ("true", "yes", "on", "1", "template") else ""
    return found if is_run else ""


# Proxies


def parse_assignments(text: str) -> t.Dict[str, str]:
    """``NAME=value`` of each line, as pam_env reads /etc/environment."""
    found = {}
    for line in text.splitlines():
        match = re.fullmatch(r"\s*(?:export\s+)?([A-Za-z_]\w*)=(.*?)\s*", line)
        if match:
            found[match[1]] = match[2].strip("\"'")
    return found


def unit_assignments(text: str, key: str) -> t.Iterator[t.Sequence[str]]:
    """The words of each line ``key=`` of a file for systemd; a line without any takes back what was said before."""
    lines = [line for line in text.splitlines() if not re.match(r"\s*[#;]", line)]
    for line in re.findall(rf"^\s*{key}\s*=(.*)$", "\n".join(lines).replace("\\\n", " "), re.MULTILINE):
        try:
            words = shlex.split(line)
        except ValueError:
            continue  # systemd ignores a line with an open quote
        yield [word.replace("%%", "%") for word in words]


class Variable(t.NamedTuple):
    """The value of a variable, and the file that sets it."""

    path: str
    value: str


Variables = t.Dict[str, Variable]

_UNITS = tuple(f"{folder}/systemd/system" for folder in ("/etc", "/run", "/usr/local/lib", "/usr/lib", "/lib"))
_MANAGERS = tuple(f"{folder}/systemd/system.conf.d" for folder in ("/etc", "/run", "/usr/local/lib", "/usr/lib"))


def _drop_ins(folders: t.Iterable[str], root: str) -> t.List[str]:
    """Files of folders in the order in which systemd reads them; of those with one name the first one counts."""
    files: t.Dict[str, str] = {}
    for folder in folders:
        for path in glob.glob(f"{root}{folder}/*.conf"):
            files.setdefault(os.path.basename(path), path)
    return [path[len(root) :] for _name, path in sorted(files.items())]


def _assigned(found: Variables, path: str, words: t.Sequence[str]) -> None:
    if not words:
        found.clear()
    for word in words:
        name, sign, value = word.partition("=")
        if sign:
            found[name] = Variable(path, value)


def manager_variables(root: str = "") -> Variables:
    """The environment that systemd gives to all services."""
    found: Variables = {}
    for path in ["/etc/systemd/system.conf", *_drop_ins(_MANAGERS, root)]:
        for words in unit_assignments(read_text(root + path), "DefaultEnvironment"):
            _assigned(found, path, words)
    return found


def service_variables(service: str, root: str = "") -> Variables:
    """The environment that a service adds to that of all, by its unit, the drop-ins, and files that these name."""
    units = [f"{folder}/{service}.service" for folder in _UNITS]
    folders = [f"{folder}/{name}" for name in (f"{service}.service.d", "service.d") for folder in _UNITS]
    found: Variables = {}
    files: t.List[str] = []
    for path in [*[path for path in units if os.path.exists(root + path)][:1], *_drop_ins(folders, root)]:
        text = read_text(root + path)
        for words in unit_assignments(text, "Environment"):
            _assigned(found, path, words)
        for words in unit_assignments(text, "EnvironmentFile"):
            files = [*files, *words] if words else []
    # Their variables win, wherever the lines stand.
    for pattern in files:
        for path in sorted(glob.glob(root + pattern.lstrip("-"))):
            assigned = parse_assignments(read_text(path)).items()
            found.update((name, Variable(path[len(root) :], value)) for name, value in assigned)
    return found


def service_environment(service: str, root: str = "") -> t.Dict[str, str]:
    """The environment that a service will have."""
    variables = {**manager_variables(root), **service_variables(service, root)}
    return {name: variable.value for name, variable in variables.items()}


def _proxies(
    source: str, environment: t.Mapping[str, str], whole: t.Optional[t.Mapping[str, str]] = None
) -> t.List[t.Dict[str, t.Any]]:
    """The names of variables that are set to a proxy, and what goes past it. The proxy may have a password: not it."""
    names = sorted(name for name, value in environment.items() if value and name.lower() in _PROXIES)
    without = variable(environment if whole is None else whole, "no_proxy")
    return [{"source": source, "variables": names, "no_proxy": without}] if names else []


_PROXIES = ("http_proxy", "https_proxy", "all_proxy")


def _of_files(variables: Variables, whole: Variables) -> t.List[t.Dict[str, t.Any]]:
    """What each of the files sets; no_proxy may stand in another one."""
    environment = {name: entry.value for name, entry in whole.items()}
    found: t.List[t.Dict[str, t.Any]] = []
    for path in dict.fromkeys(entry.path for entry in variables.values()):
        own = {name: entry.value for name, entry in variables.items() if entry.path == path}
        found += _proxies(path, own, environment)
    return found


def proxies(environment: t.Mapping[str, str], root: str = "") -> t.List[t.Dict[str, t.Any]]:
    """Where a proxy is set for kubeadm (which writes it into manifests) or for the kubelet.

    :param environment: that of this process, which is the one that kubeadm will get.
    """
    found = _proxies("environment", environment)
    found += _proxies("/etc/environment", parse_assignments(read_text(f"{root}/etc/environment")))
    manager, kubelet = manager_variables(root), service_variables("kubelet", root)
    return found + _of_files(manager, manager) + _of_files(kubelet, {**manager, **kubelet})
