"""Recall tuning: exact neighbours, sweeps, intervals, misses, slices, shadow indexes, reports."""
