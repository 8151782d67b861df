"""Those who send the same letters to the same sinks; each file has one way of sending."""
