"""Pictures in memory: decoding, encoding, tiling, resizing, transparency."""
