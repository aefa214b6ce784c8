"""A small repository of somebody's own, whose network is trained with Lightning."""
