"""What looks wrong with a model on some images: its preprocessing, its class names, its input."""
