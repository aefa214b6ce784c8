import os
import random
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lurk.errors import ImagesError
from lurk.images.decoding import decode

RAMP = np.arange(16, dtype=np.float64).reshape(4, 4) / 15  # 0 to 1 in steps of 17/255


def pixels(path: Path) -> np.ndarray:
    return np.asarray(decode(path)).astype(int)


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    samples = np.random.default_rng(0).integers(0, 256, (40, 60, 3), dtype=np.uint8)
    Image.fromarray(samples).save(tmp_path / "photo.png")
    return tmp_path / "photo.png"


def test_rgb_is_read_as_it_is(photo):
    with Image.open(photo) as expected:
        assert np.array_equal(pixels(photo), np.asarray(expected))


@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_16_bit_grey_is_scaled_not_clipped(tmp_path, suffix):
    file = tmp_path / f"a.{suffix}"
    Image.fromarray(np.rint(RAMP * 65535).astype(np.uint16)).save(file)
    assert np.array_equal(pixels(file)[:, :, 0], np.arange(16).reshape(4, 4) * 17)


@pytest.mark.parametrize(
    ("top", "kind"), [(1.0, np.float32), (255, np.float32), (65535, np.float32), (65535, np.int32)]
)
def test_wide_samples_are_scaled_by_their_range(tmp_path, top, kind):
    Image.fromarray((RAMP * top).astype(kind)).save(tmp_path / "a.tif")
    assert np.array_equal(pixels(tmp_path / "a.tif")[:, :, 2], np.arange(16).reshape(4, 4) * 17)


def test_float_samples_of_any_other_range_are_between_powers_of_two(tmp_path):
    Image.fromarray(np.array([[-20.5, 10], [-32, 16], [-8, 0]], np.float32)).save(tmp_path / "a.tif")
    expected = [[(32 - 20.5) / 48, 42 / 48], [0, 1], [24 / 48, 32 / 48]]
    assert pixels(tmp_path / "a.tif")[:, :, 1].tolist() == np.rint(np.array(expected) * 255).tolist()


def test_nan_samples_are_black_and_nothing_but_nan_is_a_reason(tmp_path):
    samples = RAMP.astype(np.float32)
    samples[3, 3] = np.nan
    Image.fromarray(samples).save(tmp_path / "a.tif")
    assert pixels(tmp_path / "a.tif")[3, 3].tolist() == [0, 0, 0]
    Image.fromarray(np.full((4, 4), np.nan, np.float32)).save(tmp_path / "b.tif")
    with pytest.raises(ImagesError, match="no finite sample"):
        decode(tmp_path / "b.tif")


def test_transparent_parts_are_white(tmp_path):
    samples = np.zeros((2, 2, 4), np.uint8)
    samples[0, 0] = (10, 20, 30, 255)
    samples[0, 1] = (0, 0, 0, 102)
    Image.fromarray(samples).save(tmp_path / "a.png")
    assert pixels(tmp_path / "a.png").tolist() == [[[10, 20, 30], [153] * 3], [[255] * 3, [255] * 3]]


def test_palettes_with_a_transparent_colour_are_read(tmp_path):
    picture = Image.fromarray(np.array([[0, 1], [2, 1]], np.uint8))
    picture.putpalette([200, 10, 20, 0, 0, 0, 5, 6, 7] + [0] * 759)
    for suffix in ("gif", "png"):
        picture.save(tmp_path / f"a.{suffix}", transparency=1)
        assert pixels(tmp_path / f"a.{suffix}").tolist() == [[[200, 10, 20], [255] * 3], [[5, 6, 7], [255] * 3]]


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "CMYK", "YCbCr"])
@pytest.mark.parametrize("suffix", ["png", "jpg", "gif", "tif", "bmp", "webp"])
def test_every_mode_of_every_format_becomes_rgb(tmp_path, photo, mode, suffix):
    with Image.open(photo) as opened:
        try:
            opened.convert(mode).save(tmp_path / f"a.{suffix}")
        except (OSError, ValueError):
            pytest.skip("no such mode in this format")
    picture = decode(tmp_path / f"a.{suffix}")
    assert (picture.mode, picture.size) == ("RGB", (60, 40))


