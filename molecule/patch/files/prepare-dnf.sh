#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# What prepare.sh does, with rpm: /srv/states has the source's states by the version of slipway-demo. sudo finds nothing
# in /usr/local/bin on the RHEL family.
set -euo pipefail

cat >/usr/bin/publish <<'END'
#!/usr/bin/env bash
# publish slipway-demo VERSION [DEPENDS]: that version is in the source of this machine.
ln --symbolic --force --no-dereference "/srv/states/$2" /srv/updates
END
chmod +x /usr/bin/publish

dnf-3 --assumeyes --quiet install /srv/states/1/*.rpm
dnf-3 --quiet mark remove slipway-demo
dnf-3 --quiet versionlock add slipway-demo-held
publish slipway-demo 2
printf '%s\n' '[updates]' name=updates baseurl=file:///srv/updates gpgcheck=0 >/etc/yum.repos.d/updates.repo
echo published
