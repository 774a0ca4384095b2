#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# Four packages of which there is a newer version. The lab has no updates of Debian's own.
set -euo pipefail

cat >/usr/local/bin/publish <<'END'
#!/usr/bin/env bash
# publish NAME VERSION [DEPENDS]: a package without files, in the source of this machine.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -r "$folder"' EXIT
mkdir -p "$folder/DEBIAN" /srv/updates
printf '%s\n' "Package: $1" "Version: $2" 'Architecture: all' 'Maintainer: nobody <nobody@example.com>' \
  ${3:+"Depends: $3"} 'Description: has updates' >"$folder/DEBIAN/control"
cd /srv/updates
dpkg-deb --build --root-owner-group "$folder" "$1_$2.deb" >/dev/null
for file in *.deb; do
  dpkg-deb --field "$file"
  printf '%s\n' "Filename: ./$file" "Size: $(stat --format=%s "$file")" "SHA256: $(sha256sum "$file" | cut -d ' ' -f 1)" ''
done >Packages
END
chmod +x /usr/local/bin/publish

for name in slipway-demo slipway-demo-held slipway-demo-excluded; do
  publish "$name" 1
  dpkg --install "/srv/updates/${name}_1.deb"
done
apt-mark auto slipway-demo
apt-mark hold slipway-demo-held
publish slipway-demo-new 1
publish slipway-demo 2 slipway-demo-new
publish slipway-demo-held 2
publish slipway-demo-excluded 2
# A site without internet: what cannot be asked is turned off.
rm /etc/apt/sources.list.d/debian.sources
echo 'deb [trusted=yes] file:/srv/updates ./' >/etc/apt/sources.list.d/updates.list
echo published
