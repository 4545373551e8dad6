"""HTTP for Sakuga: pictures by curl, jobs with progress, and the interfaces that other tools speak.

Everything goes through the client package: nothing here knows Triton or pixels.
"""
