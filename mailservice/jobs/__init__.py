"""What runs beside the web: RQ's entry points, the periodic table, the worker and the scheduler."""
