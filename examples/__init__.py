"""Small programs that use lurk; see README.md."""
