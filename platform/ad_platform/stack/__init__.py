"""The embedded services of one machine: start, stop, supervise."""
