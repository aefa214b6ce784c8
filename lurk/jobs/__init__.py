"""The queue of jobs, on this machine or in a Redis."""
