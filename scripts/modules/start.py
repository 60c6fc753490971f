"""Runs a command: `start.py NAME ARGUMENT...` is what scripts/NAME calls. Modules are found from this folder.
"""

from __future__ import annotations

import importlib
import sys

if __name__ == "__main__":
    importlib.import_module(f"{sys.argv.pop(1)}.command").begin()
