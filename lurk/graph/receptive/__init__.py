"""Which input pixels each position sees: coordinates in the place of pixels, and what operations do to them."""
