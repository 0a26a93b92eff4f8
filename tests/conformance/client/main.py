"""A client of the suite that is a gateway with a real client in front: `main.py [initialize] URL`.

The gateway is in front of what the suite serves at the URL.
"""

import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent.parent / "interop"))

from gateway import Gateway  # noqa: E402

NODE = str(HERE.parent / "node_modules" / ".bin" / "node")


def main() -> int:
    *options, url = sys.argv[1:]
    # What the suite counts must come of the client's calls: no health check may be the first to arrive.
    with Gateway({"suite": {"type": "http", "url": url}}, healthCheckInterval=60_000) as gateway:
        gateway.ready()
        program = [NODE, str(HERE / "client.mjs"), *options, gateway.url]
        ended = subprocess.run(program, timeout=25).returncode
    print(gateway.process.tail(), file=sys.stderr)
    return ended


if __name__ == "__main__":
    sys.exit(main())
