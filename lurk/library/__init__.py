"""What `import lurk` gives beyond the parts below: an index whose layers and units draw themselves."""
