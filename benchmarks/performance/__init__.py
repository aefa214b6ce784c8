"""The tables of docs/performance.md: this package beside its peers and beside what the machine can do at best."""
