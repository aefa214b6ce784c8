"""Attention heads as units: where a network has them, and what each writes at each position."""
