"""A signal in the midst of an import, and a module that makes something of what is raised there."""

import os
import sys
from pathlib import Path

SITE = """
import os, signal, sys, time

class Told:
    def find_spec(self, name, path=None, target=None):
        if name == "{module}":
            try:
                os.kill(os.getpid(), signal.{told})
                time.sleep(5)
            except BaseException:
                {then}

sys.meta_path.insert(0, Told())
"""
SWALLOWS = "pass"
RAISES = "raise"
MAKES_AN_ERROR = "raise ImportError('it failed to import') from None"


def told_at(folder: Path, module: str, told: str, then: str) -> str:
    """Return the PYTHONPATH of processes that get a signal while they begin to import a module."""
    return with_site(folder, SITE.format(module=module, told=told, then=then))


def with_site(folder: Path, code: str) -> str:
    """Return the PYTHONPATH of processes that run code first."""
    (folder / "sitecustomize.py").write_text(code)
    return os.pathsep.join([str(folder), *filter(None, sys.path)])