def test_cmyk_keeps_its_colours(tmp_path):
    Image.new("CMYK", (8, 8), (0, 255, 255, 0)).save(tmp_path / "red.jpg", quality=95)
    red, green, blue = pixels(tmp_path / "red.jpg")[4, 4]
    assert red > 245
    assert max(green, blue) < 10


def test_an_odd_colour_profile_does_not_matter(tmp_path, photo):
    with Image.open(photo) as opened:
        opened.save(tmp_path / "a.png", icc_profile=b"no profile at all")
    assert np.array_equal(pixels(tmp_path / "a.png"), pixels(photo))


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_applied(tmp_path, orientation):
    upright = np.zeros((4, 6, 3), np.uint8)
    upright[0, 0], upright[0, 5], upright[3, 0] = (255, 0, 0), (0, 255, 0), (0, 0, 255)
    # what a camera stores so that the turn of TIFF's table gives `upright`
    stored = {
        1: upright,
        2: upright[:, ::-1],
        3: upright[::-1, ::-1],
        4: upright[::-1],
        5: upright.transpose(1, 0, 2),
        6: np.rot90(upright),
        7: np.rot90(upright, 2).transpose(1, 0, 2),
        8: np.rot90(upright, -1),
    }[orientation]
    exif = Image.Exif()
    exif[0x0112] = orientation
    for suffix in ("png", "tif", "webp"):
        options = {"lossless": True} if suffix == "webp" else {}
        Image.fromarray(np.ascontiguousarray(stored)).save(tmp_path / f"a.{suffix}", exif=exif.tobytes(), **options)
        assert np.array_equal(pixels(tmp_path / f"a.{suffix}"), upright), suffix


@pytest.mark.filterwarnings("ignore::UserWarning:PIL")
def test_damaged_exif_is_ignored(tmp_path, photo):
    with Image.open(photo) as opened:
        opened.save(tmp_path / "a.jpg", exif=b"Exif\x00\x00MM\x00*\x00\x00\x00\x08\xff\xff" + b"\x01\x12\x00\x03" * 3)
    assert decode(tmp_path / "a.jpg").size == (60, 40)


def test_an_animation_is_its_first_frame(tmp_path):
    frames = [Image.new("RGB", (5, 5), colour) for colour in ((255, 0, 0), (0, 255, 0))]
    frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:])
    assert pixels(tmp_path / "a.gif")[0, 0].tolist() == [255, 0, 0]


NETPBM = {
    "bitmap.pbm": (b"P1\n# a comment\n2 1\n1 0\n", [[[0] * 3, [255] * 3]]),
    "bitmap, binary.pbm": (b"P4\n2 1\n\x80", [[[0] * 3, [255] * 3]]),
    "grey.pgm": (b"P2\n2 1\n255\n7 250\n", [[[7] * 3, [250] * 3]]),
    "grey, binary.pgm": (b"P5 2 1 255\n\x07\xfa", [[[7] * 3, [250] * 3]]),
    "grey, 4 levels.pgm": (b"P2\n2 1\n3\n1 3\n", [[[85] * 3, [255] * 3]]),
    "grey, 12 bits.pgm": (b"P5\n2 1\n4095\n" + bytes([0x08, 0x00, 0x0F, 0xFF]), [[[128] * 3, [255] * 3]]),
    "colour.ppm": (b"P3\n1 1\n255\n1 2 3\n", [[[1, 2, 3]]]),
    "colour, binary.ppm": (b"P6\n1 1\n255\n\x01\x02\x03", [[[1, 2, 3]]]),
    "colour.pnm": (b"P6\n1 1\n255\n\x01\x02\x03", [[[1, 2, 3]]]),
    "no extension": (b"P6\n1 1\n255\n\x01\x02\x03", [[[1, 2, 3]]]),
    "another extension.jpg": (b"P6\n1 1\n255\n\x01\x02\x03", [[[1, 2, 3]]]),
    "float.pfm": (b"Pf\n2 1\n-1.0\n" + struct.pack("<ff", 0.2, 1.0), [[[51] * 3, [255] * 3]]),
}


