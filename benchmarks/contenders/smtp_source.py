"""Postfix's smtp-source: C that renders nothing and records nothing, the bound of what one can ask for."""

from __future__ import annotations

from pathlib import Path

from benchmarks import letter, processes
from benchmarks.contest import Classic, Measured, Sink
from benchmarks.postfix import Postfix

HEADERS = 130  # octets, about, that it puts before the text of each letter


class SmtpSource(Classic):
    name = "smtp-source"
    share = 1.0
    connections = 4

    def __init__(self, postfix: Postfix):
        self._postfix = postfix
        self.about = f"Postfix {postfix.version}, {self.connections} sessions".replace("  ", " ")

    def run(self, letters: int, sink: Sink) -> Measured:
        who = ["-f", "news@shop.example", "-t", "user@example.org"]
        what = ["-m", str(letters), "-l", str(len(letter.ours()) - HEADERS)]
        how = ["-d", "-s", str(self.connections)]  # -d: many letters over each session
        command: list[str | Path] = [self._postfix.program("smtp-source"), *how, *what, *who, f"127.0.0.1:{sink.port}"]
        ran = processes.run(command, environment=self._postfix.environment)
        return Measured(letters / ran.seconds, ran.cpu / letters * 1e6)
