"""Tests of the package. What is said here is said before anything imports NumPy, and for each process of a test."""

import os

# Beside two more workers a second thread of a matrix product mostly spins: it took ten times the CPU of one.
for _name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS"):
    os.environ.setdefault(_name, "1")
