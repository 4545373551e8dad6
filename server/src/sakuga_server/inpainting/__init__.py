"""Filling regions of a picture from their surroundings."""
