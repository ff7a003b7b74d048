"""The configuration: one typed section per process, checked as a whole, secrets kept out of sight."""
