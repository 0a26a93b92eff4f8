"""Processes of a run: started here, and ended here whatever happens."""

import queue
import subprocess
import threading
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent


class Process:
    """A process whose stderr is kept and may say `LISTENING port`."""

    def __init__(self, name: str, command: list[str], env: dict | None = None, cwd: Path = HERE):
        self.name = name
        self.stderr: list[str] = []
        self._port: queue.Queue = queue.Queue()
        self.popen = subprocess.Popen(
            command, cwd=cwd, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        for stream in (self.popen.stdout, self.popen.stderr):
            threading.Thread(target=self._read, args=(stream,), daemon=True).start()

    def _read(self, stream) -> None:
        for line in stream:
            self.stderr.append(line.rstrip())
            if line.startswith("LISTENING "):
                self._port.put(int(line.split()[1]))

    def port(self, timeout: float = 30) -> int:
        """The port it listens on, as soon as it says so."""
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline:
            try:
                return self._port.get(timeout=0.1)
            except queue.Empty:
                if self.popen.poll() is not None:
                    break
        raise RuntimeError(f"{self.name} does not listen:\n" + self.tail())

    def tail(self, lines: int = 20) -> str:
        return "\n".join(f"    {line}" for line in self.stderr[-lines:])

    def children(self) -> list[int]:
        """The processes it has started, where the system tells."""
        found = []
        for path in Path(f"/proc/{self.popen.pid}/task").glob("*/children"):
            found += [int(pid) for pid in path.read_text().split()]
        return found

    def stop(self, patience: float) -> int | None:
        """Asks it to end, and makes it end after `patience`; its exit code if asking was enough."""
        self.popen.terminate()
        try:
            return self.popen.wait(patience)
        except subprocess.TimeoutExpired:
            self.popen.kill()
            self.popen.wait()
            return None


def alive(pid: int) -> bool:
    """Whether a process of that id is more than a zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False
