# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""RKE2: its releases, tokens and configuration, what its service and its supervisor say.

Written from RKE2's sources and documentation, and tested with the lab's program in its place: docs/rke2.md has what is
assumed. Private to this collection.
"""
