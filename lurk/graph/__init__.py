"""What layers a module has: taps, shapes, receptive fields; the only package that registers hooks."""
