"""Writers of picture files, one a module. What they are given, their format can hold."""
