"""Delivery: plots and the report page."""
