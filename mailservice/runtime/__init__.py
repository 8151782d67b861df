"""Running the service's processes on one machine: starting, watching, stopping them."""
