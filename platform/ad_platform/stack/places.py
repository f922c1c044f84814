"""Where the embedded services keep their files, and folders that only their owner may enter."""

import os
import stat
import sys
from dataclasses import dataclass
from pathlib import Path

from ad_platform.errors import Unavailable
from ad_platform.settings import Settings

LONGEST = 107 if sys.platform == "linux" else 103  # bytes of a socket's path


@dataclass(frozen=True)
class Places:
    """The files of one ADCTL_HOME's services."""

    settings: Settings

    @property
    def stack(self) -> Path:
        """Return the folder of generated configuration and of what must survive a restart."""
        return self.settings.home / "stack"

    @property
    def config(self) -> Path:
        """Return supervisord's configuration."""
        return self.stack / "supervisord.conf"

    @property
    def broker_config(self) -> Path:
        """Return Valkey's configuration."""
        return self.stack / "valkey.conf"

    @property
    def pid_file(self) -> Path:
        """Return the file that holds supervisord's process id."""
        return self.stack / "supervisord.pid"

    @property
    def state(self) -> Path:
        """Return the file of choices made once, such as the port of the user interface."""
        return self.stack / "state.json"

    @property
    def dashboard(self) -> Path:
        """Return the file in which the dashboard of sweeps says where it listens."""
        return self.stack / "dashboard.json"

    @property
    def logs(self) -> Path:
        """Return the folder of the services' logs."""
        return self.settings.home / "logs"

    @property
    def broker_data(self) -> Path:
        """Return the folder of Valkey's append-only file."""
        return self.settings.home / "valkey"

    @property
    def control(self) -> Path:
        """Return supervisord's socket."""
        return self.settings.run_dir / "control.sock"

    @property
    def broker(self) -> Path:
        """Return Valkey's socket."""
        return self.settings.run_dir / "broker.sock"

    def make(self) -> None:
        """Make every folder; raise Unavailable for one that cannot be made or is somebody else's."""
        if too_long(self.settings.run_dir):
            raise Unavailable(
                f"{longest_socket(self.settings.run_dir)} is too long a path for a socket; "
                "set TMPDIR to a shorter one, such as /tmp"
            )
        make_private(self.settings.home)
        make_own(self.settings.run_dir)
        for folder in (self.stack, self.logs, self.broker_data):
            make_private(folder)


def longest_socket(folder: Path) -> Path:
    """Return the longest path among the sockets in a run folder: a doorbell's."""
    return folder / "bells-01234567" / "01234567"


def too_long(folder: Path) -> bool:
    """Say whether a socket of a run folder would have a longer path than the system allows."""
    return len(os.fsencode(longest_socket(folder))) > LONGEST


def make_private(folder: Path) -> None:
    """Make a folder for its owner alone; one that exists keeps its mode."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise Unavailable(
            f"cannot make {folder}: {error.strerror}; set ADCTL_HOME to a writable place"
        ) from error
    if not os.access(folder, os.W_OK | os.X_OK):
        raise Unavailable(f"{folder} is not writable; set ADCTL_HOME to a folder of your own")


def make_own(folder: Path) -> None:
    """Make a folder in a place everybody may write to, and refuse one that somebody else made first."""
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
    except OSError as error:
        raise Unavailable(
            f"cannot make {folder}: {error.strerror}; set TMPDIR to a writable folder"
        ) from error
    found = folder.lstat()
    # A link, or a folder of another user, would let that user listen in on the sockets.
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid():
        raise Unavailable(
            f"{folder} belongs to somebody else; remove it, or set TMPDIR to a folder of your own"
        )
    if stat.S_IMODE(found.st_mode) != 0o700:
        folder.chmod(0o700)
