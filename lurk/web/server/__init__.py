"""How the web server listens."""
