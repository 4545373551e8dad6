"""Finding damage in pictures, and undoing it."""