@pytest.mark.parametrize("name", NETPBM)
def test_netpbm_is_read_by_its_content(tmp_path, name):
    content, expected = NETPBM[name]
    (tmp_path / name).write_bytes(content)
    assert pixels(tmp_path / name).tolist() == expected


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "BMP", "GIF", "PCX", "SGI", "PPM"])
@pytest.mark.parametrize("name", ["a", "a.jpg", "a.dcm", "a.png"])
def test_a_format_is_known_by_its_content_not_by_its_name(tmp_path, photo, kind, name):
    with Image.open(photo) as opened:
        picture = opened.quantize(64) if kind == "GIF" else opened.copy()
    picture.save(tmp_path / name, kind)
    assert np.array_equal(pixels(tmp_path / name), np.asarray(picture.convert("RGB")))


def png(width: int, height: int, data: bytes) -> bytes:
    def chunk(name: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))

    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(data)) + chunk(b"IEND", b"")


@pytest.mark.parametrize(("width", "height"), [(8000, 7000), (10_000, 10_000), (60_000, 60_000)])
def test_a_bomb_is_refused_before_it_unpacks(tmp_path, width, height):
    (tmp_path / "a.png").write_bytes(png(width, height, b"\0" * 100))
    with pytest.raises(ImagesError, match="megapixels"):
        decode(tmp_path / "a.png")


def test_every_bad_file_has_its_reason(tmp_path, photo):
    whole = photo.read_bytes()
    (tmp_path / "empty.jpg").touch()
    (tmp_path / "text.jpg").write_text("no picture")
    (tmp_path / "cut.png").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "short.png").write_bytes(png(64, 64, b"\0" * 100))
    (tmp_path / "vector.svg").write_text("<svg/>")
    (tmp_path / "folder.png").mkdir()
    reasons = {}
    for name in ("empty.jpg", "text.jpg", "cut.png", "short.png", "vector.svg", "folder.png", "none.png", "a\0b.png"):
        with pytest.raises(ImagesError) as caught:
            decode(tmp_path / name)
        reasons[name] = str(caught.value)
        assert "\n" not in reasons[name]
        assert str(tmp_path) not in reasons[name]
    assert reasons["empty.jpg"] == "is empty"
    assert "is no JPEG" in reasons["text.jpg"]
    assert "damaged" in reasons["cut.png"]
    assert "damaged" in reasons["short.png"]
    assert reasons["folder.png"] == "is a folder"
    assert reasons["none.png"] == "there is no such file"


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes on this system")
def test_a_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "a.png")
    with pytest.raises(ImagesError, match="no regular file"):
        decode(tmp_path / "a.png")


@pytest.mark.filterwarnings("ignore::UserWarning:PIL")
@pytest.mark.parametrize("suffix", ["png", "jpg", "gif", "tif", "bmp", "webp"])
def test_damage_anywhere_gives_a_picture_or_a_reason(tmp_path, photo, suffix):
    with Image.open(photo) as opened:
        opened.save(tmp_path / f"whole.{suffix}")
    whole, file = (tmp_path / f"whole.{suffix}").read_bytes(), tmp_path / f"damaged.{suffix}"
    lots = random.Random(suffix)
    for _ in range(150):
        damaged = bytearray(whole)
        for _ in range(lots.randint(1, 12)):
            damaged[lots.randrange(min(len(damaged), lots.choice((64, 400, len(damaged)))))] = lots.randrange(256)
        file.write_bytes(damaged[: lots.choice((len(damaged), lots.randrange(len(damaged))))])
        try:
            assert decode(file).mode == "RGB"
        except ImagesError as error:
            reason = str(error)
        else:
            reason = "none: it is a picture"
        assert reason
