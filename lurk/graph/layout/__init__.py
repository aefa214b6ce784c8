"""How activations are laid out: which axes are images, channels and positions, and which tokens have a position."""
