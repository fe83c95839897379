"""A shell file that lets a group read the powercap counters; doctor writes it and never runs it."""

from __future__ import annotations

from collections.abc import Sequence

from trimwatt.meter.probe import Place

GROUP = "energy"
WHY = "CVE-2020-8694 (PLATYPUS): power readings can leak secrets; prefer a group over world-read"
_SCRIPT = """\
#!/bin/sh
# Lets the members of the group "{group}" read this machine's energy counters, now and after each start.
# Written by `trimwatt doctor --fix-script`, which does not run it. Read it first, then: sudo sh THIS-FILE
#
# Why they are closed: {why}.
# Add to the group only whom you would trust with that; log in again for it to count.
# Undo: rm {rule}; udevadm control --reload; chmod 0400 on the files below; groupdel {group}
#
# Closed here when this was written:
{files}
set -eu

if [ "$(id -u)" -ne 0 ]; then
    echo "run this as root: sudo sh $0" >&2
    exit 1
fi
getent group {group} >/dev/null || groupadd --system {group}
if [ -n "${{SUDO_USER:-}}" ]; then
    usermod -a -G {group} "$SUDO_USER"
fi

# after each start, and whenever the driver is loaded
cat > {rule} <<'RULE'
SUBSYSTEM=="powercap", ACTION=="add|change", TEST=="energy_uj", \\
  RUN+="/bin/chgrp {group} /sys%p/energy_uj", RUN+="/bin/chmod 0440 /sys%p/energy_uj"
RULE
if command -v udevadm >/dev/null; then
    udevadm control --reload
fi

# now
find /sys/devices/virtual/powercap -name energy_uj -exec chgrp {group} {{}} + -exec chmod 0440 {{}} +
echo "done: log in again, then run: trimwatt doctor"
"""


def closed(places: Sequence[Place]) -> list[Place]:
    """Those that the script would open."""
    return [p for p in places if p.probe.sensor == "powercap" and p.probe.state == "closed" and p.probe.fix]


def script(places: Sequence[Place]) -> str:
    """The text of the file. Untested on real hardware: its syntax is checked, and its rule on no machine with udev."""
    # a path from outside stays inside its comment
    files = "\n".join("#   " + " ".join(f"{p.probe.path}  ({p.mode} {p.owner})".split()) for p in closed(places))
    return _SCRIPT.format(group=GROUP, why=WHY, files=files, rule="/etc/udev/rules.d/60-trimwatt-energy.rules")
