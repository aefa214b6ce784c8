"""All that lies below the cache directory, and how files are written."""
