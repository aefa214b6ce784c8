"""What works with which network: a table of many architectures and of what the project shows of each."""
