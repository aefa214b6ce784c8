"""The same values with less work: a graph whose operations are folded, and one computed only where images differ."""
