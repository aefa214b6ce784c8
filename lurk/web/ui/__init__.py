"""Pages, panels and routes."""
