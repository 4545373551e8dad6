"""Writers of picture files. What they are given, their format can hold."""

MOST_BYTES = 2**31 - 2**20  # protobuf's longest message, with room for the report
