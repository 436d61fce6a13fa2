"""A newer systemd for a host that has no internet: its own, repacked under a higher version, for its real apt.

The files are the same, and so are the maintainers' scripts, which reload, reexecute and restart as in any upgrade.
"""

from __future__ import annotations

from lab.api import Lab

# dpkg has of an installed package all but its archive: control fields, scripts, the names of its files. Links such as
# /bin, which a host with a merged /usr has, are left out.
_REPACK = r"""set -e; mkdir -p /var/tmp/newer; cd /var/tmp/newer
old=$(dpkg-query -W -f '${Version}' systemd)
for name in $(dpkg-query -W -f '${source:Package} ${Package}\n' | sed -n 's/^systemd //p'); do
    mkdir -p $name/DEBIAN
    dpkg-query -s $name | sed "/^Status:/d; /^Conffiles:/,/^[^ ]/{/^Conffiles:/d; /^ /d}; s/$old/$old+newer/g" \
        >$name/DEBIAN/control
    for each in /var/lib/dpkg/info/$name.* /var/lib/dpkg/info/$name:*.*; do
        case $each in *.list|*.md5sums|*'*'*) ;; *) cp $each $name/DEBIAN/${each##*.} ;; esac
    done
    dpkg-query -L $name | grep -vxE '/(\.|bin|sbin|lib|lib64)' |
        while read -r path; do [ ! -e "$path" ] && [ ! -L "$path" ] || echo ".$path"; done |
        tar -C / -c --no-recursion -T - | tar -C $name -x
    dpkg-deb --root-owner-group -Znone -b $name $name.deb >/dev/null
    { cat $name/DEBIAN/control; echo "Filename: ./$name.deb"; stat -c 'Size: %s' $name.deb
        echo "SHA256: $(sha256sum <$name.deb | cut -d ' ' -f 1)"; echo; } >>Packages
done
echo 'deb [trusted=yes] file:/var/tmp/newer ./' >sources.list"""
_UPGRADE = """apt='apt-get -q -o Dir::Etc::sourcelist=/var/tmp/newer/sources.list -o Dir::Etc::sourceparts=-'
$apt update && DEBIAN_FRONTEND=noninteractive $apt -y upgrade"""


def upgrade(lab: Lab, host: str) -> None:
    """All packages of systemd, in 2 s. Raises LabError with what apt said."""
    lab.console(host, _REPACK)
    lab.console(host, _UPGRADE)
    assert lab.console(host, "dpkg-query -W -f '${Version}' systemd").stdout.endswith("+newer")
