"""smtplib and Flask-Mail, as people use them: a letter is built with `email`, then sent, over one connection."""

from __future__ import annotations

import smtplib
import time
from abc import abstractmethod
from importlib.metadata import version
from platform import python_version

from flask import Flask
from flask_mail import Mail, Message

from benchmarks import ground, letter
from benchmarks.contest import Classic, Measured, Sink


class OneConnection(Classic):
    name: str
    about: str
    share = 1 / 60

    def run(self, letters: int, sink: Sink) -> Measured:
        began, used = time.perf_counter(), time.process_time()
        self._send(letters, sink)
        seconds, cpu = time.perf_counter() - began, time.process_time() - used
        return Measured(letters / seconds, cpu / letters * 1e6)

    @abstractmethod
    def _send(self, letters: int, sink: Sink) -> None: ...


class Smtplib(OneConnection):
    name = "smtplib"
    about = f"Python {python_version()}, one connection"

    def _send(self, letters: int, sink: Sink) -> None:
        with smtplib.SMTP("127.0.0.1", sink.port) as connection:
            for number in range(letters):
                connection.send_message(letter.message(number))


class FlaskMail(OneConnection):
    name = "Flask-Mail"
    about = f"{version('flask-mail')}, one connection"

    def _send(self, letters: int, sink: Sink) -> None:
        letter.filled(0)  # the text is rendered once, and not in the shop's context
        app = Flask("shop")
        app.config.from_mapping(MAIL_SERVER="127.0.0.1", MAIL_PORT=sink.port)
        mail = Mail(app)
        with app.app_context(), mail.connect() as connection:
            for number in range(letters):
                to = letter.filled(number)
                connection.send(
                    Message(to.subject, [to.to], to.text, to.html, sender=ground.SENDER, extra_headers=to.headers)
                )
