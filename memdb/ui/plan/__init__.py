"""The Sizing and Compare pages."""
