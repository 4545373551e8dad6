"""What a JPEG file, or its traces in pixels, says of the picture before it was compressed."""
