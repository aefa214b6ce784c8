"""The commands of the command line, a file each: `run(settings, given)` returns the exit status."""
