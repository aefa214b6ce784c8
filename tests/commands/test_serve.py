"""What `serve` prints while it runs."""

import threading

from lurk.commands import serve
from lurk.config.options import Settings
from tests.web.ui.fake import FakeService


class Rounds(threading.Event):
    """Ends the server after three looks."""

    looks = 0

    def wait(self, timeout=None):
        self.looks += 1
        return self.looks > 3


def test_warnings_and_what_was_understood_are_printed_once(capsys):
    service = FakeService(notice="untrained!", notes=("took `ema`, 214 of 214 tensors",))
    serve._wait(service, Settings(), Rounds())
    assert capsys.readouterr().err == "lurk: untrained!\nlurk: took `ema`, 214 of 214 tensors\n"


def test_with_several_studies_each_line_names_its_study(capsys):
    service = FakeService(names=("a", "b"), notes=("column 2 as class",))
    serve._wait(service, Settings(config="lurk.toml"), Rounds())
    assert capsys.readouterr().err == "lurk: a: column 2 as class\nlurk: b: column 2 as class\n"
