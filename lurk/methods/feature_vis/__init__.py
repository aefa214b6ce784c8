"""The engine behind pictures: gradient ascent and what steers it."""
