"""Clients whose gateway is restarted under them: the next call works, without a word of it to the client."""

import json
import subprocess

import walks
from gateway import Gateway
from peers import Client, Server
from setup import HERE
from walking import NODE, clients, judge
from walks import step

STEPS = [
    step("asked", walks.asked([walks.FORM], walks.ADA), name="ask"),
    step("restart", {}),
    step("asked", walks.asked([walks.FORM], walks.ADA), name="ask"),
    step("progress", {"progress": [1, 2, 3], "said": ["done"]}, name="progress"),
]
SECRET = "0123456789abcdef0123456789abcdef"


def survive(report) -> None:
    for eras in ["sessions", "modern"]:
        server = Server(f"asking-http-{eras}", "http", set(), [NODE, "servers/asking.mjs", "http", eras], "", [])
        try:
            server.start()
            with Gateway({server.name: server.entry()}, keys=[SECRET]) as gateway:
                gateway.wait({"ask"})
                for client in clients():
                    # The old transport's session is its one stream, and that of stdio its pipes.
                    if client.transport == "http":
                        report.add(f"{client.name}, restarted", server.name, judge(client, STEPS, *run(client, gateway)))
        finally:
            if server.process:
                server.process.stop(5)


def run(client: Client, gateway: Gateway) -> tuple[dict | None, str]:
    wire = {"transport": "http", "url": gateway.url, "steps": [step.does for step in STEPS]}
    command = [*client.program, json.dumps({**client.options, **wire})]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(command, cwd=HERE, text=True, **pipes) as process:
        for line in process.stdout:
            if line.startswith("RESTART"):
                gateway.restart()
                gateway.wait({"ask"})
                process.stdin.write("go\n")
                process.stdin.flush()
            elif line.startswith('{"steps"'):
                return json.loads(line), ""
        return None, process.stderr.read()[-1500:]
