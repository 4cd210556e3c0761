"""The Durability page."""
