"""Installs the pinned packages beside this file, once for each state of the pins."""

import hashlib
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
PYTHON = HERE / ".venv" / "bin" / "python"


def install() -> None:
    once(HERE / "node_modules", HERE / "package-lock.json", [["npm", "ci", "--no-audit", "--no-fund"]])
    once(
        HERE / ".venv",
        HERE / "requirements.txt",
        [
            [sys.executable, "-m", "venv", str(HERE / ".venv")],
            [str(PYTHON), "-m", "pip", "install", "--quiet", "-r", str(HERE / "requirements.txt")],
        ],
    )


def once(folder: Path, pins: Path, commands: list[list[str]]) -> None:
    """Runs the commands beside the pins, unless they have made `folder` for this state of the pins."""
    stamp = folder / ".pins"
    wanted = hashlib.sha256(pins.read_bytes()).hexdigest()
    if stamp.exists() and stamp.read_text() == wanted:
        return
    for command in commands:
        subprocess.run(command, cwd=pins.parent, check=True, timeout=600, stdout=subprocess.DEVNULL)
    stamp.write_text(wanted)
