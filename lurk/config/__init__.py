"""What the user asked for: options, `lurk.toml`, and the list of studies."""
