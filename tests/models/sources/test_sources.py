import subprocess
import sys

SOURCE = """
from torch import nn

from lurk.models.preprocess import Preprocess
from lurk.models.sources import SOURCES, Network


class Tiny:
    def accepts(self, source):
        return source == "tiny"

    def names(self):
        return ("tiny",)

    def build(self, source, weights):
        return Network(nn.Sequential(nn.Conv2d(3, 4, 3)), source, source, Preprocess(8, (8, 8)))


SOURCES.register("tiny")(Tiny())
"""


def test_a_file_in_the_folder_is_a_source(tmp_path):
    (tmp_path / "tiny.py").write_text(SOURCE)
    code = (
        "import sys, lurk, lurk.models.sources as sources; sources.__path__.append(sys.argv[1]); "
        "model = lurk.load_model('tiny'); assert (model.name, model.layers[0].units) == ('tiny', 4)"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=True)
