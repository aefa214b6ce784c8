"""The engines behind maps: which pixels a value is owed to."""
