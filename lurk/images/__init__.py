"""Where images come from: the sources of an image set, and reading a picture."""
