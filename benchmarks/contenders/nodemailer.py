"""nodemailer with its pool, put into a temporary folder by npm."""

from __future__ import annotations

import json
import os
from pathlib import Path

from benchmarks import ground, letter, processes
from benchmarks.contest import Classic, Measured, Sink

NEWEST = "10.6.0"
BEFORE = "10.0.16"  # the last without PIPELINING and TCP_NODELAY, of October 2026
PROGRAM = Path(__file__).with_suffix(".js")


def name_of(version: str) -> str:
    return "nodemailer" if version == NEWEST else f"nodemailer {version}"


class Nodemailer(Classic):
    name = name_of(NEWEST)
    share = 1 / 24
    connections = 10

    def __init__(self, scratch: Path, version: str):
        """Raises Missing where there is no node or npm, or npm cannot reach its registry."""
        node = processes.run(["node", "--version"]).output.strip().lstrip("v")
        quietly = ["--no-audit", "--no-fund", "--ignore-scripts", "--loglevel=error"]
        folder = scratch / version
        folder.mkdir()
        processes.run(["npm", "install", *quietly, "--prefix", folder, f"nodemailer@{version}"])
        self.about = f"{version} on Node {node}, pool of {self.connections}"
        self.name = name_of(version)
        if version == NEWEST:
            self.round_trips = 2  # it has PIPELINING: the envelope with DATA, and the letter
        self._environment = {**os.environ, "NODE_PATH": str(folder / "node_modules")}

    def run(self, letters: int, sink: Sink) -> Measured:
        written = [letter.filled(number) for number in range(letters)]
        task = {
            "port": sink.port,
            "pool": self.connections,
            "from": ground.SENDER,
            "letters": [
                {"to": to.to, "subject": to.subject, "text": to.text, "html": to.html, "headers": to.headers}
                for to in written
            ],
        }
        ran = processes.run(["node", PROGRAM], environment=self._environment, told=json.dumps(task))
        found = json.loads(ran.output)  # its own clock and CPU: without the start of Node
        return Measured(letters / found["seconds"], found["cpu"] / letters * 1e6)
