"""The configuration: a typed section per process, checked as a whole, secrets kept out."""
