"""Where models come from: their sources, their weights and their preprocessing."""
