"""One ADCTL_HOME with real services, spoken to as a person does."""

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ad_platform import settings as environment
from ad_platform.stack.places import Places


@dataclass(frozen=True)
class Machine:
    """One ADCTL_HOME, spoken to as a person does."""

    home: Path
    env: dict[str, str]

    def __call__(self, *arguments: str, code: int = 0) -> subprocess.CompletedProcess[str]:
        called = subprocess.run(
            [sys.executable, "-m", "ad_cli", *arguments],
            env=self.env,
            capture_output=True,
            text=True,
            check=False,
            timeout=180,
        )
        assert called.returncode == code, called.stderr + self.logs()
        return called

    def json(self, *arguments: str) -> Any:
        return json.loads(self(*arguments, "--json").stdout)

    def services(self) -> dict[str, dict[str, Any]]:
        return {one["name"]: one for one in self.json("status")["services"]}

    def logs(self) -> str:
        logs = (self.home / "logs").glob("*.log")
        return "".join(f"\n--- {log.name}\n{log.read_text()[-1500:]}" for log in logs)

    @property
    def places(self) -> Places:
        return Places(environment.load(self.env))
