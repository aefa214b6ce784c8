"""What a file is that is not read, by its first bytes, so that a message can name it."""

import re

KNOWN = "JPEG, PNG, WebP, GIF, BMP, TIFF, PPM, PCX or SGI"
KINDS = (
    (
        rb"(II\*\0|MM\0\*|II\+\0|MM\0\+)",
        "a TIFF of a kind that is not read: more than 4 channels, or samples of 16 or 64 bits with a point",
    ),
    (rb"\0\0\0\x0cjP  |\xff\x4f\xff\x51", "JPEG 2000"),
    (rb"....ftyp(heic|heix|hevc|mif1|msf1)", "HEIC"),
    (rb"....ftypavi[fs]", "AVIF"),
    (rb"....ftyp", "a video"),
    (rb"\0\0\0\x0cJXL |\xff\x0a", "JPEG XL"),
    (rb".{128}DICM", "DICOM"),
    (rb"\x89HDF", "HDF5"),
    (rb"\x93NUMPY", "a NumPy array"),
    (rb"SIMPLE  =", "FITS"),
    (rb"v/1\x01", "OpenEXR"),
    (rb"#\?RADIANCE", "Radiance HDR"),
    (rb"8BPS", "Photoshop"),
    (rb"%PDF", "PDF"),
    (rb"%!PS", "PostScript"),
    (rb"PK\x03\x04", "a ZIP file"),
    (rb"\0\0[\2\3\x0a]\0{5}", "TGA"),
    (rb"\0\0[\1\2]\0", "an icon"),
    (rb"P7\n", "PAM"),
    (rb"\s*(<\?xml[^>]*>\s*)?(<!--.*?-->\s*)?<svg", "SVG"),
    (rb"\s*<(!doctype )?html", "a web page"),
)


def describe_unknown(beginning: bytes) -> str:
    """Say what a file is that is not read, and what to do.

    Args:
        beginning: Its first bytes.

    Returns:
        The end of a sentence that begins with its name.
    """
    for pattern, name in KINDS:
        if re.match(pattern, beginning, re.DOTALL | re.IGNORECASE):
            return f"is {name}, which is not read; save it as PNG or JPEG"
    return f"is no {KNOWN}, or its beginning is damaged"
