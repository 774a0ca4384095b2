# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lab's command line."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from . import engine, golang, machines, mirror, nodes, power
from .util import CACHE, LabError, lock, step

POWER = {
    "reboot": "Let machines with a kernel of their own start anew, and wait until they have.",
    "poweroff": "Switch such machines off.",
    "poweron": "Switch them on again, with the disks as they are.",
    "pause": "Stop their time.",
    "resume": "Let it go on.",
}


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    top = argparse.ArgumentParser(
        prog="lab",
        description="Machines to try clusters on, and a site mirror with all they need, on one Linux machine.",
        epilog=f"What is built is kept in {CACHE}.",
    )
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")

    def command(name: str, text: str) -> argparse.ArgumentParser:
        return commands.add_parser(name, help=text, description=text)

    up = command("up", "Build what is missing, start the site mirror and the nodes cp1, worker1, worker2.")
    site = command("mirror", "Build what is missing and start the site mirror.")
    for sub in (up, site):
        sub.add_argument(
            "--kubernetes",
            metavar="VERSION,...",
            type=lambda text: text.split(","),
            default=[mirror.DEFAULT_KUBERNETES],
            help=f"releases to serve (default: {mirror.DEFAULT_KUBERNETES})",
        )
        sub.add_argument(
            "--with",
            dest="more",
            metavar="NAME",
            action="append",
            choices=list(mirror.MORE),
            default=[],
            help=f"what else to build and serve: {', '.join(mirror.MORE)}",
        )
        sub.add_argument("--trim", action="store_true", help="empty Go's build cache afterwards")
    up.add_argument("--fresh", action="store_true", help="make the nodes anew")

    sub = command("nodes", "Start nodes, or remove some. Nodes that run already stay as they are.")
    sub.add_argument("names", nargs="*", metavar="NAME[:OS] | N", help="names, or how many (node1, node2, ...)")
    sub.add_argument(
        "--machine",
        nargs="+",
        action="extend",
        metavar="NAME[:OS][,cpus=N][,memory=MIB]",
        default=[],
        help=f"nodes with a kernel of their own (by default {nodes.CPUS} processors, {nodes.MEMORY} MiB)",
    )
    sub.add_argument("--os", choices=list(nodes.SYSTEMS), default="debian12", help="the system (default: %(default)s)")
    sub.add_argument("--ipv6", action="store_true", help=f"give containers addresses of {engine.SUBNET6}, too")
    sub.add_argument("--second-network", action="store_true", help=f"attach them to {engine.SECOND.subnet}, too")
    sub.add_argument("--fresh", action="store_true", help="make them anew")
    sub.add_argument("--remove", nargs="+", metavar="NAME", default=[], help="remove these")
    sub.add_argument(
        "--json", action="store_true", help="print name -> container, address, second_address, os, state, machine"
    )

    for name, text in POWER.items():
        sub = command(name, text)
        sub.add_argument("names", nargs="+", metavar="NAME", help="machines with a kernel of their own")
        if name == "poweroff":
            sub.add_argument("--cut", action="store_true", help="without asking them, as when their power fails")
        if name == "poweron":
            sub.add_argument("--append", metavar="TEXT", help="what their kernels are told besides, from now on")

    sub = command("status", "Say what runs and what the mirror serves.")
    sub.add_argument("--json", action="store_true", help="print it for programs")

    sub = command("down", "End what the lab has started: nodes, networks, servers. What was built stays.")
    sub.add_argument("--all", action="store_true", help="end the engine that the lab has started, too")
    return top


def up(options: argparse.Namespace) -> None:
    """Start everything."""
    prepare()
    # A Debian system is mostly waited for, programs mostly computed: both at once.
    with ThreadPoolExecutor(1) as images:
        pending = [images.submit(nodes.ensure_image, system) for system in sorted({node.os for node in nodes.DEFAULT})]
        try:
            mirror.build(options.kubernetes, options.more)
        except BaseException:
            images.shutdown(wait=False, cancel_futures=True)
            raise
        for image in pending:
            image.result()
    show(nodes.ensure(nodes.DEFAULT, fresh=options.fresh))
    if options.trim:
        mirror.trim()


def build_mirror(options: argparse.Namespace) -> None:
    """Build and start the mirror."""
    prepare()
    mirror.build(options.kubernetes, options.more)
    if options.trim:
        mirror.trim()


def prepare() -> None:
    """Start the engine and the network, which the mirror listens on."""
    golang.build(golang.RUNC_NODE)
    engine.ensure()
    engine.ensure_network(engine.MAIN)


def some_nodes(options: argparse.Namespace) -> None:
    """Start and remove nodes."""
    wanted = nodes.parse(options.names, options.os, options.second_network, options.machine)
    if not wanted and not options.remove:
        raise LabError("name the nodes, or say how many")
    if options.remove:
        nodes.remove(options.remove)
    found = {}
    if wanted:
        prepare()
        found = nodes.ensure(wanted, fresh=options.fresh)
    if options.ipv6:
        engine.enable_ipv6({node.container: node.address for node in found.values() if node.container})
    if options.json:
        print(nodes.as_json(found))
    else:
        show(found)


def show(found: dict[str, nodes.Running]) -> None:
    """Print nodes as a table."""
    for name, node in found.items():
        kind = "machine" if node.machine else "container"
        print(f"{name:16} {node.address:15} {node.second_address or '-':15} {node.os:9} {kind:9} {node.state}")


def status(options: argparse.Namespace) -> None:
    """Print what there is."""
    running = engine.answers()
    there = nodes.existing() if running else nodes.existing_machines()
    state = {
        "engine": {"answers": running, "process": engine.daemon().pid()},
        "network": bool(running and engine.inspect_network(engine.MAIN.name)),
        "servers": {name: daemon.pid() for name, daemon in mirror.servers().items()},
        "nodes": json.loads(nodes.as_json(there)),
        "mirror": mirror.contents(),
    }
    if options.json:
        print(json.dumps(state, indent=2))
        return
    own = engine.daemon().pid()
    print(
        f"engine    {'runs' if running else 'does not answer'}{f' (started by the lab, process {own})' if own else ''}"
    )
    print(f"network   {engine.MAIN.name} {engine.MAIN.subnet}{'' if state['network'] else ' (not there)'}")
    for name, pid in state["servers"].items():
        print(f"{name:9} {f'process {pid}' if pid else 'does not run'}")
    show(there)
    for kind, entries in mirror.contents().items():
        for entry in entries:
            print(f"{kind:9} {entry}")


def switch(options: argparse.Namespace) -> None:
    """Do what one does with a machine's power."""
    with lock("nodes"):
        if options.command == "poweroff":
            power.power_off(options.names, cut=options.cut)
        elif options.command == "poweron":
            power.power_on(options.names, append=options.append)
        else:
            actions = {"reboot": power.reboot, "pause": power.pause, "resume": power.resume}
            actions[options.command](options.names)


def down(options: argparse.Namespace) -> None:
    """End everything that the lab has started."""
    machines.remove(machines.existing())
    if engine.answers():
        with step("remove nodes and networks"):
            nodes.remove(nodes.existing())
            engine.remove_networks()
    mirror.stop()
    if options.all:
        engine.daemon().stop()


COMMANDS = {"up": up, "mirror": build_mirror, "nodes": some_nodes, "status": status, "down": down}
COMMANDS |= dict.fromkeys(POWER, switch)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command and return its exit code."""
    options = parser().parse_args(arguments)
    try:
        engine.require_machine()
        COMMANDS[options.command](options)
    except LabError as error:
        print(f"lab: error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0
