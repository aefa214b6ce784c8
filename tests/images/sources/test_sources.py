import subprocess
import sys

SOURCE = """
from PIL import Image

from lurk.images.image_set import ImageSet
from lurk.images.sources import SOURCES


class Grey:
    def accepts(self, source):
        return source == "grey"

    def names(self):
        return ("grey",)

    def load(self, source, cache):
        return ImageSet(source, ("0",), (None,), None, lambda number: Image.new("RGB", (2, 2)), ("1",), (0,))


SOURCES.register("grey")(Grey())
"""


def test_a_file_in_the_folder_is_a_source(tmp_path):
    (tmp_path / "grey.py").write_text(SOURCE)
    code = (
        "import sys, lurk, lurk.images.sources as sources; sources.__path__.append(sys.argv[1]); "
        "images = lurk.load_images('grey'); assert (images.name, images.read(0).size) == ('grey', (2, 2))"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=True)
