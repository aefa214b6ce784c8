import pickle
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from lurk.errors import ImagesError
from lurk.images.image_set import in_random_order
from lurk.images.load_images import load_images


def save(file, rows, kind=np.uint16):
    file.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.array(rows, kind)).save(file)


def red(images, number):
    return np.asarray(images.read(number))[..., 0].astype(int).tolist()


@pytest.mark.parametrize("suffix", ["png", "tif"])
@pytest.mark.parametrize(
    ("samples", "top"),
    [
        ([[0, 1], [100, 255]], 255),
        ([[5, 6], [7, 1000]], 1023),
        ([[0, 1], [2, 4095]], 4095),
        ([[0, 1], [2, 2049]], 4095),
        ([[0, 9], [5, 16000]], 16383),
        ([[0, 1], [2, 40000]], 65535),
        ([[0, 1], [2, 9]], 15),
    ],
)
def test_16_bit_files_are_shown_by_the_bits_that_they_use(tmp_path, suffix, samples, top):
    save(tmp_path / f"a.{suffix}", samples)
    images = load_images(tmp_path)
    assert red(images, 0) == [[round(value * 255 / top) for value in row] for row in samples]
    said = f"16-bit samples from 0 to {top:g} are shown from black to white"
    assert (said in images.notice) == (top != 65535)


def test_a_value_looks_the_same_in_all_files_of_a_set_and_of_a_sample(tmp_path):
    save(tmp_path / "a.png", [[0, 1000]])
    save(tmp_path / "b.png", [[4000, 1000]])
    images = load_images(tmp_path)
    assert red(images, 0) == [[0, round(1000 * 255 / 4095)]]
    assert red(images, 1)[0][1] == round(1000 * 255 / 4095)
    small = images.sampled(1)
    assert small.ranges == images.ranges
    assert red(pickle.loads(pickle.dumps(small)), 0)[0][1] == round(1000 * 255 / 4095)


@pytest.mark.parametrize(
    ("samples", "low", "high"),
    [
        ([[0.0, 0.5, 1.0]], 0, 1),
        ([[0.0, 0.5, 1.4]], 0, 2),
        ([[-0.2, 0.0, 0.9]], -1, 1),
        ([[-300.5, 0.0, 900.5]], -512, 1024),
        ([[0.0, 100.0, 255.0]], 0, 255),
        ([[0.0, 100.0, 4000.0]], 0, 4095),
        ([[280.1, 290.2, 310.3]], 0, 512),
    ],
)
def test_float_files_beyond_1_are_shown_between_black_and_white(tmp_path, samples, low, high):
    save(tmp_path / "a.tif", samples, np.float32)
    images = load_images(tmp_path)
    expected = [round(float((np.float32(value) - low) * 255 / (high - low))) for value in samples[0]]
    assert red(images, 0) == [expected]
    assert (f"from {low:g} to {high:g}" in images.notice) == ((low, high) != (0, 1))


def test_signed_files_are_shown_between_black_and_white(tmp_path):
    save(tmp_path / "a.tif", [[-1000, 0, 3000]], np.int32)
    assert red(load_images(tmp_path), 0) == [
        [round(24 * 255 / 5119), round(1024 * 255 / 5119), round(4024 * 255 / 5119)]
    ]


def test_a_given_range_is_taken_and_cuts_what_lies_outside(tmp_path):
    save(tmp_path / "a.png", [[0, 50, 100, 200, 4000]])
    images = load_images(tmp_path, sample_range="50:150")
    assert red(images, 0) == [[0, 0, 128, 255, 255]]
    assert images.fingerprint != load_images(tmp_path).fingerprint
    assert images.notice == ""


@pytest.mark.parametrize("wanted", ["", "5", "5:5", "9:1", "a:b", "1:2:3", "0:nan", "0:inf"])
def test_a_range_that_is_none_is_told(tmp_path, wanted):
    save(tmp_path / "a.png", [[0, 50]])
    with pytest.raises(ImagesError, match=r"--sample-range .* is to be LOW:HIGH"):
        load_images(tmp_path, sample_range=wanted)


def test_a_file_beyond_the_range_of_those_looked_at_is_refused_by_name(tmp_path, monkeypatch):
    paths = ("a.png", "b.png", "c.png")
    looked_at = in_random_order(paths)[0]
    for number, path in enumerate(paths):
        save(tmp_path / path, [[0, 4000 if number == looked_at else 40000]])
    whole = load_images(tmp_path)
    assert red(whole, looked_at) == [[0, round(4000 * 255 / 65535)]]
    monkeypatch.setattr("lurk.images.sample_ranges.MOST_MEASURED", 1)
    images = load_images(tmp_path)
    assert red(images, looked_at) == [[0, round(4000 * 255 / 4095)]]
    reason = r"has 16-bit samples from 0 to 40000, and the files looked at have 0 to 4095; say --sample-range"
    with pytest.raises(ImagesError, match=reason):
        images.read((looked_at + 1) % 3)
    assert images.fingerprint != whole.fingerprint


