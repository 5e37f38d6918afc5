"""A systemd unit for a command that runs until it is stopped. Pure: text from paths and words.

Secrets stand in no unit: anybody may read those. The service gets them from a file that systemd reads as root.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

_STATE = Path("/var/lib")
_HOMES = ("/home", "/root", "/run/user")
_USER = "meitner-aio"
_SECRETS = "/etc/meitner-aio/sync.env"

_SECRETS_NOTE = f"""\
#   install -d -m 700 {Path(_SECRETS).parent}
#   install -m 600 /dev/null {_SECRETS}
#   and put the secrets into that file, and into no other:
#     MEITNER_CLIENT_CREDENTIALS=...
#     MEITNER_CLIENT_SECRET=...
"""
_UNIT = """\
# /etc/systemd/system/meitner-sync.service
#
# Once, as root:
#   useradd --system --user-group --home-dir /var/lib/{user} --shell /usr/sbin/nologin {user}
{notes}# Then: systemctl daemon-reload && systemctl enable --now meitner-sync && journalctl -fu meitner-sync

[Unit]
Description=Copy of the Meitner directory
Wants=network-online.target
After=network-online.target

[Service]
Type=exec
ExecStart={command}
User={user}
{places}
UMask=0077
# The run under way comes to its end first. One that takes longer is ended, and changes nothing.
KillSignal=SIGTERM
TimeoutStopSec=300
Restart=on-failure
RestartSec=60
# Wrong usage and missing credentials do not get better by trying again.
RestartPreventExitStatus=2 4

NoNewPrivileges=yes
CapabilityBoundingSet=
ProtectSystem=strict
ProtectHome={home}
PrivateTmp=yes
PrivateDevices=yes
ProtectProc=invisible
ProcSubset=pid
ProtectClock=yes
ProtectHostname=yes
ProtectControlGroups=yes
ProtectKernelLogs=yes
ProtectKernelModules=yes
ProtectKernelTunables=yes
RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
LockPersonality=yes
MemoryDenyWriteExecute=yes
RemoveIPC=yes
SystemCallArchitectures=native
SystemCallErrorNumber=EPERM
SystemCallFilter=@system-service
SystemCallFilter=~@privileged @resources

[Install]
WantedBy=multi-user.target
"""


def unit(command: Sequence[str], *, file: Path, metrics: Path | None, secrets: bool) -> str:
    """Return a unit that runs a command, which may write to the folders of a file and of metrics. Paths are absolute.

    Without `secrets` it needs none, or finds them in the home of its user.
    """
    places = [f"EnvironmentFile={_SECRETS}"] if secrets else []
    places += _writable(file.parent)
    notes = [_SECRETS_NOTE] if secrets else []
    if metrics is not None:
        places.append(f"ReadWritePaths={_quoted(str(metrics.parent))}")
        notes.append(f"#   and let {_USER} write to {metrics.parent}, where the metrics are\n")
    at_home = any(Path(place).is_relative_to(home) for place in (command[0], file) for home in _HOMES)
    return _UNIT.format(
        user=_USER,
        notes="".join(notes),
        command=" ".join(map(_argument, command)),
        places="\n".join(places),
        home="read-only" if at_home else "yes",
    )


def _writable(folder: Path) -> list[str]:
    """Return what lets the service write to a folder: below /var/lib, systemd makes it."""
    if folder != _STATE and folder.is_relative_to(_STATE):
        return [f"StateDirectory={_quoted(str(folder.relative_to(_STATE)))}", "StateDirectoryMode=0700"]
    return [f"ReadWritePaths={_quoted(str(folder))}"]


def _argument(word: str) -> str:
    return _quoted(word).replace("$", "$$")


def _quoted(word: str) -> str:
    r"""Return a word as systemd reads it back: `%` begins a specifier, and what is not plain stands in quotes."""
    word = word.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("%", "%%")
    plain = word and all(character.isalnum() or character in "-_./=:%@,+" for character in word)
    return word if plain else f'"{word}"'
