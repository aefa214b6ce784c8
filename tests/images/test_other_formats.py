import numpy as np
import pytest
from PIL import Image

from lurk.errors import ImagesError
from lurk.images.decoding import decode

FILES = {
    "JPEG 2000": b"\0\0\0\x0cjP  \r\n\x87\n" + b"\0" * 40,
    "HEIC": b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + b"\0" * 40,
    "AVIF": b"\0\0\0\x1cftypavif\0\0\0\0avifmif1" + b"\0" * 40,
    "a video": b"\0\0\0\x20ftypisom\0\0\2\0isomiso2" + b"\0" * 40,
    "DICOM": b"\0" * 128 + b"DICM" + b"\2\0\0\0" * 20,
    "HDF5": b"\x89HDF\r\n\x1a\n" + b"\0" * 40,
    "a NumPy array": b"\x93NUMPY\1\0v\0{'descr': '|u1'}" + b" " * 40,
    "FITS": b"SIMPLE  =                    T" + b" " * 80,
    "PDF": b"%PDF-1.7\n" + b" " * 40,
    "a ZIP file": b"PK\3\4" + b"\0" * 40,
    "SVG": b'<?xml version="1.0"?>\n<svg xmlns="http://www.w3.org/2000/svg"/>',
    "a web page": b"<!DOCTYPE html><title>404</title>",
}


@pytest.mark.parametrize("name", FILES)
def test_a_file_that_is_not_read_is_called_by_its_name(tmp_path, name):
    (tmp_path / "a.jpg").write_bytes(FILES[name])
    with pytest.raises(ImagesError) as caught:
        decode(tmp_path / "a.jpg")
    assert str(caught.value) == f"is {name}, which is not read; save it as PNG or JPEG"


def test_formats_of_pillow_that_are_not_read_are_called_by_their_name(tmp_path):
    for suffix, name in (("jp2", "JPEG 2000"), ("ico", "an icon"), ("tga", "TGA")):
        Image.new("RGB", (16, 16)).save(tmp_path / f"a.{suffix}")
        with pytest.raises(ImagesError, match=f"is {name}, which is not read"):
            decode(tmp_path / f"a.{suffix}")


@pytest.mark.parametrize("samples", [np.zeros((4, 5, 6), np.uint8), np.zeros((4, 5), np.float64)])
def test_a_tiff_of_another_kind_says_so(tmp_path, samples):
    tifffile = pytest.importorskip("tifffile")
    tifffile.imwrite(
        tmp_path / "a.tif", samples, photometric="minisblack", planarconfig="contig" if samples.ndim == 3 else None
    )
    with pytest.raises(ImagesError, match="is a TIFF of a kind that is not read: more than 4 channels"):
        decode(tmp_path / "a.tif")