def test_ordinary_files_have_no_range_and_the_fingerprint_that_they_had(tmp_path):
    Image.new("RGB", (2, 2)).save(tmp_path / "a.png")
    images = load_images(tmp_path)
    assert (images.ranges, images.notice) == ((), "")


def png16(samples, colour):
    height, width = samples.shape[:2]
    rows = b"".join(b"\0" + samples[row].astype(">u2").tobytes() for row in range(height))

    def chunk(name, body):
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 16, colour, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


@pytest.mark.parametrize(("colour", "channels"), [(0, 1), (2, 3), (4, 2), (6, 4)])
def test_16_bit_colours_are_read_with_all_their_bits(tmp_path, colour, channels):
    samples = np.random.default_rng(0).integers(0, 1024, (6, 5, channels))
    samples[0, 0] = 1023
    if channels in (2, 4):
        samples[..., -1] = 1023
    (tmp_path / "a.png").write_bytes(png16(samples, colour))
    expected = np.rint(samples[..., : 1 if channels < 3 else 3] * 255 / 1023)
    assert np.array_equal(np.asarray(load_images(tmp_path).read(0)), np.broadcast_to(expected, (6, 5, 3)))


def test_transparency_of_16_bits_is_on_white(tmp_path):
    samples = np.array([[[65535, 0, 0, 65535], [65535, 0, 0, 0]]])
    (tmp_path / "a.png").write_bytes(png16(samples, 6))
    assert np.asarray(load_images(tmp_path).read(0)).tolist() == [[[255, 0, 0], [255, 255, 255]]]


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("compression", [None, "deflate"])
def test_16_bit_colour_tiff_is_read_with_all_its_bits(tmp_path, order, compression):
    tifffile = pytest.importorskip("tifffile")
    samples = np.random.default_rng(0).integers(0, 4096, (6, 5, 3)).astype(np.uint16)
    samples[0, 0] = 4095
    tifffile.imwrite(tmp_path / "a.tif", samples, photometric="rgb", byteorder=order, compression=compression)
    assert np.array_equal(np.asarray(load_images(tmp_path).read(0)), np.rint(samples * 255.0 / 4095))


@pytest.mark.parametrize("order", ["<", ">"])
def test_16_bit_tiff_in_planes_is_read_or_refused(tmp_path, order):
    tifffile = pytest.importorskip("tifffile")
    samples = np.random.default_rng(0).integers(0, 4096, (3, 6, 5)).astype(np.uint16)
    samples[:, 0, 0] = 4095
    options = {"photometric": "rgb", "planarconfig": "separate", "byteorder": order}
    tifffile.imwrite(tmp_path / "a.tif", samples, **options)
    expected = np.rint(samples * 255.0 / 4095).transpose(1, 2, 0)
    assert np.array_equal(np.asarray(load_images(tmp_path).read(0)), expected)
    tifffile.imwrite(tmp_path / "a.tif", samples, compression="deflate", **options)
    with pytest.raises(ImagesError, match="save it with interleaved colours"):
        load_images(tmp_path).read(0)


@pytest.mark.parametrize(
    ("kind", "low", "high"), [("int8", -128, 127), ("int16", -1024, 1023), ("uint32", 0, 4294967295)]
)
def test_other_whole_numbers_of_tiff_are_read(tmp_path, kind, low, high):
    tifffile = pytest.importorskip("tifffile")
    samples = np.array([[low, 0, high // 3, high]]).astype(kind)
    tifffile.imwrite(tmp_path / "a.tif", samples)
    expected = [round((int(value) - low) * 255 / (high - low)) for value in samples[0]]
    assert red(load_images(tmp_path), 0) == [expected]


class Pictures:
    def __init__(self, items):
        self.items = items

    def __len__(self):
        return len(self.items)

    def __getitem__(self, number):
        return self.items[number], number % 2


def test_items_of_a_data_set_share_a_range(tmp_path):
    arrays = [np.array([[0, 1000]], np.uint16), np.array([[4000, 1000]], np.uint16)]
    expected = round(1000 * 255 / 4095)
    for items in (arrays, [Image.fromarray(array) for array in arrays], [array.astype(np.int32) for array in arrays]):
        images = load_images(Pictures(items))
        assert [red(images, number)[0][1] for number in range(2)] == [expected, expected]
        assert "from 0 to 4095" in images.notice


def test_several_pages_are_noted(tmp_path):
    frames = [Image.new("L", (5, 5), grey) for grey in (10, 200)]
    frames[0].save(tmp_path / "a.tif", save_all=True, append_images=frames[1:])
    frames[0].save(tmp_path / "b.tif")
    images = load_images(tmp_path)
    assert images.notes[-1].startswith("1 of 2 files looked at have several pages or frames, of which the first")
    assert red(images, 0)[0][0] == 10
